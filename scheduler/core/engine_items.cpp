// Mapped tasks: one node with N items. What never started costs nothing but its number.

#include <algorithm>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

/// What takes an item that waits to where its whole is.
TaskEvent event_to(const Piece& whole) {
  const bool is_marked = whole.reason == Reason::marked;
  switch (whole.state) {
    case TaskState::succeeded: return TaskEvent::mark_succeeded;
    case TaskState::failed: return is_marked ? TaskEvent::mark_failed : TaskEvent::fail;
    case TaskState::skipped: return is_marked ? TaskEvent::mark_skipped : TaskEvent::skip;
    case TaskState::upstream_failed: return TaskEvent::upstream_fail;
    case TaskState::cancelled: break;
    case TaskState::waiting:
    case TaskState::queued:
    case TaskState::running:
    case TaskState::retrying:
    case TaskState::deferred:
    case TaskState::held: PAWL_CHECK(false);
  }
  return TaskEvent::cancel;
}

}  // namespace

/// The task's rule is met: its items may come.
void Engine::State::open_mapped(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  const TaskKey key{run.row.id, task, kWhole};
  if (!node.mapped) node.mapped = std::make_unique<Mapped>();
  node.work.queued_at = now_.wall;
  move(run, key, node.work, TaskEvent::open, {});
  mapped_changed(run, task);
  if (run.spec(task).mapped_over) {
    node.mapped->is_paired = true;
    node.is_preparing = false;
    grow_paired(run, task);
    start_sweep(run, task, 0);
  } else {
    arm_queue_timer(run, key, node.work);
    tell_sharers(run, task);
  }
}

void Engine::State::on(const input::ItemsRead& in) {
  Run* run = find(in.run);
  if (run == nullptr || in.task.value >= run->nodes.size()) return;
  Node& node = run->node(in.task);
  if (!node.is_preparing || node.prepare_stamp != in.stamp || !node.mapped) return;
  if (node.work.state != TaskState::running) return;
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
    // Items that had run before the whole was repeated.
    for (std::int64_t i = before; i < std::min(mapped.items, mapped.next_fresh); ++i) {
      mapped.ready.push_back(i);
      ++mapped.queued;
      arm_queue_timer(*run, {in.run, in.task, ItemIndex{i}}, mapped.works.at(i));
    }
  }
  if (in.complete || !in.error.empty()) node.is_preparing = false;
  if (in.complete) mapped.complete = true;
  mapped_changed(*run, in.task);
  if (!in.error.empty()) {
    mapped.read_error = in.error;
    cancel_items(*run, in.task, Reason::items, false);
    if (node.work.state == TaskState::running) {
      // Kept from now on, for it may take long until what runs has ended.
      write(*run, {in.run, in.task, kWhole}, node.work, TaskState::running, AttemptId{},
            std::string(in.error));
    }
  }
  make_ready(*run, in.task);
  tell_sharers(*run, in.task);
  finish_mapped_if_done(*run, in.task);
}

/// A task that had begun before goes on: with the same items, of which those that wait may take a
/// slot, and its `when` was judged.
void Engine::State::reopen_mapped(Run& run, TaskIndex task) {
  open_mapped(run, task);
  const Mapped& mapped = *run.node(task).mapped;
  if (mapped.is_paired) return;
  start_sweep(run, task, 0);
  if (!mapped.complete && mapped.rest_state == TaskState::queued) prepare(run, task);
}

void Engine::State::queue_item(Run& run, TaskKey key, Piece& work) {
  move(run, key, work, TaskEvent::queue, {});
  arm_queue_timer(run, key, work);
}

/// The items that a resume took back while the whole waited, as many as the step has room for.
void Engine::State::queue_some(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  const std::int64_t end = std::min(mapped.items, mapped.next_fresh);
  while (mapped.sweep < end && !is_half_full()) {
    ++looked_at_;
    const std::int64_t item = mapped.sweep++;
    if (mapped.states[static_cast<std::size_t>(item)] ==
        static_cast<std::uint8_t>(TaskState::waiting))
      queue_item(run, {run.row.id, task, ItemIndex{item}}, mapped.works.at(item));
  }
  make_ready(run, task);
  if (mapped.sweep < end) return;
  mapped.sweep = -1;
  sweeps_.pop_front();
  item_ended(run, task);
}

