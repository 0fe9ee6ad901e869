// The life of a run: accepted, admitted, running, ended, gone from memory.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

// Request ids of ended runs that are still answered from memory: an answer that was lost on its
// way is asked for again within seconds.
constexpr std::size_t kOldRequestsMax = 10'000;

// Ended runs of which an older snapshot than their end is recognized.
constexpr std::size_t kLeftMax = 10'000;

/// Whether it ends a run as a failure, with tasks that are cancelled by it.
bool is_limit(Reason reason) {
  return reason == Reason::run_timeout || reason == Reason::fail_fast;
}

}  // namespace

void Engine::State::on(const input::Submit& in) {
  if (!in.run.request_id.empty()) {
    if (auto it = requests_.find(in.run.request_id); it != requests_.end()) {
      effect::Reply reply{in.reply, {}, it->second, {}, false, {}};
      if (const Run* known = find(it->second)) {
        reply.run_name = known->row.name;
        if (known->row.job != in.run.job || known->row.params != in.run.params) {
          reply.status = Error{ErrorKind::refused,
                               "request " + in.run.request_id + ": made run " + known->row.name +
                                   " with another job or other params. Use another request id"};
        }
      }
      act(std::move(reply));
      return;
    }
  }
  const auto version = versions_.find(in.run.version);
  if (version == versions_.end()) {
    act(effect::Reply{in.reply, Error{ErrorKind::refused, kNoDefinition}, {}, {}, false, {}});
    return;
  }

  const RunRow& row = accept(in.run, *version->second, in.force).row;
  act(effect::Reply{in.reply, {}, row.id, row.name, true, {}});
  record(in.actor, std::string(to_string(row.trigger)), Target{row.id, {}, {}}, "");
}

/// A new run takes its place among those of its job.
Run& Engine::State::accept(RunRow row, Version& version, bool force) {
  auto owned = std::make_unique<Run>();
  Run& run = *owned;
  run.row = std::move(row);
  run.row.id = RunId{++counters_.run.value};
  run.row.name = run_name(now_.wall, run.row.id);
  run.row.created_at = now_.wall;
  run.row.state = RunState::queued;
  run.row.reason = Reason::none;
  run.row.started_at.reset();
  run.row.ended_at.reset();
  run.row.resumes = 0;
  run.row.cancel_requested = false;
  run.version = &version;
  ++run.version->runs;
  run.is_forced = force;
  const JobSpec& job = run.version->job;
  run.nodes.resize(job.node_count());
  run.open_tasks = static_cast<std::int64_t>(job.tasks.size());
  run.row.counts = {};
  for (std::size_t i = 0; i < job.tasks.size(); ++i) {
    for (const Dependency& d : job.tasks[i].depends_on) run.nodes[i].tally.open += d.each ? 0 : 1;
    if (!job.tasks[i].is_mapped()) ++run.row.counts[static_cast<std::size_t>(TaskState::waiting)];
  }

  change(mutation::InsertRun{run.row});
  call_opened(run);
  if (!run.row.request_id.empty()) requests_.emplace(run.row.request_id, run.row.id);
  run_names_.emplace(run.row.name, run.row.id);
  runs_.emplace(run.row.id, std::move(owned));
  if (is_recovered_) admit(run);
  return run;
}

void Engine::State::move_run(Run& run, RunEvent event, Reason reason) {
  const RunState from = run.row.state;
  const auto to = next(from, event);
  PAWL_CHECK(to.has_value());
  run.row.state = *to;
  run.row.reason = reason;
  heads_changed_ = true;
  if (event == RunEvent::start && !run.row.started_at) run.row.started_at = now_.wall;
  if (is_final(*to)) {
    run.row.ended_at = now_.wall;
    run.row.outcome.reset();
    run.row.outcome_reason = Reason::none;
  }
  change(mutation::UpdateRun{from, run.row});
}

/// Its row, changed without a change of state.
void Engine::State::write_run(Run& run) { change(mutation::UpdateRun{run.row.state, run.row}); }

std::int64_t Engine::State::active_limit(const Run& run) const {
  if (run.row.trigger == Trigger::backfill) return std::max<std::int64_t>(1, run.row.max_active);
  const JobSpec& job = run.version->job;
  return job.overlap == Overlap::allow ? job.max_active_runs : 1;
}

