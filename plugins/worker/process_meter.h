#pragma once

// What one process uses in a span of its life: a warm program that has one attempt after the other.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <ctime>

#include "plugins/worker/attempt_end.h"
#include "scheduler/loop/fd.h"

namespace pawl {

class ProcessMeter {
 public:
  /// Of a shorter span the memory is not looked at: that would take a third of it.
  static constexpr std::chrono::milliseconds kMemoryFrom{1};

  /// Of a child that is not reaped.
  explicit ProcessMeter(pid_t pid);

  /// A span begins, and the one before is forgotten.
  void begin();

  /// Up to now, of a process that is not reaped. CPU is its own to the microsecond, and that of
  /// children it has waited for in hundredths of a second; memory is its own.
  ResourceUse end();

  /// Up to its death. `life`: what the kernel says of all its life, whose peak may be that of
  /// children of any span, so it counts only where there was but one.
  ResourceUse end(const ResourceUse& life) const;

 private:
  std::int64_t own_cpu_us() const;

  clockid_t clock_{};
  Fd stat_;
  Fd status_;
  Fd clear_refs_;
  int spans_ = 0;
  bool is_peak_of_span_ = false;
  std::chrono::steady_clock::time_point began_at_;
  std::int64_t own_cpu_at_begin_us_ = 0;
  std::int64_t children_cpu_us_ = 0;  ///< when a span ended last
};

}  // namespace pawl
