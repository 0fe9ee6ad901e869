#pragma once

// Limits of tasks (`resources`), and by which means they are kept.

#include <vector>

#include "cli/history_access.h"
#include "cli/session.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/plan.h"

namespace pawl {

/// What the kernel keeps for attempts that start now, as the settings have it; with settings that
/// cannot be read, as without any.
KernelLimits kernel_limits_now(const Session& session);

/// The limits of a task, as resources_json has them: who keeps them where its last attempt runs, or
/// would keep them for the next one. Empty without limits. Errors: as stored_job.
Result<Json> limits_of_task(const Session& session, HistoryAccess& access, const Named& named,
                            const std::vector<AttemptView>& attempts);

}  // namespace pawl
