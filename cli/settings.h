#pragma once

// Settings of a home: one JSON object, `settings.json` in the home unless `serve --settings` names
// another file.

#include <cstdint>
#include <optional>
#include <string>

#include "scheduler/base/result.h"

namespace pawl {

struct Settings {
  std::optional<std::int64_t> default_slots;  ///< `pools.default`: slots of pool `default`
  std::size_t workers = 0;  ///< `workers`: processes that start programs; 0: one per core
};

/// Reads a settings file. A missing one is empty settings, unless it `must_exist`. Errors: invalid
/// (every unknown key and impossible value, by name), not_found.
Result<Settings> read_settings(const std::string& path, bool must_exist);

/// JSON Schema (2020-12) of the settings file.
std::string settings_schema();

}  // namespace pawl
