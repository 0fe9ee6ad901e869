#pragma once

// Work that would block, on another thread, its end reported on the loop.

#include <functional>
#include <memory>
#include <vector>

#include "scheduler/loop/loop.h"

namespace pawl {

class Work {
 public:
  enum class Pace {
    quick,  ///< a matter of computing, and of files that answer: shares the loop's four threads
    /// May take minutes, or hang: what asks other programs, waits for processes to end, reads a
    /// folder that may be on a network. Has a thread of its own, so that no quick work waits for
    /// it; beyond 32 on a loop it waits for another slow one to end.
    slow,
  };
  explicit Work(Loop& loop, Pace pace = Pace::quick);
  /// Work that runs goes on to its end; its `done` is not called. So `work` must own, or share,
  /// what it touches.
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// Runs `work` on another thread, then `done` on the loop. One at a time per object: false,
  /// and nothing happens, while `busy()`. Neither may throw.
  bool start(std::function<void()> work, std::function<void()> done);
  /// From `start` until just before `done`.
  bool busy() const;

  struct Impl;

 private:
  Loop& loop_;
  Pace pace_;
  Impl* impl_ = nullptr;
};

/// Any number of them for one owner, each forgotten when it has ended.
class Works {
 public:
  explicit Works(Loop& loop) : loop_(loop) {}
  /// As Work::start. After this object has gone no `done` is called.
  void start(std::function<void()> work, std::function<void()> done);

 private:
  Loop& loop_;
  std::vector<std::unique_ptr<Work>> works_;
};

}  // namespace pawl
