#pragma once

// All times that the engine waits for, in one heap. An entry is never removed before it is due:
// whoever takes it checks whether it still means anything.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "scheduler/core/rows.h"

namespace pawl {

struct Alarm {
  MonoTime due;
  TaskKey key;
  TimerKind kind = TimerKind::retry;
  std::uint32_t stamp = 0;  ///< of the work it was set for; another stamp there: it means nothing
};

class Timers {
 public:
  void set(const Alarm& timer) {
    heap_.push_back(timer);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::optional<MonoTime> next_due() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().due;
  }

  /// The next timer that is due at `now`, taken out; in order of time.
  std::optional<Alarm> take_due(MonoTime now) {
    if (heap_.empty() || heap_.front().due > now) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Alarm timer = heap_.back();
    heap_.pop_back();
    return timer;
  }

  std::size_t size() const { return heap_.size(); }

 private:
  static bool later(const Alarm& a, const Alarm& b) {
    if (a.due != b.due) return a.due > b.due;
    return a.key > b.key;  // the same order in every run of the same inputs
  }
  std::vector<Alarm> heap_;
};

}  // namespace pawl
