// Who starts next: slots, priorities, turns.

#include <algorithm>

#include "scheduler/core/engine_state.h"

namespace pawl {

/// A job's own pool hides one of the settings with the same name.
PoolKey Engine::State::pool_key(const Run& run, TaskIndex task) const {
  const std::string& name = run.spec(task).pools.front().pool;
  const JobSpec& job = run.version->job;
  return {job.pools.contains(name) ? job.name : std::string(), name};
}

/// The lane of a task: that of its pool; for pool `default` the run's own, where it has slots of
/// its own.
Lane& Engine::State::lane_of(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (node.lane != nullptr) return *node.lane;
  const PoolKey pool = pool_key(run, task);
  const bool is_own = run.row.default_slots > 0 && pool == PoolKey{"", "default"};
  std::unique_ptr<Lane>& lane = lanes_[{is_own ? run.row.id : RunId{}, pool}];
  if (!lane) {
    lane = std::make_unique<Lane>();
    if (!is_own) lane->pool = &pools_[pool];
    lane->own.limit = run.row.default_slots;
  }
  node.lane = lane.get();
  return *lane;
}

void Engine::State::set_pool(const PoolKey& key, std::int64_t slots) {
  pools_[key].limit = slots;
  if (auto lane = lanes_.find({RunId{}, key}); lane != lanes_.end()) activate(*lane->second);
}

/// Whether the task has something that could take a slot now.
bool Engine::State::is_startable(const Run& run, TaskIndex task) const {
  if (run.row.state != RunState::running || run.stopping != Reason::none || run.is_dormant)
    return false;
  const Node& node = run.node(task);
  if (!node.mapped) return node.work.state == TaskState::queued;
  if (node.work.state != TaskState::running) return false;
  const TaskSpec& spec = run.spec(task);
  const std::int64_t limit = spec.map ? spec.map->max_concurrent : 0;
  if (limit > 0 && node.mapped->live >= limit) return false;
  return node.mapped->queued > 0 || node.mapped->may_start_fresh();
}

/// Puts the task into the ring of its lane when it can start something and is not there.
void Engine::State::make_ready(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (node.is_ready || node.is_parked || !is_startable(run, task)) return;
  node.is_ready = true;
  const Lane::Rank rank{-run.spec(task).priority, run.row.priority_class};
  Lane& lane = lane_of(run, task);
  lane.ring[rank].push_back({run.row.id, task});
  activate(lane);
}

/// The lane takes turns again. Lanes that can start nothing are not looked at.
void Engine::State::activate(Lane& lane) {
  if (lane.is_active || lane.ring.empty()) return;
  lane.is_active = true;
  active_.push_back(&lane);
}

std::optional<WorkerId> Engine::State::pick_worker(const std::string& operator_name) const {
  const Worker* best = nullptr;
  for (const Worker& w : workers_) {
    if (!w.accepts || (best != nullptr && w.live >= best->live)) continue;
    if (std::find(w.operators.begin(), w.operators.end(), operator_name) != w.operators.end())
      best = &w;
  }
  if (best == nullptr) return std::nullopt;
  return best->id;
}

/// Out of its lane until a worker takes its operator, so that it is in nobody's way.
void Engine::State::park(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  node.is_ready = false;
  node.is_parked = true;
  const std::string& operator_name = run.spec(task).operator_name;
  std::vector<Place>& places = parked_[operator_name];
  places.push_back({run.row.id, task});
  if (places.size() == 1) act(effect::WantWorker{operator_name});
}

void Engine::State::unpark(const std::string& operator_name) {
  auto parked = parked_.extract(operator_name);
  if (parked.empty()) return;
  for (const Place& place : parked.mapped()) {
    Run* run = find(place.run);
    if (run == nullptr) continue;
    run->node(place.task).is_parked = false;
    make_ready(*run, place.task);
  }
}

/// Lanes take turns: a run with slots of its own must not wait for all others.
void Engine::State::dispatch() {
  if (holds_starts_) return;
  while (!active_.empty() && !is_full()) {
    Lane* lane = active_.front();
    active_.pop_front();
    if (dispatch_lane(*lane)) {
      active_.push_back(lane);
    } else {
      lane->is_active = false;
    }
  }
}

/// Starts one thing of the lane; false when nothing of it can start now.
bool Engine::State::dispatch_lane(Lane& lane) {
  while (!lane.ring.empty()) {
    auto& turns = lane.ring.begin()->second;
    if (turns.empty()) {
      lane.ring.erase(lane.ring.begin());
      continue;
    }
    const Lane::Source source = turns.front();
    Run* run = find(source.run);
    if (run == nullptr || !is_startable(*run, source.task)) {
      turns.pop_front();
      if (run != nullptr) run->node(source.task).is_ready = false;
      continue;
    }
    const auto worker = pick_worker(run->spec(source.task).operator_name);
    if (!worker) {
      turns.pop_front();
      park(*run, source.task);
      continue;
    }
    if (!lane.slots().has_room(run->spec(source.task).pools.front().slots)) return false;
    turns.pop_front();
    start_next(*run, source.task, lane, *worker);
    if (is_startable(*run, source.task)) {
      turns.push_back(source);
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
    if (mapped.queued > 0) {
      item = ItemIndex{take_ready(mapped)};
      work = &mapped.works.at(item.value);
    } else {
      item = ItemIndex{mapped.next_fresh++};
      mapped.states.push_back(static_cast<std::uint8_t>(TaskState::queued));
      mapped.tries.push_back(0);
      ++mapped.queued;
      work = &mapped.works[item.value];
      work->state = TaskState::queued;
      work->queued_at = node.work.queued_at;
    }
    ++mapped.live;
  }

  // One that was deferred goes on; else it is the next one.
  const bool is_again = work->live.value != 0;
  const AttemptId id = is_again ? work->live : AttemptId{++counters_.attempt.value};
  Live live;
  live.run = &run;
  live.task = task;
  live.item = item;
  live.number = is_again ? work->attempts : ++work->attempts;
  live.worker = worker;
  live.started_at = now_.wall;
  live.previous = work->reason;
  live.previous_detail = work->detail;
  if (is_again) live.stay = work->detail;
  if (!is_again) ++work->counted;
  ++run.live;
  Slots& slots = lane.slots();
  slots.taken += spec.pools.front().slots;
  for (Worker& w : workers_) {
    if (w.id == worker) ++w.live;
  }
  live.slot = has_own_numbers(spec, item) ? node.mapped->numbers.take() : slots.numbers.take();

  const TaskKey key{run.row.id, task, item};
  effect::StartAttempt start{id,         key,          live.number,
                             work->work, worker,       live.slot,
                             {},         work->reason, is_again ? 0 : work->detail};
  // After a person's resume, or an attempt that never started, nothing says why the last one ended.
  const bool may_inherit = work->reason == Reason::none || work->reason == Reason::lost ||
                           work->reason == Reason::interrupted;
  const bool inherits = !is_again && live.number > 1 && may_inherit;
  start.has_past = is_again || inherits;
  start.stay = live.stay;
  move(run, key, *work, TaskEvent::start, {Reason::none, 0, {}, id});
  if (spec.total_timeout != Duration{0}) {
    if (work->total_due.ms == 0) set_timer(key, *work, TimerKind::total, spec.total_timeout, true);
    start.total_left = std::max(Duration{1}, work->total_due - now_.mono);
  }
  if (is_again) {
    change(mutation::MoveAttempt{id, key, AttemptState::deferred, live.state, Reason::none, worker,
                                 live.slot, std::nullopt});
  } else {
    auto& insert = add<mutation::InsertAttempt>();
    insert.inherits_handle = inherits;
    fill(insert.row, id, live);
  }
  live_.emplace(id, live);
  act(std::move(start));
}

}  // namespace pawl