/// The whole is final: items that waited to go on with it end as it did, and rows of those that
/// were there when it ran before and were not read again end, too.
void Engine::State::settle_items(Run& run, TaskIndex task) {
  const Piece& whole = run.node(task).work;
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.blank > 0 || mapped.may_start_fresh())
    settle_rest(run, task, whole.state, whole.reason);
  if (mapped.works.empty()) return;
  ++run.open_tasks;
  start_sweep(run, task, 0);
}

/// As many as the step has room for. Then the run may end.
void Engine::State::settle_some(Run& run, TaskIndex task) {
  const Piece& whole = run.node(task).work;
  Mapped& mapped = *run.node(task).mapped;
  while (!mapped.works.empty() && !is_half_full()) {
    ++looked_at_;
    const std::int64_t item = mapped.sweep++;
    PAWL_CHECK(item < mapped.next_fresh);
    const auto found = mapped.works.find(item);
    if (found == mapped.works.end()) continue;
    const TaskKey key{run.row.id, task, ItemIndex{item}};
    Piece& work = found->second;
    if (item < mapped.items) {
      move(run, key, work, event_to(whole), {whole.reason, 0, {}, {}});
      continue;
    }
    const TaskState from = work.state;
    work.state = *next(from, TaskEvent::cancel);
    work.reason = Reason::items;
    work.ended_at = now_.wall;
    mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(work.state);
    write(run, key, work, from, AttemptId{}, "is no longer among the items");
    mapped.works.erase(found);
  }
  if (!mapped.works.empty()) return;
  mapped.sweep = -1;
  sweeps_.pop_front();
  --run.open_tasks;
  look_at(run.row.id, task);
}

void Engine::State::item_moved(Run& run, TaskKey key, const Piece& work, TaskState from,
                               TaskState to) {
  Mapped& mapped = *run.node(key.task).mapped;
  const std::int64_t item = key.item.value;
  for (Counts* counts : {&mapped.counts, &run.row.counts}) {
    --(*counts)[place(from)];
    ++(*counts)[place(to)];
  }
  mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(to);
  mapped.tries[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(work.attempts);
  if (from == TaskState::queued) --mapped.queued;
  if (to == TaskState::queued) {
    ++mapped.queued;
    // An attempt that never started costs its item no place, nor does a run that has ended.
    if (from == TaskState::running ||
        (from == TaskState::deferred && run.spec(key.task).calls_job())) {
      mapped.ready.push_front(item);
    } else {
      mapped.ready.push_back(item);
    }
  }
  if (is_final(to)) {
    mapped.works.erase(item);  // the caller touches it no more
    const auto size = static_cast<std::int64_t>(mapped.states.size());
    auto is_final_at = [&mapped](std::int64_t i) {
      const std::uint8_t state = mapped.states[static_cast<std::size_t>(i)];
      return state == kFinalUnknown || is_final(static_cast<TaskState>(state));
    };
    while (mapped.low_water < size && is_final_at(mapped.low_water)) ++mapped.low_water;
    for (TaskIndex follower : run.version->graph.paired(key.task))
      pairs_.push_back({run.row.id, follower, item});
  } else if (item < mapped.low_water) {
    mapped.low_water = item;
  }
  mapped_changed(run, key.task);
  counts_changed(run);
}

/// The next item that is queued and not fresh; there is one. Those that left the queue by another
/// door are skipped here, once each.
std::int64_t Engine::State::take_ready(Mapped& mapped) {
  while (true) {
    PAWL_CHECK(!mapped.ready.empty());
    const std::int64_t item = mapped.ready.front();
    mapped.ready.pop_front();
    const auto it = mapped.works.find(item);
    if (it != mapped.works.end() && it->second.state == TaskState::queued) return item;
    const bool is_released = it == mapped.works.end() && mapped.is_paired &&
                             mapped.states[static_cast<std::size_t>(item)] ==
                                 static_cast<std::uint8_t>(TaskState::queued);
    if (!is_released) continue;
    --mapped.released;
    mapped.works[item].state = TaskState::queued;
    return item;
  }
}

/// Says what the items are that never started: one row, however many they are.
void Engine::State::settle_rest(Run& run, TaskIndex task, TaskState state, Reason reason) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.rest_state != TaskState::queued) return;
  mapped.rest_state = state;
  mapped.rest_reason = reason;
  const std::int64_t queued = mapped.is_paired ? mapped.released : mapped.fresh();
  for (Counts* counts : {&mapped.counts, &run.row.counts}) {
    (*counts)[place(TaskState::queued)] -= queued;
    (*counts)[place(TaskState::waiting)] -= mapped.blank;
    (*counts)[place(state)] += queued + mapped.blank;
  }
  if (mapped.is_paired) {
    mapped.rest = mapped.blank + mapped.released;
    mapped.queued -= mapped.released;
    mapped.blank = mapped.released = 0;
  }
  counts_changed(run);
  mapped_changed(run, task);
}

