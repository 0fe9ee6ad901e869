#include "plugins/worker/blocking_threads.h"

#include <utility>

namespace pawl {

BlockingThreads::~BlockingThreads() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
    waiting_.clear();
  }
  more_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool BlockingThreads::run(std::function<void()> piece) {
  std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(piece));
  const bool is_one_idle = waiting_.size() <= idle_;
  if (is_one_idle || threads_.size() >= threads_max_) {
    more_.notify_one();
    return is_one_idle;
  }
  threads_.emplace_back([this] { work(); });
  return true;
}

void BlockingThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    more_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
    --idle_;
    if (ends_) return;
    std::function<void()> piece = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    piece();
    piece = nullptr;
    lock.lock();
  }
}

}  // namespace pawl
