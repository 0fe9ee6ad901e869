// Who starts next: slots, priorities, turns.

#include <algorithm>
#include <utility>

#include "scheduler/core/engine_state.h"

namespace pawl {

/// A job's own pool hides one of the settings with the same name.
PoolKey Engine::State::pool_key(const Run& run, const std::string& name) {
  const JobSpec& job = run.version->job;
  return {job.pools.contains(name) ? job.name : std::string(), name};
}

/// The lane of a task: that of its pools. In the place of pool `default` is the run's own, where it
/// has slots of its own; their rate is that of `default`.
Lane& Engine::State::lane_of(Run& run, TaskIndex task) {
  std::pair<RunId, std::vector<PoolKey>> key;
  for (const PoolUse& use : run.spec(task).pools) {
    key.second.push_back(pool_key(run, use.pool));
    if (is_own_pool(run, key.second.back())) key.first = run.row.id;
  }
  std::unique_ptr<Lane>& lane = lanes_[key];
  if (!lane) {
    lane = std::make_unique<Lane>();
    for (const PoolKey& pool : key.second) {
      if (is_own_pool(run, pool) && !run.own_pool) {
        run.own_pool = std::make_unique<Pool>();
        run.own_pool->limit = run.row.default_slots;
        run.own_pool->rate = pools_[pool].rate;
      }
      Pool& wanted = is_own_pool(run, pool) ? *run.own_pool : pools_[pool];
      lane->pools.push_back(&wanted);
      wanted.lanes.push_back(lane.get());
      if (wanted.rate == nullptr) continue;
      wanted.rate->lanes.push_back(lane.get());
      lane->shut += wanted.rate->is_open ? 0 : 1;
    }
  }
  return *lane;
}

/// Where a task waits: in the lane of its pools, apart from others if it has a rate.
Line& Engine::State::line_of(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (node.line != nullptr) return *node.line;
  Lane& lane = lane_of(run, task);
  node.line = &lane.plain;
  if (RateLimit* rate = rate_of_task(run, task)) {
    std::unique_ptr<Line>& line = lane.rated[rate->key];
    if (!line) {
      line = std::make_unique<Line>();
      line->lane = &lane;
      line->rate = rate;
      rate->lanes.push_back(&lane);
    }
    node.line = line.get();
  }
  return *node.line;
}

Engine::State::Lanes::iterator Engine::State::drop_lane(Lanes::iterator lane) {
  Lane* const leaving = lane->second.get();
  for (Pool* pool : leaving->pools) {
    std::erase(pool->lanes, leaving);
    if (pool->rate != nullptr) std::erase(pool->rate->lanes, leaving);
  }
  for (const auto& [key, line] : leaving->rated) std::erase(line->rate->lanes, leaving);
  std::erase(active_, leaving);
  return lanes_.erase(lane);
}

void Engine::State::set_pool(const PoolKey& key, const PoolSpec& spec) {
  Pool& pool = pools_[key];
  pool.limit = spec.slots;
  set_pool_rate(key, pool, spec.rate);
  for (Lane* lane : pool.lanes) activate(*lane);
  for (const Place& place : std::exchange(too_wide_, {})) {
    Run* run = find(place.run);
    if (run == nullptr) continue;
    run->node(place.task).is_parked = false;
    make_ready(*run, place.task);
  }
}

/// The slots of one attempt, taken or (times -1) given back.
void Engine::State::take_slots(const Lane& lane, const TaskSpec& spec, std::int64_t times) {
  for (std::size_t i = 0; i < spec.pools.size(); ++i)
    lane.pools[i]->taken += times * spec.pools[i].slots;
}

/// Whether the task has something that could take a slot now.
bool Engine::State::is_startable(const Run& run, TaskIndex task) const {
  if (run.row.state != RunState::running || run.is_dormant) return false;
  if (stop_reason(run, task) != Reason::none) return false;
  const Node& node = run.node(task);
  if (!node.mapped) return node.work.state == TaskState::queued;
  if (node.work.state != TaskState::running || node.mapped->repeat == Repeat::cancel) return false;
  const TaskSpec& spec = run.spec(task);
  const std::int64_t limit = items_at_once(spec);
  if (limit > 0 && items_under_way(spec, *node.mapped) >= limit) return false;
  return node.mapped->queued > 0 || node.mapped->may_start_fresh();
}

std::int64_t Engine::State::items_at_once(const TaskSpec& spec) {
  const std::int64_t limit = spec.map ? spec.map->max_concurrent : 0;
  if (!spec.calls_job()) return limit;
  return limit > 0 ? std::min(limit, limits::kCallsPerTaskMax) : limits::kCallsPerTaskMax;
}

/// Those that wait for runs of theirs count: the runs are what is limited.
std::int64_t Engine::State::items_under_way(const TaskSpec& spec, const Mapped& mapped) {
  return mapped.live + (spec.calls_job() ? mapped.count(TaskState::deferred) : 0);
}

/// Puts the task into the ring of its line when it can start something and is not there.
void Engine::State::make_ready(Run& run, TaskIndex task) {
  Node& node = run.node(task);
  if (node.is_ready || node.is_parked || !is_startable(run, task)) return;
  node.is_ready = true;
  const Rank rank{-run.spec(task).priority, run.row.priority_class};
  Line& line = line_of(run, task);
  line.ring[rank].push_back({run.row.id, task, ++last_turn_});
  if (line.rate != nullptr) list(line);
  activate(*line.lane);
}

/// The lane takes turns again. Lanes that can start nothing are not looked at.
void Engine::State::activate(Lane& lane) {
  if (lane.is_active || lane.is_empty()) return;
  lane.is_active = true;
  active_.push_back(&lane);
}

std::optional<WorkerId> Engine::State::pick_worker(const std::string& operator_name) const {
  if (operator_name == kJobOperator) return kSelf;
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

/// All lanes that want slots or tokens of its pools, itself too.
void Engine::State::activate_sharers(const Lane& lane) {
  for (const Pool* pool : lane.pools) {
    for (Lane* other : pool->lanes) activate(*other);
    if (pool->rate == nullptr) continue;
    for (Lane* other : pool->rate->lanes) activate(*other);
  }
}

/// Lanes take turns: a run with slots of its own must not wait for all others.
void Engine::State::dispatch() {
  if (holds_starts_) return;
  if (std::exchange(heads_changed_, false)) {
    // What was kept for a head that waits no more is free.
    for (const auto& [key, lane] : lanes_) {
      if (lane->is_shared() || !lane->rated.empty()) activate(*lane);
    }
  }
  ++judgement_;
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

/// Whether a pool of the task has too few slots even when all are free. It steps aside until the
/// pool grows, or it would keep slots for ever.
bool Engine::State::is_too_wide(const Run& run, TaskIndex task) {
  const TaskSpec& spec = run.spec(task);
  const Lane& lane = *run.node(task).line->lane;
  for (std::size_t i = 0; i < spec.pools.size(); ++i) {
    if (spec.pools[i].slots > lane.pools[i]->limit) return true;
  }
  return false;
}

/// Whose turn it is in the line; nothing when nobody waits. Who cannot start now whatever is free
/// leaves its place here.
std::optional<Head> Engine::State::first_of(Line& line) {
  while (!line.ring.empty()) {
    auto& [rank, turns] = *line.ring.begin();
    if (turns.empty()) {
      line.ring.erase(line.ring.begin());
      continue;
    }
    const Source& source = turns.front();
    Run* run = find(source.run);
    if (run != nullptr && is_startable(*run, source.task)) {
      if (is_too_wide(*run, source.task)) {
        run->node(source.task).is_parked = true;
        too_wide_.push_back({source.run, source.task});
      } else if (const auto worker = pick_worker(run->spec(source.task).operator_name)) {
        return Head{&line, rank, source, run, *worker};
      } else {
        park(*run, source.task);
      }
    }
    if (run != nullptr) run->node(source.task).is_ready = false;
    turns.pop_front();
  }
  return std::nullopt;
}

/// The first of the lane's lines that have their tokens.
std::optional<Head> Engine::State::head(Lane& lane) {
  if (lane.shut > 0) return std::nullopt;
  std::optional<Head> best = first_of(lane.plain);
  while (!lane.listed.empty()) {
    Line& line = *lane.listed.begin()->line;
    const std::optional<Head> rated = first_of(line);
    if (rated && rated->place() == *line.listed) {
      if (!best || rated->is_before(*best)) best = rated;
      break;
    }
    list(line);  // who was its first has left
  }
  return best;
}

/// Whether the lane's head may start, as often as one likes until something does.
Verdict Engine::State::verdict_of(Lane& lane, const Head& head) {
  if (lane.judged_at != judgement_) {
    lane.verdict = judge_head(lane, head);
    lane.judged_at = judgement_;
  }
  return lane.verdict;
}

/// Whether the lane's head may take its slots and tokens now. Heads before it in other lanes go
/// first as long as they can; what those lack that cannot is kept for them.
Verdict Engine::State::judge_head(Lane& lane, const Head& head) {
  const TaskSpec& spec = head.run->spec(head.source.task);
  for (std::size_t i = 0; i < lane.pools.size(); ++i) {
    const Pool& pool = *lane.pools[i];
    std::int64_t free = pool.limit - pool.taken - spec.pools[i].slots;
    for (Lane* other : pool.lanes) {
      if (other == &lane || free < 0) continue;
      const std::optional<Head> first = this->head(*other);
      if (!first || !first->is_before(head)) continue;
      if (goes_first(*other, *first)) return Verdict::later;
      const TaskSpec& theirs = first->run->spec(first->source.task);
      for (std::size_t k = 0; k < other->pools.size(); ++k) {
        if (other->pools[k] == &pool) free -= theirs.pools[k].slots;
      }
    }
    if (free < 0) return Verdict::lacks;
    if (pool.rate == nullptr) continue;
    if (const Verdict verdict = judge_token(*pool.rate, lane, head); verdict != Verdict::now)
      return verdict;
  }
  RateLimit* const rate = head.line->rate;
  return rate == nullptr ? Verdict::now : judge_token(*rate, lane, head);
}

/// True when the head starts as soon as the lanes have taken their turns.
bool Engine::State::goes_first(Lane& lane, const Head& head) {
  if (verdict_of(lane, head) == Verdict::lacks) return false;
  activate(lane);
  return true;
}

/// Starts one thing of the lane; false when nothing of it can start before something changes.
bool Engine::State::dispatch_lane(Lane& lane) {
  const std::optional<Head> first = head(lane);
  if (!first) return false;
  switch (verdict_of(lane, *first)) {
    case Verdict::lacks: return false;
    case Verdict::later: return true;
    case Verdict::now: break;
  }
  ++judgement_;
  Line& line = *first->line;
  Source source = first->source;
  auto& turns = line.ring.begin()->second;
  turns.pop_front();
  Run& run = *first->run;
  start_next(run, source.task, line, first->worker);
  if (is_startable(run, source.task)) {
    source.turn = ++last_turn_;
    turns.push_back(source);
  } else {
    run.node(source.task).is_ready = false;
  }
  if (line.rate != nullptr) {
    list(line);
    for (Lane* other : line.rate->lanes) activate(*other);
  }
  if (lane.is_shared()) activate_sharers(lane);
  return true;
}

void Engine::State::start_next(Run& run, TaskIndex task, Line& line, WorkerId worker) {
  Node& node = run.node(task);
  Lane& lane = *line.lane;
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
  take_slots(lane, spec, 1);
  for (const Pool* pool : lane.pools) {
    if (pool->rate != nullptr) take_token(*pool->rate);
  }
  if (line.rate != nullptr) take_token(*line.rate);
  for (Worker& w : workers_) {
    if (w.id == worker) ++w.live;
  }
  if (has_own_numbers(spec, item)) {
    live.slot = node.mapped->numbers.take();
  } else if (!lane.pools.empty()) {
    live.slot = lane.pools.front()->numbers.take();
  }

  const TaskKey key{run.row.id, task, item};
  effect::StartAttempt start{
      id,        key, live.number, work->work,   worker,
      live.slot, {},  {},          work->reason, is_again ? 0 : work->detail};
  // After a person's resume, or an attempt that never started, only the store knows why the last
  // one ended.
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
  if (run.timeout_due.ms != 0) start.run_left = std::max(Duration{1}, run.timeout_due - now_.mono);
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