/// No item of the task starts any more, those that run are stopped, and those that wait end: in
/// this step if it has room for them, the others in steps that follow.
void Engine::State::cancel_items(Run& run, TaskIndex task, Reason reason, bool force) {
  Mapped& mapped = *run.node(task).mapped;
  stop_preparing(run, task);
  settle_rest(run, task, TaskState::cancelled, reason);
  std::vector<std::int64_t> running;
  for (const auto& [item, work] : mapped.works) {
    if (work.state == TaskState::running) running.push_back(item);
  }
  std::sort(running.begin(), running.end());
  for (std::int64_t item : running) stop_attempt(mapped.works.at(item).live, reason, force);
  if (mapped.repeat != Repeat::cancel) begin_cancel(run, task, reason);
  mapped.cancel_force |= force;
}

/// After an item became final: limits of failures, and the end of the whole.
void Engine::State::item_ended(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (run.node(task).work.state != TaskState::running) return;
  // Until a resume has taken back all that failed before, nobody knows what failed since.
  if (mapped.repeat != Repeat::none) return;
  const TaskSpec& spec = run.spec(task);
  const std::int64_t failures = mapped.own_failures();
  const std::int64_t stop_after = spec.map ? spec.map->stop_after_failures : 0;
  if (stop_after > 0 && failures >= stop_after && mapped.rest_state == TaskState::queued) {
    cancel_items(run, task, Reason::stop_after_failures, false);
  }
  // A share of all items is known only when all are read.
  const Tolerance tolerance = run.version->job.tolerance_of(task);
  const bool is_beyond =
      failures > tolerance.of(mapped.items) && (mapped.complete || !tolerance.is_percent);
  if (is_beyond && run.version->job.fail_fast && !spec.allow_failure &&
      run.stopping == Reason::none) {
    cancel_rest(run, Reason::fail_fast, false);
  }
  finish_mapped_if_done(run, task);
}

/// Whether an upstream lost what its items are paired with, or does not say yet that it tolerates
/// it.
bool Engine::State::has_lost_upstream(const Run& run, TaskIndex task) {
  const auto& upstreams = run.spec(task).depends_on;
  return std::any_of(upstreams.begin(), upstreams.end(), [&](const Dependency& upstream) {
    const TaskState state = run.node(upstream.task).work.state;
    return upstream.each && state != TaskState::succeeded && state != TaskState::skipped;
  });
}

