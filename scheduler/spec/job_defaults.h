#pragma once

// What the settings say for all jobs, and how it gets into a job.

#include <string>
#include <string_view>

#include "scheduler/spec/document.h"

namespace pawl {

/// The text of a job with the defaults of all jobs in it: objects merge key by key, the job's own
/// keys win and its nulls remove; hooks go behind the job's own; a secret is replaced as a whole;
/// schedules without a time zone get the one of the settings. `defaults` as in ParseOptions.
std::string with_job_defaults(Json job, const std::string& defaults);

}  // namespace pawl
