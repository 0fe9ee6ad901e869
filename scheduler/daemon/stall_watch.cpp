#include "scheduler/daemon/stall_watch.h"

#include "scheduler/base/text.h"

namespace pawl {

StallWatch::StallWatch(std::function<Loop::Pulse()> pulse, Duration patience,
                       std::function<std::string()> doing, std::function<void(std::string)> tell)
    : pulse_(std::move(pulse)),
      patience_(patience),
      doing_(std::move(doing)),
      tell_(std::move(tell)) {
  thread_ = std::thread([this] { watch(); });
}

StallWatch::~StallWatch() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
}

void StallWatch::watch() {
  Loop::Pulse before = pulse_();
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, patience_, [this] { return is_stopping_; })) look(before);
}

void StallWatch::look(Loop::Pulse& before) {
  const Loop::Pulse now = pulse_();
  // It may have gone to sleep, or woken up, at the very edge of the interval.
  const bool has_turned = now.turns != before.turns || now.idle - before.idle > patience_ / 10;
  before = now;
  const Duration stood = patience_ * stalled_looks_;
  if (has_turned) {
    if (stalled_looks_ > 0)
      tell_("the loop turns again, after " + format_duration(stood) + " or more");
    stalled_looks_ = 0;
    return;
  }
  // The first time, and then each time that it has doubled.
  ++stalled_looks_;
  const bool is_power_of_two = (stalled_looks_ & (stalled_looks_ - 1)) == 0;
  if (!is_power_of_two) return;
  tell_("the loop has stood still for " + format_duration(patience_ * stalled_looks_) +
        ": nothing starts and nobody is answered. Its last input: " + doing_());
}

}  // namespace pawl
