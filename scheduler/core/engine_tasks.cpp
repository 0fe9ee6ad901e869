// Tasks: their state moves by the table, their followers are counted down, their rule decides.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::optional<WallTime> if_set(WallTime time) {
  if (time.ms == 0) return std::nullopt;
  return time;
}

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

}  // namespace

void Engine::State::fill(TaskRow& row, TaskKey key, const Piece& work) {
  row.key = key;
  row.state = work.state;
  row.reason = work.reason;
  row.detail = work.detail;
  row.attempts = work.attempts;
  row.counted = work.counted;
  row.interrupted_at = if_set(work.interrupted_at);
  row.interrupted_before = if_set(work.interrupted_before);
  row.work = work.work;
  row.live_attempt = work.live;
  row.queued_at = if_set(work.queued_at);
  row.started_at = if_set(work.started_at);
  row.ended_at = if_set(work.ended_at);
  row.dismissed = work.is_dismissed ? 1 : 0;
}

void Engine::State::write(Run& run, TaskKey key, Piece& work, TaskState expected,
                          AttemptId expected_attempt, std::string&& error) {
  // Waiting for a slot is no decision yet: it is found again from the rule. Unless there is a
  // limit to it, which must not begin anew with each restart.
  const bool is_decided = is_final(work.state) || work.state == TaskState::running;
  const bool is_timed =
      work.state == TaskState::queued && run.spec(key.task).queue_timeout != Duration{0};
  if (!work.has_row && !is_decided && !is_timed) return;
  if (key.item == kWhole) {
    if (!error.empty()) {
      run.errors[key.task] = error;
    } else if (!run.errors.empty()) {
      run.errors.erase(key.task);
    }
  }
  TaskRow* row = nullptr;
  if (work.has_row) {
    auto& update = add<mutation::UpdateTask>();
    update.expected = expected;
    update.expected_attempt = expected_attempt;
    row = &update.row;
  } else {
    row = &add<mutation::InsertTask>().row;
    work.has_row = true;
  }
  fill(*row, key, work);
  row->error = std::move(error);
}

/// The one place where a task's or item's state changes.
void Engine::State::move(Run& run, TaskKey key, Piece& work, TaskEvent event, MoveDetail&& detail) {
  const TaskState from = work.state;
  const auto to = next(from, event);
  PAWL_CHECK(to.has_value());
  const AttemptId live_before = work.live;
  work.state = *to;
  work.reason = detail.reason;
  work.detail = detail.detail;
  work.live = detail.live_after;
  work.is_dismissed = false;
  work.stamp = ++last_stamp_;
  if (*to == TaskState::queued) work.queued_at = now_.wall;
  if (event == TaskEvent::start && work.started_at.ms == 0) work.started_at = now_.wall;
  if (event == TaskEvent::open) work.started_at = now_.wall;
  if (is_final(*to)) {
    // A scheduler that was down learns late of what ended meanwhile.
    work.ended_at = detail.ended_at.ms != 0 ? std::min(detail.ended_at, now_.wall) : now_.wall;
  }
  // Work that had succeeded and is taken for undone is another piece of work from now on.
  if (from == TaskState::succeeded) ++work.work;
  if (event == TaskEvent::reset) {
    work.counted = 0;
    work.started_at = work.ended_at = WallTime{};
    work.interrupted_at = work.interrupted_before = WallTime{};
    work.total_due = MonoTime{};
  }
  heads_changed(run.node(key.task));
  const bool had_row = work.has_row;
  write(run, key, work, from, live_before, std::move(detail.error));

  const bool is_whole_of_items = key.item == kWhole && run.node(key.task).mapped != nullptr;
  const bool has_waited =
      is_whole_of_items ? from == TaskState::running : from == TaskState::queued;
  if (has_waited && had_row && run.spec(key.task).queue_timeout != Duration{0}) {
    change(mutation::ClearTimer{key, TimerKind::queue});
  }
  if (from == TaskState::retrying) change(mutation::ClearTimer{key, TimerKind::retry});
  if (from == TaskState::deferred) change(mutation::ClearTimer{key, TimerKind::deferral});
  const bool was_asleep = live_before.value != 0 && from != TaskState::running;
  if (was_asleep && is_final(*to)) end_asleep(key, live_before, event, detail.reason);
  if (is_final(*to) && work.total_due.ms != 0) {
    change(mutation::ClearTimer{key, TimerKind::total});
    work.total_due = MonoTime{};
  }
  if (key.item != kWhole) {
    item_moved(run, key, work, from, *to);
  } else {
    node_moved(run, key.task, from, *to);
  }
}

