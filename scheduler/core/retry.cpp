#include "scheduler/core/retry.h"

#include <algorithm>

#include "scheduler/base/limits.h"
#include "scheduler/base/spread.h"

namespace pawl {
namespace {

bool is_retried(const RetryPolicy& policy, Reason reason, const AttemptResult& result) {
  if (!policy.on.has(reason)) return false;
  if (reason != Reason::exit || !result.exit_code) return true;
  const int code = *result.exit_code;
  auto lists = [code](const std::vector<int>& codes) {
    return std::binary_search(codes.begin(), codes.end(), code);
  };
  if (policy.exit_codes) return lists(*policy.exit_codes);
  // The shell's codes for "cannot execute" and "not found": another try finds the same.
  if (code == 126 || code == 127) return false;
  return !lists(policy.not_exit_codes);
}

TaskVerdict after_interruption(const TaskSpec& task, Reason reason, const TaskHistory& history) {
  if (history.is_poison) return {TaskEvent::hold, Reason::poison, {}};
  switch (task.on_interrupt) {
    case OnInterrupt::retry: return {TaskEvent::retry, reason, Duration{0}};
    case OnInterrupt::fail: return {TaskEvent::fail, reason, {}};
    case OnInterrupt::hold: return {TaskEvent::hold, reason, {}};
  }
  return {TaskEvent::hold, reason, {}};
}

TaskVerdict after_failure(const TaskSpec& task, const AttemptResult& result, Reason reason,
                          const TaskHistory& history, std::uint64_t random) {
  if (reason == Reason::unkillable) return {TaskEvent::hold, reason, {}};
  if (!is_retried(task.retry, reason, result) || history.counted >= task.retry.max_attempts) {
    return {TaskEvent::fail, reason, {}};
  }
  const Duration delay = jittered_retry_delay(task.retry, history.counted, random);
  // Waiting for an attempt that the total time-out would not let start only delays the news.
  if (history.has_total_deadline && delay >= history.total_left) {
    return {TaskEvent::fail, Reason::total_timeout, {}};
  }
  return {TaskEvent::retry, reason, delay};
}

}  // namespace

AttemptVerdict judge_attempt(const AttemptResult& result, Reason stop) {
  using Outcome = AttemptResult::Outcome;
  if (stop != Reason::none && result.stop_seen && result.reason != Reason::unkillable) {
    if (stop == Reason::total_timeout) return {AttemptEvent::fail, stop};
    return {AttemptEvent::cancel, stop};
  }
  switch (result.outcome) {
    case Outcome::succeeded: return {AttemptEvent::succeed, Reason::none};
    case Outcome::failed: return {AttemptEvent::fail, result.reason};
    case Outcome::skipped: return {AttemptEvent::skip, result.reason};
    case Outcome::deferred:
      if (stop == Reason::total_timeout) return {AttemptEvent::fail, stop};
      if (stop != Reason::none) return {AttemptEvent::cancel, stop};
      if (result.state_text.size() > limits::kStateTextBytesMax)
        return {AttemptEvent::fail, Reason::error};
      return {AttemptEvent::defer, Reason::none};
    case Outcome::lost: return {AttemptEvent::lose, Reason::lost};
    case Outcome::interrupted:
    case Outcome::never_started: return {AttemptEvent::interrupt, Reason::interrupted};
  }
  return {AttemptEvent::fail, result.reason};
}

TaskVerdict judge_task(const TaskSpec& task, const AttemptResult& result, AttemptVerdict attempt,
                       const TaskHistory& history, std::uint64_t random) {
  TaskVerdict verdict;
  switch (attempt.event) {
    case AttemptEvent::succeed: return {TaskEvent::succeed, Reason::none, {}};
    case AttemptEvent::skip: return {TaskEvent::skip, attempt.reason, {}};
    case AttemptEvent::cancel: return {TaskEvent::cancel, attempt.reason, {}};
    case AttemptEvent::defer:
      return {TaskEvent::defer, Reason::none, std::max(Duration{0}, result.look_again_after)};
    case AttemptEvent::lose:
    case AttemptEvent::interrupt:
      verdict = after_interruption(task, attempt.reason, history);
      break;
    case AttemptEvent::fail:
    case AttemptEvent::begin:
    case AttemptEvent::stop:
    case AttemptEvent::wake:
      verdict = after_failure(task, result, attempt.reason, history, random);
      break;
  }
  // A task that is to end keeps what its last attempt proved; where that leaves another attempt, or
  // no proof, the end that was asked for is what became of it.
  const bool has_proof =
      attempt.event != AttemptEvent::lose && attempt.event != AttemptEvent::interrupt;
  if (history.stop != Reason::none && (verdict.event == TaskEvent::retry || !has_proof)) {
    const bool is_failure = history.stop == Reason::total_timeout;
    return {is_failure ? TaskEvent::fail : TaskEvent::cancel, history.stop, {}};
  }
  return verdict;
}

std::uint64_t jitter_of(AttemptId attempt) {
  return mixed(static_cast<std::uint64_t>(attempt.value));
}

}  // namespace pawl
