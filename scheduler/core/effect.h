#pragma once

// What a step wants done in the world, once its mutations are durable.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/core/input.h"
#include "scheduler/core/mutation.h"

namespace pawl {

/// What a command did to one of its targets.
struct CommandResult {
  Target target;
  bool ok = true;
  std::string message;  ///< why not, and what would work
};

namespace effect {

/// By worker 0, which is the scheduler itself: of the operator `job`. Answered by input::CallJob,
/// or by its end; asked again after a restart. It is not told of stops, and forgets nothing.
struct StartAttempt {
  AttemptId attempt;
  TaskKey key;
  std::int32_t number = 0;
  std::int32_t work = 0;  ///< part of the idempotency key
  WorkerId worker;
  std::int32_t slot = 0;
  Duration total_left{};                  ///< 0: no total time-out
  Duration run_left{};                    ///< until the time-out of the run; 0: none
  Reason previous_reason = Reason::none;  ///< none: also where only the store knows, see `has_past`
  std::int32_t previous_detail = 0;       ///< of `lost`: how many attempts in a row were
  /// The row of this attempt may hold a handle and a state text (RunData::attempt_past): what its
  /// operator set before a deferral, or an attempt before it that was lost or interrupted; and the
  /// row of the attempt before it why that ended. Read them before the worker gets it.
  bool has_past = false;
  std::int32_t stay = 0;  ///< deferrals of this attempt so far; see AttemptResult::stay
};
/// Also sent again for an attempt that was stopping when the scheduler started.
struct StopAttempt {
  AttemptId attempt;
  WorkerId worker;
  Reason reason = Reason::none;
  bool force = false;
};
/// The end of this stay of the attempt is durable: its worker may forget it.
struct ForgetAttempt {
  AttemptId attempt;
  WorkerId worker;
  std::int32_t stay = 0;
};
/// The handle is durable here, too; or it was not taken: the attempt is not this worker's any more,
/// or the handle is too long. Operators do not wait for it: `set_handle` has returned when the
/// worker's journal had the handle, and a crash of any process keeps that. What remains is a loss
/// of power in between, which this answer proves to be over.
struct HandleStored {
  AttemptId attempt;
  WorkerId worker;
  std::int64_t serial = 0;
  bool is_stored = true;
};
/// Judge `when`, then read the items from number `from` on, and answer with Prepared and ItemsRead.
/// With `is_open` the task was judged before: only items are wanted, and there is no Prepared.
struct Prepare {
  RunId run;
  TaskIndex task;
  std::uint32_t stamp = 0;
  bool is_open = false;
  std::int64_t from = 0;
  std::string source;
};
/// The chunk that begins with `first` is durable; the reader may go on.
struct ItemsStored {
  RunId run;
  TaskIndex task;
  std::uint32_t stamp = 0;
  std::int64_t first = 0;
};
/// Nobody needs the items of this task from its reader any more.
struct StopReading {
  RunId run;
  TaskIndex task;
};
/// Something of this operator wants to start, and no worker takes it: have one that does. Said once
/// until there is one.
struct WantWorker {
  std::string operator_name;
};
/// The engine paused a job's schedule by itself.
struct JobPaused {
  std::string job;
  std::string note;
};
struct RunEnded {
  RunId run;
};
/// A command's answer. For Submit: `run` and `created`; for SubmitAll: `results`.
struct Reply {
  ReplyToken token;
  Result<void> status;
  RunId run;
  std::string run_name;
  bool created = false;
  std::vector<CommandResult> results;
};

}  // namespace effect

using Effect =
    std::variant<effect::StartAttempt, effect::StopAttempt, effect::ForgetAttempt,
                 effect::HandleStored, effect::Prepare, effect::ItemsStored, effect::StopReading,
                 effect::WantWorker, effect::JobPaused, effect::RunEnded, effect::Reply>;

struct Step {
  Mutations mutations;
  std::vector<Effect> effects;
  bool more = false;  ///< the step reached its bound: hand in a Tick soon
};

}  // namespace pawl
