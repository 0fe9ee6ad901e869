#include "storage/version_task.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace pawl {
namespace {

using nlohmann::json;

const json* find(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto& members = object.get_ref<const json::object_t&>();
  const auto it = members.find(key);
  return it == members.end() || it->second.is_null() ? nullptr : &it->second;
}

std::optional<std::int32_t> max_attempts_of(const json& holder) {
  const json* retry = find(holder, "retry");
  const json* attempts = retry != nullptr ? find(*retry, "max_attempts") : nullptr;
  if (attempts == nullptr || !attempts->is_number_integer()) return std::nullopt;
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(attempts->get<std::int64_t>(), 1, INT32_MAX));
}

std::optional<bool> allow_failure_of(const json& holder) {
  const json* allowed = find(holder, "allow_failure");
  if (allowed == nullptr || !allowed->is_boolean()) return std::nullopt;
  return allowed->get<bool>();
}

/// The id of the task that a mapped task pairs its items with.
std::string each_of(const json& task) {
  const json* list = find(task, "depends_on");
  if (list == nullptr) return {};
  auto each = [](const json& entry) -> std::string {
    const json* flag = find(entry, "each");
    const json* id = find(entry, "task");
    if (flag == nullptr || id == nullptr || !flag->is_boolean() || !flag->get<bool>()) return {};
    return id->is_string() ? id->get<std::string>() : std::string();
  };
  if (list->is_object()) return each(*list);
  if (!list->is_array()) return {};
  for (const json& entry : *list) {
    if (auto id = each(entry); !id.empty()) return id;
  }
  return {};
}

std::string id_of(const json& task) {
  const json* id = find(task, "id");
  return id != nullptr && id->is_string() ? id->get<std::string>() : std::string();
}

void add_hooks(const json& job, const char* kind, std::vector<VersionTask>& tasks) {
  const json* hooks = find(job, kind);
  if (hooks == nullptr) return;
  const std::size_t count = hooks->is_array() ? hooks->size() : 1;
  for (std::size_t place = 0; place < count; ++place) {
    const json& hook = hooks->is_array() ? (*hooks)[place] : *hooks;
    VersionTask task;
    task.id = std::string("hook:") + kind + ":" + std::to_string(place);
    task.max_attempts = max_attempts_of(hook).value_or(1);
    tasks.push_back(std::move(task));
  }
}

/// A task keeps the items of the task at the end of its chain of `each`.
void resolve_sources(const std::vector<std::string>& each_ids, std::vector<VersionTask>& tasks) {
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < each_ids.size(); ++i) place.emplace(tasks[i].id, i);
  for (std::size_t i = 0; i < each_ids.size(); ++i) {
    std::size_t at = i;
    for (std::size_t hops = 0; hops < each_ids.size() && !each_ids[at].empty(); ++hops) {
      auto next = place.find(each_ids[at]);
      if (next == place.end()) break;
      at = next->second;
    }
    if (at == i) continue;
    tasks[i].source_task = TaskIndex{static_cast<std::uint32_t>(at)};
    tasks[i].mapped = true;
  }
}

}  // namespace

VersionSummary summarize_version(std::string_view body) {
  VersionSummary summary;
  json job = json::parse(body, nullptr, false);
  if (!job.is_object()) return summary;
  if (const json* labels = find(job, "labels"); labels != nullptr && labels->is_object()) {
    summary.labels = labels->dump(-1, ' ', false, json::error_handler_t::replace);
  }
  const json* defaults = find(job, "defaults");
  const auto default_attempts = defaults != nullptr ? max_attempts_of(*defaults) : std::nullopt;
  const bool default_allowed = defaults != nullptr && allow_failure_of(*defaults).value_or(false);
  const json* tasks = find(job, "tasks");
  if (tasks == nullptr || !tasks->is_array()) return summary;
  std::vector<std::string> each_ids;
  for (const json& entry : *tasks) {
    VersionTask task;
    task.id = id_of(entry);
    task.max_attempts = max_attempts_of(entry).value_or(default_attempts.value_or(1));
    task.allow_failure = allow_failure_of(entry).value_or(default_allowed);
    task.mapped = find(entry, "map") != nullptr;
    // A `map` of its own wins: then the pair only orders the items.
    each_ids.push_back(task.mapped ? std::string() : each_of(entry));
    summary.tasks.push_back(std::move(task));
  }
  resolve_sources(each_ids, summary.tasks);
  for (const char* kind : {"on_success", "on_failure", "on_exit"}) {
    add_hooks(job, kind, summary.tasks);
  }
  return summary;
}

}  // namespace pawl
