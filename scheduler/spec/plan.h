#pragma once

// What a run of a job would do, without doing it: `pawl plan`.

#include <span>
#include <string>
#include <string_view>

#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"

namespace pawl {

/// The plan as one JSON object: `job`, `params`, `timeout`, `tasks` in topological order (`id`,
/// `level`, `operator`, `depends_on`, `trigger_rule`, `retry_delays_seconds`, every setting with
/// defaults filled in, `command` when it can be rendered before the run), `hooks`, `warnings`,
/// `not_yet_available`. `params` is what `resolve_params` gave; secrets are shown as `***`.
Json plan_json(const JobSpec& job, std::string_view params,
               std::span<const Diagnostic> diagnostics = {});

/// The same for people.
std::string plan_text(const Json& plan);

}  // namespace pawl
