#include "tests/sim/world.h"

#include <algorithm>

namespace pawl::sim {
World::World() : engine(EngineCounters{}) {
  handle(input::Recovered{});
  handle(input::SetPool{default_slots});
  for (WorkerId worker : workers) handle(input::WorkerUp{worker});
}

VersionId World::define(std::string_view text) { return define(job_from_text(text)); }

VersionId World::define(JobSpec job) {
  const VersionId id{static_cast<std::int64_t>(jobs.size()) + 1};
  handle(definition_of(id, jobs.emplace(id, std::move(job)).first->second, false));
  return id;
}

void World::know(VersionId version) {
  if (engine.knows_version(version)) return;
  handle(input::AddVersion{store.versions.at(version), jobs.at(version), true});
}

VersionId World::serve(JobSpec job) {
  const VersionId version = define(job);
  Served& now_served = served[job.name];
  now_served = served_of(version, job);
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

AttemptResult World::result_of(AttemptId id, const End& end) const {
  const effect::StartAttempt& start = running.at(id);
  AttemptResult result;
  result.attempt = id;
  result.worker = start.worker;
  result.stay = start.stay;
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
  return result;
}

void World::finish(RunId run, const std::string& task, const End& end) {
  const AttemptId id = live(run, task);
  if (id == AttemptId{}) throw BrokenInvariant("nothing of " + task + " is live");
  handle(input::AttemptsEnded{{result_of(id, end)}});
}

void World::finish_all(RunId run, Outcome outcome) {
  while (true) {
    input::AttemptsEnded ended_now;
    for (const auto& [id, start] : running) {
      if (start.key.run == run) ended_now.results.push_back(result_of(id, End{outcome}));
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

void World::mark(RunId run, const std::string& task, TaskState state) {
  const std::vector<Target> targets{target(run, task)};
  know(store.runs.at(run).version);
  handle(input::Mark{targets, state, "ana", ReplyToken{++token_}, loaded(targets)}, true);
}

void World::dismiss(RunId run, const std::string& task) { dismiss(target(run, task)); }

void World::dismiss_itself(RunId run) { dismiss(Target{run, {}, {}, true}); }

void World::dismiss(const Target& what) {
  const std::vector<Target> targets{what};
  know(store.runs.at(what.run).version);
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
  if (!answers) handle_inbox();
}

void World::answer_later(const effect::StartAttempt& call) {
  const CallAnswer answer = answer_of(call, store, jobs);
  for (VersionId version : answer.versions) {
    inbox_.emplace_back(definition_of(version, jobs.at(version), store.versions.contains(version)));
  }
  inbox_.push_back(answer.input);
}

void World::answer(const effect::StartAttempt& call) {
  answer_later(call);
  handle_inbox();
}

void World::handle_inbox() {
  std::vector<Input> todo;
  todo.swap(inbox_);
  for (const Input& in : todo) handle(in);
}

void World::restart(bool new_boot, bool recover) {
  engine = Engine(EngineCounters{store.last_run(), store.last_attempt});
  is_recovered_ = false;
  dormant_.clear();
  unanswered.clear();
  calls.clear();
  for (const auto& [id, spec] : jobs) (void)engine.handle(definition_of(id, spec, true), now);
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

}  // namespace pawl::sim