void Engine::State::node_moved(Run& run, TaskIndex task, TaskState from, TaskState to) {
  if (run.is_hook(task)) {
    if (is_due(run, task)) run.open_hooks += (is_final(from) ? 1 : 0) - (is_final(to) ? 1 : 0);
    if (is_final(to)) look_at(run.row.id, task);
    return;
  }
  if (!run.spec(task).is_mapped() && from != to) {
    --run.row.counts[place(from)];
    ++run.row.counts[place(to)];
    counts_changed(run);
  }
  if (!is_final(from) && !is_final(to)) return;
  run.open_tasks += (is_final(from) ? 1 : 0) - (is_final(to) ? 1 : 0);
  Mapped* mapped = run.node(task).mapped.get();
  if (mapped != nullptr && is_final(from) != is_final(to) && mapped->sweep >= 0) {
    // What was not reached waits on with the whole.
    if (is_final(from)) --run.open_tasks;
    mapped->sweep = -1;
  }
  for (const Dependency& d : run.spec(task).depends_on) {
    if (d.each && run.node(d.task).mapped) mapped_changed(run, d.task);
  }
  for (TaskIndex follower : run.version->graph.followers(task)) {
    Node& node = run.node(follower);
    node.tally.add(from, -1);
    node.tally.add(to, +1);
    if (is_final(to) && node.work.state == TaskState::waiting) look_at(run.row.id, follower);
  }
  if (is_final(to)) {
    tell_paired(run, task);
    tell_sharers(run, task);
    if (mapped != nullptr) {
      end_repeat(run, task);
      if (!is_final(from)) settle_items(run, task);
    }
    check_fail_fast(run, task);
    // Last of all, so that its followers see this state and not the run's end.
    look_at(run.row.id, task);
  }
}

/// Looks at one task: a waiting one may be decided, a final one may have been the run's last.
void Engine::State::evaluate(Run& run, TaskIndex task) {
  if (run.is_hook(task)) {
    evaluate_hook(run, task);
    return;
  }
  Node& node = run.node(task);
  if (is_final(node.work.state)) {
    if (is_stopping(run) && !run.is_stopped) cancel_rest(run, run.stopping, false);
    finish_run_if_done(run);
    return;
  }
  if (node.work.state != TaskState::waiting || node.is_preparing) return;
  const Repeat repeat = node.mapped ? node.mapped->repeat : Repeat::none;
  if (repeat == Repeat::all && !run.is_stopped) return;
  if (run.is_stopped) {
    // It waits again because of a mark, in a run of which nothing more starts.
    cancel_node(run, task, run.stopping, false);
    return;
  }
  if (run.row.state == RunState::queued || is_final(run.row.state)) return;
  // Paused before its turn had come.
  if (run.row.state == RunState::paused && !run.is_admitted && !run.is_dormant) return;
  const TaskKey key{run.row.id, task, kWhole};
  const Decision decision = decide(run.spec(task).trigger_rule, node.tally);
  // What ends it ends all items that a resume takes back: it is asked again when it has them.
  if (repeat != Repeat::none && decision != Decision::run) return;
  switch (decision) {
    case Decision::wait: return;
    case Decision::upstream_failed:
      move(run, key, node.work, TaskEvent::upstream_fail, {Reason::upstream, 0, {}, {}});
      return;
    case Decision::skip:
      move(run, key, node.work, TaskEvent::skip, {Reason::rule, 0, {}, {}});
      return;
    case Decision::run:
      if (run.spec(task).mapped_over) {
        evaluate_paired(run, task);
        return;
      }
      if (run.is_dormant) return;
      if (node.mapped && node.mapped->has_begun()) {
        reopen_mapped(run, task);
      } else if (run.spec(task).is_mapped() || !run.spec(task).when.empty()) {
        prepare(run, task);
      } else {
        queue_node(run, task);
      }
      return;
  }
}

/// Has `when` judged and the items read, outside.
void Engine::State::prepare(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  node.is_preparing = true;
  ++node.prepare_stamp;
  effect::Prepare prepare{
      run.row.id, task, node.prepare_stamp, node.work.state == TaskState::running, 0, {}};
  if (node.mapped) {
    prepare.from = node.mapped->items;
    prepare.source = node.mapped->source;
  }
  act(std::move(prepare));
}