/// Starts the run, or lets it wait for its time or for another run of its job to end.
void Engine::State::admit(Run& run) {
  if (run.row.state != RunState::queued || run.is_admitted || run.is_dormant) return;
  if (run.row.start_at && *run.row.start_at > now_.wall) {
    delayed_.emplace(*run.row.start_at, run.row.id);
    return;
  }
  Activity& job = jobs_[line_of(run)];
  if (!run.is_forced && job.active >= active_limit(run)) {
    job.waiting[run.row.priority_class].push_back(run.row.id);
    return;
  }
  ++job.active;
  run.is_admitted = true;
  start_run(run);
}

/// The next run whose time has come by the calendar.
void Engine::State::admit_due() {
  const RunId id = delayed_.begin()->second;
  delayed_.erase(delayed_.begin());
  if (Run* run = find(id)) admit(*run);
}

void Engine::State::start_run(Run& run) {
  move_run(run, RunEvent::start, standing_reason(run));
  if (!run.runs_hooks()) arm_run_timers(run);
  arm_queue_timers(run);
  look_at_all(run);
  finish_run_if_done(run);
}

/// Everything of the run that may go on does.
void Engine::State::look_at_all(Run& run) {
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    const TaskIndex task{i};
    Node& node = run.nodes[i];
    if (node.work.state == TaskState::waiting) look_at(run.row.id, task);
    const bool reads_on = node.mapped && node.work.state == TaskState::running &&
                          !node.mapped->is_paired && !node.mapped->complete &&
                          node.mapped->rest_state == TaskState::queued;
    if (reads_on && !node.is_preparing && !run.is_dormant) prepare(run, task);
    make_ready(run, task);
  }
}

/// A dormant run goes on: it takes its place among the runs of its job, and what waits is looked
/// at.
void Engine::State::wake(Run& run) {
  if (!run.is_dormant) return;
  run.is_dormant = false;
  wake_calls(run);
  if (run.row.state != RunState::running) {
    admit(run);
    return;
  }
  run.is_admitted = true;
  ++jobs_[line_of(run)].active;
  arm_queue_timers(run);
  look_at_all(run);
}

void Engine::State::arm_run_timers(Run& run) {
  const Duration timeout = run.version->job.timeout;
  if (timeout == Duration{0} || run.timeout_due.ms != 0) return;
  const Duration wait = std::min(timeout, kWaitMax);
  run.timeout_due = now_.mono + wait;
  const TaskKey key{run.row.id, TaskIndex{0}, kWhole};
  set_alarm({run.timeout_due, key, TimerKind::run, 0});
  change(mutation::SetTimer{{key, TimerKind::run, run.timeout_due, now_.wall + wait, wait, true}});
}

/// The run's job may start another one.
void Engine::State::leave(Run& run) {
  if (!run.is_admitted) return;  // where it waits it is skipped
  run.is_admitted = false;
  Activity& job = jobs_[line_of(run)];
  PAWL_CHECK(job.active > 0);
  --job.active;
  freed_.push_back(line_of(run));
}

/// Lets the next run of the job whose turn it is go, if there is one and room for it; else the job
/// is done with.
void Engine::State::admit_next() {
  const auto it = jobs_.find(freed_.front());
  while (it != jobs_.end() && !it->second.waiting.empty()) {
    Activity& job = it->second;
    const auto first = job.waiting.begin();
    if (first->second.empty()) {
      job.waiting.erase(first);
      continue;
    }
    Run* run = find(first->second.front());
    const bool waits = run != nullptr && run->row.state == RunState::queued && !run->is_admitted &&
                       run->stopping == Reason::none;
    if (waits && !run->is_forced && job.active >= active_limit(*run)) break;
    first->second.pop_front();
    if (!waits) continue;
    admit(*run);
    return;
  }
  if (it != jobs_.end() && it->second.active == 0 && it->second.waiting.empty()) jobs_.erase(it);
  freed_.pop_front();
}

