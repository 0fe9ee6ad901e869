#pragma once

// What became of the attempts of a dead worker.

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/worker/frames.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"
#include "scheduler/core/input.h"

namespace pawl {

/// Which stay of an attempt a worker was given.
struct StayOfAttempt {
  AttemptId attempt;
  std::int32_t stay = 0;
};

/// What the journal of a dead worker, and what is left of its processes, say of attempts. Kills
/// what is left of those that had begun, which may take seconds: not for the loop's thread.
/// `was_watched`: it died while a scheduler was connected (`lost`, not `interrupted`).
std::vector<AttemptResult> fate_of_attempts(const std::string& worker_folder,
                                            const std::string& home, WorkerId worker,
                                            const std::vector<StayOfAttempt>& attempts,
                                            bool was_watched, WallTime now);

/// A worker's account of an end as the engine's.
AttemptResult result_of(WorkerId worker, const AttemptEnd& end);

}  // namespace pawl
