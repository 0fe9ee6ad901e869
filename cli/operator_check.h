#pragma once

// `pawl operators check FILE`: does a plugin keep its side of the contract?

#include "cli/output.h"
#include "cli/session.h"
#include "plugins/worker/conformance.h"

namespace pawl {

/// One line per check, for people as it comes. The exit code: 0, or 1 when one failed.
int check_operators(const Session& session, const ConformanceSubject& subject,
                    const OutputOptions& output);

}  // namespace pawl
