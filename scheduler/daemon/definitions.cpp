#include "scheduler/daemon/definitions.h"

#include <cctz/time_zone.h>

namespace pawl {

ParseOptions parse_options(const std::string& folder, const OperatorCatalog* operators) {
  ParseOptions options;
  options.operators = operators;
  options.folder = folder;
  options.known_zone = [](std::string_view name) {
    cctz::time_zone zone;
    return cctz::load_time_zone(std::string(name), &zone);
  };
  return options;
}

Result<JobSpec> read_definition(const JobVersionRow& row) {
  // What was accepted once stays readable: a zone that the machine has lost since is no reason.
  ParseOptions options;
  options.folder = row.folder;
  ParseResult parsed = parse_job(row.body, options);
  if (parsed.ok) return std::move(parsed.job);
  const std::string why =
      parsed.diagnostics.empty() ? "unreadable" : parsed.diagnostics.front().message;
  return Error{ErrorKind::invalid,
               "the stored definition of " + row.job + " cannot be read by this version: " + why};
}

std::optional<TaskIndex> task_named(const JobSpec& job, std::string_view id) {
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    if (job.tasks[i].id == id) return TaskIndex{i};
  }
  return std::nullopt;
}

Result<void> can_run_by_hand(JobSpec job) {
  job.schedules.clear();
  const std::vector<std::string> missing = not_yet_available(job);
  if (missing.empty()) return {};
  std::string message = job.name + " cannot run: ";
  for (const std::string& sentence : missing) {
    if (&sentence != &missing.front()) message += "; ";
    message += sentence;
  }
  return Error{ErrorKind::refused, message + ". Take it out of the file"};
}

}  // namespace pawl
