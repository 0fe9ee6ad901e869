#pragma once

// Readiness of a descriptor (level-triggered).

#include <functional>

#include "scheduler/base/result.h"
#include "scheduler/loop/loop.h"

namespace pawl {

struct PollEvents {
  bool readable = false;
  bool writable = false;
  bool closed = false;  ///< the other side sends nothing more; told apart only when it is watched
};

class Poll {
 public:
  /// Called with what is ready. After an error on the descriptor (a broken pipe) all are set and
  /// watching has ended: reading or writing then tells the error.
  using OnReady = std::function<void(PollEvents)>;

  /// Watches nothing yet. Makes the descriptor non-blocking. The descriptor stays the caller's and
  /// must be closed after `stop()` or after this object is gone; one Poll per descriptor. It must
  /// be one that epoll takes (a regular file is an internal error).
  Poll(Loop& loop, int fd, OnReady on_ready);
  ~Poll();
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  /// Watches for exactly these; nothing set is the same as `stop()`.
  void watch(PollEvents events);
  void stop();

  /// Whether watching keeps `Loop::run()` from returning: yes, unless `unref()`.
  void unref();
  void ref();

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
