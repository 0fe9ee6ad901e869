#pragma once

// Explanations, pools and counts as the JSON of the control socket. Pure.

#include <nlohmann/json.hpp>

#include "scheduler/core/engine.h"

namespace pawl {

nlohmann::json explanation_json(const Engine& engine, const std::vector<Explanation>& reasons);
nlohmann::json pools_json(const Engine& engine, Now now);
nlohmann::json counts_json(const Counts& counts);

}  // namespace pawl
