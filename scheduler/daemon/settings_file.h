#pragma once

// The settings of a home as a file: `settings.json` in it, or the one that `serve --settings`
// names.

#include <string>

#include "scheduler/base/result.h"
#include "scheduler/spec/settings.h"

namespace pawl {

struct SettingsFile {
  std::string path;         ///< absolute
  bool must_exist = false;  ///< else a missing one is the defaults
};

/// That of a home when nobody names another.
SettingsFile settings_file_of(const std::string& home);

/// Reads it. `operators`: what connections may be for; null: any. Errors: not_found, invalid (may
/// not be read, or everything that is wrong with it, a line each), home_unusable (it is a home's
/// and the home cannot be entered). Blocks on the file system.
Result<ParsedSettings> read_settings(const SettingsFile& file, const OperatorCatalog* operators);

}  // namespace pawl
