#pragma once

// The values of the secrets that a task names. They exist in the worker only.

#include <map>
#include <string>

#include "plugins/worker/definition.h"
#include "scheduler/base/result.h"

namespace pawl {

/// From the scheduler's environment, as the definition has it, or from files, as they are now
/// (relative ones from the job's folder; one line end at the end is not part of the value). Errors:
/// invalid, with the name.
Result<std::map<std::string, std::string>> read_secrets(const TaskDefinition& definition);

}  // namespace pawl
