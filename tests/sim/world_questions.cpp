// What is asked of a world: what it shows, and whether all holds that must.

#include "tests/sim/restart_check.h"
#include "tests/sim/store_invariants.h"
#include "tests/sim/world.h"

namespace pawl::sim {

TaskKey World::key(RunId run, const std::string& task) const {
  const std::size_t colon = task.find(':');
  const std::string id = task.substr(0, colon);
  for (std::uint32_t i = 0; i < job(run).node_count(); ++i) {
    const std::string& known = job(run).node(TaskIndex{i}).id;
    if (known == task) return {run, TaskIndex{i}, kWhole};
    if (known == id) return {run, TaskIndex{i}, ItemIndex{std::stoll(task.substr(colon + 1))}};
  }
  throw BrokenInvariant("there is no task " + task);
}

Target World::target(RunId run, const std::string& task) const {
  if (task.empty()) return {run, {}, {}};
  const TaskKey k = key(run, task);
  if (k.item == kWhole) return {run, k.task, {}};
  return {run, k.task, k.item};
}

AttemptId World::live(RunId run, const std::string& task) const {
  const TaskKey k = key(run, task);
  for (const auto& [id, start] : running) {
    if (start.key == k) return id;
  }
  return {};
}

RunId World::called(RunId run, const std::string& task) const {
  RunId newest;
  for (const auto& [id, row] : store.runs) {
    if (row.caller && row.caller->key == key(run, task)) newest = id;
  }
  return newest;
}

std::string World::state(RunId run) const {
  const RunRow& row = store.runs.at(run);
  return std::string(to_string(row.state)) + reason_text(row.reason);
}

std::string World::states(RunId run) const {
  std::string out;
  for (std::uint32_t i = 0; i < job(run).node_count(); ++i) {
    TaskState state = TaskState::waiting;
    if (engine.has_run(run)) {
      state = engine.task(run, TaskIndex{i}).state;
    } else if (auto it = store.tasks.find({run, TaskIndex{i}, kWhole}); it != store.tasks.end()) {
      state = it->second.state;
    }
    // A hook that is not due is no news.
    const bool is_hook = job(run).is_hook(TaskIndex{i});
    if (is_hook && state == TaskState::waiting) continue;
    if (!out.empty()) out += ' ';
    out += job(run).node(TaskIndex{i}).id + "=" + std::string(to_string(state));
  }
  return out;
}

TaskRow World::row(RunId run, const std::string& task) const {
  const auto it = store.tasks.find(key(run, task));
  return it == store.tasks.end() ? TaskRow{} : it->second;
}

std::string World::task(RunId run, const std::string& name) const {
  const TaskRow r = row(run, name);
  return std::string(to_string(r.state)) + reason_text(r.reason, r.detail);
}

std::string World::items(RunId run, const std::string& task) const {
  const auto it = store.mapped.find({run, key(run, task).task});
  if (it == store.mapped.end()) return "none";
  std::string out;
  for (std::size_t s = 0; s < kTaskStateCount; ++s) {
    if (it->second.counts[s] == 0) continue;
    if (!out.empty()) out += ' ';
    out += std::string(kTaskStateWords[s]) + "=" + std::to_string(it->second.counts[s]);
  }
  return out.empty() ? "none" : out;
}

std::string World::explain(RunId run, const std::string& task) const {
  std::string out;
  for (const Explanation& line : engine.explain(target(run, task), now))
    out += (out.empty() ? "" : "\n") + line.text;
  return out;
}

std::string World::last_reply() const {
  if (!reply.status) return reply.status.error().message;
  for (const CommandResult& result : reply.results) {
    if (!result.ok) return result.message;
  }
  return "ok";
}

std::vector<std::string> World::plan(RunId run, const std::string& task,
                                     const std::function<void(input::Resume&)>& change) const {
  input::Resume resume;
  resume.targets = {target(run, task)};
  if (change) change(resume);
  resume.loaded = loaded(resume.targets);
  auto lines = engine.plan_resume(resume);
  if (!lines) return {lines.error().message};
  std::vector<std::string> out;
  for (const PlanLine& line : *lines) {
    out.push_back(line.action + " " + job(run).node(line.task).id +
                  (line.items < 0 ? "" : " " + std::to_string(line.items)));
  }
  return out;
}

void World::check() {
  for (const auto& [id, row] : store.runs) {
    if (std::string wrong = broken_invariant(store, id, job(id)); !wrong.empty())
      throw BrokenInvariant(wrong);
    if (const RunRow* known = engine.run(id)) {
      if (known->state != row.state) throw BrokenInvariant("memory and store disagree over a run");
    } else if (!is_final(row.state)) {
      throw BrokenInvariant("an open run is not in memory");
    }
  }
  std::map<TaskKey, AttemptId> awake = store.live;
  std::erase_if(awake, [this](const auto& l) {
    return store.attempts.at(l.second).state == AttemptState::deferred;
  });
  if (engine.live_attempts() != static_cast<std::int64_t>(awake.size()))
    throw BrokenInvariant("memory and store disagree over live attempts");
  std::int64_t slots = 0;
  for (const auto& [key, id] : awake) {
    for (const PoolUse& use : job(key.run).node(key.task).pools) slots += use.slots;
  }
  std::int64_t taken = 0;
  for (const PoolView& pool : engine.pools(now)) {
    taken += pool.taken;
    std::int64_t held = 0;
    for (const auto& holder : pool.holders) held += holder.slots;
    if (held != pool.taken) throw BrokenInvariant("slots are taken that nobody holds");
  }
  if (taken != slots) throw BrokenInvariant("slots taken are not those of live attempts");
  if (has_more_ || !dormant_.empty() || !is_recovered_) return;
  if (std::string wrong = difference_after_restart(engine, store, jobs, served, now, default_slots);
      !wrong.empty())
    throw BrokenInvariant(wrong);
}

}  // namespace pawl::sim
