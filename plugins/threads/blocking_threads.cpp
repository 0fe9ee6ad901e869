#include "plugins/threads/blocking_threads.h"

#include <string>
#include <system_error>
#include <utility>

namespace pawl {

BlockingThreads::~BlockingThreads() {
  {
    const std::scoped_lock lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<bool> BlockingThreads::hand_over(std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() >= limits_.waiting_max) {
    return Error{ErrorKind::failed,
                 std::to_string(waiting_.size()) + " others wait for a thread already"};
  }
  waiting_.push_back(std::move(work));
  bool is_taken = waiting_.size() <= idle_;
  if (!is_taken && threads_.size() < limits_.threads_max) {
    try {
      threads_.emplace_back([this] { serve(); });
      is_taken = true;
    } catch (const std::system_error& error) {
      // The system has no more threads for us. With one of ours the work waits for it.
      if (threads_.empty()) {
        waiting_.pop_back();
        return Error{ErrorKind::failed,
                     std::string("no thread can be started: ") + error.code().message()};
      }
    }
  }
  changed_.notify_one();
  return is_taken;
}

void BlockingThreads::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return is_closing_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace pawl
