#pragma once

// What became of the attempts of a dead worker.

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/worker/frames.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/core/input.h"

namespace pawl {

/// Which stay of an attempt a worker was given.
struct StayOfAttempt {
  AttemptId attempt;
  std::int32_t stay = 0;
};

/// How a worker came to be dead.
enum class WorkerDeath {
  unseen,      ///< while no scheduler was connected: its attempts are `interrupted`, not `lost`
  seen,        ///< by the scheduler that asks
  of_silence,  ///< seen, and by its hand: it did not answer any more
};

/// What the journal of a dead worker, and what is left of its processes, say of attempts. Kills
/// what is left of those that had begun, which may take seconds: not for the loop's thread. What is
/// missing in the folder is judged as missing; what is there and cannot be read is an error, of
/// whatever kind, and proves nothing: ask again.
Result<std::vector<AttemptResult>> fate_of_attempts(const std::string& worker_folder,
                                                    const std::string& home, WorkerId worker,
                                                    const std::vector<StayOfAttempt>& attempts,
                                                    WorkerDeath death, WallTime died_at);

/// How a host that is dead ended, as far as it said, with its last words: `crashed with SIGABRT and
/// said "…"`. For people. Not for the loop's thread.
std::string end_of_host(const std::string& worker_folder);

/// A worker's account of an end as the engine's.
AttemptResult result_of(WorkerId worker, const AttemptEnd& end);

}  // namespace pawl
