#pragma once

// What one process uses in a span of its life: a warm program that has one attempt after the other.

#include <sys/types.h>

#include <cstdint>
#include <ctime>

#include "plugins/worker/attempt_end.h"

namespace pawl {

class ProcessMeter {
 public:
  /// Of a child that is not reaped.
  explicit ProcessMeter(pid_t pid);

  /// A span begins, and the one before is forgotten. Some microseconds, as `end`.
  void begin();

  /// Up to now, of a process that is not reaped. CPU is its own to the microsecond, and that of
  /// children it has waited for in hundredths of a second; memory is its own.
  ResourceUse end() const;

  /// Up to its death. `life`: what the kernel says of all its life, whose peak may be that of
  /// children of any span, so it counts only where there was but one.
  ResourceUse end(const ResourceUse& life) const;

 private:
  /// Since it was born.
  std::int64_t cpu_us() const;

  pid_t pid_;
  clockid_t clock_{};
  int spans_ = 0;
  bool is_peak_of_span_ = false;
  std::int64_t cpu_at_begin_us_ = 0;
};

}  // namespace pawl
