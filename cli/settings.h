#pragma once

// Which settings hold for verbs that look at jobs.

#include "cli/session.h"
#include "scheduler/base/result.h"
#include "scheduler/daemon/settings_file.h"

namespace pawl {

/// The file of the scheduler that is up; with none, `settings.json` of the session's home.
Result<SettingsFile> settings_file_of(const Session& session);

/// What it says. Errors: those of read_settings.
Result<ParsedSettings> settings_of(const Session& session, const OperatorCatalog* operators);

}  // namespace pawl
