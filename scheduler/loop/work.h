#pragma once

// Work that would block, on the loop's small pool of threads, its end reported on the loop.

#include <functional>
#include <memory>
#include <vector>

#include "scheduler/loop/loop.h"

namespace pawl {

class Work {
 public:
  explicit Work(Loop& loop);
  /// Work that runs goes on to its end; its `done` is not called. So `work` must own, or share,
  /// what it touches.
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  /// Runs `work` on a thread of the pool, then `done` on the loop. One at a time per object: false,
  /// and nothing happens, while `busy()`. Neither may throw.
  bool start(std::function<void()> work, std::function<void()> done);
  /// From `start` until just before `done`.
  bool busy() const;

  struct Impl;

 private:
  Loop& loop_;
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
