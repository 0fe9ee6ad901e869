#pragma once

// What follows the end of an attempt: pure, from the task's policy and what is known.

#include <cstdint>

#include "scheduler/base/time.h"
#include "scheduler/core/input.h"
#include "scheduler/core/states.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// Interruptions within kPoisonWindow, of which the task could be the cause, that hold it.
inline constexpr std::int32_t kPoisonInterruptions = 3;
inline constexpr Duration kPoisonWindow = std::chrono::hours(72);
/// Attempts in a row whose process died while a scheduler looked on: whether or not the task could
/// be why, it is held. One that kills its process late, beside others, is never seen alone.
inline constexpr std::int32_t kLossesInARow = 10;

/// Whether the interruption now is one too many: `last_but_one` is the time of the one before the
/// last (0: there is none). The window slides: only these three count.
constexpr bool is_third_interruption(WallTime last_but_one, WallTime now) {
  return last_but_one.ms != 0 && now - last_but_one <= kPoisonWindow;
}

/// How an attempt's end is recorded.
struct AttemptVerdict {
  AttemptEvent event = AttemptEvent::fail;
  Reason reason = Reason::none;
};

/// What becomes of its task.
struct TaskVerdict {
  TaskEvent event = TaskEvent::fail;
  Reason reason = Reason::none;
  Duration delay{};  ///< before the next attempt, when `event` is retry
};

/// The attempt's final event. `stop` is why its end was asked for (none: it was not); it wins when
/// the worker had seen it before the attempt ended by itself.
AttemptVerdict judge_attempt(const AttemptResult& result, Reason stop);

struct TaskHistory {
  std::int32_t counted = 0;    ///< attempts since the last resume, this one included
  bool is_poison = false;      ///< it ended in one interruption too many
  Reason stop = Reason::none;  ///< why nothing more of it may start; none: it may
  bool has_total_deadline = false;
  Duration total_left{};  ///< until the total time-out
};

/// The task's next event after an attempt ended so. `random` draws the jitter.
TaskVerdict judge_task(const TaskSpec& task, const AttemptResult& result, AttemptVerdict attempt,
                       const TaskHistory& history, std::uint64_t random);

/// A uniform value that is always the same for an attempt, so that the same inputs give the same
/// steps: splitmix64 of its number.
std::uint64_t jitter_of(AttemptId attempt);

}  // namespace pawl
