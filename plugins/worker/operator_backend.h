#pragma once

// What a host knows of the operators it runs, whatever they are made of: shared libraries in this
// process (native_operator.h) or programs beside it that stay warm (program_operator.h). A backend
// begins, cancels and kills; how an attempt goes on and ends comes back through OperatorEvents. All
// of it on the host's loop; no call blocks.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "plugins/worker/log_lines.h"
#include "plugins/worker/mask.h"
#include "plugins/worker/rendering.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/reason.h"

namespace pawl {

/// One attempt of an operator, with everything filled in. Immutable; shared with the thread that
/// may run it.
struct OperatorRequest {
  AttemptId attempt;
  std::string parameters;  ///< JSON text of an object, rendered
  std::string job;
  std::string run;
  std::string task;
  std::string item;  ///< JSON text; empty: not mapped
  std::string key;
  ItemIndex index = kWhole;
  std::int32_t number = 1;
  std::string idempotency_key;
  std::optional<WallTime> deadline;
  std::string working_dir;  ///< absolute
  OutputFormat output = OutputFormat::none;
  std::string scratch;  ///< of an own folder that is not made yet, and is removed afterwards
  std::string handle;   ///< of an earlier attempt of this work
  std::string state;    ///< of the deferral that ended
  std::map<std::string, std::string> secrets;
  std::shared_ptr<const Mask> mask;  ///< hides them; null: there are none
  Variables variables;               ///< the task's `env`, rendered
  std::int32_t slot = 0;
  Reason previous_reason = Reason::none;
  /// `NAME=value`, all that a program of this task would have, each name once. Costly: for those
  /// who ask.
  std::vector<std::string> environment() const {
    return definition ? definition->environment(*this) : std::vector<std::string>();
  }
  /// The value of one of them whose name is none of pawl's own; cheap. Nothing: it is not set.
  std::optional<std::string_view> variable(std::string_view name) const {
    return definition ? definition->variable(*this, name) : std::nullopt;
  }
  /// Of its task; null: it has no variables.
  std::shared_ptr<const CompiledDefinition> definition;
};

/// What a backend passes on of a text for people at the most: far more than is kept of it, as it is
/// cut to its length once secrets are hidden.
inline constexpr std::size_t kToldTextBytesMax = 64u << 10;

/// A text for people with secrets hidden. One of about that length, as a cut keeps characters
/// whole, was cut, perhaps within a secret, of which no part is left.
inline std::string hide_told(const Mask& mask, std::string_view text) {
  constexpr std::size_t kCharacterBytesMax = 4;
  const bool is_cut = text.size() + kCharacterBytesMax > kToldTextBytesMax;
  return is_cut ? mask.hide_beginning(text) : mask.hide(text);
}

/// How an operator says that its attempt ended.
struct OperatorResult {
  Outcome outcome = Outcome::succeeded;
  Reason reason = Reason::none;  ///< of a failure: `error`, `permanent`, `lost`, `oom`, `signal`
  bool may_be_cause = false;     ///< of `lost`: nothing else was in the process that died
  bool breaks_contract = false;  ///< the operator did what pawl/operator.h forbids
  std::string output;            ///< as the task's `output` declares it
  std::string error_class;
  std::string message;
  std::string trace;
  Duration after{};   ///< deferred
  std::string state;  ///< deferred
  ResourceUse use;
};

inline OperatorResult failed_result(Reason reason, std::string message) {
  OperatorResult result;
  result.outcome = Outcome::failed;
  result.reason = reason;
  result.message = std::move(message);
  return result;
}

/// Of an operator that does not end as it must.
inline OperatorResult broken_result(std::string message) {
  OperatorResult result = failed_result(Reason::permanent, std::move(message));
  result.breaks_contract = true;
  return result;
}

inline constexpr Duration kDeferralMax = std::chrono::hours(366 * 24);

/// A deferral as an operator asks for it, or the failure that an impossible one is.
inline OperatorResult deferred_result(std::int64_t after_ms, std::string state) {
  if (after_ms < 0 || after_ms > kDeferralMax.count()) {
    return failed_result(Reason::permanent, "it deferred itself by " + std::to_string(after_ms) +
                                                "ms: 0 to 366 days are possible");
  }
  if (state.size() > limits::kStateTextBytesMax) {
    return failed_result(
        Reason::permanent,
        "it deferred itself with a state of over 64 KiB: keep large data in a file");
  }
  OperatorResult result;
  result.outcome = Outcome::deferred;
  result.after = Duration(after_ms);
  result.state = std::move(state);
  return result;
}

/// What a backend tells its host. An attempt that the host does not know any more is ignored.
class OperatorEvents {
 public:
  virtual ~OperatorEvents() = default;
  virtual void log(AttemptId attempt, LogStream stream, std::string_view text) = 0;
  virtual void heartbeat(AttemptId attempt) = 0;
  /// It was started, and nobody is free for it yet.
  virtual void waits(AttemptId attempt) = 0;
  /// One that waited begins.
  virtual void begins(AttemptId attempt) = 0;
  virtual void progress(AttemptId attempt, double fraction, std::string_view text) = 0;
  /// In the journal before it returns; false when it cannot be kept.
  virtual bool set_handle(AttemptId attempt, std::string_view handle) = 0;
  /// Once for every attempt that was started.
  virtual void finished(AttemptId attempt, OperatorResult&& result) = 0;
  /// A line for the worker's log.
  virtual void note(const std::string& text) = 0;
};

class OperatorBackend {
 public:
  virtual ~OperatorBackend() = default;
  /// Begins; `finished` may be told before this returns.
  virtual void start(std::shared_ptr<const OperatorRequest> request) = 0;
  /// Asks it to end; `finished` follows unless it does not listen.
  virtual void cancel(AttemptId attempt) = 0;
  /// It did not listen for its grace. True: it is being ended, and `finished` follows, for those
  /// that had to go with it as `lost`. False: only the end of this process ends it.
  virtual bool kill(AttemptId attempt) = 0;
  /// Where its attempts are at work, and so what their cost is a part of.
  enum class Place {
    loop,     ///< on the thread of the host's loop
    thread,   ///< each on a thread of the host
    program,  ///< in processes of their own
  };
  virtual Place place() const = 0;
};

}  // namespace pawl
