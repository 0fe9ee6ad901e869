#pragma once

// What the attempts cost that share the loop's thread. The thread's clock is read at the end of a
// span, not at each of the thousands of calls within it (a reading takes 0.7 µs), and what it says
// is divided evenly among the attempts for which something was done in the span: which began, spoke
// or ended. So the shares add up to what the thread used, and who only waits has none of it.

#include <cstdint>
#include <vector>

#include "scheduler/base/ids.h"

namespace pawl {

/// Of one attempt.
struct LoopShare {
  double cpu_us = 0;
  std::uint64_t span = 0;  ///< the last in which something was done for it
};

/// Pure: the clock is the caller's.
class LoopShares {
 public:
  /// Something is done for the attempt. Once a span is enough.
  void touch(AttemptId attempt, LoopShare& share) {
    if (share.span == span_) return;
    share.span = span_;
    touched_.push_back(attempt);
  }

  bool is_open() const { return !touched_.empty(); }

  /// The span begins now, when the thread has used so much: of what was before nobody had a part.
  void begin(std::int64_t cpu_us) { begun_at_us_ = cpu_us; }

  /// The span ends, when the thread has used so much, and the next one begins. `share_of(attempt)`
  /// is the attempt's share, or null when it is gone.
  template <typename ShareOf>
  void end(std::int64_t cpu_us, const ShareOf& share_of) {
    const double each =
        static_cast<double>(cpu_us - begun_at_us_) / static_cast<double>(touched_.size());
    for (AttemptId attempt : touched_) {
      if (LoopShare* share = share_of(attempt)) share->cpu_us += each;
    }
    touched_.clear();
    begun_at_us_ = cpu_us;
    ++span_;
  }

 private:
  std::vector<AttemptId> touched_;
  std::uint64_t span_ = 1;
  std::int64_t begun_at_us_ = 0;
};

}  // namespace pawl
