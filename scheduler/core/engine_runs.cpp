// The life of a run: accepted, admitted, running, ended, gone from memory.

#include <algorithm>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

// Request ids of ended runs that are still answered from memory: an answer that was lost on its
// way is asked for again within seconds.
constexpr std::size_t kOldRequestsMax = 10'000;

}  // namespace

void Engine::State::on(const input::Submit& in) {
  if (!in.run.request_id.empty()) {
    if (auto it = requests_.find(in.run.request_id); it != requests_.end()) {
      effect::Reply reply{in.reply, {}, it->second, {}, false, {}};
      if (const Run* known = find(it->second)) reply.run_name = known->row.name;
      act(std::move(reply));
      return;
    }
  }
  const auto version = versions_.find(in.run.version);
  PAWL_CHECK(version != versions_.end());

  auto owned = std::make_unique<Run>();
  Run& run = *owned;
  run.row = in.run;
  run.row.id = RunId{++counters_.run.value};
  run.row.name = run_name(now_.wall, run.row.id);
  run.row.created_at = now_.wall;
  run.row.state = RunState::queued;
  run.version = version->second.get();
  run.is_forced = in.force;
  const JobSpec& job = run.version->job;
  run.nodes.resize(job.tasks.size());
  run.open_nodes = static_cast<std::int64_t>(job.tasks.size());
  run.row.counts = {};
  for (std::size_t i = 0; i < job.tasks.size(); ++i) {
    run.nodes[i].tally.open = static_cast<std::uint32_t>(job.tasks[i].depends_on.size());
    if (!job.tasks[i].is_mapped()) ++run.row.counts[static_cast<std::size_t>(TaskState::waiting)];
  }

  change(mutation::InsertRun{run.row});
  act(effect::Reply{in.reply, {}, run.row.id, run.row.name, true, {}});
  if (!run.row.request_id.empty()) requests_.emplace(run.row.request_id, run.row.id);
  runs_.emplace(run.row.id, std::move(owned));
  record(in.actor, std::string(to_string(run.row.trigger)), Target{run.row.id, {}, {}}, "");
  if (is_recovered_) admit(run);
}

void Engine::State::move_run(Run& run, RunEvent event, Reason reason) {
  const RunState from = run.row.state;
  const auto to = next(from, event);
  PAWL_CHECK(to.has_value());
  run.row.state = *to;
  run.row.reason = reason;
  ++run.stamp;
  if (is_final(*to)) run.row.ended_at = now_.wall;
  change(mutation::UpdateRun{from, run.row});
}

std::int64_t Engine::State::active_limit(const Run& run) const {
  const JobSpec& job = run.version->job;
  return job.overlap == Overlap::allow ? job.max_active_runs : 1;
}

/// Starts the run, or lets it wait for its time or for another run of its job to end.
void Engine::State::admit(Run& run) {
  if (run.row.state != RunState::queued || run.is_admitted || run.is_dormant) return;
  if (run.row.start_at && *run.row.start_at > now_.wall) {
    timers_.set({now_.mono + (*run.row.start_at - now_.wall), {run.row.id, {}, kWhole}, TimerKind::deferral, run.stamp});
    return;
  }
  Activity& job = jobs_[run.row.job];
  if (!run.is_forced && job.active >= active_limit(run)) {
    job.waiting.push_back(run.row.id);
    return;
  }
  ++job.active;
  run.is_admitted = true;
  start_run(run);
}

void Engine::State::start_run(Run& run) {
  move_run(run, RunEvent::start, Reason::none);
  if (!run.row.started_at) {
    run.row.started_at = now_.wall;
    std::get<mutation::UpdateRun>(step_.mutations.back()).row.started_at = now_.wall;
  }
  arm_run_timers(run);
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    const TaskState state = run.nodes[i].work.state;
    if (state == TaskState::waiting) look_at(run.row.id, TaskIndex{i});
    if (state == TaskState::queued || state == TaskState::running) make_ready(run, TaskIndex{i});
  }
  finish_run_if_done(run);
}

/// A dormant run goes on: it takes its place among the runs of its job, and what waits is looked at.
void Engine::State::wake(Run& run) {
  if (!run.is_dormant) return;
  run.is_dormant = false;
  if (run.row.state != RunState::running) {
    admit(run);
    return;
  }
  run.is_admitted = true;
  ++jobs_[run.row.job].active;
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    Node& node = run.nodes[i];
    if (node.work.state == TaskState::waiting) look_at(run.row.id, TaskIndex{i});
    const bool reads_on = node.mapped && node.work.state == TaskState::running && !node.mapped->complete &&
                          node.mapped->rest_state == TaskState::queued;
    if (reads_on && !node.is_preparing) prepare(run, TaskIndex{i});
    make_ready(run, TaskIndex{i});
  }
}

