#pragma once

// The scheduler's own log, for operators: what it found at start, what it quarantined, what died.
// Lines are written by a thread of their own behind a bounded queue; when a terminal or a pipe
// stands still, the oldest lines go, are counted, and nothing waits.

#include <cstdint>
#include <memory>
#include <string_view>

#include "scheduler/daemon/notice.h"

namespace pawl {

class Log {
 public:
  struct Options {
    int fd = 2;
    Weight least = Weight::info;  ///< lines of less weight are left out
    bool colour = false;
  };

  /// Writes lines as `2026-11-20T22:58:01.123Z warning TEXT`. The descriptor stays the caller's.
  explicit Log(Options options);
  /// Writes what is queued; gives up on a reader that takes nothing for a second.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// From any thread. One line: control characters and line ends are escaped.
  void line(Weight weight, std::string_view text);

  /// Lines that were dropped so far. The log says so itself when it can again.
  std::uint64_t dropped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
