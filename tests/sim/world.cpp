#include "tests/sim/world.h"

#include <algorithm>
#include <sstream>

#include "scheduler/base/check.h"
#include "scheduler/core/job_call.h"

namespace pawl::sim {
namespace {

std::string why(Reason reason, std::int32_t detail) {
  if (reason == Reason::none) return {};
  std::string text = ":" + std::string(to_string(reason));
  if (reason == Reason::exit || reason == Reason::signal) text += ":" + std::to_string(detail);
  return text;
}

/// One line per task, whatever differs shows.
std::string view_text(const RunView& view) {
  std::ostringstream out;
  out << to_string(view.run.state) << why(view.run.reason, 0) << " resumes " << view.run.resumes;
  for (std::int64_t count : view.run.counts) out << ' ' << count;
  for (const TaskView& task : view.tasks) {
    out << '\n'
        << to_string(task.state) << why(task.reason, task.detail) << " attempts " << task.attempts;
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
           why(row.reason, row.detail);
  };
  if (const auto* m = std::get_if<mutation::InsertTask>(&change)) text += row_text(m->row);
  if (const auto* m = std::get_if<mutation::UpdateTask>(&change))
    text += row_text(m->row) + " from " + std::string(to_string(m->expected));
  if (const auto* m = std::get_if<mutation::UpdateRun>(&change)) {
    text += " of " + std::to_string(m->row.id.value) + " to " +
            std::string(to_string(m->row.state)) + why(m->row.reason, 0) + " from " +
            std::string(to_string(m->expected));
  }
  return text;
}

std::string effects_text(const std::vector<Effect>& effects) {
  std::string text;
  for (const Effect& effect : effects) text += effect_text(effect) + "\n";
  return text;
}

void load_versions(Engine& to, const std::map<VersionId, JobSpec>& jobs, Now now) {
  for (const auto& [id, spec] : jobs) {
    JobVersionRow row;
    row.id = id;
    row.job = spec.name;
    (void)to.handle(input::AddVersion{row, spec, true}, now);
  }
}

}  // namespace

World::World() : engine(EngineCounters{}) {
  handle(input::Recovered{});
  handle(input::SetPool{default_slots});
  for (WorkerId worker : workers) handle(input::WorkerUp{worker});
}

VersionId World::define(std::string_view text) { return define(job_from_text(text)); }

VersionId World::define(JobSpec job) {
  const VersionId id{static_cast<std::int64_t>(jobs.size()) + 1};
  jobs.emplace(id, job);
  JobVersionRow row;
  row.id = id;
  row.job = job.name;
  handle(input::AddVersion{row, std::move(job), false});
  return id;
}

void World::know(VersionId version) {
  if (engine.knows_version(version)) return;
  handle(input::AddVersion{store.versions.at(version), jobs.at(version), true});
}

std::shared_ptr<const Calendar> calendar_of(const JobSpec& job) {
  CalendarSources sources;
  sources.zone = [](std::string_view name) -> std::optional<cctz::time_zone> {
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
  };
  auto calendar = Calendar::compile(job.schedules, sources);
  PAWL_CHECK(calendar.ok());
  return std::make_shared<const Calendar>(*std::move(calendar));
}

std::string calendar_key_of(const JobSpec& job) {
  std::string key;
  for (const ScheduleSpec& s : job.schedules) {
    key += s.cron + "|" + std::to_string(s.every.count()) + "|" + s.at + "|" + s.timezone + "|" +
           s.start + "|" + s.end + "|" + std::to_string(s.jitter.count()) + "\n";
  }
  return key;
}

input::SetSchedule schedule_of(const std::string& job, const Served& served,
                               const ModelStore& store) {
  input::SetSchedule set;
  set.job = job;
  set.version = served.version;
  set.calendar = served.calendar;
  set.calendar_key = served.key;
  const auto row = store.jobs.find(job);
  if (row == store.jobs.end()) return set;
  set.decided_through = row->second.decided_through;
  set.paused = row->second.paused;
  set.failures = row->second.failures;
  for (const auto& [id, run] : store.runs) {
    const bool lies_ahead = run.scheduled_for && set.decided_through <= run.scheduled_for;
    if (run.job == job && lies_ahead) set.taken.push_back(*run.scheduled_for);
  }
  return set;
}

VersionId World::serve(JobSpec job) {
  const VersionId version = define(job);
  Served& now_served = served[job.name];
  now_served = {version, calendar_of(job), calendar_key_of(job)};
  handle(schedule_of(job.name, now_served, store));
  return version;
}

void World::remove(const std::string& job) {
  served.erase(job);
  handle(input::RemoveSchedule{job});
}

void World::pause_job(const std::string& job, bool pause, std::string note) {
  handle(input::PauseJob{job, pause, std::move(note), "ana", {}});
}

void World::backfill(VersionId version, const std::vector<WallTime>& fires, std::int64_t max_active,
                     bool stands_for_fire) {
  know(version);
  input::SubmitAll all;
  all.version = version;
  for (const WallTime fire : fires) {
    RunRow row;
    row.job = jobs.at(version).name;
    row.trigger = Trigger::backfill;
    row.logical_time = fire;
    if (stands_for_fire) row.scheduled_for = fire;
    row.max_active = max_active;
    row.priority_class = 1;
    all.runs.push_back(std::move(row));
  }
  all.reply = ReplyToken{++token_};
  handle(all);
}

RunId World::start(std::string_view text) { return start(define(text)); }

RunId World::start(VersionId version, const std::function<void(RunRow&)>& change, bool force) {
  know(version);
  RunRow row;
  row.job = jobs.at(version).name;
  row.version = version;
  row.logical_time = now.wall;
  if (change) change(row);
  handle(input::Submit{row, force, "ana", ReplyToken{++token_}});
  return reply.run;
}

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

void World::finish(RunId run, const std::string& task, Outcome outcome) {
  finish(run, task, End{outcome});
}

void World::defer(RunId run, const std::string& task, Duration delay, std::string state_text) {
  End end{Outcome::deferred};
  end.look_again_after = delay;
  end.state_text = std::move(state_text);
  finish(run, task, end);
}

void World::set_handle(RunId run, const std::string& task, std::string text) {
  const AttemptId id = live(run, task);
  if (id == AttemptId{}) throw BrokenInvariant("nothing of " + task + " is live");
  handle(input::AttemptHandle{id, running.at(id).worker, ++handle_serial_, std::move(text)});
}

void World::finish(RunId run, const std::string& task, const End& end) {
  const AttemptId id = live(run, task);
  if (id == AttemptId{}) throw BrokenInvariant("nothing of " + task + " is live");
  AttemptResult result;
  result.attempt = id;
  result.worker = running.at(id).worker;
  result.stay = running.at(id).stay;
  result.outcome = end.outcome;
  result.reason = end.reason;
  if (end.outcome == Outcome::failed && end.reason == Reason::none) result.reason = Reason::exit;
  if (result.reason == Reason::exit) result.exit_code = end.exit_code;
  if (result.reason == Reason::signal) result.signal = 9;
  result.stop_seen = end.stop_seen && stopped.contains(id);
  result.may_be_cause = end.may_be_cause;
  result.look_again_after = end.look_again_after;
  result.state_text = end.state_text;
  result.ended_at = now.wall;
  handle(input::AttemptsEnded{{result}});
}

void World::finish_all(RunId run, Outcome outcome) {
  while (true) {
    input::AttemptsEnded ended_now;
    for (const auto& [id, start] : running) {
      if (start.key.run != run) continue;
      AttemptResult result;
      result.attempt = id;
      result.worker = start.worker;
      result.stay = start.stay;
      result.outcome = outcome;
      result.reason = outcome == Outcome::failed ? Reason::exit : Reason::none;
      if (outcome == Outcome::failed) result.exit_code = 1;
      result.stop_seen = stopped.contains(id);
      result.ended_at = now.wall;
      ended_now.results.push_back(std::move(result));
    }
    if (ended_now.results.empty()) return;
    handle(ended_now);
  }
}

void World::pass(Duration time) {
  const Now end{now.mono + time, now.wall + time};
  while (true) {
    const auto due = engine.next_deadline();
    if (!due || *due > end.mono) break;
    const Duration step = std::max(Duration{0}, *due - now.mono);
    now = {now.mono + step, now.wall + step};
    handle(input::Tick{});
    const auto next = engine.next_deadline();
    if (next && *next <= now.mono) throw BrokenInvariant("a deadline that a tick does not settle");
  }
  now = end;
  handle(input::Tick{});
}

std::vector<RunSnapshot> World::loaded(const std::vector<Target>& targets) const {
  std::vector<RunSnapshot> out;
  for (const Target& t : targets) {
    if (!store.runs.contains(t.run)) continue;
    if (!engine.has_run(t.run) || engine.has_mapped_tasks(t.run))
      out.push_back(store.snapshot(t.run, true));
  }
  return out;
}

void World::cancel(RunId run, const std::string& task, bool force) {
  handle(input::Cancel{{target(run, task)}, force, "ana", ReplyToken{++token_}, {}}, true);
}

void World::resume(RunId run, const std::string& task,
                   const std::function<void(input::Resume&)>& change) {
  input::Resume resume;
  resume.targets = {target(run, task)};
  resume.actor = "ana";
  resume.reply = ReplyToken{++token_};
  if (change) change(resume);
  resume.loaded = loaded(resume.targets);
  know(store.runs.at(run).version);
  dormant_.erase(run);
  handle(resume, true);
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

void World::mark(RunId run, const std::string& task, TaskState state) {
  const std::vector<Target> targets{target(run, task)};
  know(store.runs.at(run).version);
  handle(input::Mark{targets, state, "ana", ReplyToken{++token_}, loaded(targets)}, true);
}

void World::dismiss(RunId run, const std::string& task) {
  const std::vector<Target> targets{target(run, task)};
  know(store.runs.at(run).version);
  handle(input::Dismiss{targets, "seen", "ana", ReplyToken{++token_}, loaded(targets)}, true);
}

void World::pause(RunId run) {
  handle(input::Pause{{{run, {}, {}}}, "", "ana", ReplyToken{++token_}}, true);
}
void World::unpause(RunId run) {
  dormant_.erase(run);
  handle(input::Unpause{{{run, {}, {}}}, "ana", ReplyToken{++token_}}, true);
}

void World::handle(const Input& input, bool by_person) {
  if (std::holds_alternative<input::Recovered>(input)) is_recovered_ = true;
  if (const auto* recover = std::get_if<input::Recover>(&input); recover && recover->dormant)
    dormant_.insert(recover->run.run.id);
  std::vector<Input> todo{input};
  bool is_first = true;
  mutations = 0;
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const Input current = todo[i];
    Step step = engine.handle(current, now);
    ++steps;
    mutations += step.mutations.size();
    // A run that is called again goes on as if a person had resumed it.
    const bool resumes = std::holds_alternative<input::CallJob>(current);
    if (std::string wrong = store.apply(step.mutations, (by_person && is_first) || resumes);
        !wrong.empty())
      throw BrokenInvariant(wrong);
    is_first = false;
    for (const Effect& effect : step.effects) perform(effect);
    has_more_ = step.more;
    if (step.more) todo.emplace_back(input::Tick{});
    for (Input& in : inbox_) todo.push_back(std::move(in));
    inbox_.clear();
  }
  if (checks) check();
}

void World::perform(const Effect& effect) {
  struct Visitor {
    World& w;
    void operator()(const effect::StartAttempt& e) const {
      if (!w.store.attempts.contains(e.attempt))
        throw BrokenInvariant("a start without an attempt");
      if (e.worker == WorkerId{}) {
        if (w.answers_calls) {
          w.answer_later(e);
        } else {
          w.calls.push_back(e);
        }
        return;
      }
      if (!w.busy_.insert(e.key).second) throw BrokenInvariant("two processes of one task");
      w.running.emplace(e.attempt, e);
      w.starts.push_back(e);
      w.started_at.push_back(w.now.mono);
    }
    void operator()(const effect::StopAttempt& e) const {
      const auto row = w.store.attempts.find(e.attempt);
      if (row == w.store.attempts.end() || row->second.state != AttemptState::stopping) {
        throw BrokenInvariant("a stop that is not recorded");
      }
      w.stopped[e.attempt] = e.reason;
    }
    void operator()(const effect::ForgetAttempt& e) const {
      const auto it = w.running.find(e.attempt);
      if (it != w.running.end()) {
        if (it->second.stay != e.stay) return;
        w.busy_.erase(it->second.key);
        w.running.erase(it);
      }
      w.stopped.erase(e.attempt);
    }
    void operator()(const effect::Prepare& e) const {
      if (!w.answers) {
        w.unanswered.push_back(e);
        return;
      }
      const TaskSpec& task = w.job(e.run).node(e.task);
      w.answer(e, task.map ? std::stoll(task.map->items) : 0);
    }
    void operator()(const effect::HandleStored& e) const { w.handles.push_back(e); }
    void operator()(const effect::ItemsStored&) const {}
    void operator()(const effect::StopReading&) const {}
    void operator()(const effect::WantWorker& e) const { w.wanted.push_back(e.operator_name); }
    void operator()(const effect::JobPaused& e) const { w.paused.push_back(e.job); }
    void operator()(const effect::RunEnded& e) const {
      w.ended.push_back(e.run);
      if (w.forgets) w.inbox_.emplace_back(input::RunDurable{e.run});
    }
    void operator()(const effect::Reply& e) const { w.reply = e; }
  };
  std::visit(Visitor{*this}, effect);
}

void World::answer(const effect::Prepare& prepare, std::int64_t items, std::string error,
                   bool complete) {
  if (!prepare.is_open)
    inbox_.emplace_back(input::Prepared{prepare.run, prepare.task, prepare.stamp, {}, {}, {}});
  if (job(prepare.run).node(prepare.task).map) {
    std::int64_t first = prepare.from;
    do {
      const std::int64_t count = std::min<std::int64_t>(1'000, items - first);
      input::ItemsRead read{
          prepare.run, prepare.task, prepare.stamp, first, std::max<std::int64_t>(count, 0),
          "",          "place",      false,         ""};
      first += read.count;
      read.complete = complete && error.empty() && first >= items;
      if (first >= items) read.error = error;
      inbox_.emplace_back(std::move(read));
    } while (first < items);
  }
  if (answers) return;
  std::vector<Input> todo;
  todo.swap(inbox_);
  for (const Input& in : todo) handle(in);
}

CallAnswer answer_of(const effect::StartAttempt& call, const ModelStore& store,
                     const std::map<VersionId, JobSpec>& jobs) {
  const RunRow* newest = nullptr;
  for (const auto& [id, run] : store.runs) {
    if (run.caller && run.caller->key == call.key) newest = &run;
  }
  const auto& spec = jobs.at(store.runs.at(call.key.run).version).node(call.key.task);
  VersionId version;
  for (const auto& [id, job] : jobs) {
    if (job.name == spec.with) version = id;
  }
  AttemptResult end;
  end.attempt = call.attempt;
  end.stay = call.stay;
  end.reason = Reason::permanent;
  if (version == VersionId{}) {
    end.failure.message = "there is no job " + spec.with;
    return {{}, input::AttemptsEnded{{end}}};
  }
  input::CallJob answer{call.attempt, call.stay, {}, {}, {}};
  switch (
      next_call_move(call.stay, call.work, newest, newest != nullptr && newest->job == spec.with)) {
    case CallMove::begin:
      answer.run.job = spec.with;
      answer.run.version = version;
      return {{version}, answer};
    case CallMove::go_on:
      answer.known = newest->id;
      if (is_final(newest->state)) answer.loaded.push_back(store.snapshot(newest->id, true));
      return {{newest->version}, answer};
    case CallMove::conclude: break;
  }
  if (newest != nullptr) end.called = newest->id;
  if (newest == nullptr) {
    end.failure.message = "its run is gone";
  } else if (newest->state == RunState::succeeded) {
    end.outcome = Outcome::succeeded;
    end.reason = Reason::none;
  } else {
    if (newest->state == RunState::failed) end.reason = Reason::error;
    end.failure.message = "run " + newest->name + " " + std::string(to_string(newest->state));
  }
  return {{}, input::AttemptsEnded{{end}}};
}

void World::answer_later(const effect::StartAttempt& call) {
  const CallAnswer answer = answer_of(call, store, jobs);
  for (VersionId version : answer.versions) {
    JobVersionRow row;
    row.id = version;
    row.job = jobs.at(version).name;
    inbox_.emplace_back(input::AddVersion{row, jobs.at(version), store.versions.contains(version)});
  }
  inbox_.push_back(answer.input);
}

void World::answer(const effect::StartAttempt& call) {
  answer_later(call);
  std::vector<Input> todo;
  todo.swap(inbox_);
  for (const Input& in : todo) handle(in);
}

RunId World::called(RunId run, const std::string& task) const {
  RunId newest;
  for (const auto& [id, row] : store.runs) {
    if (row.caller && row.caller->key == key(run, task)) newest = id;
  }
  return newest;
}

void World::restart(bool new_boot, bool recover) {
  engine = Engine(EngineCounters{store.last_run(), store.last_attempt});
  is_recovered_ = false;
  dormant_.clear();
  unanswered.clear();
  calls.clear();
  load_versions(engine, jobs, now);
  (void)engine.handle(input::SetPool{default_slots}, now);
  if (new_boot) {
    now.mono = MonoTime{50'000};
    ++store.boot;
  }
  for (RunId run : store.open_runs()) {
    if (unreadable.contains(run)) continue;
    const Step step = engine.handle(input::Recover{store.snapshot(run, false)}, now);
    if (std::string wrong = store.apply(step.mutations, false); !wrong.empty())
      throw BrokenInvariant(wrong);
  }
  const Step rates = engine.handle(input::RecoverRates{store.rate_rows()}, now);
  if (std::string wrong = store.apply(rates.mutations, false); !wrong.empty())
    throw BrokenInvariant(wrong);
  for (WorkerId worker : workers) (void)engine.handle(input::WorkerUp{worker}, now);
  if (recover) recovered();
}

void World::recovered() {
  handle(input::Recovered{});
  for (const auto& [job, what] : served) handle(schedule_of(job, what, store));
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
    for (const PoolUse& use : job(key.run).node(key.task).pools) {
      const bool is_own = store.runs.at(key.run).default_slots > 0 && use.pool == "default";
      if (!is_own) slots += use.slots;
    }
  }
  std::int64_t taken = 0;
  for (const PoolView& pool : engine.pools(now)) {
    taken += pool.taken;
    std::int64_t held = 0;
    for (const auto& holder : pool.holders) held += holder.slots;
    if (held != pool.taken) throw BrokenInvariant("slots are taken that nobody holds");
  }
  if (taken != slots) throw BrokenInvariant("slots taken are not those of live attempts");
  if (!has_more_) check_same_after_restart();
}

void World::check_same_after_restart() {
  if (!dormant_.empty() || !is_recovered_) return;
  if (std::string wrong = difference_after_restart(engine, store, jobs, served, now, default_slots);
      !wrong.empty())
    throw BrokenInvariant(wrong);
}

std::string difference_after_restart(const Engine& engine, const ModelStore& store,
                                     const std::map<VersionId, JobSpec>& jobs,
                                     const std::map<std::string, Served>& served, Now now,
                                     std::int64_t default_slots) {
  Engine other(EngineCounters{store.last_run(), store.last_attempt});
  load_versions(other, jobs, now);
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
      const bool was_judged =
          engine.view(prepare->run)->tasks[prepare->task.value].state == TaskState::queued;
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
    const std::string here = view_text(*engine.view(run));
    const std::string there = view_text(*other.view(run));
    if (here != there) return "a restored engine differs:\n" + here + "\n--\n" + there;
  }
  const std::string here = effects_text(engine.regenerate_effects());
  const std::string there = effects_text(other.regenerate_effects());
  if (here != there) return "a restored engine wants other effects:\n" + here + "--\n" + there;
  return {};
}

std::string World::state(RunId run) const {
  const RunRow& row = store.runs.at(run);
  return std::string(to_string(row.state)) + why(row.reason, 0);
}

std::string World::states(RunId run) const {
  std::string out;
  const auto view = engine.view(run);
  for (std::uint32_t i = 0; i < job(run).node_count(); ++i) {
    TaskState state = TaskState::waiting;
    if (view) {
      state = view->tasks[i].state;
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
  return std::string(to_string(r.state)) + why(r.reason, r.detail);
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

}  // namespace pawl::sim
