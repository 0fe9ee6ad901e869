// A command may be about millions of items. What it asks for is durable with its first step, in the
// row of the whole, for a resume with a cursor; the items follow in steps of their own, after a
// restart too.

#include <algorithm>
#include <functional>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {

void Engine::State::begin_repeat(Run& run, TaskIndex task, Repeat repeat,
                                 const MappedSnapshot* snapshot) {
  Mapped& mapped = *run.node(task).mapped;
  end_repeat(run, task);
  mapped_changed(run, task);
  for (std::size_t i = 0; snapshot != nullptr && i < snapshot->final_items.size(); ++i) {
    const TaskRow& row = snapshot->final_items[i];
    if (repeats(repeat, row)) mapped.to_repeat.push_back(row);
  }
  if (mapped.to_repeat.empty()) return;
  mapped.repeat = repeat;
  repeats_.push_back({run.row.id, task});
}

/// Of its open items those that do not run are to end, and those that wait for a run of theirs.
void Engine::State::begin_cancel(Run& run, TaskIndex task, Reason reason) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.repeat != Repeat::none) mapped_changed(run, task);
  end_repeat(run, task);
  // A call may have returned before it was reached, and then the scheduler died.
  const bool has_untold = !is_recovered_ && run.spec(task).calls_job();
  for (const auto& [item, work] : mapped.works) {
    if (item < mapped.items && (has_untold || work.state != TaskState::running))
      mapped.to_cancel_awake.push_back(item);
  }
  std::sort(mapped.to_cancel_awake.begin(), mapped.to_cancel_awake.end(), std::greater<>());
  mapped.to_cancel = mapped.sleepers.take_all();
  mapped.wake_due = MonoTime{};
  mapped.ready.clear();
  if (mapped.to_cancel_awake.empty() && mapped.to_cancel.empty()) return;
  mapped_changed(run, task);
  mapped.repeat = Repeat::cancel;
  mapped.cancel_reason = reason;
  mapped.cancel_force = false;
  repeats_.push_back({run.row.id, task});
}

/// What was not reached stays as it is: open after a cancel, final after a resume.
void Engine::State::end_repeat(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  mapped.repeat = Repeat::none;
  mapped.repeat_next = 0;
  mapped.to_repeat.clear();
  for (const std::int64_t item : std::exchange(mapped.to_cancel_awake, {})) {
    const auto it = mapped.works.find(item);
    if (it != mapped.works.end() && it->second.state == TaskState::queued)
      mapped.ready.push_front(item);
  }
  if (mapped.to_cancel.empty()) return;
  for (const Sleeper& sleeper : std::exchange(mapped.to_cancel, {})) mapped.sleepers.add(sleeper);
  arm_sleepers(run, task);
}

/// As many as the step has room for.
void Engine::State::repeat_some(const Place& place_of) {
  const Place place = place_of;
  Run* run = find(place.run);
  const Mapped* mapped = run == nullptr ? nullptr : run->node(place.task).mapped.get();
  if (mapped == nullptr || mapped->repeat == Repeat::none) {
    repeats_.pop_front();
  } else if (mapped->repeat == Repeat::cancel) {
    cancel_some(*run, place.task);
  } else {
    repeat_rows(*run, place.task);
  }
}

void Engine::State::repeat_rows(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  while (!mapped.to_repeat.empty() && !is_half_full()) {
    ++looked_at_;
    const TaskRow row = std::move(mapped.to_repeat.front());
    mapped.to_repeat.pop_front();
    mapped.repeat_next = row.key.item.value + 1;
    mapped.repeat == Repeat::all ? repeat_any(run, row) : repeat_failed(run, row);
  }
  mapped_changed(run, task);
  make_ready(run, task);
  if (!mapped.to_repeat.empty()) return;
  repeats_.pop_front();
  const bool was_all = mapped.repeat == Repeat::all;
  end_repeat(run, task);
  look_at(run.row.id, task);
  if (!was_all) item_ended(run, task);
}

