#include "plugins/worker/loop_watchdog.h"

#include <system_error>
#include <utility>

namespace pawl {
namespace {

/// The loop is asked, or the time looked at, so often within the patience. A process that was
/// stopped wakes up to one question that is not answered, never to all of them.
constexpr int kAsks = 6;

}  // namespace

LoopWatchdog::LoopWatchdog(Loop& loop, Duration patience, std::function<void()> on_hang)
    : ask_every_(patience / kAsks),
      on_hang_(std::move(on_hang)),
      wakeup_(loop, [this] { has_answered_ = true; }),
      thread_([this] { work(); }) {}

LoopWatchdog::~LoopWatchdog() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LoopWatchdog::work() {
  std::unique_lock lock(mutex_);
  int unanswered = 0;
  while (!ends_) {
    has_answered_ = false;
    wakeup_.wake();
    changed_.wait_for(lock, ask_every_, [this] { return ends_; });
    unanswered = has_answered_ ? 0 : unanswered + 1;
    if (!ends_ && unanswered >= kAsks) {
      lock.unlock();
      on_hang_();
      lock.lock();
      unanswered = 0;
    }
  }
}

void limit_end(Duration grace, std::function<void()> on_late) {
  const auto look = [grace, on_late = std::move(on_late)] {
    for (int i = 0; i < kAsks; ++i) std::this_thread::sleep_for(grace / kAsks);
    on_late();
  };
  try {
    std::thread(look).detach();
  } catch (const std::system_error&) {
    // Where there is no thread to be had, nobody looks.
  }
}

}  // namespace pawl
