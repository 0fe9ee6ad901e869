// Mapped tasks: one node with N items. What never started costs nothing but its number.

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

}  // namespace

/// The task's rule is met: its items may come.
void Engine::State::open_mapped(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (!node.mapped) node.mapped = std::make_unique<Mapped>();
  node.work.queued_at = now_.wall;
  move(run, {run.row.id, task, kWhole}, node.work, TaskEvent::open, {});
  changed_mapped_.push_back({run.row.id, task});
  if (const Duration limit = run.spec(task).queue_timeout; limit != Duration{0}) {
    set_timer(run, {run.row.id, task, kWhole}, node.work, TimerKind::queue, limit, false);
  }
}

void Engine::State::on(const input::ItemsRead& in) {
  Run* run = find(in.run);
  if (run == nullptr || in.task.value >= run->nodes.size()) return;
  Node& node = run->node(in.task);
  if (!node.is_preparing || node.prepare_stamp != in.stamp || !node.mapped) return;
  Mapped& mapped = *node.mapped;
  if (in.count > 0 && in.first != mapped.items) return;  // read twice after a restart
  if (in.count > 0) {
    const std::int64_t before = mapped.items;
    mapped.items += in.count;
    mapped.source = in.source;
    mapped.counts[place(TaskState::queued)] += in.count;
    run->row.counts[place(TaskState::queued)] += in.count;
    counts_changed(*run);
    change(mutation::InsertItems{{in.run, in.task, in.first, in.count, in.bytes}});
    act(effect::ItemsStored{in.run, in.task, in.stamp, in.first});
    // Items that had run before the task was reset.
    for (std::int64_t i = before; i < std::min(mapped.items, mapped.next_fresh); ++i) mapped.ready.push_back(i);
  }
  if (in.complete || !in.error.empty()) node.is_preparing = false;
  if (in.complete) {
    mapped.complete = true;
    drop_surplus_rows(*run, in.task);
  }
  changed_mapped_.push_back({in.run, in.task});
  if (!in.error.empty()) {
    mapped.read_error = in.error;
    cancel_items(*run, in.task, Reason::items, false);
  }
  make_ready(*run, in.task);
  finish_mapped_if_done(*run, in.task);
}

/// Rows of items that were there when the task ran before and are no more.
void Engine::State::drop_surplus_rows(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  for (std::int64_t i = mapped.items; i < mapped.next_fresh; ++i) {
    auto it = mapped.works.find(i);
    if (it == mapped.works.end()) continue;
    const TaskState from = it->second.state;
    it->second.state = TaskState::skipped;
    it->second.reason = Reason::items;
    it->second.ended_at = now_.wall;
    write(run, {run.row.id, task, ItemIndex{i}}, it->second, from, AttemptId{}, "is no longer among the items");
    mapped.works.erase(it);
  }
  mapped.next_fresh = std::min(mapped.next_fresh, mapped.items);
  mapped.states.resize(static_cast<std::size_t>(mapped.next_fresh));
  mapped.low_water = std::min(mapped.low_water, mapped.next_fresh);
}

void Engine::State::item_moved(Run& run, TaskIndex task, std::int64_t item, TaskState from, TaskState to) {
  Mapped& mapped = *run.node(task).mapped;
  --mapped.counts[place(from)];
  ++mapped.counts[place(to)];
  --run.row.counts[place(from)];
  ++run.row.counts[place(to)];
  mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(to);
  if (is_final(to)) {
    const auto size = static_cast<std::int64_t>(mapped.states.size());
    auto is_final_at = [&mapped](std::int64_t i) {
      const std::uint8_t state = mapped.states[static_cast<std::size_t>(i)];
      return state == kFinalUnknown || is_final(static_cast<TaskState>(state));
    };
    while (mapped.low_water < size && is_final_at(mapped.low_water)) ++mapped.low_water;
    mapped.works.erase(item);  // `move` touches it no more
  } else if (item < mapped.low_water) {
    mapped.low_water = item;
  }
  if (changed_mapped_.empty() || changed_mapped_.back().task != task || changed_mapped_.back().run != run.row.id) {
    changed_mapped_.push_back({run.row.id, task});
  }
  counts_changed(run);
}

/// Says what the items are that never started: one row, however many they are.
void Engine::State::settle_rest(Run& run, TaskIndex task, TaskState state, Reason reason) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.rest_state != TaskState::queued) return;
  mapped.rest_state = state;
  mapped.rest_reason = reason;
  const std::int64_t rest = mapped.fresh();
  for (Counts* counts : {&mapped.counts, &run.row.counts}) {
    (*counts)[place(TaskState::queued)] -= rest;
    (*counts)[place(state)] += rest;
  }
  counts_changed(run);
  changed_mapped_.push_back({run.row.id, task});
}

