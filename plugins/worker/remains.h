#pragma once

// Ends what a dead worker of this boot left running, so that a next attempt never meets it.
//
// A process belongs to an attempt when it is the program that the journal names (pid and start
// time), is in the session that this program leads or led, or carries the attempt's mark in its
// limits or its variables in its environment (process_table.h). What carries the mark of a warm
// program of the worker was started for one of its attempts, and nobody knows for which; so was
// what carries that of the worker itself, which the libraries of a host have started. Before the
// signal the identity is read again behind a pidfd, so a reused pid is never hit. A copy of a home,
// whose journals name the programs of the original, ends none of them.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plugins/worker/journal.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

struct Remains {
  std::vector<AttemptId> alive;  ///< attempts that still had a process at the deadline, ascending
  std::size_t killed = 0;        ///< processes that were sent SIGKILL
  bool all_gone() const { return alive.empty(); }
};

/// Kills what is left of the attempts and of the worker's warm programs, and waits until it is
/// gone, at most `patience`. `attempts` are those of the dead worker's journal that began and did
/// not end, and those assigned to it that a damaged journal may have held (without `spawned`).
/// `home` is absolute, as in PAWL_HOME; `worker` is the worker's folder in it. Blocks: call it on a
/// thread that may. Errors: failed (the processes cannot be listed, so nothing is known of them).
Result<Remains> kill_remains(const std::string& home, const std::string& worker,
                             const std::vector<JournalAttempt>& attempts, Duration patience);

}  // namespace pawl
