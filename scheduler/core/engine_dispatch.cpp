// Who starts next: slots, priorities, turns.

#include "scheduler/core/engine_state.h"

namespace pawl {

/// The lane of a task: its pool, and the run's own slots where it has some.
Lane& Engine::State::lane_of(const Run& run, TaskIndex task) {
  const std::string& pool = run.spec(task).pools.front().pool;
  const std::int64_t owner = run.row.default_slots > 0 ? run.row.id.value : 0;
  std::unique_ptr<Lane>& lane = lanes_[{pool, owner}];
  if (!lane) {
    lane = std::make_unique<Lane>();
    if (owner == 0) lane->pool = &pools_[pool];
    lane->own.limit = run.row.default_slots;
  }
  return *lane;
}

/// Whether the task has something that could take a slot now.
bool Engine::State::is_startable(const Run& run, TaskIndex task) const {
  if (run.row.state != RunState::running || run.stopping != Reason::none || run.is_dormant) return false;
  const Node& node = run.node(task);
  if (!node.mapped) return node.work.state == TaskState::queued;
  if (node.work.state != TaskState::running) return false;
  const std::int64_t limit = run.spec(task).map ? run.spec(task).map->max_concurrent : 0;
  if (limit > 0 && node.mapped->live >= limit) return false;
  return !node.mapped->ready.empty() || node.mapped->may_start_fresh();
}

/// Puts the task into the ring of its lane when it can start something and is not there.
void Engine::State::make_ready(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (node.is_ready || !is_startable(run, task)) return;
  node.is_ready = true;
  const Lane::Rank rank{-run.spec(task).priority, run.row.priority_class};
  lane_of(run, task).ring[rank].push_back({run.row.id, task});
}

std::optional<WorkerId> Engine::State::pick_worker() const {
  const Worker* best = nullptr;
  for (const Worker& w : workers_) {
    if (w.accepts && (best == nullptr || w.live < best->live)) best = &w;
  }
  if (best == nullptr) return std::nullopt;
  return best->id;
}

void Engine::State::dispatch() {
  if (holds_starts_) return;
  // Lanes of one pool take turns: a run with slots of its own must not wait for all others.
  bool has_started = true;
  while (has_started && !is_full()) {
    has_started = false;
    for (auto& [name, lane] : lanes_) {
      if (is_full()) break;
      has_started |= dispatch_lane(*lane);
    }
  }
}

/// Starts one thing of the lane; false when nothing of it can start now.
bool Engine::State::dispatch_lane(Lane& lane) {
  while (!lane.ring.empty()) {
    if (!lane.slots().has_room()) return false;
    const auto worker = pick_worker();
    if (!worker) return false;
    auto rank = lane.ring.begin();
    if (rank->second.empty()) {
      lane.ring.erase(rank);
      continue;
    }
    const Lane::Source source = rank->second.front();
    rank->second.pop_front();
    Run* run = find(source.run);
    if (run == nullptr) continue;
    if (!is_startable(*run, source.task)) {
      run->node(source.task).is_ready = false;
      continue;
    }
    start_next(*run, source.task, lane, *worker);
    if (is_startable(*run, source.task)) {
      rank->second.push_back(source);
    } else {
      run->node(source.task).is_ready = false;
    }
    return true;
  }
  return false;
}

void Engine::State::start_next(Run& run, TaskIndex task, Lane& lane, WorkerId worker) {
  Node& node = run.node(task);
  const TaskSpec& spec = run.spec(task);
  ItemIndex item = kWhole;
  Piece* work = &node.work;
  if (node.mapped) {
    Mapped& mapped = *node.mapped;
    if (!mapped.ready.empty()) {
      item = ItemIndex{mapped.ready.front()};
      mapped.ready.pop_front();
      work = &mapped.works.at(item.value);
    } else {
      item = ItemIndex{mapped.next_fresh++};
      mapped.states.push_back(static_cast<std::uint8_t>(TaskState::queued));
      work = &mapped.works[item.value];
      work->state = TaskState::queued;
      work->queued_at = node.work.queued_at;
    }
    ++mapped.live;
  }

  const AttemptId id{++counters_.attempt.value};
  Live live;
  live.run = &run;
  live.task = task;
  live.item = item;
  live.number = ++work->attempts;
  live.worker = worker;
  live.started_at = now_.wall;
  ++work->counted;
  ++run.live;
  ++lane.slots().taken;
  for (Worker& w : workers_) {
    if (w.id == worker) ++w.live;
  }
  const bool has_own_numbers = item != kWhole && spec.map && spec.map->max_concurrent > 0;
  live.slot = has_own_numbers ? node.mapped->numbers.take() : lane.slots().numbers.take();

  const TaskKey key{run.row.id, task, item};
  effect::StartAttempt start{id, key, live.number, work->work, worker, live.slot, {}, work->reason, work->detail};
  move(run, key, *work, TaskEvent::start, {Reason::none, 0, {}, id});
  if (spec.total_timeout != Duration{0}) {
    if (work->total_due.ms == 0) {
      work->total_due = now_.mono + spec.total_timeout;
      set_timer(run, key, *work, TimerKind::total, spec.total_timeout, true);
    }
    start.total_left = std::max(Duration{1}, work->total_due - now_.mono);
  }
  change(mutation::InsertAttempt{row_of(id, live)});
  live_.emplace(id, live);
  act(std::move(start));
}

}  // namespace pawl
