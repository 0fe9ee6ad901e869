#pragma once

// The timers of one loop in order of time, on one descriptor. For the files of this folder only.

#include <cstdint>
#include <map>
#include <utility>

#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class TimerQueue {
 public:
  /// Time, then the order of arming.
  using Key = std::pair<MonoTime, std::uint64_t>;

  explicit TimerQueue(Loop& loop);

  Key add(MonoTime when, Timer::Impl* timer);
  void remove(Key key);
  /// Sees to it that the kernel's timer fires at the first time, or before. Called once a turn,
  /// before the loop sleeps, so that timers that are armed and cancelled within a turn cost no
  /// system call.
  void arm();

 private:
  void fire();

  Fd fd_;
  Poll poll_;
  std::map<Key, Timer::Impl*> timers_;
  std::uint64_t armings_ = 0;
  MonoTime armed_for_;  ///< what the kernel's timer is set to; kNever when it is not
};

}  // namespace pawl
