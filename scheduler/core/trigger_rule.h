#pragma once

// When a task may run, given what came of its upstreams. The rules are Airflow's, made independent
// of the order in which upstreams end (docs/states.md has the table).

#include <cstdint>

#include "scheduler/core/states.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// The upstreams of a task, counted by what came of them.
struct Tally {
  std::uint32_t open = 0;
  std::uint32_t succeeded = 0;
  std::uint32_t failed = 0;           ///< failed, upstream_failed, held, cancelled
  std::uint32_t upstream_failed = 0;  ///< those of `failed` that never ran for that reason
  std::uint32_t skipped = 0;

  /// Counts one upstream in (`by` 1) or out (`by` -1).
  void add(TaskState state, int by);
  std::uint32_t total() const { return open + succeeded + failed + skipped; }
};

enum class Decision : std::uint8_t { wait, run, upstream_failed, skip };

/// What the rule says. A task without upstreams runs.
Decision decide(TriggerRule rule, const Tally& tally);

}  // namespace pawl
