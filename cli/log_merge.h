#pragma once

// The logs of many attempts as one sequence of whole lines, in the order of time.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/log_text.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// Where the logs of a task's attempts lie.
struct LogFolder {
  std::string task;  ///< its id
  std::string path;
};

/// The log of one attempt. There may be millions.
struct LogSource {
  AttemptId attempt;
  const LogFolder* folder = nullptr;  ///< outlives the merge
  ItemIndex item = kWhole;
  std::int32_t number = 1;
  WallTime started_at;
  bool is_final = true;  ///< nothing more is written to it

  /// `query:17#2`
  std::string name() const;
  std::string path() const;
};

class LogMerge {
 public:
  using Sink = std::function<void(const LogSource&, const LogLine&)>;

  /// Adds a log. Only those that ran at the same time are read at the same time.
  void add(const LogSource& source);
  /// Hands out all lines that are there now. What grows is read on by the next call.
  Result<void> drain(const Sink& sink);
  /// Whether something was still written to one of the logs, as far as is known.
  bool is_growing() const;
  /// Asks of each of those whether its attempt is final by now.
  Result<void> settle(const std::function<Result<bool>(AttemptId)>& is_final);

 private:
  struct Open {
    LogSource source;
    LogReader reader;
    LogLine head;
    std::string time;         ///< of the head; a line without one keeps that of the line before
    std::uint64_t place = 0;  ///< among all that were opened: settles equal times
  };
  struct Later;

  Result<void> advance(std::unique_ptr<Open> open);
  Result<void> open_next();
  std::unique_ptr<Open> take_first();
  void note_next_start();

  std::vector<LogSource> pending_;            ///< latest start first, once `drain` has begun
  std::string next_start_;                    ///< of the last of them, as text
  std::vector<std::unique_ptr<Open>> heads_;  ///< a heap: the earliest line is in front
  std::vector<std::unique_ptr<Open>> quiet_;  ///< without a line now
  std::uint64_t opened_ = 0;
};

}  // namespace pawl