/// What the states of its tasks say of the run, when all are final.
Engine::State::RunVerdict Engine::State::judge_run(const Run& run) const {
  bool has_failure = false;
  bool has_cancelled = false;
  Reason limit = run.stopping;
  const bool is_replaced = run.stopping == Reason::replaced;
  const bool is_asked_for = run.stopping == Reason::cancelled || is_replaced;
  for (std::size_t i = 0; i < run.version->job.tasks.size(); ++i) {
    const TaskState state = run.nodes[i].work.state;
    const bool counts = !run.version->job.tasks[i].allow_failure;
    const bool is_done = state == TaskState::succeeded || state == TaskState::skipped;
    has_failure |= counts && (state == TaskState::failed || state == TaskState::held);
    has_cancelled |= counts && state == TaskState::cancelled;
    // The whole run was cancelled: whatever may fail in it, what is not done was taken away.
    has_cancelled |= is_asked_for && !is_done;
    // What a limit took away and nobody has repeated is missing still.
    const Reason reason = run.nodes[i].work.reason;
    const bool was_taken = counts && state == TaskState::cancelled && is_limit(reason);
    if (was_taken && limit == Reason::none) limit = reason;
  }
  if (has_failure || is_limit(limit))
    return {RunEvent::fail, is_limit(limit) ? limit : Reason::none};
  if (has_cancelled) return {RunEvent::cancel, is_replaced ? Reason::replaced : Reason::cancelled};
  return {RunEvent::succeed, Reason::none};
}

void Engine::State::finish_run_if_done(Run& run) {
  if (run.open_tasks > 0 || is_final(run.row.state)) return;
  if (run.runs_hooks()) {
    if (run.open_hooks == 0) end_run(run, *run.row.outcome, run.row.outcome_reason);
    return;
  }
  // Nothing of a restored home moves before a person says so.
  const bool is_restored = run.row.state == RunState::paused && run.row.reason == Reason::restored;
  if (is_restored && run.stopping == Reason::none) return;
  const RunVerdict verdict = judge_run(run);
  // Nothing is to be done, but a run succeeds only when its turn has come, or will not come.
  const bool has_turn = run.row.state == RunState::running || run.is_admitted || run.is_dormant ||
                        run.stopping != Reason::none;
  if (!has_turn && verdict.event == RunEvent::succeed) return;
  const RunState outcome = *next(RunState::running, verdict.event);
  // What is taken away before its turn came has no end to speak of.
  const bool runs_hooks = run.row.state != RunState::queued && has_hooks_for(run, outcome);
  if (!runs_hooks) {
    end_run(run, outcome, verdict.reason);
    return;
  }
  // Nothing of it starts, hooks included, unless it is being ended.
  const bool is_kept = run.row.state == RunState::paused || run.is_dormant;
  if (is_kept && run.stopping == Reason::none) return;
  clear_run_timer(run);
  begin_hooks(run, outcome, verdict.reason);
}

void Engine::State::end_run(Run& run, RunState state, Reason reason) {
  settle_hooks(run);
  if (state == RunState::succeeded) {
    // Hooks that a resume repeats may be cancelled before their turn comes.
    if (run.row.state == RunState::queued) move_run(run, RunEvent::start, Reason::none);
    move_run(run, RunEvent::succeed, reason);
  } else {
    move_run(run, state == RunState::failed ? RunEvent::fail : RunEvent::cancel, reason);
  }
  clear_run_timer(run);
  leave(run);
  call_ended(run);
  count_failures(run);
  act(effect::RunEnded{run.row.id});
}

void Engine::State::clear_run_timer(Run& run) {
  if (run.timeout_due.ms != 0) {
    run.timeout_due = MonoTime{};
    change(mutation::ClearTimer{{run.row.id, TaskIndex{0}, kWhole}, TimerKind::run});
  }
}

/// Nothing more of the run starts. The first reason stays, over restarts too.
void Engine::State::begin_stopping(Run& run, Reason reason) {
  if (run.stopping != Reason::none) return;
  heads_changed_ = true;
  run.stopping = run.row.reason = reason;
  run.row.cancel_requested = reason == Reason::cancelled;
  write_run(run);
}

/// Nothing more of the run starts, what waits is cancelled and what runs is stopped: task by task,
/// as steps have room for it. The run's row knows from now on, so a restart goes on with it.
void Engine::State::cancel_rest(Run& run, Reason reason, bool force) {
  if (run.runs_hooks()) {
    cancel_hooks(run, force);
    return;
  }
  begin_stopping(run, reason);
  run.is_stopped = true;
  run.cancel_force = force || (run.cancel_force && run.cancel_next >= 0);
  run.cancel_next = 0;
  cancelled_.push_back(run.row.id);
}

