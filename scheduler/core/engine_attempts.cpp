// Attempts: how they begin, are stopped and end, and what that means for their task.

#include "scheduler/core/engine_state.h"

namespace pawl {

AttemptRow Engine::State::row_of(AttemptId id, const Live& live) const {
  AttemptRow row;
  row.id = id;
  row.key = live.key();
  row.number = live.number;
  row.state = live.state;
  row.reason = live.stop;
  row.worker = live.worker;
  row.slot = live.slot;
  row.started_at = live.started_at;
  return row;
}

void Engine::State::on(const input::AttemptBegan& in) {
  auto it = live_.find(in.attempt);
  if (it == live_.end() || it->second.state != AttemptState::starting) return;
  it->second.state = *next(AttemptState::starting, AttemptEvent::begin);
  it->second.started_at = in.at;
  change(mutation::UpdateAttempt{AttemptState::starting, row_of(in.attempt, it->second)});
}

void Engine::State::on(const input::AttemptsEnded& in) {
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
  change(mutation::UpdateAttempt{from, row_of(id, live)});
  act(effect::StopAttempt{id, live.worker, reason, force});
}

/// Gives back the slots that the attempt held.
void Engine::State::release(const Live& live) {
  Run& run = *live.run;
  --run.live;
  Slots& slots = lane_of(run, live.task).slots();
  --slots.taken;
  const TaskSpec& spec = run.spec(live.task);
  Node& node = run.node(live.task);
  if (live.item != kWhole) --node.mapped->live;
  if (live.item != kWhole && spec.map && spec.map->max_concurrent > 0) {
    node.mapped->numbers.give_back(live.slot);
  } else {
    slots.numbers.give_back(live.slot);
  }
  for (Worker& w : workers_) {
    if (w.id == live.worker) --w.live;
  }
}

/// The attempt never started: its number is given back and its task waits for a slot again.
void Engine::State::take_back(Live live, Piece& work, AttemptId id) {
  Run& run = *live.run;
  const TaskKey key = live.key();
  AttemptRow row = row_of(id, live);
  change(mutation::DeleteAttempt{std::move(row)});
  --work.attempts;
  --work.counted;
  move(run, key, work, TaskEvent::unstart, {});
  if (live.stop != Reason::none) {
    const bool is_failure = live.stop == Reason::total_timeout;
    move(run, key, work, is_failure ? TaskEvent::fail : TaskEvent::cancel, {live.stop, 0, {}, {}});
    if (key.item != kWhole) item_ended(run, key.task);
    return;
  }
  if (key.item != kWhole) run.node(key.task).mapped->ready.push_front(key.item.value);
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
  const auto to = next(live.state, verdict.event);
  PAWL_CHECK(to.has_value());
  AttemptRow row = row_of(result.attempt, live);
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
  change(mutation::UpdateAttempt{live.state, std::move(row)});

  const bool is_without_evidence = verdict.event == AttemptEvent::lose || verdict.event == AttemptEvent::interrupt;
  if (is_without_evidence) {
    --work->counted;
    if (result.may_be_cause) {
      const bool is_old = work->interrupted_since.ms == 0 || now_.wall - work->interrupted_since > kPoisonWindow;
      work->interruptions = is_old ? 1 : work->interruptions + 1;
      if (is_old) work->interrupted_since = now_.wall;
    }
  }

  const TaskSpec& spec = run.spec(key.task);
  TaskHistory history;
  history.counted = work->counted;
  history.interruptions = work->interruptions;
  history.is_cancelling = run.stopping != Reason::none || live.stop != Reason::none ||
                          (key.item != kWhole && run.node(key.task).mapped->rest_state != TaskState::queued);
  history.has_total_deadline = work->total_due.ms != 0;
  history.total_left = work->total_due - now_.mono;
  TaskVerdict next_step = judge_task(spec, result, verdict, history, jitter_of(result.attempt));
  if (next_step.event == TaskEvent::cancel && next_step.reason == Reason::cancelled) {
    if (live.stop != Reason::none) {
      next_step.reason = live.stop;
    } else if (run.stopping != Reason::none) {
      next_step.reason = run.stopping;
    } else if (key.item != kWhole && run.node(key.task).mapped->rest_reason != Reason::none) {
      next_step.reason = run.node(key.task).mapped->rest_reason;
    }
  }

  std::int32_t detail = 0;
  if (next_step.reason == Reason::exit) detail = result.exit_code.value_or(0);
  if (next_step.reason == Reason::signal) detail = result.signal.value_or(0);
  if (verdict.event == AttemptEvent::succeed && !result.output_format.empty()) {
    change(mutation::SetOutput{{key, live.number, result.output_format, result.output_value, result.output_file, result.output_bytes}});
  }
  if (next_step.event == TaskEvent::retry) {
    move(run, key, *work, TaskEvent::retry, {next_step.reason, detail, {}, {}});
    set_timer(run, key, *work, TimerKind::retry, next_step.delay, true);
    if (key.item != kWhole) ++run.node(key.task).mapped->retries;
  } else {
    move(run, key, *work, next_step.event, {next_step.reason, detail, {}, {}});
    if (key.item != kWhole) item_ended(run, key.task);
  }
  // Its slot may serve the same task's next item.
  make_ready(run, key.task);
}

}  // namespace pawl
