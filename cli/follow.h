#pragma once

// Waits for a run and shows how it goes.

#include <memory>
#include <string>
#include <vector>

#include "cli/port.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signals.h"

namespace pawl {

/// Runs that one command follows, one after the other: what a person does to one is meant for all.
struct Together {
  std::vector<std::string> runs;  ///< full names
  int obeyed = 0;                 ///< of the interrupts so far
};

struct FollowOptions {
  /// Ctrl-C pauses the runs, again cancels them, a third time kills them. False: it only ends the
  /// wait.
  bool owns_run = false;
  /// Nothing is shown while it goes.
  bool quiet = false;
};

struct Followed {
  enum class How {
    ended,   ///< the run is final
    paused,  ///< it is paused and nothing of it runs
    left,    ///< a signal ended the wait; the run goes on, or waits to be adopted
  };
  How how = How::ended;
  RunProgress run;
  bool interrupted = false;  ///< Ctrl-C had a part in it
  int signal = 0;            ///< of `left`: SIGINT, SIGTERM, SIGHUP
};

/// Until the run, one of `together`, ends, or is paused and quiet, or a signal ends the wait.
/// `port` may be replaced: a scheduler that goes is followed by the next one. Errors: those of
/// `ask`.
Result<Followed> follow_run(const Session& session, std::unique_ptr<Port>& port,
                            const std::string& run, const SignalWatch& signals,
                            const FollowOptions& options, Together& together);

/// How far the run is. Errors: those of `ask`.
Result<RunProgress> look_at(const Session& session, std::unique_ptr<Port>& port,
                            const std::string& run);

}  // namespace pawl