void Engine::State::cancel_tasks(RunId id) {
  Run* run = find(id);
  // Meanwhile it may have ended, or somebody has resumed it; or it was cancelled twice.
  const bool is_meant = run != nullptr && run->cancel_next >= 0 && run->is_stopped &&
                        !is_final(run->row.state) && !run->runs_hooks();
  const auto tasks = static_cast<std::int64_t>(is_meant ? run->version->job.tasks.size() : 0);
  while (is_meant && run->cancel_next < tasks && !is_half_full()) {
    ++looked_at_;
    const TaskIndex task{static_cast<std::uint32_t>(run->cancel_next++)};
    if (!is_final(run->node(task).work.state))
      cancel_node(*run, task, run->stopping, run->cancel_force);
  }
  if (is_meant && run->cancel_next < tasks) return;
  cancelled_.pop_front();
  if (run != nullptr) run->cancel_next = -1;
  if (is_meant) finish_run_if_done(*run);
}

/// The run leaves memory.
void Engine::State::forget(RunId id) {
  auto it = runs_.find(id);
  if (it == runs_.end()) return;
  const std::string& request = it->second->row.request_id;
  if (!request.empty()) {
    old_requests_.push_back(request);
    if (old_requests_.size() > kOldRequestsMax) {
      requests_.erase(old_requests_.front());
      old_requests_.pop_front();
    }
  }
  if (left_.insert_or_assign(id, it->second->row.resumes).second) left_order_.push_back(id);
  if (left_order_.size() > kLeftMax) {
    left_.erase(left_order_.front());
    left_order_.pop_front();
  }
  auto lane = lanes_.lower_bound({id, {}});
  while (lane != lanes_.end() && lane->first.first == id) lane = drop_lane(lane);
  std::erase_if(too_wide_, [id](const Place& place) { return place.run == id; });
  unpin(*it->second->version, it->second->row.version);
  run_names_.erase(it->second->row.name);
  runs_.erase(it);
}

void Engine::State::forget_marked() {
  for (RunId id : forget_) forget(id);
  forget_.clear();
}

void Engine::State::on(const input::Pause& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    Run* run = find(target.run);
    if (run == nullptr || is_final(run->row.state)) {
      reply.results.push_back({target, false, "the run has ended"});
    } else if (is_stopping(*run)) {
      reply.results.push_back({target, false, kStopping});
    } else if (run->row.state == RunState::paused) {
      reply.results.push_back({target, true, "is paused already"});
    } else {
      pause(*run, in.actor, in.note);
      reply.results.push_back({target, true, ""});
    }
  }
  act(std::move(reply));
}

/// With it pause the runs that its tasks wait for: they are a part of what it does.
void Engine::State::pause(Run& run, const std::string& actor, const std::string& note) {
  move_run(run, RunEvent::pause, standing_reason(run));
  if (!run.is_admitted && !run.is_dormant && run.row.started_at) {
    // It had begun before it was resumed: it keeps its place, as after a restart.
    run.is_admitted = true;
    ++jobs_[line_of(run)].active;
    look_at_all(run);
  }
  record(actor, "pause", Target{run.row.id, {}, {}}, note);
  for (RunId called : awaited_by(run)) {
    Run& run_called = at(called);
    if (run_called.row.state != RunState::paused && !is_stopping(run_called))
      pause(run_called, actor, note);
  }
}

void Engine::State::unpause(Run& run, const std::string& actor) {
  run.is_dormant = false;
  move_run(run, RunEvent::unpause, standing_reason(run));
  record(actor, "unpause", Target{run.row.id, {}, {}}, "");
  if (run.is_admitted) {
    start_run(run);
  } else {
    admit(run);
  }
  for (RunId called : awaited_by(run)) go_on(at(called), actor);
}

/// An open run that others wait for goes on, if it had been told not to.
void Engine::State::go_on(Run& run, const std::string& actor) {
  wake(run);
  if (run.row.state == RunState::paused) unpause(run, actor);
}

void Engine::State::on(const input::Unpause& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    Run* run = find(target.run);
    if (run != nullptr && run->is_dormant && run->row.state != RunState::paused) {
      wake(*run);
      finish_run_if_done(*run);
      reply.results.push_back({target, true, ""});
      continue;
    }
    if (run == nullptr || run->row.state != RunState::paused) {
      reply.results.push_back({target, false, "is not paused; `pawl resume` repeats what failed"});
      continue;
    }
    unpause(*run, in.actor);
    reply.results.push_back({target, true, ""});
  }
  act(std::move(reply));
}

void Engine::State::on(const input::RunDurable& in) {
  const Run* run = find(in.run);
  if (run != nullptr && is_final(run->row.state)) forget_.push_back(in.run);
}

}  // namespace pawl
