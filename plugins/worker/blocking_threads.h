#pragma once

// Threads for work that blocks, kept for the next piece. One piece has one thread; beyond the limit
// pieces wait in the order they came.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pawl {

class BlockingThreads {
 public:
  explicit BlockingThreads(std::size_t threads_max) : threads_max_(threads_max) {}
  /// Waits for what runs; what waits is dropped.
  ~BlockingThreads();
  BlockingThreads(const BlockingThreads&) = delete;
  BlockingThreads& operator=(const BlockingThreads&) = delete;

  /// Any thread. `piece` must not throw. False: no thread is free for it yet.
  bool run(std::function<void()> piece);

 private:
  void work();

  const std::size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ends_ = false;
};

}  // namespace pawl
