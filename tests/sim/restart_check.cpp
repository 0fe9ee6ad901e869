#include "tests/sim/restart_check.h"

#include <sstream>
#include <vector>

namespace pawl::sim {
namespace {

/// One line per task, whatever differs shows.
std::string run_text(const Engine& engine, RunId id) {
  std::ostringstream out;
  const RunRow& run = *engine.run(id);
  out << to_string(run.state) << reason_text(run.reason) << " resumes " << run.resumes;
  for (std::int64_t count : run.counts) out << ' ' << count;
  for (std::uint32_t i = 0; i < engine.job_of(id)->node_count(); ++i) {
    const TaskView task = engine.task(id, TaskIndex{i});
    out << '\n'
        << to_string(task.state) << reason_text(task.reason, task.detail) << " attempts "
        << task.attempts;
    out << " started " << (task.started_at ? task.started_at->ms : 0) << " ended "
        << (task.ended_at ? task.ended_at->ms : 0);
    if (!task.counts) continue;
    out << " items " << task.items << " retries " << task.retries;
    for (std::int64_t count : *task.counts) out << ' ' << count;
  }
  return out.str();
}

std::string effect_text(const Effect& effect) {
  std::ostringstream out;
  if (const auto* start = std::get_if<effect::StartAttempt>(&effect)) {
    out << "start " << start->attempt.value << " of " << start->key.run.value << '/'
        << start->key.task.value << ':' << start->key.item.value << " number " << start->number
        << " work " << start->work << " worker " << start->worker.value << " slot " << start->slot;
  } else if (const auto* stop = std::get_if<effect::StopAttempt>(&effect)) {
    out << "stop " << stop->attempt.value << ' ' << to_string(stop->reason);
  } else if (const auto* prepare = std::get_if<effect::Prepare>(&effect)) {
    out << "prepare " << prepare->run.value << '/' << prepare->task.value << " open "
        << prepare->is_open << " from " << prepare->from;
  } else {
    out << "another effect";
  }
  return out.str();
}

std::string mutation_text(const Mutation& change) {
  std::string text = "mutation " + std::to_string(change.index());
  auto row_text = [](const TaskRow& row) {
    return " of " + std::to_string(row.key.run.value) + "/" + std::to_string(row.key.task.value) +
           ":" + std::to_string(row.key.item.value) + " to " + std::string(to_string(row.state)) +
           reason_text(row.reason, row.detail);
  };
  if (const auto* m = std::get_if<mutation::InsertTask>(&change)) text += row_text(m->row);
  if (const auto* m = std::get_if<mutation::UpdateTask>(&change))
    text += row_text(m->row) + " from " + std::string(to_string(m->expected));
  if (const auto* m = std::get_if<mutation::UpdateRun>(&change)) {
    text += " of " + std::to_string(m->row.id.value) + " to " +
            std::string(to_string(m->row.state)) + reason_text(m->row.reason) + " from " +
            std::string(to_string(m->expected));
  }
  return text;
}

std::string effects_text(const std::vector<Effect>& effects) {
  std::string text;
  for (const Effect& effect : effects) text += effect_text(effect) + "\n";
  return text;
}

}  // namespace

std::string difference_after_restart(const Engine& engine, const ModelStore& store,
                                     const std::map<VersionId, JobSpec>& jobs,
                                     const std::map<std::string, Served>& served, Now now,
                                     std::int64_t default_slots) {
  Engine other(EngineCounters{store.last_run(), store.last_attempt});
  for (const auto& [id, spec] : jobs) (void)other.handle(definition_of(id, spec, true), now);
  (void)other.handle(input::SetPool{default_slots}, now);
  (void)other.handle(input::HoldStarts{true}, now);
  for (RunId run : store.open_runs())
    (void)other.handle(input::Recover{store.snapshot(run, false)}, now);
  std::vector<Input> todo{input::RecoverRates{store.rate_rows()}, input::Recovered{}};
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const Input input = todo[i];
    const Step step = other.handle(input, now);
    for (const Mutation& change : step.mutations) {
      // Rates that count nothing any more may be forgotten.
      if (!std::holds_alternative<mutation::SetRunCounts>(change) &&
          !std::holds_alternative<mutation::SetRate>(change)) {
        return "a restart changes what is settled: " + mutation_text(change);
      }
    }
    for (const Effect& effect : step.effects) {
      // What waits for a slot has no row, so its `when` is judged again: as before.
      const auto* prepare = std::get_if<effect::Prepare>(&effect);
      if (prepare == nullptr || !engine.has_run(prepare->run)) continue;
      const bool was_judged = engine.task(prepare->run, prepare->task).state == TaskState::queued;
      if (was_judged)
        todo.emplace_back(input::Prepared{prepare->run, prepare->task, prepare->stamp, {}, {}, {}});
    }
    if (step.more) todo.emplace_back(input::Tick{});
  }
  for (const auto& [job, what] : served) {
    const auto here = engine.schedule(job);
    if (!here) continue;  // not told of yet
    (void)other.handle(schedule_of(job, what, store), now);
    const auto there = other.schedule(job);
    if (here->decided_through != there->decided_through || here->next != there->next ||
        here->is_paused != there->is_paused || here->is_served != there->is_served)
      return "a restored schedule differs: " + job;
  }
  for (RunId run : store.open_runs()) {
    if (!engine.has_run(run)) return "an open run is not in memory";
    const std::string here = run_text(engine, run);
    const std::string there = run_text(other, run);
    if (here != there) return "a restored engine differs:\n" + here + "\n--\n" + there;
  }
  const std::string here = effects_text(engine.regenerate_effects());
  const std::string there = effects_text(other.regenerate_effects());
  if (here != there) return "a restored engine wants other effects:\n" + here + "--\n" + there;
  return {};
}

}  // namespace pawl::sim
