#pragma once

// What is kept of history. An ended run is taken away in one transaction with its row in `run`,
// without which no reader sees anything of it; `doomed` remembers it. Its rows then go in bounded
// steps, its files last. A kill between any two of these leaves work for the next step, never a
// run that is half there.

#include <span>
#include <string>
#include <vector>

#include "storage/database.h"
#include "storage/store.h"

namespace pawl {

/// One step; see Store::prune. On the writer's connection.
Result<PruneStep> prune_step(Database& database, const PruneRequest& request);

/// Names of the runs that steps would take away in all, in that order. Only reads: any connection
/// serves.
Result<std::vector<std::string>> prunable(Database& database, const PruneRequest& request);

/// Doomed runs without rows; see Store::pruned.
Result<std::vector<PrunedRun>> pruned_runs(Database& database, std::size_t limit);
Result<void> forget_pruned(Database& database, std::span<const RunId> runs);

}  // namespace pawl
