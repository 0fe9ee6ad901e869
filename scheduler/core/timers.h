#pragma once

// All times that the engine waits for, in one heap. Taking one out in the middle would cost more
// than leaving it: whoever takes it checks whether it still means anything, and when the heap has
// doubled, what means nothing is thrown out at once.

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
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }

  std::optional<MonoTime> next_due() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().due;
  }

  /// The next timer that is due at `now`, taken out; in order of time.
  std::optional<Alarm> take_due(MonoTime now) {
    if (heap_.empty() || heap_.front().due > now) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    Alarm timer = heap_.back();
    heap_.pop_back();
    return timer;
  }

  std::size_t size() const { return heap_.size(); }

  /// Whether so many were set since the last time that a `sweep` is worth its cost.
  bool wants_sweep() const { return heap_.size() >= sweep_at_; }

  /// Throws out what `is_meant` denies.
  template <typename Predicate>
  void sweep(Predicate is_meant) {
    std::erase_if(heap_, [&](const Alarm& alarm) { return !is_meant(alarm); });
    std::make_heap(heap_.begin(), heap_.end(), Later{});
    sweep_at_ = std::max(kSweepMin, 2 * heap_.size());
  }

 private:
  /// A type and not a function, so that the heap's loops have it inside.
  struct Later {
    bool operator()(const Alarm& a, const Alarm& b) const {
      if (a.due != b.due) return a.due > b.due;
      if (a.key != b.key) return a.key > b.key;  // the same order in every run of the same inputs
      return a.kind > b.kind;
    }
  };
  static constexpr std::size_t kSweepMin = 4'096;
  std::vector<Alarm> heap_;
  std::size_t sweep_at_ = kSweepMin;
};

}  // namespace pawl
