#include "scheduler/daemon/run_context.h"

#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>

#include <cctz/time_zone.h>

#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/spec/connections.h"

namespace pawl {
namespace {

using nlohmann::json;

json time_or_null(const std::optional<WallTime>& time) {
  return time ? json(format_utc(*time)) : json(nullptr);
}

/// `2026-11-20`. A zone that the machine has lost since the job was accepted counts as UTC.
std::string local_date(WallTime time, const JobSpec& job) {
  std::optional<cctz::time_zone> zone;
  if (!job.schedules.empty()) zone = zone_named(job.schedules.front().timezone);
  const std::chrono::system_clock::time_point instant{Duration(time.ms)};
  return cctz::format("%E4Y-%m-%d", instant, zone.value_or(cctz::utc_time_zone()));
}

void take_variable(const std::string& name, std::map<std::string, std::string>& into) {
  if (const char* value = std::getenv(name.c_str())) into[name] = value;
}

}  // namespace

json names_of_run(const RunRow& run, const JobSpec& job) {
  json names;
  names["params"] = json::parse(run.params, nullptr, false);
  names["run"] = {
      {"id", run.name},
      {"job", run.job},
      {"logical_time", format_utc(run.logical_time)},
      {"date", local_date(run.logical_time, job)},
      {"interval",
       {{"start", time_or_null(run.interval_start)}, {"end", time_or_null(run.interval_end)}}},
      {"trigger", to_string(run.trigger)},
      {"scheduled_for", time_or_null(run.scheduled_for)}};
  return names;
}

json names_of_ended_run(const RunRow& run, const JobSpec& job) {
  json names = names_of_run(run, job);
  names["run"]["state"] = to_string(run.outcome.value_or(run.state));
  names["run"]["reason"] = run.outcome ? to_string(run.outcome_reason) : to_string(run.reason);
  names["run"]["failed"] = json::array();
  return names;
}

TaskDefinition definition_of(const RunRow& run, const JobSpec& job, TaskIndex index,
                             const std::string& home, std::string context) {
  const TaskSpec& task = job.node(index);
  TaskDefinition d;
  d.home = home;
  d.run = run.name;
  d.job = run.job;
  d.task = task.id;
  d.logical_time = format_utc(run.logical_time);
  d.date = local_date(run.logical_time, job);
  d.operator_name = task.operator_name;
  d.with = task.with;
  d.env = task.env;
  d.pass_env = task.pass_env;
  d.working_dir = task.working_dir;
  d.folder = job.folder;
  for (const std::string& name : task.secrets) {
    if (auto it = job.secrets.find(name); it != job.secrets.end())
      d.secrets.emplace(name, it->second);
  }
  d.timeout = task.timeout;
  d.stall_timeout = task.stall_timeout;
  d.kill_grace = task.kill_grace;
  d.resources = task.resources;
  d.output = task.output;
  d.output_from_file = task.output_from_file;
  d.context = std::move(context);
  for (std::string_view name : kLoginVariables) take_variable(std::string(name), d.scheduler_env);
  for (const std::string& name : task.pass_env) take_variable(name, d.scheduler_env);
  d.log_dir = log_folder(home, run.name, task.id);
  return d;
}

Result<void> connect(TaskDefinition& definition, const Settings& settings) {
  if (!names_connection(definition.with)) return {};
  const std::string name = connection_name(definition.with);
  auto with = with_connection(definition.with, definition.operator_name, settings.connections);
  if (!with) return with.error();
  definition.with = *std::move(with);
  const auto used = secrets_in(definition.with, settings.connections.at(name));
  for (const auto& [secret, source] : used) definition.secrets.insert_or_assign(secret, source);
  return {};
}

void take_secrets(TaskDefinition& definition) {
  for (const auto& [name, source] : definition.secrets) {
    if (!source.from_file) take_variable(source.name, definition.secret_env);
  }
}

std::string log_folder(const std::string& home, std::string_view run, std::string_view task) {
  return home + "/logs/" + std::string(run) + "/" + std::string(task);
}

std::string idempotency_key(const HomeId& home, const RunRow& run, std::string_view task,
                            ItemIndex item, std::int32_t work) {
  // Names of runs are a number and a second: two homes may give out the same.
  std::string key = run.id > home.after ? home.text + "/" : std::string();
  key += run.name + "/" + std::string(task);
  if (item != kWhole) key += ":" + std::to_string(item.value);
  if (work > 0) key += "~" + std::to_string(work);
  return key;
}

}  // namespace pawl
