// Tasks that call another job (operator `job`). Worker 0, the scheduler itself, has their attempts:
// one starts without a slot, the run it is for is accepted in the step that puts it to sleep, and
// it wakes in the step that ends that run. One that is to end earlier stays awake until its run has
// ended.

#include <algorithm>
#include <utility>

#include "scheduler/base/text.h"
#include "scheduler/core/engine_commands.h"

namespace pawl {
namespace {

// Runs looked at for one answer. Beyond it a circle is left to time-outs and to people.
constexpr std::int64_t kCircleLooksMax = 10'000;

std::string chain_text(const std::string& ancestors, const std::string& job) {
  std::string text;
  for (const char c : ancestors) text += c == '/' ? std::string(" → ") : std::string(1, c);
  return text + " → " + job;
}

}  // namespace

bool Engine::State::waits_for_call(const Run& run, TaskKey key, const Piece& work) {
  return work.state == TaskState::deferred && run.spec(key.task).calls_job();
}

/// The open runs that the task or item made for what it does now. One that it made for work that
/// succeeded long ago, and that somebody resumed by hand, is none of them.
std::vector<Run*> Engine::State::called_by(TaskKey key) {
  std::vector<Run*> runs;
  const Run* caller = find(key.run);
  const Piece* work = caller == nullptr ? nullptr : find_awake(*caller, key);
  if (work == nullptr) return runs;
  for (auto it = calls_.lower_bound({key, RunId{}}); it != calls_.end() && it->first == key; ++it) {
    Run& called = at(it->second);
    if (called.row.caller->work == work->work) runs.push_back(&called);
  }
  return runs;
}

/// The open runs that somebody in this one waits for.
std::vector<RunId> Engine::State::awaited_by(const Run& run) const {
  std::vector<RunId> runs;
  const TaskKey first{run.row.id, TaskIndex{0}, kWhole};
  for (auto it = calls_.lower_bound({first, RunId{}}); it != calls_.end(); ++it) {
    if (it->first.run != run.row.id) break;
    const Piece* work = find_awake(run, it->first);
    const Run* called = find(it->second);
    if (work == nullptr || work->live.value == 0 || called == nullptr) continue;
    if (called->row.caller->work == work->work) runs.push_back(it->second);
  }
  return runs;
}

void Engine::State::call_opened(const Run& run) {
  if (run.row.caller) calls_.emplace(run.row.caller->key, run.row.id);
}

void Engine::State::call_ended(const Run& run) {
  if (run.row.caller && calls_.erase({run.row.caller->key, run.row.id}) > 0)
    returns_.push_back(run.row.caller->key);
}

/// After a restart: whose run ended with the step that was committed last, it wakes now.
void Engine::State::look_at_calls(const Run& run) {
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    const TaskIndex task{i};
    if (!run.spec(task).calls_job()) continue;
    const Node& node = run.nodes[i];
    if (node.work.live.value != 0) returns_.push_back({run.row.id, task, kWhole});
    if (!node.mapped) continue;
    std::vector<std::int64_t> items;
    for (const auto& [item, work] : node.mapped->works) {
      if (work.live.value != 0) items.push_back(item);
    }
    std::sort(items.begin(), items.end());
    for (std::int64_t item : items) returns_.push_back({run.row.id, task, ItemIndex{item}});
  }
}

/// With a dormant run goes on what it waits for, and what it was about to start.
void Engine::State::wake_calls(const Run& run) {
  for (RunId called : awaited_by(run)) wake(at(called));
  std::vector<AttemptId> own;
  for (const auto& [id, live] : live_) {
    if (live.run == &run && live.worker == kSelf && live.state == AttemptState::starting)
      own.push_back(id);
  }
  std::sort(own.begin(), own.end());
  for (AttemptId id : own) act(start_of(id, live_.at(id)));
}

/// A run that the task had made has ended, or its attempt is to end.
void Engine::State::call_returned(TaskKey key) {
  Run* run = find(key.run);
  if (run == nullptr || !called_by(key).empty()) return;
  Piece* work = find_awake(*run, key);
  if (work == nullptr || work->live.value == 0) return;
  if (waits_for_call(*run, key, *work)) {
    if (run->is_dormant) {
      move(*run, key, *work, TaskEvent::queue, {Reason::none, work->detail, {}, work->live});
    } else {
      // It starts nothing: it waits for no turn and no token, and a pause does not hold it.
      const AttemptId id = work->live;
      act(start_of(id, begin_stay(*run, key, *work)));
    }
    return;
  }
  const auto live = live_.find(work->live);
  if (live == live_.end() || live->second.state != AttemptState::stopping) return;
  AttemptResult result;
  result.attempt = work->live;
  result.stay = live->second.stay;
  result.ended_at = now_.wall;
  if (live->second.stop == Reason::timeout) {
    // As a worker tells it, whose attempt may be tried again.
    live->second.stop = Reason::none;
    result.reason = Reason::timeout;
    result.failure.message =
        "no end within " + format_duration(run->spec(key.task).timeout) + "; its run was cancelled";
  } else {
    result.reason = Reason::cancelled;
    result.stop_seen = true;
  }
  end_attempt(result);
}

