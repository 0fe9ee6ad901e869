#pragma once

// What one process uses in a span of its life, in which one attempt has it for itself.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <ctime>

#include "plugins/worker/attempt_end.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// The most memory it had. The kernel keeps one peak of a process, so no two spans overlap.
class PeakMeter {
 public:
  /// Of a shorter span the memory is not looked at: that would take a third of it.
  static constexpr std::chrono::milliseconds kMemoryFrom{1};

  /// Of this process, or of a child that is not reaped.
  explicit PeakMeter(pid_t pid);

  /// A span begins, and the one before is forgotten.
  void begin();

  /// From `begin` to now, its own without that of children. 0: it cannot be said.
  std::int64_t bytes() const;

  /// No less than that, whatever else went on in the process, and cheap where it holds what it
  /// held: `faults` are its page faults up to now, without which it does not grow. 0: it cannot be
  /// said.
  std::int64_t bound(std::uint64_t faults);

 private:
  using Moment = std::chrono::steady_clock::time_point;

  Fd status_;
  Fd clear_refs_;
  bool is_of_span_ = false;
  Moment began_at_;

  // Of the last look for a bound.
  std::int64_t bound_ = 0;
  std::uint64_t faults_ = 0;
  bool is_new_span_ = false;  ///< one has begun since
  bool is_of_all_ = false;    ///< it had no faults in its span: what it found is no peak of before
  Moment looked_at_;
};

/// Page faults of all threads of this process, ever.
std::uint64_t own_faults();

/// What a warm program uses that has one attempt after the other.
class ProcessMeter {
 public:
  /// Of a child that is not reaped.
  explicit ProcessMeter(pid_t pid);

  /// An attempt begins. With it a span, and the one before is forgotten; unless the process has
  /// others: then the span is theirs together, and of each but a bound of its memory is known.
  void begin(bool has_others);
  /// Whether several attempts share the span.
  bool is_shared() const { return is_shared_; }

  /// Up to now, of a process that is not reaped. `told_bound`: of its memory, by its own word; 0:
  /// none, and it is looked at where its peak cannot be told. CPU is its own to the microsecond,
  /// and that of children it has waited for in hundredths of a second; memory is its own.
  ResourceUse end(std::int64_t told_bound);

  /// Up to its death. `life`: what the kernel says of all its life, whose peak may be that of
  /// children of any span, so it is more than a bound only where there was but one.
  ResourceUse end(const ResourceUse& life) const;

 private:
  std::int64_t own_cpu_us() const;

  clockid_t clock_{};
  Fd stat_;
  PeakMeter peak_;
  int spans_ = 0;
  bool is_shared_ = false;
  std::int64_t own_cpu_at_begin_us_ = 0;
  std::int64_t children_cpu_us_ = 0;  ///< when a span ended last
};

}  // namespace pawl