/// No item of the task starts any more, and those that run are stopped.
void Engine::State::cancel_items(Run& run, TaskIndex task, Reason reason, bool force) {
  Node& node = run.node(task);
  Mapped& mapped = *node.mapped;
  if (node.is_preparing) {
    node.is_preparing = false;
    ++node.prepare_stamp;
    act(effect::StopReading{run.row.id, task});
  }
  settle_rest(run, task, TaskState::cancelled, reason);
  mapped.ready.clear();
  std::vector<std::int64_t> open;
  for (const auto& [item, work] : mapped.works) open.push_back(item);
  std::sort(open.begin(), open.end());
  for (std::int64_t item : open) {
    Piece& work = mapped.works.at(item);
    if (work.state == TaskState::running) {
      stop_attempt(work.live, reason, force);
    } else if (item >= mapped.items) {
      continue;  // waits for items to be read again; reading it settles
    } else {
      move(run, {run.row.id, task, ItemIndex{item}}, work, TaskEvent::cancel, {reason, 0, {}, {}});
    }
  }
}

/// After an item became final: limits of failures, and the end of the whole.
void Engine::State::item_ended(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  const TaskSpec& spec = run.spec(task);
  const std::int64_t failures = mapped.failures();
  const std::int64_t stop_after = spec.map ? spec.map->stop_after_failures : 0;
  if (stop_after > 0 && failures >= stop_after && mapped.rest_state == TaskState::queued) {
    cancel_items(run, task, Reason::stop_after_failures, false);
  }
  // A share of all items is known only when all are read.
  const Tolerance tolerance = spec.map ? spec.map->tolerated_failures : Tolerance{};
  const bool is_beyond = failures > tolerance.of(mapped.items) && (mapped.complete || !tolerance.is_percent);
  if (is_beyond && run.version->job.fail_fast && !spec.allow_failure && run.stopping == Reason::none) {
    cancel_rest(run, Reason::fail_fast, false);
  }
  finish_mapped_if_done(run, task);
}

void Engine::State::finish_mapped_if_done(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (!node.mapped || node.work.state != TaskState::running) return;
  Mapped& mapped = *node.mapped;
  const bool rest_is_open = mapped.rest_state == TaskState::queued && (mapped.fresh() > 0 || !mapped.complete);
  const bool has_open = std::any_of(mapped.works.begin(), mapped.works.end(),
                                    [&](const auto& entry) { return entry.first < mapped.items; });
  if (rest_is_open || has_open) return;

  const TaskKey key{run.row.id, task, kWhole};
  const std::int64_t failures = mapped.failures();
  const std::int64_t cancelled = mapped.counts[place(TaskState::cancelled)];
  const TaskSpec& spec = run.spec(task);
  const std::int64_t tolerated = spec.map ? spec.map->tolerated_failures.of(mapped.items) : 0;
  if (!mapped.read_error.empty()) {
    move(run, key, node.work, TaskEvent::fail, {Reason::items, 0, mapped.read_error, {}});
  } else if (failures + cancelled <= tolerated && (mapped.complete || mapped.rest_state == TaskState::queued)) {
    move(run, key, node.work, TaskEvent::succeed, {});
  } else if (failures > tolerated || mapped.rest_reason == Reason::stop_after_failures) {
    const Reason reason = mapped.rest_reason == Reason::stop_after_failures ? mapped.rest_reason : Reason::tolerance;
    move(run, key, node.work, TaskEvent::fail, {reason, 0, {}, {}});
  } else {
    // Only what a person or a limit took away is missing: the whole shares that word.
    const Reason reason = mapped.rest_reason != Reason::none ? mapped.rest_reason : Reason::cancelled;
    move(run, key, node.work, TaskEvent::cancel, {reason, 0, {}, {}});
  }
}

void Engine::State::write_mapped(const Run& run, TaskIndex task) {
  const Mapped& mapped = *run.node(task).mapped;
  MappedRow row;
  row.run = run.row.id;
  row.task = task;
  row.items = mapped.items;
  row.complete = mapped.complete;
  row.next_fresh = mapped.next_fresh;
  row.low_water = mapped.low_water;
  row.rest_state = mapped.rest_state;
  row.rest_reason = mapped.rest_reason;
  row.counts = mapped.counts;
  row.source = mapped.source;
  change(mutation::SetMapped{std::move(row)});
}

}  // namespace pawl
