#pragma once

// What verbs that make work happen have in common: telling which run it is, waiting for it, and
// the screen at its end.

#include <string>
#include <vector>

#include "cli/ending.h"
#include "cli/follow.h"
#include "cli/history_access.h"
#include "cli/output.h"
#include "cli/port.h"
#include "cli/when.h"

namespace pawl {

/// The way to a scheduler for verbs that start runs of jobs which a home knows.
struct WayToHome {
  Reach reach = Reach::any;
  std::unique_ptr<Port> port;
};

/// Opens it. `detach`: only to a scheduler that is up. Errors: as those of require_home and
/// open_port.
Result<WayToHome> open_known_home(const Session& session, bool detach);

/// The history for a verb that changes. A store of an older pawl is brought up to date by whoever
/// serves the home: this process, when nobody else does and `reach` lets it. Errors: those of
/// HistoryAccess::open and open_port.
Result<HistoryAccess> open_to_change(const Session& session, Reach reach);

/// The clock as the job's schedule reads it: a time of the job without a zone is one of the zone of
/// its first schedule; without a schedule, or when the home does not know the job, of the user's.
/// Errors: storage, invalid.
Result<Here> here_of_job(const Session& session, const std::string& job);

/// The time that the option `--KEY` gives, in UTC; without a zone, one of `here`. Errors: invalid.
Result<std::string> utc_of_option(const Here& here, std::string_view key, const std::string& text);

/// The error of `utc_of_option`, whatever the clock and the calendar; an option not given has none.
Result<void> check_time_option(std::string_view key, const std::string& text);

/// How a run that was just made, or opened again, is seen through.
struct Watch {
  bool wait = false;      ///< follow it although somebody else runs it
  bool owns_run = false;  ///< Ctrl-C pauses it, whoever runs it
  bool quiet = false;     ///< no progress
  bool lists = false;     ///< with `-o json`, one array instead of the object of a run
};

/// Prints the full ids to standard output, one per line; with `-o json` nothing: the object comes
/// at the end. On a terminal a single run is named by its first line of progress instead.
void print_run_ids(const Session& session, const OutputOptions& output,
                   const std::vector<std::string>& runs);

/// Follows the runs, one after the other, where this process is the scheduler or `wait` says so;
/// prints how each ended, or for programs its object. Ctrl-C is meant for all of them. Then stays
/// for what others handed over. The exit code: the worst of them.
Result<int> see_through(const Session& session, std::unique_ptr<Port>& port,
                        const OutputOptions& output, const std::vector<std::string>& runs,
                        const Watch& watch);

/// For verbs that may set a run going again as a consequence: where this process is the scheduler,
/// stays for those of `runs` that go on. The exit code: the worst of them.
Result<int> see_open_through(const Session& session, std::unique_ptr<Port>& port,
                             const std::vector<std::string>& runs);

/// The formats of verbs that make runs.
std::vector<Format> run_formats();

}  // namespace pawl
