#pragma once

// Threads for work that blocks, so that a loop need not. They are started when work needs them,
// kept for the next piece, and end with this object.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "scheduler/base/result.h"

namespace pawl {

class BlockingThreads {
 public:
  struct Limits {
    std::size_t threads_max = 1;
    std::size_t waiting_max = 1;  ///< pieces of work that no thread has taken yet
  };

  explicit BlockingThreads(Limits limits) : limits_(limits) {}
  /// Waits for all that was handed over.
  ~BlockingThreads();
  BlockingThreads(const BlockingThreads&) = delete;
  BlockingThreads& operator=(const BlockingThreads&) = delete;

  /// Any thread. Each piece has one thread; pieces begin in the order they came. `work` must not
  /// throw. True: a thread takes it at once; false: it waits for one. Errors: failed, and nothing
  /// is done: too much waits, or the system gives not a single thread.
  Result<bool> hand_over(std::function<void()> work);

 private:
  void serve();

  const Limits limits_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool is_closing_ = false;
};

}  // namespace pawl
