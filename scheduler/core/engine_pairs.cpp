// `each`: tasks that run over the items of another one, item i after item i. Of an item that waits
// nothing is kept but a byte; what an upstream's item came to is looked at when it ends, and what
// is left over (a whole that opens late, or ends with items that never started) is swept, some
// items in each step.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

}  // namespace

/// Its items are there to be paired with, or there are none and there will be none.
bool Engine::State::has_items(const Run& run, TaskIndex source) {
  const Node& node = run.node(source);
  if (!node.mapped) return false;
  return node.work.state == TaskState::running || node.mapped->items > 0 || node.mapped->complete;
}

/// What came of an item, as those paired with it see it.
TaskState Engine::State::item_state(const Run& run, TaskIndex task, std::int64_t item) {
  const Node& node = run.node(task);
  if (!node.mapped || item >= node.mapped->items)
    return is_final(node.work.state) ? node.work.state : TaskState::waiting;
  const Mapped& mapped = *node.mapped;
  // They share their word when the whole has one.
  if (mapped.is_rest(item))
    return is_final(node.work.state) ? mapped.rest_state : TaskState::waiting;
  const std::uint8_t state = mapped.states[static_cast<std::size_t>(item)];
  // Below all low-water marks nobody asks but a resume, which brings along what failed.
  return state == kFinalUnknown ? TaskState::succeeded : static_cast<TaskState>(state);
}

Decision Engine::State::decide_pair(const Run& run, TaskIndex task, std::int64_t item) {
  Tally tally;
  for (const Dependency& d : run.spec(task).depends_on) {
    if (d.each) tally.add(item_state(run, d.task, item), +1);
  }
  return decide(run.spec(task).trigger_rule, tally);
}

/// A task whose ordinary dependencies let it run: it opens as soon as its items are there. When
/// there will be none it follows the wholes that it is paired with.
void Engine::State::evaluate_paired(Run& run, TaskIndex task) {
  const TaskIndex source = *run.spec(task).mapped_over;
  const TaskKey key{run.row.id, task, kWhole};
  Piece& work = run.node(task).work;
  if (!has_items(run, source)) {
    if (!is_final(run.node(source).work.state)) return;
    Tally wholes;
    for (const Dependency& d : run.spec(task).depends_on) {
      if (d.each) wholes.add(run.node(d.task).work.state, +1);
    }
    switch (decide(run.spec(task).trigger_rule, wholes)) {
      case Decision::wait: return;
      case Decision::upstream_failed:
        move(run, key, work, TaskEvent::upstream_fail, {Reason::upstream, 0, {}, {}});
        return;
      case Decision::skip: move(run, key, work, TaskEvent::skip, {Reason::rule, 0, {}, {}}); return;
      case Decision::run: break;
    }
  }
  if (run.is_dormant) return;
  const Mapped* mapped = run.node(task).mapped.get();
  if (mapped != nullptr && mapped->has_begun()) {
    reopen_mapped(run, task);
  } else if (run.spec(task).when.empty()) {
    open_mapped(run, task);
  } else {
    prepare(run, task);
  }
}

/// Takes over what is known of the items by now, unless nothing of it starts any more.
void Engine::State::grow_paired(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.rest_state != TaskState::queued) return;
  const Node& source = run.node(*run.spec(task).mapped_over);
  const std::int64_t items = source.mapped ? source.mapped->items : 0;
  const bool is_complete = source.mapped && source.mapped->complete;
  if (items == mapped.items && is_complete == mapped.complete) return;
  const std::int64_t more = items - mapped.items;
  PAWL_CHECK(more >= 0);   // whoever reads the items anew has repeated what is paired with them
  std::int64_t known = 0;  // that ran before the whole was repeated, and have a row
  for (const auto& [item, work] : mapped.works) known += item >= mapped.items && item < items;
  mapped.blank += more - known;
  mapped.counts[place(TaskState::waiting)] += more;
  run.row.counts[place(TaskState::waiting)] += more;
  mapped.items = items;
  mapped.complete = is_complete;
  mapped.next_fresh = std::max(mapped.next_fresh, items);
  mapped.states.resize(static_cast<std::size_t>(mapped.next_fresh),
                       static_cast<std::uint8_t>(TaskState::waiting));
  mapped.tries.resize(static_cast<std::size_t>(mapped.next_fresh), 0);
  counts_changed(run);
  mapped_changed(run, task);
}

/// More of the items are known, or all, or there will be no more.
void Engine::State::tell_sharers(Run& run, TaskIndex source) {
  for (TaskIndex task : run.version->graph.sharers(source)) {
    const Node& node = run.node(task);
    if (node.work.state == TaskState::waiting) {
      // Without items nobody asks what its `when` says.
      if (!has_items(run, source)) stop_preparing(run, task);
      look_at(run.row.id, task);
    }
    if (node.work.state != TaskState::running || !node.mapped) continue;
    const std::int64_t before = node.mapped->items;
    grow_paired(run, task);
    // The new ones wait, unless their rule asks for nothing or their upstream has ended.
    start_sweep(run, task, before);
  }
}

