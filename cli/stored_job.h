#pragma once

// The definition that a run is pinned to, or that a job has now, read from the store.

#include <optional>
#include <string>

#include "cli/history_access.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// Errors: storage; invalid when this version of pawl cannot read what an older one accepted.
Result<JobSpec> stored_job(HistoryAccess& access, VersionId version);

/// The text of a definition; empty when there is none.
Result<std::string> stored_definition(HistoryAccess& access, VersionId version);

/// The tasks of a run as they are. Those that have no row yet wait, or are queued for their first
/// slot: that follows from their upstreams.
Result<std::vector<TaskView>> all_tasks(HistoryAccess& access, const RunRow& run,
                                        const JobSpec& job);

/// One of them; nothing of a hook that has no row yet.
Result<std::optional<TaskView>> one_task(HistoryAccess& access, const RunRow& run,
                                         const JobSpec& job, TaskIndex task);

/// Those without a row alone, for lists. Refers to the history.
UndecidedTasks undecided_tasks(History& history);

}  // namespace pawl
