// Items that wait for their time, kept small: see sleepers.h. A Piece is made of one when its time
// has come, or when somebody asks for it.

#include <algorithm>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

/// An item that waits for its time, and is small.
bool is_sleeper(const Run& run, TaskKey key) {
  if (key.item == kWhole || key.task.value >= run.nodes.size()) return false;
  const Mapped* mapped = run.node(key.task).mapped.get();
  const auto place = static_cast<std::size_t>(key.item.value);
  if (mapped == nullptr || key.item.value < 0 || place >= mapped->states.size()) return false;
  const std::uint8_t state = mapped->states[place];
  const bool waits = state == static_cast<std::uint8_t>(TaskState::retrying) ||
                     state == static_cast<std::uint8_t>(TaskState::deferred);
  return waits && !mapped->works.contains(key.item.value);
}

/// What a Sleeper has no room for: rare.
bool fits(TaskKey key, const Piece& work) {
  const std::int32_t uncounted = work.attempts - work.counted;
  return key.item != kWhole && key.item.value <= std::numeric_limits<std::uint32_t>::max() &&
         work.interrupted_at.ms == 0 && work.ended_at.ms == 0 && work.work == 0 &&
         !work.is_dismissed && work.has_row && uncounted >= 0 &&
         uncounted <= std::numeric_limits<std::uint16_t>::max();
}

Sleeper sleeper_of(std::int64_t item, const Piece& work, MonoTime due) {
  Sleeper out;
  out.wake = work.total_due.ms != 0 ? std::min(due, work.total_due) : due;
  out.total_due = work.total_due;
  out.queued_at = work.queued_at;
  out.started_at = work.started_at;
  out.live = work.live;
  out.item = static_cast<std::uint32_t>(item);
  out.attempts = work.attempts;
  out.detail = work.detail;
  out.uncounted = static_cast<std::uint16_t>(work.attempts - work.counted);
  out.state = work.state;
  out.reason = work.reason;
  return out;
}

TimerKind kind_of(TaskState state) {
  return state == TaskState::deferred ? TimerKind::deferral : TimerKind::retry;
}

}  // namespace

/// Its row says when it goes on; in memory it becomes a Sleeper where it can: the caller touches
/// `work` no more.
void Engine::State::fall_asleep(Run& run, TaskKey key, Piece& work, TimerKind kind,
                                Duration delay) {
  if (!fits(key, work)) {
    set_timer(key, work, kind, delay, true);
    return;
  }
  const Duration wait = std::min(delay, kWaitMax);
  const MonoTime due = now_.mono + wait;
  change(mutation::SetTimer{{key, kind, due, now_.wall + wait, wait, true}});
  Mapped& mapped = *run.node(key.task).mapped;
  mapped.sleepers.add(sleeper_of(key.item.value, work, due));
  mapped.works.erase(key.item.value);
  arm_sleepers(run, key.task);
}

/// At a restart: an open item whose timer was found. False: it stays a Piece.
bool Engine::State::restore_asleep(Mapped& mapped, TaskKey key, const Piece& work, MonoTime due) {
  if (!fits(key, work)) return false;
  mapped.sleepers.add(sleeper_of(key.item.value, work, due));
  return true;
}

/// One alarm stands for all sleepers of a task.
void Engine::State::arm_sleepers(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  if (mapped.sleepers.empty()) {
    mapped.wake_due = MonoTime{};
    return;
  }
  const MonoTime due = mapped.sleepers.next_wake();
  if (mapped.wake_due.ms != 0 && mapped.wake_due <= due) return;
  mapped.wake_due = due;
  set_alarm({due, {run.row.id, task, kSleepers}, TimerKind::retry, 0});
}

Piece& Engine::State::become_piece(Run& run, TaskKey key, const Sleeper& sleeper) {
  Piece work;
  work.live = sleeper.live;
  work.queued_at = sleeper.queued_at;
  work.started_at = sleeper.started_at;
  work.total_due = sleeper.total_due;
  work.attempts = sleeper.attempts;
  work.counted = sleeper.attempts - sleeper.uncounted;
  work.detail = sleeper.detail;
  work.stamp = ++last_stamp_;
  work.state = sleeper.state;
  work.reason = sleeper.reason;
  work.has_row = true;
  if (work.total_due.ms != 0) set_alarm({work.total_due, key, TimerKind::total, 0});
  return run.node(key.task).mapped->works.emplace(key.item.value, work).first->second;
}

/// The time of the first sleeper has come.
void Engine::State::wake_first(Run& run, TaskIndex task) {
  Mapped& mapped = *run.node(task).mapped;
  mapped.wake_due = MonoTime{};
  if (!mapped.sleepers.empty() && mapped.sleepers.next_wake() <= now_.mono) {
    const Sleeper first = mapped.sleepers.take_first();
    const TaskKey key{run.row.id, task, ItemIndex{first.item}};
    const Piece& work = become_piece(run, key, first);
    const bool is_over = first.total_due.ms != 0 && first.total_due <= now_.mono;
    on_timer(is_over ? Alarm{first.total_due, key, TimerKind::total, 0}
                     : Alarm{first.wake, key, kind_of(work.state), work.stamp});
  }
  // What it led to may have taken the whole away.
  if (run.node(task).mapped) arm_sleepers(run, task);
}

/// Those of these items (ascending) that sleep, as Pieces that go on waiting.
void Engine::State::wake_for_command(Run& run, TaskIndex task,
                                     const std::vector<std::uint32_t>& items) {
  for (const Sleeper& sleeper : run.node(task).mapped->sleepers.take(items)) {
    const TaskKey key{run.row.id, task, ItemIndex{sleeper.item}};
    const Piece& work = become_piece(run, key, sleeper);
    set_alarm({sleeper.wake, key, kind_of(work.state), work.stamp});
  }
}

/// Before a command goes over these targets: their items that sleep wake up together, a task at a
/// time, for each by itself would be looked for among all that sleep.
void Engine::State::wake_for_command(std::span<const Target> targets) {
  std::map<std::pair<RunId, TaskIndex>, std::vector<std::uint32_t>> wanted;
  for (const Target& target : targets) {
    const Run* run = find(target.run);
    if (run == nullptr || !target.task || !target.item ||
        !is_sleeper(*run, {target.run, *target.task, *target.item}))
      continue;
    wanted[{target.run, *target.task}].push_back(static_cast<std::uint32_t>(target.item->value));
  }
  for (auto& [place, items] : wanted) {
    std::sort(items.begin(), items.end());
    wake_for_command(at(place.first), place.second, items);
  }
}

/// The item, if it sleeps, as a Piece that goes on waiting.
Piece* Engine::State::wake_for_command(Run& run, TaskKey key) {
  if (!is_sleeper(run, key)) return nullptr;
  wake_for_command(run, key.task, {static_cast<std::uint32_t>(key.item.value)});
  return find_awake(run, key);
}

}  // namespace pawl