/// The whole is final: what is paired with items of it that never started can be decided.
void Engine::State::tell_paired(Run& run, TaskIndex task) {
  for (TaskIndex follower : run.version->graph.paired(task)) {
    const Node& node = run.node(follower);
    if (node.work.state == TaskState::waiting) look_at(run.row.id, follower);
    if (node.work.state == TaskState::running) start_sweep(run, follower, 0);
  }
}

void Engine::State::start_sweep(Run& run, TaskIndex task, std::int64_t from) {
  Mapped& mapped = *run.node(task).mapped;
  from = std::max(from, mapped.low_water);
  if (mapped.sweep >= 0) {
    mapped.sweep = std::min(mapped.sweep, from);
    return;
  }
  mapped.sweep = from;
  sweeps_.push_back({run.row.id, task});
}

/// Decides the items that wait, as many as the step has room for. Those of which the one upstream
/// never started share one word, and no row.
void Engine::State::sweep_some(const Place& place_of) {
  const Place swept = place_of;
  Run* run = find(swept.run);
  Mapped* mapped = run == nullptr ? nullptr : run->node(swept.task).mapped.get();
  if (mapped == nullptr || mapped->sweep < 0) {
    sweeps_.pop_front();
    return;
  }
  if (is_final(run->node(swept.task).work.state)) {
    settle_some(*run, swept.task);
    return;
  }
  if (!mapped->is_paired) {
    queue_some(*run, swept.task);
    return;
  }
  const auto is_open = [&] { return run->node(swept.task).work.state == TaskState::running; };
  const std::optional<TaskIndex> upstream = only_pair(*run, swept.task);
  const bool has_rest = upstream && ends_short(*run, *upstream, mapped->items);
  while (is_open() && mapped->sweep < mapped->items && !is_half_full()) {
    ++looked_at_;
    const std::int64_t item = mapped->sweep++;
    if (mapped->states[static_cast<std::size_t>(item)] ==
        static_cast<std::uint8_t>(TaskState::waiting)) {
      const bool shares =
          upstream && mapped->is_blank(item) && never_started(*run, *upstream, item);
      if (!shares || decide_pair(*run, swept.task, item) == Decision::run)
        look_at_pair(*run, swept.task, item);
    }
    if (has_rest && is_open()) pin_released(*run, swept.task, item);
  }
  if (!is_open()) return;  // what it ended with is swept next, or nothing
  if (mapped->sweep < mapped->items) return;
  mapped->sweep = -1;
  sweeps_.pop_front();
  if (upstream && mapped->blank > 0 && is_final(run->node(*upstream).work.state))
    settle_blank(*run, swept.task, *upstream);
  item_ended(*run, swept.task);
}

/// One that may take a slot gets a row: it must not share the word of those that never will.
void Engine::State::pin_released(Run& run, TaskIndex task, std::int64_t item) {
  Mapped& mapped = *run.node(task).mapped;
  const bool is_released =
      mapped.states[static_cast<std::size_t>(item)] == static_cast<std::uint8_t>(TaskState::queued);
  if (!is_released || !mapped.is_blank(item) || mapped.is_rest(item)) return;
  --mapped.released;
  Piece& work = mapped.works[item];
  work.state = TaskState::queued;
  work.queued_at = now_.wall;
  work.has_row = true;
  fill(add<mutation::InsertTask>().row, {run.row.id, task, ItemIndex{item}}, work);
}

/// The one upstream that the task is paired with; nothing when there are several.
std::optional<TaskIndex> Engine::State::only_pair(const Run& run, TaskIndex task) {
  std::optional<TaskIndex> only;
  for (const Dependency& d : run.spec(task).depends_on) {
    if (!d.each) continue;
    if (only) return std::nullopt;
    only = d.task;
  }
  return only;
}

bool Engine::State::never_started(const Run& run, TaskIndex task, std::int64_t item) {
  const Node& node = run.node(task);
  return !node.mapped || item >= node.mapped->items || node.mapped->is_rest(item);
}

/// It has ended, and of so many items some never started.
bool Engine::State::ends_short(const Run& run, TaskIndex task, std::int64_t items) {
  const Node& node = run.node(task);
  if (!is_final(node.work.state)) return false;
  if (!node.mapped || node.mapped->items < items) return true;
  return (node.mapped->is_paired ? node.mapped->rest : node.mapped->fresh()) > 0;
}

/// All that waits and has no row is paired with what never started: one word for all.
void Engine::State::settle_blank(Run& run, TaskIndex task, TaskIndex upstream) {
  const Node& node = run.node(upstream);
  const bool has_rest = node.mapped && is_final(node.mapped->rest_state);
  Tally tally;
  tally.add(has_rest ? node.mapped->rest_state : node.work.state, +1);
  switch (decide(run.spec(task).trigger_rule, tally)) {
    case Decision::wait:
    case Decision::run: return;
    case Decision::upstream_failed:
      settle_rest(run, task, TaskState::upstream_failed, Reason::upstream);
      return;
    case Decision::skip: settle_rest(run, task, TaskState::skipped, Reason::rule); return;
  }
}

