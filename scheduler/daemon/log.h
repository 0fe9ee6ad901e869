#pragma once

// The scheduler's own log, for operators: what it found at start, what it quarantined, what died.
// Lines are written by a thread of their own behind a bounded queue; when a terminal or a pipe
// stands still, the oldest lines go, and nothing waits.

#include <memory>
#include <string>
#include <string_view>

namespace pawl {

class Log {
 public:
  /// Writes to standard error: `2026-11-20T22:58:01.123Z warning TEXT`, coloured on a terminal.
  Log();
  /// Writes what is queued.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // From any thread. Control characters are escaped.
  void info(std::string_view text);
  void warn(std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
