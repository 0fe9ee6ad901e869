#pragma once

// The log of a worker is its standard error: a file that it notes things in and, where it is a
// host, that libraries print into and warm programs write into for no attempt. What floods it loses
// its beginning, never its end, which tells why a worker died (scheduler/daemon/worker_fate.h). So
// the beginning is taken off by the file system, in one step: to copy the end and truncate the file
// loses what others write meanwhile, which may be their last words.

#include <cstddef>
#include <string>
#include <thread>

#include "scheduler/loop/fd.h"

namespace pawl {

/// A log that takes more of the disk is cut, and what is left of it then: more than people read.
inline constexpr std::size_t kWorkerLogBytesMax = 4u << 20;
inline constexpr std::size_t kWorkerLogBytesKept = 256u << 10;

class WorkerLog {
 public:
  /// Of the file at `path`, to which everybody must append (O_APPEND). Where it cannot be opened
  /// nothing is ever cut.
  explicit WorkerLog(const std::string& path);

  /// Takes its beginning off if it is too large; its first line says so. Where the file system can
  /// only give the space back, the size stays and the beginning reads as zeros; where it can do
  /// neither, all of the log goes. From any thread.
  void cut() const;

 private:
  Fd file_;
};

/// A thread that cuts the log of this process as long as it lives, because libraries, and what they
/// start, write to the file itself. It sleeps until somebody writes.
class WorkerLogKeeper {
 public:
  explicit WorkerLogKeeper(const std::string& path);
  ~WorkerLogKeeper();
  WorkerLogKeeper(const WorkerLogKeeper&) = delete;
  WorkerLogKeeper& operator=(const WorkerLogKeeper&) = delete;

 private:
  void work() const;

  WorkerLog log_;
  Fd written_;  ///< readable when somebody has written; none: it is looked at in between
  Fd end_;      ///< none: this process has no descriptors left, and nothing is cut
  std::thread thread_;
};

}  // namespace pawl
