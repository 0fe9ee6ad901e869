#pragma once

// The operator `python`: interpreters that stay warm, a pool for each combination of interpreter,
// threads, import folders and what else holds for an interpreter's whole life.

#include <memory>
#include <string>
#include <string_view>

#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "plugins/worker/program_spec.h"
#include "plugins/worker/python_schema.h"
#include "scheduler/base/result.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// The text of plugins/operators/python/pawl_python.py.
std::string_view python_program();

/// `program` is the path of a file that holds `python_program()`. `processes`: how many
/// interpreters where a task does not say.
std::unique_ptr<ProgramSource> python_source(std::string program, int processes);

/// The operator. The program is written to `folder`, which is the host's own. Errors: storage.
Result<std::unique_ptr<OperatorBackend>> make_python_operator(Loop& loop, ProgramHost& host,
                                                              const std::string& folder,
                                                              OperatorEvents& events);

}  // namespace pawl
