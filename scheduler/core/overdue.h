#pragma once

// Attempts whose `timeout` is over and that have not ended: their worker ends them. Pure.

#include <string>

#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// What befalls an attempt of that task that has run for `lasted`, since when and until when; empty
/// while it is within its `timeout`, or has none, and of one that waits for a run of another job.
std::string overdue_text(const TaskSpec& task, Duration lasted);

}  // namespace pawl
