#pragma once

// Runs, explanations and pools as the JSON of the control socket. Pure.

#include <nlohmann/json.hpp>

#include "scheduler/core/engine.h"

namespace pawl {

/// How far a run is: the answer of GET /v1/runs/NAME/follow, without `version`, `ended` and
/// `scheduler_pid`.
nlohmann::json progress_json(const RunView& view, const JobSpec& job, WallTime now);

/// The same of a run that is not in memory.
RunView view_of(const RunSnapshot& snapshot, const JobSpec& job);

nlohmann::json explanation_json(const Engine& engine, const std::vector<Explanation>& reasons);
nlohmann::json pools_json(const Engine& engine, Now now);
nlohmann::json counts_json(const Counts& counts);

}  // namespace pawl
