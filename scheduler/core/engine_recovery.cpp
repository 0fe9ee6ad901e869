// Going on after a restart: the runs come back from their rows; what follows from their states is
// decided again once all are there.

#include <algorithm>
#include <optional>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

/// Why nothing more of an open run starts, as its row says.
Reason stopping_of(const RunRow& row) {
  if (row.cancel_requested) return Reason::cancelled;
  const bool is_kept = row.reason == Reason::run_timeout || row.reason == Reason::fail_fast ||
                       row.reason == Reason::replaced;
  return is_kept ? row.reason : Reason::none;
}

}  // namespace

Piece Engine::State::work_of(const TaskRow& row) {
  Piece work;
  work.stamp = ++last_stamp_;
  work.live = row.live_attempt;
  work.queued_at = row.queued_at.value_or(WallTime{});
  work.started_at = row.started_at.value_or(WallTime{});
  work.ended_at = row.ended_at.value_or(WallTime{});
  work.interrupted_at = row.interrupted_at.value_or(WallTime{});
  work.interrupted_before = row.interrupted_before.value_or(WallTime{});
  work.attempts = row.attempts;
  work.counted = row.counted;
  work.work = row.work;
  work.detail = row.detail;
  work.state = row.state;
  work.reason = row.reason;
  work.has_row = true;
  work.is_dismissed = row.dismissed != 0;
  return work;
}

/// An item that waits for its time, with the timer that says when. `next_timer` goes through the
/// timers once: they are in the order of the items.
bool Engine::State::restore_sleeper(Mapped& mapped, const TaskRow& item,
                                    const std::vector<TimerRow>& timers, std::size_t& next_timer) {
  if (item.state != TaskState::retrying && item.state != TaskState::deferred) return false;
  const TimerKind kind = item.state == TaskState::deferred ? TimerKind::deferral : TimerKind::retry;
  while (next_timer < timers.size() && timers[next_timer].key < item.key) ++next_timer;
  std::optional<MonoTime> due;
  MonoTime total_due;
  for (std::size_t i = next_timer; i < timers.size() && timers[i].key == item.key; ++i) {
    if (timers[i].kind == kind) due = due_of(timers[i]);
    if (timers[i].kind == TimerKind::total) total_due = due_of(timers[i]);
  }
  if (!due) return false;
  Piece work = work_of(item);
  work.total_due = total_due;
  return restore_asleep(mapped, item.key, work, *due);
}

void Engine::State::restore_mapped(Run& run, const MappedSnapshot& snapshot,
                                   const std::vector<TimerRow>& timers) {
  Node& node = run.node(snapshot.row.task);
  node.mapped = std::make_unique<Mapped>();
  Mapped& mapped = *node.mapped;
  const MappedRow& row = snapshot.row;
  mapped.items = row.items;
  mapped.next_fresh = row.next_fresh;
  mapped.low_water = row.low_water;
  mapped.complete = row.complete;
  mapped.rest_state = row.rest_state;
  mapped.rest_reason = row.rest_reason;
  mapped.counts = row.counts;
  mapped.retries = row.retries;
  mapped.source = row.source;
  mapped.is_paired = row.is_paired;
  mapped.row_low_water = row.low_water;
  if (row.rest_reason == Reason::items) {
    if (auto error = run.errors.find(row.task); error != run.errors.end())
      mapped.read_error = error->second;
  }
  const auto started = static_cast<std::size_t>(row.next_fresh);
  mapped.tries.assign(started, 0);
  mapped.states.assign(started, kFinalUnknown);
  const std::size_t known = std::min(started, snapshot.states.size());
  std::copy(snapshot.states.end() - static_cast<std::ptrdiff_t>(known), snapshot.states.end(),
            mapped.states.end() - static_cast<std::ptrdiff_t>(known));
  for (const TaskRow& item : snapshot.final_items) {
    const auto index = static_cast<std::size_t>(item.key.item.value);
    if (index >= started) continue;
    mapped.states[index] = static_cast<std::uint8_t>(item.state);
    mapped.tries[index] = static_cast<std::uint8_t>(item.attempts);
  }
  mapped.repeat = row.repeat;
  mapped.repeat_next = row.repeat_next;
  for (const TaskRow& item : snapshot.final_items) {
    if (repeats(row.repeat, item) && item.key.item.value >= row.repeat_next)
      mapped.to_repeat.push_back(item);
  }
  if (is_resume(row.repeat)) repeats_.push_back({run.row.id, row.task});
  const TaskKey whole{run.row.id, row.task, kWhole};
  auto next_timer = static_cast<std::size_t>(
      std::lower_bound(timers.begin(), timers.end(), whole,
                       [](const TimerRow& t, const TaskKey& key) { return t.key < key; }) -
      timers.begin());
  for (const TaskRow& item : snapshot.open_items) {
    const std::int64_t index = item.key.item.value;
    mapped.states[static_cast<std::size_t>(index)] = static_cast<std::uint8_t>(item.state);
    mapped.tries[static_cast<std::size_t>(index)] = static_cast<std::uint8_t>(item.attempts);
    // Who waits for a run of its own is woken by that, not by its timer.
    const bool calls = item.state == TaskState::deferred && run.spec(snapshot.row.task).calls_job();
    if (!calls && restore_sleeper(mapped, item, timers, next_timer)) continue;
    const Piece& work = mapped.works.emplace(index, work_of(item)).first->second;
    if (work.state == TaskState::queued && index < mapped.items) {
      mapped.ready.push_back(index);
      ++mapped.queued;
    }
    if (work.state == TaskState::running) ++mapped.live;
  }
  if (row.repeat == Repeat::cancel) begin_cancel(run, row.task, row.rest_reason);
}

