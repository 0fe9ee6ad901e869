#pragma once

// That a restart changes nothing: an engine restored from the store is the one that is there.

#include <cstdint>
#include <map>
#include <string>

#include "scheduler/core/engine.h"
#include "tests/sim/model_store.h"
#include "tests/sim/service.h"

namespace pawl::sim {

/// How an engine restored from the store would differ from this one, which has settled; empty: not.
std::string difference_after_restart(const Engine& engine, const ModelStore& store,
                                     const std::map<VersionId, JobSpec>& jobs,
                                     const std::map<std::string, Served>& served, Now now,
                                     std::int64_t default_slots);

}  // namespace pawl::sim