/// Ascending, as their rows lie.
void Engine::State::cancel_some(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  auto& asleep = mapped.to_cancel;
  auto& awake = mapped.to_cancel_awake;
  const Reason reason = mapped.cancel_reason;
  while (!is_half_full() && !(asleep.empty() && awake.empty())) {
    ++looked_at_;
    if (awake.empty() || (!asleep.empty() && asleep.back().item < awake.back())) {
      const TaskKey key{run.row.id, task, ItemIndex{asleep.back().item}};
      Piece& work = become_piece(run, key, asleep.back());
      asleep.pop_back();
      move(run, key, work, TaskEvent::cancel, {reason, 0, {}, {}});
    } else {
      const TaskKey key{run.row.id, task, ItemIndex{awake.back()}};
      awake.pop_back();
      const auto it = mapped.works.find(key.item.value);
      if (it != mapped.works.end()) cancel_awake(run, key, it->second);
    }
  }
  if (!asleep.empty() || !awake.empty()) return;
  repeats_.pop_front();
  end_repeat(run, task);
  mapped_changed(run, task);
  item_ended(run, task);
}

/// One that runs was told to end before, unless it waited for a run of its own then.
void Engine::State::cancel_awake(Run& run, TaskKey key, Piece& work) {
  const Mapped& mapped = *run.node(key.task).mapped;
  if (waits_for_call(run, key, work)) {
    stop_call(run, key, work, mapped.cancel_reason, mapped.cancel_force);
  } else if (work.state != TaskState::running) {
    move(run, key, work, TaskEvent::cancel, {mapped.cancel_reason, 0, {}, {}});
  } else if (run.spec(key.task).calls_job()) {
    stop_attempt(work.live, mapped.cancel_reason, false);
  }
}

/// An item that failed, was held or cancelled waits for a slot again, or for its whole to go on.
void Engine::State::repeat_failed(Run& run, const TaskRow& row) {
  Mapped& mapped = *run.node(row.key.task).mapped;
  const std::int64_t item = row.key.item.value;
  if (item >= mapped.items || !is_current(mapped, row)) return;
  Piece& work = mapped.works.emplace(item, work_of(row)).first->second;
  move(run, row.key, work, TaskEvent::reset, {});
  call_back_pairs(run, row.key.task, item);
  if (mapped.is_paired) {
    pairs_.push_back({run.row.id, row.key.task, item});
    return;
  }
  if (run.node(row.key.task).work.state == TaskState::running) queue_item(run, row.key, work);
}

/// What a bulk word said of the items that never started is taken back.
void Engine::State::unsettle_rest(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.rest_state == TaskState::queued) return;
  for (std::int64_t i = mapped.low_water; i < mapped.items; ++i) {
    if (!mapped.is_blank(i)) continue;
    mapped.states[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(TaskState::waiting);
    call_back_pairs(run, task, i);
  }
  for (Counts* counts : {&mapped.counts, &run.row.counts}) {
    (*counts)[static_cast<std::size_t>(mapped.rest_state)] -= mapped.rest;
    (*counts)[static_cast<std::size_t>(TaskState::waiting)] += mapped.rest;
  }
  mapped.blank = std::exchange(mapped.rest, 0);
  mapped.rest_state = TaskState::queued;
  mapped.rest_reason = Reason::none;
  counts_changed(run);
  mapped_changed(run, task);
}

/// The row of an item whose whole is repeated: it waits until it is read again.
void Engine::State::repeat_any(Run& run, const TaskRow& row) {
  Mapped& mapped = *run.node(row.key.task).mapped;
  const std::int64_t item = row.key.item.value;
  if (item >= mapped.next_fresh || mapped.works.contains(item)) return;
  // One that is paired waits for its pair; any other one until it is read again.
  const TaskState again = mapped.is_paired ? TaskState::waiting : TaskState::queued;
  Piece work = work_of(row);
  const TaskState from = work.state;
  if (from == TaskState::succeeded) ++work.work;
  work.state = again;
  work.reason = Reason::none;
  work.detail = work.counted = 0;
  work.started_at = work.ended_at = WallTime{};
  work.interrupted_at = work.interrupted_before = WallTime{};
  work.queued_at = now_.wall;
  mapped.states[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(again);
  mapped.tries[static_cast<std::size_t>(item)] = static_cast<std::uint8_t>(work.attempts);
  write(run, row.key, work, from, AttemptId{}, {});
  mapped.works.emplace(item, work);
}

}  // namespace pawl
