#pragma once

// A thread that ends the process when its loop does not turn: an operator that blocks the loop, or
// spins on it, would otherwise keep all attempts of its host for ever. It asks every few seconds,
// whether there are attempts or not, because operators have timers and calls of their own, and the
// next attempt would wait behind them. When the loop has ended, `limit_end` watches the rest.

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

 private:
  void work();

  const Duration ask_every_;
  std::function<void()> on_hang_;
  Wakeup wakeup_;
  std::mutex mutex_;
  std::condition_variable changed_;
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
