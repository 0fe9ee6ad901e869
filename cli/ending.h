#pragma once

// What is said when a run has ended: one line for a success; for a failure what failed, grouped by
// error, the end of a log, and the commands that lead on.

#include "cli/follow.h"
#include "cli/session.h"

namespace pawl {

/// Prints the screen to standard error and returns the exit code: 0 succeeded, 1 failed, cancelled
/// or paused by somebody, 130 after Ctrl-C. `was_scheduler`: the run was this process's own.
int print_ending(const Session& session, const Followed& followed, bool was_scheduler);

}  // namespace pawl
