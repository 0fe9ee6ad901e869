#include "scheduler/spec/job_defaults.h"

#include <utility>

#include "scheduler/spec/json_merge.h"

namespace pawl {
namespace {

void set_zone(Json& schedule, const Json& zone) {
  if (schedule.is_object() && !schedule.contains("timezone")) schedule["timezone"] = zone;
  if (!schedule.is_array()) return;
  for (Json& one : schedule) set_zone(one, zone);
}

void set_hooks(Json& job, const std::string& key, const Json& hooks) {
  Json& own = job[key];
  if (own.is_array()) own.insert(own.end(), hooks.begin(), hooks.end());
}

/// Sources do not mix: a secret from a file is not also one from a variable.
void set_secrets(Json& own, const Json& all) {
  if (own.is_object()) own.insert(all.begin(), all.end());
}

}  // namespace

std::string with_job_defaults(Json job, const std::string& defaults) {
  const Json all = Json::parse(defaults, nullptr, false);
  for (const auto& [key, value] : all.items()) {
    if (key == "timezone") {
      if (job.contains("schedule")) set_zone(job["schedule"], value);
    } else if (!job.contains(key)) {
      job[key] = value;
    } else if (key.starts_with("on_")) {
      set_hooks(job, key, value);
    } else if (key == "secrets") {
      set_secrets(job[key], value);
    } else {
      job[key] = merged(value, std::move(job[key]));
    }
  }
  return job.dump();
}

}  // namespace pawl
