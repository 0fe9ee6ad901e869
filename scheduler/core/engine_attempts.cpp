// Attempts: how they begin, are stopped and end, and what that means for their task.

#include <algorithm>
#include <utility>

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
  if (!live.is_again()) row.started_at = live.started_at;
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
  const TaskKey key = live.key();
  const bool is_own = live.worker == kSelf;
  if (live.state == AttemptState::stopping) {
    if (force && is_own) cancel_calls(key, true);
    if (force && !is_own) act(effect::StopAttempt{id, live.worker, live.stop, true});
    return;
  }
  const AttemptState from = live.state;
  live.state = *next(from, AttemptEvent::stop);
  live.stop = reason;
  auto& update = add<mutation::UpdateAttempt>();
  update.expected = from;
  fill(update.row, id, live);
  if (!is_own) {
    act(effect::StopAttempt{id, live.worker, reason, force});
    return;
  }
  returns_.push_back(key);
  cancel_calls(key, force);
}

/// What its worker was told when it started, as far as it is remembered.
effect::StartAttempt Engine::State::start_of(AttemptId id, const Live& live) {
  effect::StartAttempt start;
  start.attempt = id;
  start.key = live.key();
  start.number = live.number;
  if (const Piece* work = find_awake(*live.run, start.key)) start.work = work->work;
  start.worker = live.worker;
  start.slot = live.slot;
  start.stay = live.stay;
  return start;
}

/// Gives back the slots that the attempt held.
void Engine::State::release(const Live& live) {
  Run& run = *live.run;
  --run.live;
  const TaskSpec& spec = run.spec(live.task);
  Lane& lane = *line_of(run, live.task).lane;
  take_slots(lane, spec, -1);
  Node& node = run.node(live.task);
  if (live.item != kWhole) --node.mapped->live;
  if (has_own_numbers(spec, live.item)) {
    node.mapped->numbers.give_back(live.slot);
  } else if (!lane.pools.empty()) {
    lane.pools.front()->numbers.give_back(live.slot);
  }
  for (Worker& w : workers_) {
    if (w.id == live.worker) --w.live;
  }
  activate_sharers(lane);
}

/// A stay of an attempt that had been deferred never began: it sleeps on, and its task waits for a
/// slot again.
void Engine::State::take_back_stay(const Live& live, Piece& work, AttemptId id) {
  Run& run = *live.run;
  const TaskKey key = live.key();
  if (live.stop != Reason::none) {
    const bool is_failure = live.stop == Reason::total_timeout;
    const auto to = next(live.state, is_failure ? AttemptEvent::fail : AttemptEvent::cancel);
    change(mutation::MoveAttempt{id, key, live.state, *to, live.stop, {}, live.slot, now_.wall});
    move(run, key, work, is_failure ? TaskEvent::fail : TaskEvent::cancel, {live.stop, 0, {}, {}});
    if (key.item != kWhole) item_ended(run, key.task);
  } else {
    const auto to = next(live.state, AttemptEvent::defer);
    change(
        mutation::MoveAttempt{id, key, live.state, *to, Reason::none, {}, live.slot, std::nullopt});
    move(run, key, work, TaskEvent::unstart, {Reason::none, live.stay, {}, id});
    arm_queue_timer(run, key, work);
  }
  make_ready(run, key.task);
}

