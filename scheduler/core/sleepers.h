#pragma once

// The items of one mapped task that wait for their time: for a retry, or until they are looked at
// again. There may be millions, so each is 56 bytes and nothing points at it; whoever comes first
// is at the front.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "scheduler/core/rows.h"

namespace pawl {

struct Sleeper {
  MonoTime wake;       ///< of its retry or deferral, or of its total time-out if that is earlier
  MonoTime total_due;  ///< 0: no total time-out runs
  WallTime queued_at;
  WallTime started_at;
  AttemptId live;  ///< 0: none
  std::uint32_t item = 0;
  std::int32_t attempts = 0;
  std::int32_t detail = 0;
  std::uint16_t uncounted = 0;  ///< attempts that do not count
  TaskState state = TaskState::retrying;
  Reason reason = Reason::none;
};
static_assert(sizeof(Sleeper) == 56);

class Sleepers {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  /// When the first one wakes; there is one.
  MonoTime next_wake() const { return heap_.front().wake; }

  void add(const Sleeper& sleeper) {
    heap_.push_back(sleeper);
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }

  /// The one that wakes first; there is one.
  Sleeper take_first() {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    const Sleeper sleeper = heap_.back();
    heap_.pop_back();
    return sleeper;
  }

  /// All of them, those with the highest numbers first.
  std::vector<Sleeper> take_all() {
    std::vector<Sleeper> all(heap_.begin(), heap_.end());
    heap_.clear();
    std::sort(all.begin(), all.end(),
              [](const Sleeper& a, const Sleeper& b) { return a.item > b.item; });
    return all;
  }

  /// Those of these items (ascending) that sleep, ascending. Looks once at all that sleep, however
  /// few are wanted: for what people ask about items by their numbers.
  std::vector<Sleeper> take(const std::vector<std::uint32_t>& items) {
    const auto first = std::partition(heap_.begin(), heap_.end(), [&items](const Sleeper& s) {
      return !std::binary_search(items.begin(), items.end(), s.item);
    });
    std::vector<Sleeper> taken(first, heap_.end());
    if (taken.empty()) return taken;  // nothing moved, and the order holds
    heap_.erase(first, heap_.end());
    std::make_heap(heap_.begin(), heap_.end(), Later{});
    std::sort(taken.begin(), taken.end(),
              [](const Sleeper& a, const Sleeper& b) { return a.item < b.item; });
    return taken;
  }

 private:
  /// The same order in every run of the same inputs.
  struct Later {
    bool operator()(const Sleeper& a, const Sleeper& b) const {
      return a.wake != b.wake ? a.wake > b.wake : a.item > b.item;
    }
  };
  /// In chunks: doubling a vector would cost as much again.
  std::deque<Sleeper> heap_;
};

}  // namespace pawl
