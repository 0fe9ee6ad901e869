#include "scheduler/daemon/run_progress.h"

#include <algorithm>
#include <array>

#include "scheduler/base/text.h"
#include "scheduler/daemon/run_json.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr std::size_t kWaitingForMax = 10;  ///< names of one task
constexpr double kRateAfterSeconds = 0.05;  ///< before that a rate says nothing

constexpr std::size_t kRanks = 6;

/// What is told first when not all can be: what moves, what went wrong, what is next.
std::size_t rank(TaskState state) {
  switch (state) {
    case TaskState::running:
    case TaskState::retrying:
    case TaskState::deferred: return 0;
    case TaskState::held:
    case TaskState::failed: return 1;
    case TaskState::queued: return 2;
    case TaskState::upstream_failed:
    case TaskState::cancelled: return 3;
    case TaskState::waiting: return 4;
    case TaskState::succeeded:
    case TaskState::skipped: return 5;
  }
  return kRanks - 1;
}

json time_or_null(const std::optional<WallTime>& time) {
  return time ? json(format_utc(*time)) : json(nullptr);
}

json word_or_null(Reason reason) {
  return reason == Reason::none ? json(nullptr) : json(to_string(reason));
}

void add_waiting_for(const TaskSpec& spec, const JobSpec& job, const RunStates& states, json& out) {
  json names = json::array();
  std::size_t count = 0;
  for (const Dependency& d : spec.depends_on) {
    if (is_final(states.tasks[d.task.value])) continue;
    if (++count <= kWaitingForMax) names.push_back(job.tasks[d.task.value].id);
  }
  out["waiting_for"] = std::move(names);
  out["waiting_for_count"] = count;
}

void add_items(const TaskView& task, WallTime now, json& out) {
  out["counts"] = counts_json(*task.counts);
  out["items"] = task.items;
  out["retries"] = task.retries;
  out["retrying"] = (*task.counts)[static_cast<std::size_t>(TaskState::retrying)];
  std::int64_t done = 0;
  for (std::size_t s = static_cast<std::size_t>(TaskState::held); s < kTaskStateCount; ++s)
    done += (*task.counts)[s];
  const WallTime end = task.ended_at.value_or(now);
  const double seconds =
      task.started_at ? static_cast<double>((end - *task.started_at).count()) / 1000.0 : 0;
  out["rate"] = seconds > kRateAfterSeconds ? static_cast<double>(done) / seconds : 0.0;
}

json task_json(const TaskView& task, const TaskSpec& spec, const JobSpec& job,
               const RunStates& states, WallTime now) {
  json out = {{"task", spec.id},
              {"state", to_string(task.state)},
              {"reason", word_or_null(task.reason)},
              {"exit_code", task.reason == Reason::exit ? json(task.detail) : json(nullptr)},
              {"signal", task.reason == Reason::signal ? json(task.detail) : json(nullptr)},
              {"attempts", task.attempts},
              {"started_at", time_or_null(task.started_at)},
              {"ended_at", time_or_null(task.ended_at)},
              {"counts", nullptr}};
  if (task.state == TaskState::waiting) add_waiting_for(spec, job, states, out);
  if (task.counts) add_items(task, now, out);
  return out;
}

}  // namespace

std::vector<TaskIndex> foremost_tasks(const std::vector<TaskState>& states, std::size_t max) {
  std::array<std::size_t, kRanks> room{};
  for (TaskState state : states) ++room[rank(state)];
  std::size_t left = max;
  for (std::size_t& count : room) {
    count = std::min(count, left);
    left -= count;
  }
  std::vector<TaskIndex> chosen;
  chosen.reserve(max - left);
  for (std::size_t i = 0; i < states.size(); ++i) {
    std::size_t& count = room[rank(states[i])];
    if (count == 0) continue;
    --count;
    chosen.push_back(TaskIndex{static_cast<std::uint32_t>(i)});
  }
  return chosen;
}

json progress_json(const RunRow& run, const JobSpec& job, const RunStates& states,
                   const std::function<TaskView(TaskIndex)>& task, WallTime now) {
  Counts by_state{};
  for (std::size_t i = 0; i < job.tasks.size(); ++i)
    ++by_state[static_cast<std::size_t>(states.tasks[i])];
  json tasks = json::array();
  for (TaskIndex index : foremost_tasks(states.tasks, kProgressTasksMax)) {
    const TaskView view = task(index);
    // A hook is news only when its turn has come.
    if (job.is_hook(index) && view.state == TaskState::waiting) continue;
    tasks.push_back(task_json(view, job.node(index), job, states, now));
  }
  return {{"run", run.name},
          {"job", run.job},
          {"state", to_string(run.state)},
          {"reason", word_or_null(run.reason)},
          {"paused", run.state == RunState::paused},
          {"created_at", format_utc(run.created_at)},
          {"started_at", time_or_null(run.started_at)},
          {"ended_at", time_or_null(run.ended_at)},
          {"counts", counts_json(run.counts)},
          {"task_counts", counts_json(by_state)},
          {"retries", states.retries},
          {"tasks", std::move(tasks)}};
}

json progress_json(const RunSnapshot& snapshot, const JobSpec& job, WallTime now) {
  std::vector<TaskView> views(job.node_count());
  for (const TaskRow& row : snapshot.tasks) {
    if (row.key.task.value >= views.size()) continue;
    TaskView& task = views[row.key.task.value];
    task.state = row.state;
    task.reason = row.reason;
    task.detail = row.detail;
    task.attempts = row.attempts;
    task.retries = std::max(row.counted - 1, 0);
    task.started_at = row.started_at;
    task.ended_at = row.ended_at;
  }
  for (const MappedSnapshot& mapped : snapshot.mapped) {
    if (mapped.row.task.value >= views.size()) continue;
    views[mapped.row.task.value].counts = mapped.row.counts;
    views[mapped.row.task.value].items = mapped.row.items;
    views[mapped.row.task.value].retries = mapped.row.retries;
  }
  RunStates states;
  for (const TaskView& view : views) {
    states.tasks.push_back(view.state);
    states.retries += view.retries;
  }
  return progress_json(
      snapshot.run, job, states, [&](TaskIndex index) { return views[index.value]; }, now);
}

}  // namespace pawl