/// The attempt, which sleeps, is awake.
const Live& Engine::State::begin_stay(Run& run, TaskKey key, Piece& work) {
  const AttemptId id = work.live;
  Live live;
  live.run = &run;
  live.task = key.task;
  live.item = key.item;
  live.number = work.attempts;
  live.stay = work.detail;
  live.started_at = now_.wall;
  (void)line_of(run, key.task);
  move(run, key, work, TaskEvent::queue, {Reason::none, work.detail, {}, id});
  move(run, key, work, TaskEvent::start, {Reason::none, 0, {}, id});
  change(mutation::MoveAttempt{id, key, AttemptState::deferred, live.state, Reason::none, kSelf, 0,
                               std::nullopt});
  ++run.live;
  if (Mapped* mapped = run.node(key.task).mapped.get(); key.item != kWhole) {
    ++mapped->live;
    mapped->ready.pop_front();  // where its way through the queue has put it
  }
  return live_.emplace(id, live).first->second;
}

/// The attempt waits for its run no longer than for that run's end.
void Engine::State::stop_call(Run& run, TaskKey key, Piece& work, Reason reason, bool force) {
  const AttemptId id = work.live;
  begin_stay(run, key, work);
  stop_attempt(id, reason, force);
}

void Engine::State::cancel_calls(TaskKey key, bool force) {
  for (Run* called : called_by(key)) cancel_rest(*called, Reason::cancelled, force);
}

/// The attempt sleeps until the run has ended.
void Engine::State::wait_for(const Run& called, AttemptId id) {
  AttemptResult result;
  result.attempt = id;
  result.stay = live_.at(id).stay;
  result.outcome = AttemptResult::Outcome::deferred;
  result.ended_at = now_.wall;
  result.handle = called.row.name;
  end_attempt(result);
}

void Engine::State::on(const input::CallJob& in) {
  const auto it = live_.find(in.attempt);
  if (it == live_.end()) return;
  const Live live = it->second;
  const bool is_asked =
      live.worker == kSelf && live.stay == in.stay && live.state == AttemptState::starting;
  if (!is_asked) return;
  if (const Reason stop = stop_reason(*live.run, live.task); stop != Reason::none) {
    stop_attempt(in.attempt, stop, false);
    return;
  }
  auto called = in.known ? go_on_with(live, in) : begin_call(live, in);
  if (!called) {
    AttemptResult result;
    result.attempt = in.attempt;
    result.stay = live.stay;
    result.reason = Reason::permanent;
    result.ended_at = now_.wall;
    result.failure.message = called.error().message;
    end_attempt(result);
  } else if (*called == nullptr) {
    act(start_of(in.attempt, live));
  } else {
    const bool may_go = live.run->row.state != RunState::paused || is_final((*called)->row.state);
    if (!may_go && (*called)->row.state != RunState::paused) pause(**called, "", "");
    wait_for(**called, in.attempt);
  }
}

/// A new run; null when its definition has left memory meanwhile.
Result<Run*> Engine::State::begin_call(const Live& live, const input::CallJob& in) {
  const auto version = versions_.find(in.run.version);
  if (version == versions_.end()) return nullptr;
  const RunRow& caller = live.run->row;
  const std::string& job = in.run.job;
  RunRow row = in.run;
  row.ancestors = (caller.ancestors.empty() ? "" : caller.ancestors + "/") + caller.job;
  auto refuse = [](std::string why) { return Error{ErrorKind::refused, std::move(why)}; };
  if (("/" + row.ancestors + "/").find("/" + job + "/") != std::string::npos)
    return refuse("job " + job + " would start itself: " + chain_text(row.ancestors, job));
  if (std::count(row.ancestors.begin(), row.ancestors.end(), '/') >= limits::kCallDepthMax) {
    return refuse("more than " + std::to_string(limits::kCallDepthMax) +
                  " jobs would wait for each other: " + chain_text(row.ancestors, job));
  }
  row.trigger = Trigger::job;
  row.logical_time = caller.logical_time;
  row.interval_start = caller.interval_start;
  row.interval_end = caller.interval_end;
  row.priority_class = caller.priority_class;
  row.parent = caller.id;
  row.caller = Caller{live.key(), live.number, find_awake(*live.run, live.key())->work};
  if (would_circle(live, job, turns_of(version->second->job))) return refuse(circle_text(job));
  Run& run = accept(std::move(row), *version->second, false);
  record("", std::string(to_string(Trigger::job)), Target{run.row.id, {}, {}}, "");
  return &run;
}

