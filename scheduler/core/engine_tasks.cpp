// Tasks: their state moves by the table, their followers are counted down, their rule decides.

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::optional<WallTime> if_set(WallTime time) {
  if (time.ms == 0) return std::nullopt;
  return time;
}

std::size_t place(TaskState state) { return static_cast<std::size_t>(state); }

}  // namespace

TaskRow Engine::State::row_of(TaskKey key, const Piece& work) const {
  TaskRow row;
  row.key = key;
  row.state = work.state;
  row.reason = work.reason;
  row.detail = work.detail;
  row.attempts = work.attempts;
  row.counted = work.counted;
  row.interruptions = work.interruptions;
  row.interrupted_since = if_set(work.interrupted_since);
  row.work = work.work;
  row.live_attempt = work.live;
  row.queued_at = if_set(work.queued_at);
  row.started_at = if_set(work.started_at);
  row.ended_at = if_set(work.ended_at);
  row.dismissed = work.is_dismissed ? 1 : 0;
  return row;
}

void Engine::State::write(const Run&, TaskKey key, Piece& work, TaskState expected,
                          AttemptId expected_attempt, std::string&& error) {
  // Waiting for a slot is no decision yet: it is found again from the rule.
  if (!work.has_row && !is_final(work.state) && work.state != TaskState::running) return;
  TaskRow row = row_of(key, work);
  row.error = std::move(error);
  if (work.has_row) {
    change(mutation::UpdateTask{expected, expected_attempt, std::move(row)});
  } else {
    change(mutation::InsertTask{std::move(row)});
    work.has_row = true;
  }
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
  ++work.stamp;
  if (*to == TaskState::queued) work.queued_at = now_.wall;
  if (event == TaskEvent::start && work.started_at.ms == 0) work.started_at = now_.wall;
  if (event == TaskEvent::open) work.started_at = now_.wall;
  if (is_final(*to)) work.ended_at = now_.wall;
  if (event == TaskEvent::reset) {
    if (from == TaskState::succeeded) ++work.work;
    work.counted = 0;
    work.interruptions = 0;
    work.started_at = work.ended_at = work.interrupted_since = WallTime{};
    work.total_due = MonoTime{};
  }
  write(run, key, work, from, live_before, std::move(detail.error));

  if (from == TaskState::retrying) change(mutation::ClearTimer{key, TimerKind::retry});
  if (is_final(*to) && work.total_due.ms != 0) {
    change(mutation::ClearTimer{key, TimerKind::total});
    work.total_due = MonoTime{};
  }
  if (key.item != kWhole) {
    item_moved(run, key.task, key.item.value, from, *to);
  } else {
    node_moved(run, key.task, from, *to);
  }
}

void Engine::State::node_moved(Run& run, TaskIndex task, TaskState from, TaskState to) {
  if (!run.spec(task).is_mapped() && from != to) {
    --run.row.counts[place(from)];
    ++run.row.counts[place(to)];
    counts_changed(run);
  }
  if (!is_final(from) && !is_final(to)) return;
  run.open_nodes += (is_final(from) ? 1 : 0) - (is_final(to) ? 1 : 0);
  for (TaskIndex follower : run.version->graph.followers(task)) {
    Node& node = run.node(follower);
    node.tally.add(from, -1);
    node.tally.add(to, +1);
    if (is_final(to) && node.work.state == TaskState::waiting) look_at(run.row.id, follower);
  }
  if (is_final(to)) {
    // Last of all, so that its followers see this state and not the run's end.
    look_at(run.row.id, task);
  }
}

