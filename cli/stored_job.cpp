#include "cli/stored_job.h"

#include <map>

#include "scheduler/daemon/definitions.h"

namespace pawl {

Result<JobSpec> stored_job(HistoryAccess& access, VersionId version) {
  const Result<std::optional<JobVersionRow>> row = access.history().version(version);
  if (!row) return row.error();
  if (!*row) return Error{ErrorKind::not_found, "the job has no definition in this home"};
  return read_definition(**row);
}

Result<std::string> stored_definition(HistoryAccess& access, VersionId version) {
  if (version.value == 0) return std::string();
  const Result<std::optional<JobVersionRow>> row = access.history().version(version);
  if (!row) return row.error();
  return *row ? (*row)->body : std::string();
}

Result<std::vector<TaskView>> all_tasks(HistoryAccess& access, const RunRow& run,
                                        const JobSpec& job) {
  Result<std::vector<TaskView>> known = access.history().run_tasks(run);
  if (!known) return known.error();
  std::map<std::uint32_t, TaskView> by_index;
  for (TaskView& task : *known) by_index.emplace(task.row.key.task.value, std::move(task));
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    const auto [entry, is_new] = by_index.try_emplace(i);
    if (!is_new) continue;
    TaskView& task = entry->second;
    task.row.key = {run.id, TaskIndex{i}, kWhole};
    task.run = run.name;
    task.job = run.job;
    task.task = job.tasks[i].id;
    task.mapped = job.tasks[i].is_mapped();
    task.max_attempts = job.tasks[i].retry.max_attempts;
  }
  std::vector<TaskView> tasks;
  for (auto& [index, task] : by_index) tasks.push_back(std::move(task));
  return tasks;
}

}  // namespace pawl
