#pragma once

// Names of jobs, where somebody gets one wrong.

#include <span>
#include <string_view>

#include "scheduler/base/result.h"

namespace pawl {

/// That there is no such job, and the nearest that there is. `names`: of all jobs.
Error unknown_job(std::string_view name, std::span<const std::string_view> names);

}  // namespace pawl