void Engine::State::on(const input::Prepared& in) {
  Run* run = find(in.run);
  if (run == nullptr || in.task.value >= run->nodes.size()) return;
  Node& node = run->node(in.task);
  if (!node.is_preparing || node.prepare_stamp != in.stamp || node.work.state != TaskState::waiting)
    return;
  const TaskKey key{in.run, in.task, kWhole};
  const std::optional<TaskIndex> source = run->spec(in.task).mapped_over;
  const bool lacks_items =
      source && !has_items(*run, *source) && !is_final(run->node(*source).work.state);
  if (lacks_items || decide(run->spec(in.task).trigger_rule, node.tally) != Decision::run) {
    // What comes before it was opened again meanwhile.
    stop_preparing(*run, in.task);
    look_at(in.run, in.task);
    return;
  }
  switch (in.outcome) {
    case input::Prepared::Outcome::go:
      if (run->spec(in.task).is_mapped()) {
        open_mapped(*run, in.task);
      } else {
        node.is_preparing = false;
        queue_node(*run, in.task);
      }
      return;
    case input::Prepared::Outcome::skip:
      stop_preparing(*run, in.task);
      move(*run, key, node.work, TaskEvent::skip, {Reason::when, 0, in.message, {}});
      return;
    case input::Prepared::Outcome::error:
      stop_preparing(*run, in.task);
      move(*run, key, node.work, TaskEvent::fail, {in.reason, 0, in.message, {}});
      return;
  }
}

void Engine::State::queue_node(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  const TaskKey key{run.row.id, task, kWhole};
  move(run, key, node.work, TaskEvent::queue, {});
  arm_queue_timer(run, key, node.work);
  make_ready(run, task);
}

/// Nobody waits for its `when` or its items any more.
void Engine::State::stop_preparing(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (!node.is_preparing) return;
  node.is_preparing = false;
  ++node.prepare_stamp;
  if (run.spec(task).is_mapped()) act(effect::StopReading{run.row.id, task});
}

void Engine::State::cancel_node(Run& run, TaskIndex task, Reason reason, bool force) {
  Node& node = run.node(task);
  stop_preparing(run, task);
  if (node.mapped && node.work.state == TaskState::running) {
    cancel_items(run, task, reason, force);
    finish_mapped_if_done(run, task);
  } else if (node.work.state == TaskState::running) {
    stop_attempt(node.work.live, reason, force);
  } else if (const TaskKey key{run.row.id, task, kWhole}; waits_for_call(run, key, node.work)) {
    stop_call(run, key, node.work, reason, force);
  } else if (!is_final(node.work.state)) {
    move(run, {run.row.id, task, kWhole}, node.work, TaskEvent::cancel, {reason, 0, {}, {}});
  }
}

/// The rest is cancelled when the task is looked at: what depends on it has decided by then.
void Engine::State::check_fail_fast(Run& run, TaskIndex task) {
  const TaskState state = run.node(task).work.state;
  if (state != TaskState::failed && state != TaskState::held) return;
  if (!run.version->job.fail_fast || run.spec(task).allow_failure || is_final(run.row.state))
    return;
  begin_stopping(run, Reason::fail_fast);
}

void Engine::State::set_timer(TaskKey key, Piece& work, TimerKind kind, Duration delay,
                              bool persist) {
  const Duration wait = std::min(delay, kWaitMax);
  const MonoTime due = now_.mono + wait;
  // The total time-out outlives changes of state; all others end with them.
  if (kind == TimerKind::total) work.total_due = due;
  set_alarm({due, key, kind, kind == TimerKind::total ? 0 : work.stamp});
  if (persist) change(mutation::SetTimer{{key, kind, due, now_.wall + wait, wait, true}});
}

void Engine::State::set_alarm(const Alarm& alarm) {
  if (timers_.wants_sweep()) timers_.sweep([this](const Alarm& a) { return is_meant(a); });
  timers_.set(alarm);
}

/// Whether the alarm still means anything.
bool Engine::State::is_meant(const Alarm& alarm) {
  if (alarm.key.item == kTokens) return find_rate(alarm) != nullptr;
  Run* run = find(alarm.key.run);
  if (run == nullptr || is_final(run->row.state)) return false;
  if (alarm.kind == TimerKind::run) return alarm.due == run->timeout_due;
  if (alarm.key.item == kSleepers) {
    const Node& node = run->node(alarm.key.task);
    return node.mapped && alarm.due == node.mapped->wake_due;
  }
  const Piece* work = find_awake(*run, alarm.key);
  if (work == nullptr) return false;
  return alarm.kind == TimerKind::total ? alarm.due == work->total_due : alarm.stamp == work->stamp;
}

/// Limits its wait for a slot; of a mapped task: of each item for its first one.
void Engine::State::arm_queue_timer(Run& run, TaskKey key, Piece& work) {
  const Duration limit = run.spec(key.task).queue_timeout;
  if (limit != Duration{0}) set_timer(key, work, TimerKind::queue, limit, true);
}