/// What the whole is when no item of it is open.
Engine::State::WholeVerdict Engine::State::judge_whole(const Run& run, TaskIndex task) const {
  const Mapped& mapped = *run.node(task).mapped;
  const TaskSpec& spec = run.spec(task);
  const std::int64_t failures = mapped.failures();
  const std::int64_t tolerated = run.version->job.tolerance_of(task).of(mapped.items);
  if (mapped.is_paired && mapped.own_failures() <= tolerated) {
    // What its upstreams lost is not its own failure; and who asks for their success does not
    // succeed over a part of the items.
    Tally cut;
    cut.add(TaskState::failed, mapped.complete ? 0 : +1);
    const bool is_cut = decide(spec.trigger_rule, cut) == Decision::upstream_failed;
    const bool misses = failures + mapped.count(TaskState::cancelled) > tolerated;
    if (!misses && !is_cut) return {TaskEvent::succeed, Reason::none};
    if (mapped.rest_state == TaskState::cancelled) return {TaskEvent::cancel, mapped.rest_reason};
    // An upstream that tolerates its losses has succeeded: then it is this task that does not.
    if ((mapped.count(TaskState::upstream_failed) > 0 || is_cut) && has_lost_upstream(run, task))
      return {TaskEvent::upstream_fail, Reason::upstream};
  }
  if (mapped.rest_reason == Reason::items) return {TaskEvent::fail, Reason::items};
  if (mapped.complete && failures + mapped.count(TaskState::cancelled) <= tolerated)
    return {TaskEvent::succeed, Reason::none};
  if (mapped.rest_reason == Reason::stop_after_failures)
    return {TaskEvent::fail, Reason::stop_after_failures};
  // Items that got no slot, or were not even read, are why, and not what others came to.
  const bool lacks_slots = mapped.rest_reason == Reason::queue_timeout;
  if (lacks_slots && (mapped.fresh() > 0 || failures <= tolerated))
    return {TaskEvent::fail, Reason::queue_timeout};
  if (failures > tolerated) return {TaskEvent::fail, Reason::tolerance};
  // Items that were cancelled one by one are missing like those that failed.
  if (mapped.rest_reason == Reason::none) return {TaskEvent::fail, Reason::tolerance};
  // A person or a limit took the whole away: it shares that word.
  return {TaskEvent::cancel, mapped.rest_reason};
}

bool Engine::State::may_grow(const Run& run, TaskIndex task) {
  const Mapped& mapped = *run.node(task).mapped;
  if (mapped.complete || mapped.rest_state != TaskState::queued) return false;
  return !mapped.is_paired || !is_final(run.node(*run.spec(task).mapped_over).work.state);
}

void Engine::State::finish_mapped_if_done(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (!node.mapped || node.work.state != TaskState::running) return;
  Mapped& mapped = *node.mapped;
  if (may_grow(run, task) || mapped.sweep >= 0 || mapped.open() > 0 ||
      mapped.repeat != Repeat::none)
    return;
  const WholeVerdict verdict = judge_whole(run, task);
  std::string error;
  if (verdict.reason == Reason::items) error = mapped.read_error;
  if (verdict.reason == Reason::queue_timeout) error = kNoSlot;
  move(run, {run.row.id, task, kWhole}, node.work, verdict.event,
       {verdict.reason, 0, std::move(error), {}});
}

/// From where on the states of its items are needed after a restart: by itself, or by those that
/// are paired with it.
std::int64_t Engine::State::needed_from(const Run& run, TaskIndex task) {
  std::int64_t lowest = run.node(task).mapped->low_water;
  for (TaskIndex follower : run.version->graph.paired(task)) {
    const Node& node = run.node(follower);
    if (is_final(node.work.state)) continue;
    if (!node.mapped) return 0;
    lowest = std::min(lowest, node.mapped->low_water);
    if (is_resume(node.mapped->repeat)) lowest = std::min(lowest, node.mapped->repeat_next);
  }
  return lowest;
}

/// The row of an upstream says from where on its items are needed: it is written again when that
/// falls, and at times when it rises.
void Engine::State::tell_upstreams(Run& run, TaskIndex task) {
  for (const Dependency& d : run.spec(task).depends_on) {
    const Mapped* up = d.each ? run.node(d.task).mapped.get() : nullptr;
    if (up == nullptr) continue;
    const std::int64_t needed = needed_from(run, d.task);
    if (needed < up->row_low_water || needed >= up->row_low_water + kLowWaterStep)
      mapped_changed(run, d.task);
  }
}

void Engine::State::write_mapped(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  mapped.row_low_water = needed_from(run, task);
  MappedRow row;
  row.run = run.row.id;
  row.task = task;
  row.items = mapped.items;
  row.complete = mapped.complete;
  row.next_fresh = mapped.next_fresh;
  row.low_water = mapped.row_low_water;
  row.rest_state = mapped.rest_state;
  row.rest_reason = mapped.rest_reason;
  row.counts = mapped.counts;
  row.retries = mapped.retries;
  row.repeat = mapped.repeat;
  row.repeat_next = mapped.repeat_next;
  row.source = mapped.source;
  row.is_paired = mapped.is_paired;
  change(mutation::SetMapped{std::move(row)});
}

}  // namespace pawl
