#include "scheduler/daemon/redefinition.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "scheduler/base/cut.h"

namespace pawl {
namespace {

using nlohmann::json;
using Line = Redefinition::Line;

// Of one value in a line of the difference.
constexpr std::size_t kShownMax = 120;

std::string shown(const json* value) {
  if (value == nullptr) return "none";
  std::string text = value->dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() <= kShownMax) return text;
  return std::string(cut_utf8(text, kShownMax)) + "…";
}

const json* member(const json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

/// A line for each member that is not the same, those of `ignored` aside.
void compare(const json& before, const json& after, const std::string& task,
             const std::set<std::string>& ignored, std::vector<Line>& lines) {
  std::set<std::string> keys;
  for (const auto& [key, value] : before.items()) keys.insert(key);
  for (const auto& [key, value] : after.items()) keys.insert(key);
  for (const std::string& key : keys) {
    const json* old_value = member(before, key);
    const json* new_value = member(after, key);
    const bool same = old_value != nullptr && new_value != nullptr && *old_value == *new_value;
    if (same || ignored.contains(key)) continue;
    lines.push_back(
        {Line::Change::changed, task, key + ": " + shown(old_value) + " → " + shown(new_value)});
  }
}

std::map<std::string, std::size_t> places_of(const JobSpec& job) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < job.tasks.size(); ++i) places.emplace(job.tasks[i].id, i);
  return places;
}

/// In the place of a task that is gone: run again, it is skipped, and it fails no run.
json empty_task(const std::string& id, bool is_mapped) {
  json task = {{"id", id}, {"command", {"true"}}, {"when", "false"}, {"allow_failure", true}};
  if (is_mapped) task["map"] = {{"items", json::array()}};
  return task;
}

Error refused(std::string why, std::string_view instead) {
  return {ErrorKind::refused, why + ". " + std::string(instead)};
}

std::optional<Error> check_params(const JobSpec& after, const RunRow& run) {
  const json params = json::parse(run.params, nullptr, false);
  for (const auto& [name, spec] : after.params) {
    if (params.is_object() && params.contains(name)) continue;
    return refused("the new definition has a parameter `" + name + "` that the run has no value of",
                   "Make a new run: pawl trigger " + run.job);
  }
  return std::nullopt;
}

/// Of the first `count` tasks; who has no row waits.
std::vector<TaskState> states_of(const RunSnapshot& snapshot, std::size_t count) {
  std::vector<TaskState> states(count, TaskState::waiting);
  for (const TaskRow& row : snapshot.tasks) {
    if (row.key.item == kWhole && row.key.task.value < count)
      states[row.key.task.value] = row.state;
  }
  return states;
}

/// Items are what they were when they were read, so a task stays mapped, or not.
std::optional<Error> check_task(const TaskSpec& before, const TaskSpec* after, TaskState state,
                                const RunRow& run) {
  if (after != nullptr) {
    if (after->is_mapped() == before.is_mapped()) return std::nullopt;
    return refused(
        "task " + before.id +
            (before.is_mapped() ? " was mapped and is not any more" : " was not mapped and is now"),
        "Make a new run: pawl rerun, or pawl trigger " + run.job);
  }
  const bool has_failed =
      state == TaskState::failed || state == TaskState::held || state == TaskState::cancelled;
  if (!before.is_mapped() || !has_failed) return std::nullopt;
  return refused(
      "mapped task " + before.id + " is gone from the definition, and items of it failed",
      "Decide them first: pawl mark " + run.name + "/" + before.id + " skipped");
}

/// Of a task that is gone from the definition.
std::string what_becomes_of(TaskState state) {
  if (state == TaskState::succeeded) return "its result stays; nothing waits for it";
  const bool runs_again =
      state == TaskState::failed || state == TaskState::held || state == TaskState::cancelled;
  return runs_again ? "it is skipped" : "nothing waits for it";
}

}  // namespace

std::string_view to_string(Line::Change change) {
  switch (change) {
    case Line::Change::changed: return "changed";
    case Line::Change::added: return "new";
    case Line::Change::gone: return "gone";
  }
  return "";
}

Result<Redefinition> redefine(const Definition& before, const Definition& after,
                              const RunSnapshot& snapshot) {
  const json old_body = json::parse(before.text, nullptr, false);
  const json new_body = json::parse(after.text, nullptr, false);
  if (auto error = check_params(after.job, snapshot.run)) return *std::move(error);

  Redefinition out;
  compare(old_body, new_body, "", {"tasks"}, out.lines);
  const auto new_places = places_of(after.job);
  const auto states = states_of(snapshot, before.job.tasks.size());
  json tasks = json::array();
  for (std::size_t i = 0; i < before.job.tasks.size(); ++i) {
    const TaskSpec& task = before.job.tasks[i];
    const auto found = new_places.find(task.id);
    const bool is_there = found != new_places.end();
    const TaskState state = states[i];
    if (auto error = check_task(task, is_there ? &after.job.tasks[found->second] : nullptr, state,
                                snapshot.run))
      return *std::move(error);
    if (!is_there) {
      tasks.push_back(empty_task(task.id, task.is_mapped()));
      // Of an earlier redefinition it was gone already.
      if (old_body["tasks"][i] == tasks.back()) continue;
      out.lines.push_back({Line::Change::gone, task.id, what_becomes_of(state)});
      continue;
    }
    const json& body = new_body["tasks"][found->second];
    const std::size_t lines = out.lines.size();
    compare(old_body["tasks"][i], body, task.id, {}, out.lines);
    if (out.lines.size() > lines && state == TaskState::succeeded)
      out.lines.push_back({Line::Change::changed, task.id, "succeeded before, and stays"});
    tasks.push_back(body);
  }

  const auto old_places = places_of(before.job);
  const std::size_t known = tasks.size();
  for (std::size_t i = 0; i < after.job.tasks.size(); ++i) {
    if (old_places.contains(after.job.tasks[i].id)) continue;
    tasks.push_back(new_body["tasks"][i]);
    out.lines.push_back(
        {Line::Change::added, after.job.tasks[i].id, "it runs when its turn comes"});
  }
  // Rows of hooks stand behind those of the tasks.
  const bool hooks_move = tasks.size() != known && !before.job.hooks.empty();
  if (hooks_move || before.job.hooks.size() != after.job.hooks.size()) {
    return refused("with hooks, a run keeps its number of tasks and hooks",
                   "Make a new run: pawl trigger " + snapshot.run.job);
  }
  json merged = new_body;
  merged["tasks"] = std::move(tasks);
  out.text = merged.dump();
  return out;
}

}  // namespace pawl
