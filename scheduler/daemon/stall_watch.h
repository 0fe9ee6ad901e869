#pragma once

// Notices that the loop's thread does not come back from a callback, which nothing on that thread
// could tell. A thread of its own that looks at long intervals; a loop that sleeps is not stalled.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "scheduler/base/time.h"
#include "scheduler/loop/loop.h"

namespace pawl {

class StallWatch {
 public:
  /// Looks every `patience`, so a stall is told after one to two of them, and its end after one
  /// more. All three functions are called from the thread of this object.
  StallWatch(std::function<Loop::Pulse()> pulse, Duration patience,
             std::function<std::string()> doing, std::function<void(std::string)> tell);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

 private:
  void watch();
  void look(Loop::Pulse& before);

  const std::function<Loop::Pulse()> pulse_;
  const Duration patience_;
  std::function<std::string()> doing_;
  std::function<void(std::string)> tell_;
  int stalled_looks_ = 0;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace pawl
