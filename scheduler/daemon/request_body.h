#pragma once

// What the bodies of commands hold, by route. Looked at before anything of them is read: what is
// misspelled or of another type must not be ignored, because then something else is done than was
// asked for.

#include <string_view>

#include <nlohmann/json.hpp>

#include "scheduler/base/result.h"

namespace pawl {

/// Whether all members of the body of a POST to `path`, and those of its targets and options, are
/// known and of their type; null counts as missing. Of a path that is no route nothing is asked.
/// Errors: invalid, with the member and the nearest known word.
Result<void> check_body(std::string_view path, const nlohmann::json& body);

}  // namespace pawl
