#pragma once

// A thread that ends the process when its loop does not turn: an operator that blocks the loop, or
// spins on it, would otherwise keep all attempts of its host for ever. It is awake only while
// operators are at work. When the loop has ended, `limit_end` watches the rest.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "scheduler/base/time.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/wakeup.h"

namespace pawl {

class LoopWatchdog {
 public:
  /// `on_hang`: called on the watchdog's thread when the loop has not answered for `patience`, a
  /// few asks long; time in which this whole process was stopped does not count.
  LoopWatchdog(Loop& loop, Duration patience, std::function<void()> on_hang);
  ~LoopWatchdog();
  LoopWatchdog(const LoopWatchdog&) = delete;
  LoopWatchdog& operator=(const LoopWatchdog&) = delete;

  /// On the loop: whether there is something that a hang would hold up. Said before it begins, as
  /// it may be what hangs; cheap, also where it changes all the time.
  void watch(bool is_needed);

 private:
  void work();

  const Duration ask_every_;
  std::function<void()> on_hang_;
  Wakeup wakeup_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_needed_ = false;
  bool is_asleep_ = false;
  bool ends_ = false;
  std::atomic<bool> has_answered_{true};
  std::thread thread_;
};

/// This process is at its end, in which libraries have their say, to the destructors of what is
/// static: if it is not gone within `grace`, `on_late` is called, on a thread that outlives
/// everything, so it may use only what is its own. Time in which this whole process was stopped
/// does not count.
void limit_end(Duration grace, std::function<void()> on_late);

}  // namespace pawl