/// What waited for its whole goes the way that the whole went.
void Engine::State::restore_sweep(Run& run, TaskIndex task) {
  const Node& node = run.node(task);
  const Mapped& mapped = *node.mapped;
  if (is_final(node.work.state)) {
    if (mapped.works.empty()) return;
    ++run.open_tasks;
    start_sweep(run, task, 0);
  } else if (node.work.state == TaskState::running && !mapped.is_paired &&
             mapped.count(TaskState::waiting) > 0) {
    start_sweep(run, task, 0);
  }
}

Run& Engine::State::restore(const RunSnapshot& snapshot) {
  const auto version = versions_.find(snapshot.run.version);
  PAWL_CHECK(version != versions_.end());
  auto owned = std::make_unique<Run>();
  Run& run = *owned;
  run.row = snapshot.run;
  run.version = version->second.get();
  ++run.version->runs;
  const JobSpec& job = run.version->job;
  run.nodes.resize(job.node_count());
  if (!is_final(run.row.state)) run.stopping = stopping_of(run.row);
  if (!run.row.request_id.empty()) requests_.emplace(run.row.request_id, run.row.id);
  if (!is_final(run.row.state)) call_opened(run);

  for (const TaskRow& row : snapshot.tasks) {
    if (row.key.task.value >= run.nodes.size()) continue;
    run.node(row.key.task).work = work_of(row);
    if (!row.error.empty()) run.errors[row.key.task] = row.error;
  }
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    if (run.is_hook(TaskIndex{i})) continue;
    for (const Dependency& d : job.tasks[i].depends_on) {
      if (!d.each) run.nodes[i].tally.add(run.node(d.task).work.state, +1);
    }
    if (!is_final(run.nodes[i].work.state)) ++run.open_tasks;
  }
  for (const MappedSnapshot& m : snapshot.mapped) {
    if (m.row.task.value < run.nodes.size()) restore_mapped(run, m, snapshot.timers);
  }
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) restore_paired(run, TaskIndex{i});
  for (const MappedSnapshot& m : snapshot.mapped) {
    if (m.row.task.value < run.nodes.size()) restore_sweep(run, m.row.task);
  }
  // Counts of unmapped tasks are counted anew: a task that waited for a slot had no row.
  run.row.counts = {};
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    const Node& node = run.nodes[i];
    if (node.mapped) {
      for (std::size_t s = 0; s < kTaskStateCount; ++s) run.row.counts[s] += node.mapped->counts[s];
    } else if (!run.is_hook(TaskIndex{i}) && !job.tasks[i].is_mapped()) {
      ++run.row.counts[place(node.work.state)];
    }
  }
  count_hooks(run);
  run_names_.emplace(run.row.name, run.row.id);
  Run& kept = *runs_.emplace(run.row.id, std::move(owned)).first->second;

  for (const AttemptRow& row : snapshot.live_attempts) {
    Piece* work = find_work(kept, row.key);
    // One that sleeps is known to its task alone.
    if (work == nullptr || work->live != row.id || work->state != TaskState::running) continue;
    Live live;
    live.run = &kept;
    live.task = row.key.task;
    live.item = row.key.item;
    live.number = row.number;
    live.state = row.state;
    live.stop = row.reason;
    live.worker = row.worker;
    live.slot = row.slot;
    live.stay = row.stays;
    live.started_at = live.is_again() ? std::max(row.started_at, work->queued_at) : row.started_at;
    if (row.state != AttemptState::stopping) live.stop = Reason::none;
    live_.emplace(row.id, live);
    ++kept.live;
    const TaskSpec& spec = kept.spec(row.key.task);
    const Lane& lane = *line_of(kept, row.key.task).lane;
    take_slots(lane, spec, 1);
    if (has_own_numbers(spec, row.key.item)) {
      kept.node(row.key.task).mapped->numbers.take(row.slot);
    } else if (!lane.pools.empty()) {
      lane.pools.front()->numbers.take(row.slot);
    }
    for (Worker& w : workers_) {
      if (w.id == row.worker) ++w.live;
    }
  }

  for (const TimerRow& row : snapshot.timers) {
    const MonoTime due = due_of(row);
    if (!row.same_boot) {
      // Or each restart would begin the wait anew while the calendar is behind.
      const Duration left = due - now_.mono;
      change(mutation::SetTimer{{row.key, row.kind, due, now_.wall + left, left, true}});
    }
    if (row.kind == TimerKind::run) {
      kept.timeout_due = due;
      set_alarm({due, {kept.row.id, TaskIndex{0}, kWhole}, TimerKind::run, 0});
      continue;
    }
    Piece* work = find_awake(kept, row.key);
    if (work == nullptr || is_final(work->state)) continue;  // or it sleeps, and knows
    if (row.kind == TimerKind::total) {
      work->total_due = due;
      set_alarm({due, row.key, TimerKind::total, 0});
    } else {
      set_alarm({due, row.key, row.kind, work->stamp});
    }
  }
  for (const MappedSnapshot& m : snapshot.mapped) {
    if (m.row.task.value < kept.nodes.size()) arm_sleepers(kept, m.row.task);
  }
  return kept;
}

