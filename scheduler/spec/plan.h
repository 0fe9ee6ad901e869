#pragma once

// What a run of a job would do, without doing it: `pawl plan`.

#include <span>
#include <string>
#include <string_view>

#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"

namespace pawl {

/// Which limits of `resources` the kernel keeps on a machine. The others are kept by looking at the
/// processes.
struct KernelLimits {
  bool memory = false;
  bool pids = false;
};

/// The limits that are set, and `kept_by`: of each, who keeps it on this machine (`control group`,
/// `looks`: at the processes, `system`). Empty without limits.
Json resources_json(const Resources& limits, KernelLimits kept);

/// `memory 512.0 MiB, pids 100 (kept by the kernel, in a control group); nice 5` of it; empty of
/// none.
std::string resources_text(const Json& resources);

/// The plan as one JSON object: `job`, `params`, `timeout`, `tasks` in topological order (`id`,
/// `level`, `operator`, `depends_on`, `trigger_rule`, `retry_delays_seconds`, every setting with
/// defaults filled in, `command` when it can be rendered before the run), `hooks`, `warnings`.
/// `params` is what `resolve_params` gave; secrets are shown as `***`. `kept`: `resources.kept_by`
/// says of each limit who keeps it here.
Json plan_json(const JobSpec& job, std::string_view params,
               std::span<const Diagnostic> diagnostics = {}, KernelLimits kept = {});

/// The same for people.
std::string plan_text(const Json& plan);

}  // namespace pawl
