#pragma once

// What must hold in a store between any two steps.

#include <string>

#include "scheduler/spec/job.h"
#include "tests/sim/model_store.h"

namespace pawl::sim {

/// What does not hold in the store as a whole: counts against rows, live attempts against tasks,
/// owners of open tasks. Empty when all holds.
std::string broken_invariant(const ModelStore& store, RunId run, const JobSpec& job);

}  // namespace pawl::sim