/// The same for all that waits in the run, from now on.
void Engine::State::arm_queue_timers(Run& run) {
  for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
    const TaskIndex task{i};
    if (run.spec(task).queue_timeout == Duration{0}) continue;
    Node& node = run.node(task);
    auto arm = [&](ItemIndex item, Piece& work) {
      work.stamp = ++last_stamp_;
      arm_queue_timer(run, {run.row.id, task, item}, work);
    };
    const bool is_open_whole = node.mapped && node.work.state == TaskState::running;
    const bool is_dense_whole = is_open_whole && !node.mapped->is_paired;
    if (node.work.state == TaskState::queued || is_dense_whole) arm(kWhole, node.work);
    if (!is_open_whole) continue;
    for (auto& [item, work] : node.mapped->works) {
      if (work.state == TaskState::queued && item < node.mapped->items) arm(ItemIndex{item}, work);
    }
  }
}

namespace {

template <typename AnyRun>
auto find_awake_in(AnyRun& run, TaskKey key) -> decltype(&run.node(key.task).work) {
  if (key.task.value >= run.nodes.size()) return nullptr;
  auto& node = run.node(key.task);
  if (key.item == kWhole) return &node.work;
  if (!node.mapped) return nullptr;
  auto it = node.mapped->works.find(key.item.value);
  return it == node.mapped->works.end() ? nullptr : &it->second;
}

}  // namespace

const Piece* Engine::State::find_awake(const Run& run, TaskKey key) {
  return find_awake_in(run, key);
}

Piece* Engine::State::find_awake(Run& run, TaskKey key) { return find_awake_in(run, key); }

Piece* Engine::State::find_work(Run& run, TaskKey key) {
  Piece* awake = find_awake(run, key);
  return awake != nullptr ? awake : wake_for_command(run, key);
}

void Engine::State::on_timer(const Alarm& alarm) {
  if (alarm.key.item == kTokens) {
    if (RateLimit* rate = find_rate(alarm)) open_rate(*rate);
    return;
  }
  if (!is_meant(alarm)) return;
  Run& run = *find(alarm.key.run);
  const TaskKey key = alarm.key;
  const bool is_item = key.item != kWhole;
  if (alarm.kind == TimerKind::run) {
    cancel_rest(run, Reason::run_timeout, false);
    return;
  }
  if (key.item == kSleepers) {
    wake_first(run, key.task);
    return;
  }
  Piece& work = *find_work(run, key);
  switch (alarm.kind) {
    case TimerKind::retry:
      if (work.state != TaskState::retrying) return;
      // The reason stays: the next attempt is told what its predecessor failed of.
      move(run, key, work, TaskEvent::queue, {work.reason, work.detail, {}, {}});
      arm_queue_timer(run, key, work);
      make_ready(run, key.task);
      return;
    case TimerKind::queue:
      // Who may not start does not wait for a slot; the time begins anew when the run goes on.
      if (run.row.state != RunState::running || run.is_dormant) return;
      if (!is_item && run.node(key.task).mapped) {
        if (work.state != TaskState::running) return;
        change(mutation::ClearTimer{key, TimerKind::queue});  // it came, and the whole goes on
        stop_preparing(run, key.task);
        settle_rest(run, key.task, TaskState::failed, Reason::queue_timeout);
        item_ended(run, key.task);
        return;
      }
      if (work.state != TaskState::queued) return;
      move(run, key, work, TaskEvent::fail, {Reason::queue_timeout, 0, kNoSlot, {}});
      if (is_item) item_ended(run, key.task);
      return;
    case TimerKind::total:
      if (work.state == TaskState::running) {
        stop_attempt(work.live, Reason::total_timeout, false);
        return;
      }
      if (waits_for_call(run, key, work)) {
        stop_call(run, key, work, Reason::total_timeout, false);
        return;
      }
      move(run, key, work, TaskEvent::fail,
           {Reason::total_timeout, 0, "no success within its total_timeout", {}});
      if (is_item) item_ended(run, key.task);
      return;
    case TimerKind::deferral:
      if (work.state != TaskState::deferred) return;
      if (run.spec(key.task).calls_job()) {
        stop_call(run, key, work, Reason::timeout, false);
        return;
      }
      move(run, key, work, TaskEvent::queue, {Reason::none, work.detail, {}, work.live});
      arm_queue_timer(run, key, work);
      make_ready(run, key.task);
      return;
    case TimerKind::run: return;
  }
}

MonoTime Engine::State::due_of(const TimerRow& row) const {
  if (row.same_boot) return row.due;
  const Duration left = row.due_wall - now_.wall;
  return now_.mono + std::max(Duration{0}, std::min(left, row.delay));
}

}  // namespace pawl