/// Looks at one task: a waiting one may be decided, a final one may have been the run's last.
void Engine::State::evaluate(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (is_final(node.work.state)) {
    check_fail_fast(run, task);
    finish_run_if_done(run);
    return;
  }
  if (node.work.state != TaskState::waiting || node.is_preparing) return;
  if (run.row.state == RunState::queued || is_final(run.row.state)) return;
  const TaskKey key{run.row.id, task, kWhole};
  switch (decide(run.spec(task).trigger_rule, node.tally)) {
    case Decision::wait: return;
    case Decision::upstream_failed:
      move(run, key, node.work, TaskEvent::upstream_fail, {Reason::upstream, 0, {}, {}});
      return;
    case Decision::skip:
      move(run, key, node.work, TaskEvent::skip, {Reason::rule, 0, {}, {}});
      return;
    case Decision::run:
      if (run.is_dormant) return;
      if (run.spec(task).is_mapped() || !run.spec(task).when.empty()) {
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
  effect::Prepare prepare{run.row.id, task, node.prepare_stamp, node.work.state == TaskState::running, 0, {}};
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
  if (!node.is_preparing || node.prepare_stamp != in.stamp || node.work.state != TaskState::waiting) return;
  const TaskKey key{in.run, in.task, kWhole};
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
      node.is_preparing = false;
      move(*run, key, node.work, TaskEvent::skip, {Reason::when, 0, in.message, {}});
      return;
    case input::Prepared::Outcome::error:
      node.is_preparing = false;
      move(*run, key, node.work, TaskEvent::fail, {in.reason, 0, in.message, {}});
      return;
  }
}

void Engine::State::queue_node(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  const TaskKey key{run.row.id, task, kWhole};
  move(run, key, node.work, TaskEvent::queue, {});
  if (const Duration limit = run.spec(task).queue_timeout; limit != Duration{0}) {
    set_timer(run, key, node.work, TimerKind::queue, limit, false);
  }
  make_ready(run, task);
}

void Engine::State::cancel_node(Run& run, TaskIndex task, Reason reason, bool force) {
  Node& node = run.node(task);
  if (node.is_preparing) {
    node.is_preparing = false;
    ++node.prepare_stamp;
    act(effect::StopReading{run.row.id, task});
  }
  if (node.mapped && node.work.state == TaskState::running) {
    cancel_items(run, task, reason, force);
    finish_mapped_if_done(run, task);
  } else if (node.work.state == TaskState::running) {
    stop_attempt(node.work.live, reason, force);
  } else if (!is_final(node.work.state)) {
    move(run, {run.row.id, task, kWhole}, node.work, TaskEvent::cancel, {reason, 0, {}, {}});
  }
}

void Engine::State::check_fail_fast(Run& run, TaskIndex task) {
  if (!run.version->job.fail_fast || run.stopping != Reason::none) return;
  if (run.spec(task).allow_failure || is_final(run.row.state)) return;
  const TaskState state = run.node(task).work.state;
  if (state == TaskState::failed || state == TaskState::held) cancel_rest(run, Reason::fail_fast, false);
}

void Engine::State::set_timer(Run& run, TaskKey key, Piece& work, TimerKind kind, Duration delay, bool persist) {
  // The total time-out outlives changes of state; all others end with them.
  const std::uint32_t stamp = kind == TimerKind::total ? 0 : work.stamp;
  timers_.set({now_.mono + delay, key, kind, stamp});
  if (persist) {
    change(mutation::SetTimer{{{run.row.id, key.task, key.item}, kind, now_.mono + delay, now_.wall + delay, delay, true}});
  }
}

Piece* Engine::State::find_work(Run& run, TaskKey key) {
  if (key.task.value >= run.nodes.size()) return nullptr;
  Node& node = run.node(key.task);
  if (key.item == kWhole) return &node.work;
  if (!node.mapped) return nullptr;
  auto it = node.mapped->works.find(key.item.value);
  return it == node.mapped->works.end() ? nullptr : &it->second;
}

void Engine::State::on_timer(const Alarm& timer) {
  Run* run = find(timer.key.run);
  if (run == nullptr || is_final(run->row.state)) return;
  if (timer.kind == TimerKind::run) {
    if (timer.due == run->timeout_due) cancel_rest(*run, Reason::run_timeout, false);
    return;
  }
  if (timer.kind == TimerKind::deferral && timer.key.item == kWhole && run->row.state == RunState::queued) {
    if (timer.stamp == run->stamp) admit(*run);
    return;
  }
  Piece* work = find_work(*run, timer.key);
  if (work == nullptr) return;
  switch (timer.kind) {
    case TimerKind::retry:
      if (work->stamp != timer.stamp || work->state != TaskState::retrying) return;
      {
        const Reason reason = work->reason;
        const std::int32_t detail = work->detail;
        // The reason stays: the next attempt is told what its predecessor failed of.
        move(*run, timer.key, *work, TaskEvent::queue, {reason, detail, {}, {}});
      }
      if (const Duration limit = run->spec(timer.key.task).queue_timeout; limit != Duration{0}) {
        set_timer(*run, timer.key, *work, TimerKind::queue, limit, false);
      }
      if (timer.key.item != kWhole) run->node(timer.key.task).mapped->ready.push_back(timer.key.item.value);
      make_ready(*run, timer.key.task);
      return;
    case TimerKind::queue:
      if (timer.key.item == kWhole && run->node(timer.key.task).mapped) {
        if (work->stamp != timer.stamp) return;
        settle_rest(*run, timer.key.task, TaskState::failed, Reason::queue_timeout);
        item_ended(*run, timer.key.task);
        return;
      }
      if (work->stamp != timer.stamp || work->state != TaskState::queued) return;
      move(*run, timer.key, *work, TaskEvent::fail, {Reason::queue_timeout, 0, "no slot within its queue_timeout", {}});
      if (timer.key.item != kWhole) item_ended(*run, timer.key.task);
      return;
    case TimerKind::total:
      if (work->total_due.ms == 0 || work->total_due > timer.due) return;
      if (work->state == TaskState::running) {
        stop_attempt(work->live, Reason::total_timeout, false);
      } else if (!is_final(work->state)) {
        move(*run, timer.key, *work, TaskEvent::fail, {Reason::total_timeout, 0, "no success within its total_timeout", {}});
        if (timer.key.item != kWhole) item_ended(*run, timer.key.task);
      }
      return;
    case TimerKind::deferral:
    case TimerKind::run: return;
  }
}

MonoTime Engine::State::due_of(const TimerRow& row) const {
  if (row.same_boot) return row.due;
  const Duration left = row.due_wall - now_.wall;
  return now_.mono + std::max(Duration{0}, std::min(left, row.delay));
}

}  // namespace pawl
