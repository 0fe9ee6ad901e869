#pragma once

// What the scheduler does about an attempt of the operator `job`, by the runs that its task made
// before. Pure; whoever answers effect::StartAttempt of worker 0 asks it.

#include <cstdint>

#include "scheduler/core/rows.h"

namespace pawl {

enum class CallMove : std::uint8_t {
  begin,     ///< a new run
  go_on,     ///< that run: it is open, or what failed in it runs again
  conclude,  ///< the attempt ends as that run did
};

/// `newest`: the newest run that the task or item made; null: none. `fits`: it is of the job and
/// has the params that the attempt asks for. `stay` and `work` as in effect::StartAttempt.
///
/// One piece of work has one run as long as it is asked for the same: what is tried again, or
/// resumed, goes on in that run, where what succeeded stays. A run that somebody resumed by hand
/// and that succeeded since is taken as it is.
inline CallMove next_call_move(std::int32_t stay, std::int32_t work, const RunRow* newest,
                               bool fits) {
  if (stay > 0)
    return newest != nullptr && !is_final(newest->state) ? CallMove::go_on : CallMove::conclude;
  if (newest == nullptr || !newest->caller || newest->caller->work != work || !fits)
    return CallMove::begin;
  return newest->state == RunState::succeeded ? CallMove::conclude : CallMove::go_on;
}

}  // namespace pawl
