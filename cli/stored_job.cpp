#include "cli/stored_job.h"

#include <algorithm>
#include <map>
#include <memory>

#include "cli/progress.h"
#include "scheduler/core/overdue.h"
#include "scheduler/core/trigger_rule.h"
#include "scheduler/daemon/definitions.h"

namespace pawl {

namespace {

Result<JobSpec> definition_of(History& history, VersionId version) {
  const Result<std::optional<JobVersionRow>> row = history.version(version);
  if (!row) return row.error();
  if (!*row) return Error{ErrorKind::not_found, "the job has no definition in this home"};
  return read_definition(**row);
}

/// Of the tasks of a run, not its hooks, those that are not among `known`.
std::vector<TaskView> without_row(const RunRow& run, const JobSpec& job,
                                  const std::vector<TaskView>& known) {
  std::map<std::uint32_t, const TaskView*> by_index;
  // The run counts who is queued, with a row or without.
  std::int64_t queued = count_of(run.counts, TaskState::queued);
  for (const TaskView& task : known) {
    const std::uint32_t index = task.row.key.task.value;
    by_index.emplace(index, &task);
    if (task.whole) {
      queued -= count_of(task.whole->counts, TaskState::queued);
    } else if (index < job.tasks.size() && task.row.state == TaskState::queued) {
      --queued;
    }
  }
  std::vector<TaskView> tasks;
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    if (by_index.contains(i)) continue;
    const TaskSpec& spec = job.tasks[i];
    TaskView& task = tasks.emplace_back();
    task.row.key = {run.id, TaskIndex{i}, kWhole};
    task.run = run.name;
    task.job = run.job;
    task.task = spec.id;
    task.mapped = spec.is_mapped();
    task.max_attempts = spec.retry.max_attempts;
    if (queued <= 0 || task.mapped) continue;  // a mapped one has a row as soon as it begins
    Tally upstreams;
    for (const Dependency& dependency : spec.depends_on) {
      const auto upstream = by_index.find(dependency.task.value);
      upstreams.add(upstream == by_index.end() ? TaskState::waiting : upstream->second->row.state,
                    1);
    }
    if (decide(spec.trigger_rule, upstreams) != Decision::run) continue;
    task.row.state = TaskState::queued;
    --queued;
  }
  return tasks;
}

}  // namespace

Result<JobSpec> stored_job(HistoryAccess& access, VersionId version) {
  return definition_of(access.history(), version);
}

Result<std::string> stored_definition(HistoryAccess& access, VersionId version) {
  if (version.value == 0) return std::string();
  const Result<std::optional<JobVersionRow>> row = access.history().version(version);
  if (!row) return row.error();
  return *row ? (*row)->body : std::string();
}

Result<std::vector<TaskView>> all_tasks(HistoryAccess& access, const RunRow& run,
                                        const JobSpec& job) {
  Result<std::vector<TaskView>> tasks = access.history().run_tasks(run);
  if (!tasks) return tasks;
  for (TaskView& task : without_row(run, job, *tasks)) tasks->push_back(std::move(task));
  std::sort(tasks->begin(), tasks->end(),
            [](const TaskView& a, const TaskView& b) { return a.row.key.task < b.row.key.task; });
  return tasks;
}

Result<std::optional<TaskView>> one_task(HistoryAccess& access, const RunRow& run,
                                         const JobSpec& job, TaskIndex task) {
  Result<std::vector<TaskView>> tasks = all_tasks(access, run, job);
  if (!tasks) return tasks.error();
  for (TaskView& one : *tasks) {
    if (one.row.key.task == task) return std::optional(std::move(one));
  }
  return std::optional<TaskView>();
}

UndecidedTasks undecided_tasks(History& history) {
  struct Last {
    VersionId version;
    JobSpec job;
  };
  // Runs of a job mostly have the same.
  return [&history, last = std::make_shared<std::optional<Last>>()](
             const RunRow& run) -> Result<std::vector<TaskView>> {
    if (!*last || (*last)->version != run.version) {
      Result<JobSpec> job = definition_of(history, run.version);
      if (!job) return job.error();
      last->emplace(Last{run.version, *std::move(job)});
    }
    const Result<std::vector<TaskView>> known = history.run_tasks(run);
    if (!known) return known.error();
    return without_row(run, (*last)->job, *known);
  };
}

std::string OverdueAttempts::text_of(const AttemptView& attempt) {
  const AttemptRow& row = attempt.row;
  const bool runs = row.state == AttemptState::starting || row.state == AttemptState::running;
  if (!runs || row.stays > 0) return "";
  const JobSpec* job = job_of(row.key.run);
  return job == nullptr ? "" : overdue_text(job->node(row.key.task), now_ - row.started_at);
}

const JobSpec* OverdueAttempts::job_of(RunId run) {
  auto version = versions_.find(run);
  if (version == versions_.end()) {
    const Result<std::optional<RunView>> row = access_.history().run(run);
    if (!row || !*row) return nullptr;
    version = versions_.emplace(run, (*row)->row.version).first;
  }
  auto job = jobs_.find(version->second);
  if (job == jobs_.end()) {
    Result<JobSpec> read = stored_job(access_, version->second);
    job =
        jobs_.emplace(version->second, read ? std::optional(*std::move(read)) : std::nullopt).first;
  }
  return job->second ? &*job->second : nullptr;
}

}  // namespace pawl
