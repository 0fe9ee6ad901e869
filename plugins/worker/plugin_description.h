#pragma once

// What the operators of a plugin are, told by the plugin itself. Runs its code: only in a process
// that may crash.

#include <string>
#include <string_view>
#include <vector>

#include "plugins/worker/manifest.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/operator_catalog.h"

namespace pawl {

/// To be asked before it is opened: a FIFO, for one, is waited for without end. Errors: invalid, it
/// is something else than a file or a link to one; whether it is there at all is not looked at.
Result<void> check_is_file(const std::string& path);

/// Reads `NAME.json`. Errors: invalid, with the file and its first mistake.
Result<Manifest> read_manifest(const std::string& path);

/// Loads a library (`NAME.so`) or reads a manifest (`NAME.json`). Errors: invalid, with the file.
Result<std::vector<OperatorInfo>> describe_plugin(const std::string& path);

}  // namespace pawl
