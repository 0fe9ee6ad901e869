#pragma once

// What is said when a run has ended: one line for a success; for a failure what failed, grouped by
// error, the end of a log, and the commands that lead on.

#include "cli/follow.h"
#include "cli/session.h"

namespace pawl {

/// Prints the screen to standard error and returns the exit code: 0 succeeded, 1 failed, cancelled
/// or paused by somebody, 130 after Ctrl-C.
int print_ending(const Session& session, const Followed& followed, bool beside_scheduler);

}  // namespace pawl
