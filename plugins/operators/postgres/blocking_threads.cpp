#include "plugins/operators/postgres/blocking_threads.h"

#include <utility>

namespace pawl::operators::postgres {

BlockingThreads::~BlockingThreads() {
  {
    const std::scoped_lock lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool BlockingThreads::hand_over(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() >= kWaitingMax) return false;
  waiting_.push_back(std::move(work));
  if (idle_ < waiting_.size() && threads_.size() < threads_max_) {
    threads_.emplace_back([this] { serve(); });
  }
  changed_.notify_one();
  return true;
}

void BlockingThreads::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return is_closing_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace pawl::operators::postgres
