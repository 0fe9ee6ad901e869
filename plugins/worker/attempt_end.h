#pragma once

// How an attempt ended, with its evidence: the same value in the worker's journal and on the wire.

#include <cstdint>
#include <optional>
#include <string>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/reason.h"

namespace pawl {

enum class Outcome : std::uint8_t {
  succeeded,
  failed,
  skipped,
  cancelled,  ///< a STOP ended it; `reason` is the STOP's
  deferred,   ///< it wants to look again after `defer_for`, and is in no worker until then
  lost,       ///< the process that ran it beside the worker died without a result
};
inline constexpr std::size_t kOutcomeCount = 6;

/// The result of an attempt: nothing, a value, or a file that holds it.
struct AttemptOutput {
  OutputFormat format = OutputFormat::none;
  std::string value;           ///< when `file` is empty
  std::string file;            ///< relative to the home where it lies in it, else absolute
  std::uint64_t bytes = 0;     ///< of the value or the file
  std::uint64_t checksum = 0;  ///< XXH3 of the file's bytes; 0 without a file
  friend bool operator==(const AttemptOutput&, const AttemptOutput&) = default;
};

/// What an attempt used; 0: cannot be told.
struct ResourceUse {
  std::int64_t cpu_us = 0;  ///< user and system, of all that was reaped
  /// Of its largest process, of all together where a control group counts.
  std::int64_t peak_memory_bytes = 0;
  /// Where that cannot be told: what it took at most, for its process had no more meanwhile.
  std::int64_t memory_bound_bytes = 0;
  friend bool operator==(const ResourceUse&, const ResourceUse&) = default;
};

struct AttemptEnd {
  AttemptId attempt;
  std::int32_t stay = 0;  ///< as its START said
  Outcome outcome = Outcome::failed;
  Reason reason =
      Reason::none;  ///< `none` for a success; `exit` beside `skipped` (skip_exit_codes)
  std::optional<int> exit_code;  ///< of the program, whatever the outcome
  std::optional<int> signal;     ///< that ended the program, whatever the outcome
  bool stop_seen = false;        ///< a STOP had reached the worker before this end was recorded
  bool may_be_cause = false;     ///< of `lost`: it could be why its process died
  WallTime started_at;
  WallTime ended_at;
  ResourceUse use;
  std::int64_t log_bytes = 0;  ///< size of its log file; 0: silent, there is none
  std::string error_class;     ///< `ENOENT`, `ValueError`; may be empty
  std::string message;         ///< one line for people, at most limits::kErrorMessageBytesMax
  std::string trace;           ///< the end of standard error where it has more to say
  AttemptOutput output;
  Duration defer_for{};  ///< of `deferred`
  std::string state;     ///< of `deferred`: for its next start
  friend bool operator==(const AttemptEnd&, const AttemptEnd&) = default;
};

}  // namespace pawl
