#include "scheduler/daemon/run_json.h"

#include "scheduler/base/text.h"

namespace pawl {
namespace {

using nlohmann::json;

json time_or_null(const std::optional<WallTime>& time) {
  return time ? json(format_utc(*time)) : json(nullptr);
}

json word_or_null(Reason reason) {
  return reason == Reason::none ? json(nullptr) : json(to_string(reason));
}

}  // namespace

json counts_json(const Counts& counts) {
  json out = json::object();
  for (std::size_t s = 0; s < kTaskStateCount; ++s)
    out[std::string(kTaskStateWords[s])] = counts[s];
  return out;
}

json progress_json(const RunView& view, const JobSpec& job, WallTime now) {
  json tasks = json::array();
  for (std::size_t i = 0; i < view.tasks.size(); ++i) {
    const TaskView& task = view.tasks[i];
    const TaskIndex index{static_cast<std::uint32_t>(i)};
    // A hook is news only when its turn has come.
    if (job.is_hook(index) && task.state == TaskState::waiting) continue;
    const TaskSpec& spec = job.node(index);
    json out = {{"task", spec.id},
                {"state", to_string(task.state)},
                {"reason", word_or_null(task.reason)},
                {"exit_code", task.reason == Reason::exit ? json(task.detail) : json(nullptr)},
                {"signal", task.reason == Reason::signal ? json(task.detail) : json(nullptr)},
                {"attempts", task.attempts},
                {"started_at", time_or_null(task.started_at)},
                {"ended_at", time_or_null(task.ended_at)}};
    if (task.state == TaskState::waiting) {
      json waiting = json::array();
      for (const Dependency& d : spec.depends_on) {
        if (!is_final(view.tasks[d.task.value].state))
          waiting.push_back(job.tasks[d.task.value].id);
      }
      out["waiting_for"] = std::move(waiting);
    }
    if (task.counts) {
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
      out["rate"] = seconds > 0.05 ? static_cast<double>(done) / seconds : 0.0;
    } else {
      out["counts"] = nullptr;
    }
    tasks.push_back(std::move(out));
  }
  return {{"run", view.run.name},
          {"job", view.run.job},
          {"state", to_string(view.run.state)},
          {"reason", word_or_null(view.run.reason)},
          {"paused", view.run.state == RunState::paused},
          {"created_at", format_utc(view.run.created_at)},
          {"started_at", time_or_null(view.run.started_at)},
          {"ended_at", time_or_null(view.run.ended_at)},
          {"counts", counts_json(view.run.counts)},
          {"tasks", std::move(tasks)}};
}

RunView view_of(const RunSnapshot& snapshot, const JobSpec& job) {
  RunView view;
  view.run = snapshot.run;
  view.tasks.resize(job.node_count());
  for (const TaskRow& row : snapshot.tasks) {
    if (row.key.task.value >= view.tasks.size()) continue;
    TaskView& task = view.tasks[row.key.task.value];
    task.state = row.state;
    task.reason = row.reason;
    task.detail = row.detail;
    task.attempts = row.attempts;
    task.started_at = row.started_at;
    task.ended_at = row.ended_at;
  }
  for (const MappedSnapshot& mapped : snapshot.mapped) {
    if (mapped.row.task.value >= view.tasks.size()) continue;
    view.tasks[mapped.row.task.value].counts = mapped.row.counts;
    view.tasks[mapped.row.task.value].items = mapped.row.items;
  }
  return view;
}

json explanation_json(const Engine& engine, const std::vector<Explanation>& reasons) {
  json out = json::array();
  for (const Explanation& reason : reasons) {
    json line = {{"kind", reason.kind}, {"text", reason.text}};
    if (reason.number != 0) line["number"] = reason.number;
    if (reason.run) {
      const RunRow* run = engine.run(*reason.run);
      if (run != nullptr) line["run"] = run->name;
      const JobSpec* job = engine.job_of(*reason.run);
      if (reason.task && job != nullptr) line["task"] = job->node(*reason.task).id;
    }
    out.push_back(std::move(line));
  }
  return out;
}

json pools_json(const Engine& engine, Now now) {
  json out = json::array();
  for (const PoolView& pool : engine.pools(now)) {
    json holders = json::array();
    for (const PoolView::Holder& holder : pool.holders) {
      holders.push_back({{"run", engine.run(holder.run)->name},
                         {"task", engine.job_of(holder.run)->node(holder.task).id},
                         {"slots", holder.slots}});
    }
    json next = json::array();
    for (const PoolView::Next& one : pool.next) {
      next.push_back({{"run", engine.run(one.run)->name},
                      {"task", engine.job_of(one.run)->node(one.task).id},
                      {"priority", one.priority}});
    }
    json rate = nullptr;
    if (pool.rate) {
      const Duration wait = pool.next_start.value_or(Duration{0});
      rate = {
          {"count", pool.rate->count},
          {"per", format_duration(pool.rate->per)},
          {"used", pool.started},
          {"next_start_at", pool.next_start ? json(format_utc(now.wall + wait)) : json(nullptr)},
          {"next_start_ms", wait.count()}};
    }
    out.push_back({{"pool", pool.name},
                   {"job", pool.job.empty() ? json(nullptr) : json(pool.job)},
                   {"slots", pool.limit},
                   {"used", pool.taken},
                   {"waiting", pool.waiting},
                   {"rate", std::move(rate)},
                   {"holders", std::move(holders)},
                   {"next", std::move(next)}});
  }
  return out;
}

}  // namespace pawl