void Engine::State::on(const input::Recover& in) {
  if (find(in.run.run.id) != nullptr) return;
  restore(in.run).is_dormant = in.dormant;
}

void Engine::State::on(const input::Recovered&) {
  if (is_recovered_) return;
  is_recovered_ = true;
  std::vector<Run*> runs;
  for (const auto& [id, run] : runs_) runs.push_back(run.get());
  std::sort(runs.begin(), runs.end(),
            [](const Run* a, const Run* b) { return a->row.id < b->row.id; });
  // Those that had begun keep their place; only then the others in order.
  for (Run* each : runs) {
    Run& run = *each;
    const bool had_begun = run.row.state == RunState::running ||
                           (run.row.state == RunState::paused && run.row.started_at);
    // A dormant run holds nobody up: nobody would ever let the other one go.
    if (!had_begun || run.is_dormant) continue;
    run.is_admitted = true;
    ++jobs_[line_of(run)].active;
  }
  for (Run* each : runs) {
    Run& run = *each;
    if (is_final(run.row.state)) continue;
    look_at_calls(run);
    const bool stops = is_stopping(run);
    if (run.row.state == RunState::queued) {
      stops ? cancel_rest(run, run.stopping, false) : admit(run);
      continue;
    }
    look_at_all(run);
    if (stops) cancel_rest(run, run.stopping, false);
    finish_run_if_done(run);
  }
  std::vector<AttemptId> untold;
  for (const auto& [id, live] : live_) {
    const bool is_stopping = live.state == AttemptState::stopping;
    const bool is_own = live.worker == kSelf;
    if (is_stopping != is_own && !(is_own && live.run->is_dormant)) untold.push_back(id);
  }
  std::sort(untold.begin(), untold.end());
  for (AttemptId id : untold) {
    const Live& live = live_.at(id);
    if (live.worker == kSelf) {
      act(start_of(id, live));
    } else {
      act(effect::StopAttempt{id, live.worker, live.stop, false});
    }
  }
}

}  // namespace pawl