void Engine::State::arm_run_timers(Run& run) {
  const Duration timeout = run.version->job.timeout;
  if (timeout == Duration{0} || run.timeout_due.ms != 0) return;
  run.timeout_due = now_.mono + timeout;
  const TaskKey key{run.row.id, TaskIndex{0}, kWhole};
  timers_.set({run.timeout_due, key, TimerKind::run, 0});
  change(mutation::SetTimer{{key, TimerKind::run, run.timeout_due, now_.wall + timeout, timeout, true}});
}

/// The run's job may start another one.
void Engine::State::leave(Run& run) {
  if (!run.is_admitted) {
    auto it = jobs_.find(run.row.job);
    if (it != jobs_.end()) std::erase(it->second.waiting, run.row.id);
    return;
  }
  run.is_admitted = false;
  auto it = jobs_.find(run.row.job);
  PAWL_CHECK(it != jobs_.end() && it->second.active > 0);
  --it->second.active;
  while (!it->second.waiting.empty()) {
    Run* waiting = find(it->second.waiting.front());
    if (waiting != nullptr && waiting->row.state == RunState::queued) {
      if (it->second.active >= active_limit(*waiting)) return;
      it->second.waiting.pop_front();
      admit(*waiting);
    } else {
      it->second.waiting.pop_front();
    }
  }
  if (it->second.active == 0) jobs_.erase(it);
}

void Engine::State::finish_run_if_done(Run& run) {
  if (run.open_nodes > 0 || is_final(run.row.state)) return;
  bool has_failure = false;
  bool has_cancelled = false;
  for (std::size_t i = 0; i < run.nodes.size(); ++i) {
    if (run.version->job.tasks[i].allow_failure) continue;
    const TaskState state = run.nodes[i].work.state;
    has_failure |= state == TaskState::failed || state == TaskState::held;
    has_cancelled |= state == TaskState::cancelled;
  }
  const Reason why = run.stopping;
  const bool is_limit = why == Reason::run_timeout || why == Reason::fail_fast;
  RunEvent event = RunEvent::succeed;
  if (has_failure || is_limit) {
    event = RunEvent::fail;
  } else if (has_cancelled) {
    event = RunEvent::cancel;
  } else if (run.row.state == RunState::queued) {
    return;  // nothing to do, but its turn has not come
  }
  move_run(run, event, why);
  if (run.timeout_due.ms != 0) {
    run.timeout_due = MonoTime{};
    change(mutation::ClearTimer{{run.row.id, TaskIndex{0}, kWhole}, TimerKind::run});
  }
  leave(run);
  act(effect::RunEnded{run.row.id});
}

/// Nothing more of the run starts, and what runs is stopped.
void Engine::State::cancel_rest(Run& run, Reason reason, bool force) {
  if (run.stopping == Reason::none) run.stopping = reason;
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    if (!is_final(run.nodes[i].work.state)) cancel_node(run, TaskIndex{i}, reason, force);
  }
  finish_run_if_done(run);
}

void Engine::State::on(const input::Pause& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    Run* run = find(target.run);
    if (run == nullptr || is_final(run->row.state)) {
      reply.results.push_back({target, false, "the run has ended"});
    } else if (run->row.state == RunState::paused) {
      reply.results.push_back({target, true, "is paused already"});
    } else {
      move_run(*run, RunEvent::pause, Reason::none);
      record(in.actor, "pause", target, in.note);
      reply.results.push_back({target, true, ""});
    }
  }
  act(std::move(reply));
}

void Engine::State::on(const input::Unpause& in) {
  effect::Reply reply{in.reply, {}, {}, {}, false, {}};
  for (const Target& target : in.targets) {
    Run* run = find(target.run);
    if (run != nullptr && run->is_dormant && run->row.state != RunState::paused) {
      wake(*run);
      reply.results.push_back({target, true, ""});
      continue;
    }
    if (run == nullptr || run->row.state != RunState::paused) {
      reply.results.push_back({target, false, "is not paused; `pawl resume` repeats what failed"});
      continue;
    }
    run->is_dormant = false;
    move_run(*run, RunEvent::unpause, Reason::none);
    record(in.actor, "unpause", target, "");
    if (run->is_admitted) {
      start_run(*run);
    } else {
      admit(*run);
    }
    reply.results.push_back({target, true, ""});
  }
  act(std::move(reply));
}

void Engine::State::on(const input::RunDurable& in) {
  auto it = runs_.find(in.run);
  if (it == runs_.end() || !is_final(it->second->row.state)) return;
  if (const std::string& request = it->second->row.request_id; !request.empty()) {
    old_requests_.push_back(request);
    if (old_requests_.size() > kOldRequestsMax) {
      requests_.erase(old_requests_.front());
      old_requests_.pop_front();
    }
  }
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    lane = lane->first.second == in.run.value ? lanes_.erase(lane) : std::next(lane);
  }
  runs_.erase(it);
}

}  // namespace pawl
