#pragma once

// The memory of an attempt that has its host for itself: what the process had meanwhile is what it
// took. One that shares it with others took no more than that.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "plugins/worker/process_meter.h"
#include "scheduler/base/ids.h"

namespace pawl {

/// Loop thread.
class LoneAttempt {
 public:
  /// One begins, with so many others at work in this process.
  void begins(AttemptId attempt, std::size_t others) {
    alone_.reset();
    if (others > 0) return;
    alone_ = attempt;
    peak_.begin();
  }

  /// The peak of this process's memory, in bytes, from the beginning of the attempt to now. 0: it
  /// was not alone all the time, or was too short to be looked at.
  std::int64_t ends(AttemptId attempt) {
    if (alone_ != attempt) return 0;
    alone_.reset();
    return peak_.bytes();
  }

  /// The most memory that this process had, in bytes, since it last had nothing to do. 0: it cannot
  /// be said.
  std::int64_t bound() { return peak_.bound(own_faults()); }

 private:
  PeakMeter peak_{::getpid()};
  std::optional<AttemptId> alone_;
};

}  // namespace pawl