/// An item whose pairs may have ended: it may be decided now.
void Engine::State::look_at_pair(Run& run, TaskIndex task, std::int64_t item) {
  Node& node = run.node(task);
  if (!node.mapped || node.work.state != TaskState::running || item >= node.mapped->items) return;
  Mapped& mapped = *node.mapped;
  if (mapped.states[static_cast<std::size_t>(item)] !=
          static_cast<std::uint8_t>(TaskState::waiting) ||
      mapped.is_rest(item))
    return;
  switch (decide_pair(run, task, item)) {
    case Decision::wait: return;
    case Decision::run: release_item(run, task, item); return;
    case Decision::upstream_failed:
      decide_item(run, task, item, TaskEvent::upstream_fail, Reason::upstream);
      return;
    case Decision::skip: decide_item(run, task, item, TaskEvent::skip, Reason::rule); return;
  }
}

/// The item of a paired task as more than a byte.
Piece& Engine::State::become_piece(Mapped& mapped, std::int64_t item) {
  const auto [entry, is_new] = mapped.works.try_emplace(item);
  if (is_new) --mapped.blank;
  return entry->second;
}

void Engine::State::decide_item(Run& run, TaskIndex task, std::int64_t item, TaskEvent event,
                                Reason reason) {
  Piece& work = become_piece(*run.node(task).mapped, item);
  move(run, {run.row.id, task, ItemIndex{item}}, work, event, {reason, 0, {}, {}});
  item_ended(run, task);
}

/// The item may take a slot.
void Engine::State::release_item(Run& run, TaskIndex task, std::int64_t item) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.works.contains(item) || run.spec(task).queue_timeout != Duration{0}) {
    Piece& work = become_piece(mapped, item);
    const TaskKey key{run.row.id, task, ItemIndex{item}};
    move(run, key, work, TaskEvent::queue, {});
    arm_queue_timer(run, key, work);
  } else {
    release_blank(mapped, item);
    --run.row.counts[place(TaskState::waiting)];
    ++run.row.counts[place(TaskState::queued)];
    counts_changed(run);
    mapped_changed(run, task);
  }
  make_ready(run, task);
}

void Engine::State::release_blank(Mapped& mapped, std::int64_t item) {
  mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(TaskState::queued);
  --mapped.blank;
  ++mapped.released;
  ++mapped.queued;
  --mapped.counts[place(TaskState::waiting)];
  ++mapped.counts[place(TaskState::queued)];
  mapped.ready.push_back(item);
}

/// The item of an upstream is open again: who was let go because of it and has not started waits.
void Engine::State::call_back_pairs(Run& run, TaskIndex task, std::int64_t item) {
  for (TaskIndex follower : run.version->graph.paired(task)) {
    Node& node = run.node(follower);
    if (!node.mapped || item >= node.mapped->items) continue;
    Mapped& mapped = *node.mapped;
    const bool is_queued = mapped.states[static_cast<std::size_t>(item)] ==
                           static_cast<std::uint8_t>(TaskState::queued);
    if (!is_queued || !mapped.is_blank(item) || mapped.rest_state != TaskState::queued) continue;
    mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(TaskState::waiting);
    ++mapped.blank;
    --mapped.released;
    --mapped.queued;
    for (Counts* counts : {&mapped.counts, &run.row.counts}) {
      ++(*counts)[place(TaskState::waiting)];
      --(*counts)[place(TaskState::queued)];
    }
    counts_changed(run);
    mapped_changed(run, follower);
    pairs_.push_back({run.row.id, follower, item});
  }
}

/// After a restart: what had been let go is, and the rest is looked at.
void Engine::State::restore_paired(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (!node.mapped || !node.mapped->is_paired) return;
  Mapped& mapped = *node.mapped;
  std::int64_t queued_rows = 0;
  for (const auto& [item, work] : mapped.works)
    queued_rows += item < mapped.items && work.state == TaskState::queued;
  const bool is_settled = mapped.rest_state != TaskState::queued;
  const std::int64_t let_go =
      is_settled ? 0 : mapped.counts[place(TaskState::queued)] - queued_rows;
  mapped.counts[place(TaskState::queued)] -= let_go;
  mapped.counts[place(TaskState::waiting)] += let_go;
  for (std::int64_t item = mapped.low_water; item < mapped.items; ++item)
    mapped.blank += mapped.is_blank(item);
  if (is_settled) {
    mapped.rest = std::exchange(mapped.blank, 0);
    return;
  }
  if (node.work.state != TaskState::running) return;
  const bool is_timed = run.spec(task).queue_timeout != Duration{0};
  for (std::int64_t item = mapped.low_water; item < mapped.items && !is_timed; ++item) {
    if (mapped.is_blank(item) && decide_pair(run, task, item) == Decision::run)
      release_blank(mapped, item);
  }
  start_sweep(run, task, 0);
}

}  // namespace pawl
