#pragma once

// What the templates of a run may name, and what a worker is told of a task. Pure, but
// for the machine's zone data.

#include <string>

#include <nlohmann/json.hpp>

#include "plugins/worker/definition.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/settings.h"
#include "storage/store.h"

namespace pawl {

/// `params` and `run` of job-file templates, as one JSON object. `run.date` is read in the zone of
/// the job's schedule (the first of several), in UTC for a job without one.
nlohmann::json names_of_run(const RunRow& run, const JobSpec& job);

/// The same for its hooks: `run` has `state`, `reason` and `failed` (empty) besides.
nlohmann::json names_of_ended_run(const RunRow& run, const JobSpec& job);

/// The definition of a task of a run, for workers. `context`: JSON text with `params`, `run`,
/// `tasks`.
TaskDefinition definition_of(const RunRow& run, const JobSpec& job, TaskIndex task,
                             const std::string& home, std::string context);

/// Puts the connection that the task names into its parameters, with its secrets' sources. What is
/// in settings is never stored: it is looked up for each definition. Errors: invalid.
Result<void> connect(TaskDefinition& definition, const Settings& settings);

/// Puts in the values of the task's secrets that are variables of this process: a worker that an
/// earlier scheduler started has the variables of that one.
void take_secrets(TaskDefinition& definition);

/// Where the logs of a task's attempts lie.
std::string log_folder(const std::string& home, std::string_view run, std::string_view task);

/// The same over all attempts of a piece of work, and of no other in any home: another one when
/// work that had succeeded is run again.
std::string idempotency_key(const HomeId& home, const RunRow& run, std::string_view task,
                            ItemIndex item, std::int32_t work);

}  // namespace pawl