/// One that its task made before: open, or to be resumed. Null when it is not as it was looked up.
Result<Run*> Engine::State::go_on_with(const Live& live, const input::CallJob& in) {
  const RunSnapshot* snapshot = adopt(*in.known, index_of(in.loaded));
  Run* run = find(*in.known);
  if (run == nullptr) {
    // It has ended since, or it never came into memory.
    if (!in.loaded.empty() || left_.contains(*in.known)) return nullptr;
    return Error{ErrorKind::refused,
                 "the run that it waits for could not be read when the scheduler started, and was "
                 "left alone"};
  }
  PAWL_CHECK(run->row.caller && run->row.caller->key == live.key());
  if (!is_final(run->row.state)) {
    Circle circle{{live.run->row.id}, 0};
    if (is_stuck(*run, circle)) return Error{ErrorKind::refused, circle_text(run->row.job)};
    go_on(*run, "");
    return run;
  }
  const bool is_now = snapshot != nullptr && is_final(snapshot->run.state) &&
                      snapshot->run.resumes == run->row.resumes &&
                      run->row.state != RunState::succeeded;
  if (!is_now) {
    forget_unopened(in.loaded);
    return nullptr;
  }
  const std::vector<Target> targets = {{run->row.id, {}, {}}};
  auto parts = select_resume(*run, targets, input::Resume{}, snapshot);
  std::optional<Error> refused;
  if (!parts) {
    refused = Error{ErrorKind::refused,
                    "run " + run->row.name + " cannot go on: " + parts.error().message};
  } else if (would_circle(live, run->row.job, turns_of(run->version->job))) {
    refused = Error{ErrorKind::refused, circle_text(run->row.job)};
  }
  if (refused) {
    forget_unopened(in.loaded);
    return *std::move(refused);
  }
  apply_resume(*run, *parts, snapshot);
  record("", "resume", targets.front(), "");
  return run;
}

// Circles ----------------------------------------------------------------------------------------

// Job `a` calls `b`, and in another run `b` calls `a`: where each lets one run go at a time, both
// may wait for the other's turn for ever. The call that would close such a circle is refused.

std::string Engine::State::circle_text(const std::string& job) {
  return "it would wait for its turn behind a run of job " + job +
         " that waits for this one: neither would ever end";
}

std::int64_t Engine::State::turns_of(const JobSpec& job) {
  return job.overlap == Overlap::allow ? job.max_active_runs : 1;
}

bool Engine::State::would_circle(const Live& live, const std::string& job,
                                 std::int64_t turns) const {
  Circle circle{{live.run->row.id}, 0};
  return is_line_stuck({job, false}, turns, circle);
}

/// Whether so many runs of the line wait for one on the path that its turn never comes. There may
/// be more active than it has turns (one that was forced, or resumed): those leave, these do not.
bool Engine::State::is_line_stuck(const LineKey& line, std::int64_t turns, Circle& circle) const {
  const auto activity = jobs_.find(line);
  if (activity == jobs_.end() || activity->second.active < turns) return false;
  std::int64_t may_leave = activity->second.active - turns;
  for (const auto& [id, run] : runs_) {
    if (!run->is_admitted || line_of(*run) != line) continue;
    if (!is_stuck(*run, circle) && --may_leave < 0) return false;
  }
  return true;
}

bool Engine::State::is_stuck(const Run& run, Circle& circle) const {
  const auto& path = circle.path;
  if (std::find(path.begin(), path.end(), run.row.id) != path.end()) return true;
  if (++circle.looks > kCircleLooksMax) return false;
  circle.path.push_back(run.row.id);
  bool is_so = false;
  // One that is paused before its turn will wait for it like the others.
  const bool is_paused = run.row.state == RunState::paused;
  if ((run.row.state == RunState::queued || is_paused) && !run.is_admitted) {
    is_so = is_line_stuck(line_of(run), active_limit(run), circle);
  } else {
    for (RunId id : awaited_by(run)) {
      const Run* called = find(id);
      is_so = is_so || (called != nullptr && is_stuck(*called, circle));
    }
  }
  circle.path.pop_back();
  return is_so;
}

}  // namespace pawl
