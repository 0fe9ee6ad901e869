#pragma once

// Runs that failed by themselves (failed_by_itself), whatever became of their tasks. Private to
// storage.

#include <vector>

#include "storage/history_sql.h"
#include "storage/row_reader.h"

namespace pawl {

/// Whether such runs may be among what is chosen.
bool chooses_failed_runs(const Selector& selector, const std::vector<Named>& names);

inline constexpr const char* kFailedRunView =
    "SELECT r.id, r.name, r.job, r.started_at, r.ended_at, r.params, r.reason";

/// Reads kFailedRunView.
TaskView read_failed_run(RowReader& reader);

/// From there on a query of those runs, `r`, in the words of the index run_unresolved.
void add_failed_runs(Query& query, const Selector& selector, const std::vector<Named>& names);

}  // namespace pawl
