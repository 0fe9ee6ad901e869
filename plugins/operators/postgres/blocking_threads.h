#pragma once

// A few threads for what libpq and the system offer only as blocking calls: looking up a host's
// name, and asking a server to cancel. They are started when needed and end with this object.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pawl::operators::postgres {

class BlockingThreads {
 public:
  explicit BlockingThreads(std::size_t threads_max) : threads_max_(threads_max) {}
  /// Waits for what was handed over.
  ~BlockingThreads();
  BlockingThreads(const BlockingThreads&) = delete;
  BlockingThreads& operator=(const BlockingThreads&) = delete;

  /// False: too much waits already, and nothing is done. `work` must not throw.
  [[nodiscard]] bool hand_over(std::function<void()> work);

 private:
  static constexpr std::size_t kWaitingMax = 10'000;  // as many attempts as a host has, and more

  void serve();

  const std::size_t threads_max_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::size_t idle_ = 0;
  bool is_closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pawl::operators::postgres
