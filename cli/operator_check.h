#pragma once

// `pawl operators check FILE`: does a plugin keep its side of the contract?

#include "cli/session.h"
#include "plugins/worker/conformance.h"

namespace pawl {

/// One line per check. The exit code: 0, or 1 when one failed.
int check_operators(const Session& session, const ConformanceSubject& subject);

}  // namespace pawl
