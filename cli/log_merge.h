#pragma once

// The logs of many attempts as one sequence of whole lines, in the order of time.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/log_text.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// The log of one attempt.
struct LogSource {
  std::int64_t attempt_id = 0;
  std::string prefix;  ///< `query:17#2`
  std::string path;
  WallTime started_at;
  bool is_final = true;  ///< nothing more is written to it
};

class LogMerge {
 public:
  using Sink = std::function<void(const LogSource&, const LogLine&)>;

  /// Adds a log. Only those that run at the same time are open at the same time.
  void add(LogSource source);
  /// Nothing more is written to the log of this attempt.
  void set_final(std::int64_t attempt_id);
  /// Attempts whose logs may still grow.
  std::vector<std::int64_t> growing() const;
  /// Hands out all lines that are there now. What grows is read on by the next call.
  Result<void> drain(const Sink& sink);

 private:
  struct Open {
    LogSource source;
    LogReader reader;
    LogLine head;
    std::string time;  ///< of the head; a line without one keeps that of the line before
    bool has_head = false;
    bool is_done = false;
  };

  Result<void> advance(Open& open);
  Result<void> open_pending(const std::string& until);

  std::vector<LogSource> pending_;  ///< latest start first
  std::vector<std::unique_ptr<Open>> open_;
};

}  // namespace pawl
