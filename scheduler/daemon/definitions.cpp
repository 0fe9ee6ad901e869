#include "scheduler/daemon/definitions.h"

#include <sys/resource.h>

#include <system_error>
#include <thread>

namespace pawl {

ParseOptions parse_options(const std::string& folder, const OperatorCatalog* operators,
                           const Settings* settings) {
  ParseOptions options;
  options.operators = operators;
  options.folder = folder;
  if (settings != nullptr) apply(*settings, options);
  options.zone = zone_named;
  if (operators != nullptr) options.may_have_nice = may_have_nice;
  return options;
}

/// By trying: capabilities, user namespaces and RLIMIT_NICE all have a say. Priorities are those of
/// threads, so a thread that ends at once takes it along.
bool may_have_nice(int nice) {
  if (nice >= getpriority(PRIO_PROCESS, 0)) return true;
  bool may = true;
  try {
    std::thread([&] { may = setpriority(PRIO_PROCESS, 0, nice) == 0; }).join();
  } catch (const std::system_error&) {
    // No room for a thread: then the start of the program tells.
  }
  return may;
}

std::optional<cctz::time_zone> zone_named(std::string_view name) {
  // That one differs from machine to machine, and would move a job's fires with it.
  if (name == "localtime") return std::nullopt;
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

ParseOptions stored_options(const std::string& folder) {
  // What was accepted once stays readable: a zone that the machine has lost since is no reason.
  ParseOptions options;
  options.folder = folder;
  options.any_pool = true;
  return options;
}

Result<JobSpec> read_definition(const JobVersionRow& row) {
  ParseResult parsed = parse_job(row.body, stored_options(row.folder));
  if (parsed.ok) return std::move(parsed.job);
  const std::string why =
      parsed.diagnostics.empty() ? "unreadable" : parsed.diagnostics.front().message;
  return Error{ErrorKind::invalid,
               "the stored definition of " + row.job + " cannot be read by this version: " + why};
}

bool may_say_retention(const JobVersionRow& row) {
  return row.body.find("\"retention\"") != std::string::npos;
}

std::optional<OwnRetention> own_retention(const JobVersionRow& row) {
  if (!may_say_retention(row)) return std::nullopt;
  const Result<JobSpec> job = read_definition(row);
  if (!job) return std::nullopt;
  return OwnRetention{job->retention_runs, job->retention_days};
}

std::optional<TaskIndex> task_named(const JobSpec& job, std::string_view id) {
  for (std::uint32_t i = 0; i < job.node_count(); ++i) {
    if (job.node(TaskIndex{i}).id == id) return TaskIndex{i};
  }
  return std::nullopt;
}

std::unordered_map<std::string_view, TaskIndex> tasks_by_id(const JobSpec& job) {
  std::unordered_map<std::string_view, TaskIndex> tasks;
  tasks.reserve(job.node_count());
  for (std::uint32_t i = 0; i < job.node_count(); ++i)
    tasks.emplace(job.node(TaskIndex{i}).id, TaskIndex{i});
  return tasks;
}

}  // namespace pawl
