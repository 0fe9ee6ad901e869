#pragma once

// The definition that a run is pinned to, or that a job has now, read from the store.

#include <map>
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

/// Says which attempts run past their `timeout`. Reads each definition once. Refers to what it is
/// given.
class OverdueAttempts {
 public:
  OverdueAttempts(HistoryAccess& access, WallTime now) : access_(access), now_(now) {}
  /// What befalls it, as overdue_text; empty: nothing, or its definition cannot be read. Nothing,
  /// too, of one that was deferred: when it began to run again is not in the history.
  std::string text_of(const AttemptView& attempt);

 private:
  const JobSpec* job_of(RunId run);

  HistoryAccess& access_;
  WallTime now_;
  std::map<RunId, VersionId> versions_;
  std::map<VersionId, std::optional<JobSpec>> jobs_;
};

/// Those without a row alone, for lists. Refers to the history.
UndecidedTasks undecided_tasks(History& history);

}  // namespace pawl
