// Attempts: how they begin, are stopped and end, and what that means for their task.

#include <algorithm>

#include "scheduler/core/engine_state.h"

namespace pawl {

void Engine::State::fill(AttemptRow& row, AttemptId id, const Live& live) {
  row.id = id;
  row.key = live.key();
  row.number = live.number;
  row.state = live.state;
  row.reason = live.stop;
  row.worker = live.worker;
  row.slot = live.slot;
  row.started_at = live.started_at;
}

void Engine::State::on(const input::AttemptBegan& in) {
  auto it = live_.find(in.attempt);
  if (it == live_.end() || it->second.state != AttemptState::starting) return;
  it->second.state = *next(AttemptState::starting, AttemptEvent::begin);
  it->second.started_at = in.at;
  fill(add<mutation::UpdateAttempt>().row, in.attempt, it->second);
}

void Engine::State::on(const input::AttemptsEnded& in) {
  // Of each: the ends of attempt and task, and mostly the start of another task in their place.
  const std::size_t changes = std::min(4 * in.results.size(), 2 * limits::kMutationsPerStepMax);
  step_.mutations.reserve(changes + 8);
  step_.effects.reserve(changes / 2 + 8);
  for (const AttemptResult& result : in.results) end_attempt(result);
}

/// Records that the attempt is to end and why, then has it stopped. The first reason stays; a
/// second request can only make it harder.
void Engine::State::stop_attempt(AttemptId id, Reason reason, bool force) {
  auto it = live_.find(id);
  PAWL_CHECK(it != live_.end());
  Live& live = it->second;
  if (live.state == AttemptState::stopping) {
    if (force) act(effect::StopAttempt{id, live.worker, live.stop, true});
    return;
  }
  const AttemptState from = live.state;
  live.state = *next(from, AttemptEvent::stop);
  live.stop = reason;
  auto& update = add<mutation::UpdateAttempt>();
  update.expected = from;
  fill(update.row, id, live);
  act(effect::StopAttempt{id, live.worker, reason, force});
}

/// Gives back the slots that the attempt held.
void Engine::State::release(const Live& live) {
  Run& run = *live.run;
  --run.live;
  const TaskSpec& spec = run.spec(live.task);
  Lane& lane = lane_of(run, live.task);
  Slots& slots = lane.slots();
  slots.taken -= spec.pools.front().slots;
  Node& node = run.node(live.task);
  if (live.item != kWhole) --node.mapped->live;
  if (has_own_numbers(spec, live.item)) {
    node.mapped->numbers.give_back(live.slot);
  } else {
    slots.numbers.give_back(live.slot);
  }
  for (Worker& w : workers_) {
    if (w.id == live.worker) --w.live;
  }
  activate(lane);
}

/// The attempt never started: its number is given back and its task waits for a slot again.
void Engine::State::take_back(const Live& live, Piece& work, AttemptId id) {
  Run& run = *live.run;
  const TaskKey key = live.key();
  fill(add<mutation::DeleteAttempt>().row, id, live);
  --work.attempts;
  --work.counted;
  if (work.started_at == live.started_at) {
    // It was the first: what counts from the first start has not begun.
    work.started_at = WallTime{};
    if (work.total_due.ms != 0) change(mutation::ClearTimer{key, TimerKind::total});
    work.total_due = MonoTime{};
  }
  move(run, key, work, TaskEvent::unstart, {});
  if (live.stop == Reason::none) {
    arm_queue_timer(run, key, work);
    make_ready(run, key.task);
    return;
  }
  const bool is_failure = live.stop == Reason::total_timeout;
  move(run, key, work, is_failure ? TaskEvent::fail : TaskEvent::cancel, {live.stop, 0, {}, {}});
  if (key.item != kWhole) item_ended(run, key.task);
  make_ready(run, key.task);
}

void Engine::State::end_attempt(const AttemptResult& result) {
  auto it = live_.find(result.attempt);
  if (it == live_.end()) {
    // Told twice, or after it was given up: what is recorded stays.
    act(effect::ForgetAttempt{result.attempt, result.worker});
    return;
  }
  const Live live = it->second;
  if (result.outcome == AttemptResult::Outcome::never_started &&
      live.state == AttemptState::running) {
    // The store knows better: it had begun. A journal on a disk that failed and was repaired has
    // lost what it held, and nobody knows how that attempt ended.
    AttemptResult interrupted = result;
    interrupted.outcome = AttemptResult::Outcome::interrupted;
    interrupted.reason = Reason::interrupted;
    interrupted.failure.message = "it had begun, and its worker's journal knows nothing of it";
    return end_attempt(interrupted);
  }
  Run& run = *live.run;
  const TaskKey key = live.key();
  Piece* work = find_work(run, key);
  PAWL_CHECK(work != nullptr && work->live == result.attempt);
  live_.erase(it);
  release(live);
  act(effect::ForgetAttempt{result.attempt, live.worker});
  if (result.outcome == AttemptResult::Outcome::never_started) {
    take_back(live, *work, result.attempt);
    return;
  }
  const AttemptVerdict verdict = judge_attempt(result, live.stop);
  record_end(result, live, verdict);
  follow_end(result, live, verdict, *work);
  // Its slot may serve the same task's next item.
  make_ready(run, key.task);
}

/// The attempt's row, and what it left.
void Engine::State::record_end(const AttemptResult& result, const Live& live,
                               AttemptVerdict verdict) {
  const auto to = next(live.state, verdict.event);
  PAWL_CHECK(to.has_value());
  auto& end = add<mutation::UpdateAttempt>();
  end.expected = live.state;
  AttemptRow& row = end.row;
  fill(row, result.attempt, live);
  row.state = *to;
  row.reason = verdict.reason;
  row.exit_code = result.exit_code;
  row.signal = result.signal;
  if (result.started_at) row.started_at = *result.started_at;
  row.ended_at = result.ended_at;
  row.cpu_us = result.cpu_us;
  row.peak_memory_bytes = result.peak_memory_bytes;
  row.log_bytes = result.log_bytes;
  row.failure = result.failure;
  if (verdict.event == AttemptEvent::succeed && !result.output_format.empty()) {
    change(mutation::SetOutput{{live.key(), live.number, result.output_format, result.output_value,
                                result.output_file, result.output_bytes}});
  }
}

/// What its end means for its task.
void Engine::State::follow_end(const AttemptResult& result, const Live& live,
                               AttemptVerdict verdict, Piece& work) {
  Run& run = *live.run;
  const TaskKey key = live.key();
  bool is_poison = false;
  if (verdict.event == AttemptEvent::lose || verdict.event == AttemptEvent::interrupt) {
    --work.counted;
    if (result.may_be_cause) {
      is_poison = is_third_interruption(work.interrupted_before, now_.wall);
      work.interrupted_before = work.interrupted_at;
      work.interrupted_at = now_.wall;
    }
  }
  TaskHistory history;
  history.counted = work.counted;
  history.is_poison = is_poison;
  history.stop = live.stop != Reason::none ? live.stop : run.stopping;
  history.has_total_deadline = work.total_due.ms != 0;
  history.total_left = work.total_due - now_.mono;
  const TaskVerdict verdict_of_task =
      judge_task(run.spec(key.task), result, verdict, history, jitter_of(result.attempt));

  std::int32_t detail = 0;
  if (verdict_of_task.reason == Reason::exit) detail = result.exit_code.value_or(0);
  if (verdict_of_task.reason == Reason::signal) detail = result.signal.value_or(0);
  move(run, key, work, verdict_of_task.event, {verdict_of_task.reason, detail, {}, {}});
  if (verdict_of_task.event == TaskEvent::retry) {
    set_timer(key, work, TimerKind::retry, verdict_of_task.delay, true);
    if (key.item != kWhole) ++run.node(key.task).mapped->retries;
  } else if (key.item != kWhole) {
    item_ended(run, key.task);
  }
}

}  // namespace pawl