/// What a task's event makes of its attempt that sleeps.
void Engine::State::end_asleep(TaskKey key, AttemptId id, TaskEvent event, Reason reason) {
  AttemptEvent end = AttemptEvent::cancel;
  if (event == TaskEvent::fail) end = AttemptEvent::fail;
  if (event == TaskEvent::skip) end = AttemptEvent::skip;
  const auto to = next(AttemptState::deferred, end);
  change(mutation::MoveAttempt{id, key, AttemptState::deferred, *to, reason, {}, 0, now_.wall});
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
  move(run, key, work, TaskEvent::unstart, {live.previous, live.previous_detail, {}, {}});
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

/// The attempt was deferred, and is here again or elsewhere.
bool Engine::State::is_of_earlier_stay(const AttemptResult& result, const Live& live) {
  if (result.worker != live.worker && result.worker.value != 0) return true;
  switch (result.outcome) {
    case AttemptResult::Outcome::succeeded:
    case AttemptResult::Outcome::failed:
    case AttemptResult::Outcome::skipped:
    case AttemptResult::Outcome::deferred: return result.stay != live.stay;
    case AttemptResult::Outcome::lost:
    case AttemptResult::Outcome::interrupted:
    case AttemptResult::Outcome::never_started: return false;
  }
  return false;
}

void Engine::State::end_attempt(const AttemptResult& result) {
  auto it = live_.find(result.attempt);
  if (it == live_.end()) {
    // Told twice, or after it was given up: what is recorded stays.
    if (result.worker != kSelf)
      act(effect::ForgetAttempt{result.attempt, result.worker, result.stay});
    return;
  }
  const Live live = it->second;
  if (is_of_earlier_stay(result, live)) {
    if (result.worker != kSelf)
      act(effect::ForgetAttempt{result.attempt, result.worker, result.stay});
    return;
  }
  if (const Run* called = result.called ? find(*result.called) : nullptr;
      called != nullptr && !is_final(called->row.state)) {
    // Somebody has resumed it meanwhile: it goes on for the task, too.
    if (live.state == AttemptState::starting) act(start_of(result.attempt, live));
    return;
  }
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
  if (live.worker != kSelf) act(effect::ForgetAttempt{result.attempt, live.worker, live.stay});
  if (result.outcome == AttemptResult::Outcome::never_started) {
    live.is_again() ? take_back_stay(live, *work, result.attempt)
                    : take_back(live, *work, result.attempt);
    return;
  }
  if (!result.handle.empty() && result.handle.size() <= limits::kHandleBytesMax)
    change(mutation::SetHandle{result.attempt, key, result.handle});
  // Who is to end does not sleep first.
  const bool ends_stay = result.outcome == AttemptResult::Outcome::deferred;
  const Reason stop =
      ends_stay && live.stop == Reason::none ? stop_reason(run, key.task) : live.stop;
  const AttemptVerdict verdict = judge_attempt(result, stop);
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
  if (result.started_at && !live.is_again()) row.started_at = *result.started_at;
  if (is_final(*to)) row.ended_at = result.ended_at;
  row.cpu_us = result.cpu_us;
  row.peak_memory_bytes = result.peak_memory_bytes;
  row.memory_bound_bytes = result.memory_bound_bytes;
  row.log_bytes = result.log_bytes;
  row.failure = result.failure;
  if (verdict.event == AttemptEvent::defer) {
    row.stays = 1;
    row.state_text = result.state_text;
  }
  if (verdict.reason == Reason::error && row.failure.empty() &&
      result.outcome == AttemptResult::Outcome::deferred) {
    row.failure.message = "its state of " + std::to_string(result.state_text.size()) +
                          " bytes is longer than the " +
                          std::to_string(limits::kStateTextBytesMax) + " that are kept";
  }
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
  std::int32_t losses = 0;
  if (verdict.event == AttemptEvent::lose) {
    losses = 1 + (live.previous == Reason::lost ? live.previous_detail : 0);
    is_poison |= losses >= kLossesInARow;
  }
  TaskHistory history;
  history.counted = work.counted;
  history.is_poison = is_poison;
  history.stop = live.stop != Reason::none ? live.stop : stop_reason(run, key.task);
  history.has_total_deadline = work.total_due.ms != 0;
  history.total_left = work.total_due - now_.mono;
  const TaskVerdict verdict_of_task =
      judge_task(run.spec(key.task), result, verdict, history, jitter_of(result.attempt));

  std::int32_t detail = 0;
  if (verdict_of_task.reason == Reason::exit) detail = result.exit_code.value_or(0);
  if (verdict_of_task.reason == Reason::signal) detail = result.signal.value_or(0);
  if (verdict_of_task.reason == Reason::lost) detail = losses;
  const bool sleeps = verdict_of_task.event == TaskEvent::defer;
  if (sleeps) detail = live.stay + 1;
  move(
      run, key, work, verdict_of_task.event,
      {verdict_of_task.reason, detail, {}, sleeps ? result.attempt : AttemptId{}, result.ended_at});
  if (sleeps && run.spec(key.task).calls_job()) {
    // The end of its run wakes it; here is only how long it waits for that.
    const Duration timeout = run.spec(key.task).timeout;
    if (timeout != Duration{0}) set_timer(key, work, TimerKind::deferral, timeout, true);
  } else if (sleeps) {
    fall_asleep(run, key, work, TimerKind::deferral, verdict_of_task.delay);
  } else if (verdict_of_task.event == TaskEvent::retry) {
    const bool counts =
        verdict.event != AttemptEvent::lose && verdict.event != AttemptEvent::interrupt;
    if (key.item != kWhole && counts) ++run.node(key.task).mapped->retries;
    fall_asleep(run, key, work, TimerKind::retry, verdict_of_task.delay);
  } else if (key.item != kWhole) {
    item_ended(run, key.task);
  }
}

void Engine::State::on(const input::AttemptHandle& in) {
  const auto it = live_.find(in.attempt);
  const bool is_its = it != live_.end() && it->second.worker == in.worker &&
                      in.handle.size() <= limits::kHandleBytesMax;
  if (is_its) change(mutation::SetHandle{in.attempt, it->second.key(), in.handle});
  act(effect::HandleStored{in.attempt, in.worker, in.serial, is_its});
}

}  // namespace pawl
