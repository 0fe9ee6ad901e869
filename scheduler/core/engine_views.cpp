// What people see: progress and pools. Reads only.

#include <algorithm>
#include <map>

#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::optional<WallTime> if_set(WallTime time) {
  if (time.ms == 0) return std::nullopt;
  return time;
}

}  // namespace

TaskView Engine::State::task_view(const Node& node) {
  TaskView task;
  task.state = node.work.state;
  task.reason = node.work.reason;
  task.detail = node.work.detail;
  task.attempts = node.work.attempts;
  task.retries = std::max(node.work.counted - 1, 0);
  task.queued_at = if_set(node.work.queued_at);
  task.started_at = if_set(node.work.started_at);
  task.ended_at = if_set(node.work.ended_at);
  if (node.mapped) {
    task.counts = node.mapped->counts;
    task.items = node.mapped->items;
    task.retries = node.mapped->retries;
  }
  return task;
}

RunStates Engine::State::states(const Run& run) {
  RunStates out;
  out.tasks.reserve(run.nodes.size());
  for (const Node& node : run.nodes) {
    out.tasks.push_back(node.work.state);
    out.retries += task_view(node).retries;
  }
  return out;
}

namespace {

// Nobody plans further ahead.
constexpr std::size_t kNextMax = 3;

/// Adds the first of a line, each with its place.
template <typename Firsts, typename IsStartable>
void add_first(const Line& line, const IsStartable& is_startable, Firsts& firsts) {
  if (line.rate != nullptr && !line.rate->is_open) return;
  std::size_t found = 0;
  for (const auto& [rank, turns] : line.ring) {
    for (const Source& source : turns) {
      if (found == kNextMax) return;
      if (!is_startable(source)) continue;
      firsts.emplace(std::pair(rank, source.turn), source);
      ++found;
    }
  }
}

}  // namespace

/// The first that wait for the pool, those aside who wait for a token of their own.
std::vector<PoolView::Next> Engine::State::next_of(const Pool& pool) const {
  std::map<std::pair<Rank, std::uint64_t>, Source> firsts;
  const auto is_waiting = [this](const Source& source) {
    const Run* run = find(source.run);
    return run != nullptr && is_startable(*run, source.task);
  };
  for (const Lane* lane : pool.lanes) {
    add_first(lane->plain, is_waiting, firsts);
    std::size_t lines = 0;
    for (const Lane::Listed& listed : lane->listed) {
      if (++lines > kNextMax) break;
      add_first(*listed.line, is_waiting, firsts);
    }
  }
  std::vector<PoolView::Next> out;
  for (const auto& [place, source] : firsts) {
    if (out.size() == kNextMax) break;
    out.push_back({source.run, source.task, -place.first.first});
  }
  return out;
}

std::vector<PoolView> Engine::State::pools(Now now) const {
  // No run: everybody's. Ordered so that a run's own follow the pool in whose place they are.
  using Owner = std::pair<PoolKey, RunId>;
  std::map<Owner, PoolView> by_owner;
  const auto add = [&](const Owner& owner, const Pool& slots) {
    PoolView& pool = by_owner[owner];
    pool.name = owner.first.name;
    pool.job = owner.first.job;
    if (owner.second.value != 0) pool.run = owner.second;
    pool.limit = slots.limit;
    pool.taken = slots.taken;
    pool.next = next_of(slots);
    for (const auto& [who, held] : holders_of(slots))
      pool.holders.push_back({who.first, who.second, held.slots});
    std::stable_sort(pool.holders.begin(), pool.holders.end(),
                     [](const auto& one, const auto& other) { return one.slots > other.slots; });
    if (slots.rate == nullptr) return;
    TokenBucket bucket = slots.rate->bucket;
    bucket.settle(now.mono);
    pool.rate = bucket.rate();
    pool.started = bucket.taken();
    if (!bucket.has_token()) pool.next_start = bucket.next_token() - now.mono;
  };
  for (const auto& [key, slots] : pools_) add({key, RunId{}}, slots);
  for (const auto& [id, run] : runs_) {
    if (run->own_pool) add({kDefaultPool, id}, *run->own_pool);
  }
  for (const auto& [id, run] : runs_) {
    // Most runs have nothing queued, and their tasks need no look.
    if (run->row.counts[static_cast<std::size_t>(TaskState::queued)] == 0) continue;
    for (std::uint32_t i = 0; i < run->nodes.size(); ++i) {
      const Node& node = run->nodes[i];
      const std::int64_t waiting = node.mapped ? node.mapped->count(TaskState::queued)
                                               : std::int64_t{node.work.state == TaskState::queued};
      if (waiting == 0) continue;
      for (const PoolUse& use : run->spec(TaskIndex{i}).pools) {
        const PoolKey key = pool_key(*run, use.pool);
        const auto pool = by_owner.find({key, is_own_pool(*run, key) ? id : RunId{}});
        if (pool != by_owner.end()) pool->second.waiting += waiting;
      }
    }
  }
  std::vector<PoolView> out;
  for (auto& [owner, pool] : by_owner) out.push_back(std::move(pool));
  return out;
}

/// Who holds slots of the pool, and which of its attempts is the oldest.
std::map<std::pair<RunId, TaskIndex>, Engine::State::Holding> Engine::State::holders_of(
    const Pool& pool) const {
  std::map<std::pair<RunId, TaskIndex>, Holding> holders;
  for (const auto& [id, live] : live_) {
    const Lane& lane = *live.run->node(live.task).line->lane;
    for (std::size_t i = 0; i < lane.pools.size(); ++i) {
      if (lane.pools[i] != &pool) continue;
      Holding& holding = holders[{live.run->row.id, live.task}];
      holding.slots += live.run->spec(live.task).pools[i].slots;
      if (holding.oldest == nullptr || live.started_at < holding.oldest->started_at ||
          (live.started_at == holding.oldest->started_at && live.item < holding.oldest->item)) {
        holding.oldest = &live;
      }
    }
  }
  return holders;
}

std::vector<Effect> Engine::State::regenerate_effects() const {
  std::vector<AttemptId> ids;
  for (const auto& [id, live] : live_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  std::vector<Effect> effects;
  for (AttemptId id : ids) {
    const Live& live = live_.at(id);
    if (live.state == AttemptState::stopping && live.worker == kSelf) continue;
    if (live.state == AttemptState::stopping) {
      effects.emplace_back(effect::StopAttempt{id, live.worker, live.stop, false});
    } else if (live.state == AttemptState::starting) {
      effects.emplace_back(start_of(id, live));
    }
  }
  std::vector<const Run*> runs;
  for (const auto& [id, run] : runs_) runs.push_back(run.get());
  std::sort(runs.begin(), runs.end(),
            [](const Run* a, const Run* b) { return a->row.id < b->row.id; });
  for (const Run* each : runs) {
    const Run& run = *each;
    for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
      const Node& node = run.nodes[i];
      if (!node.is_preparing) continue;
      effect::Prepare prepare{
          run.row.id, TaskIndex{i}, node.prepare_stamp, node.work.state == TaskState::running, 0,
          {}};
      if (node.mapped) {
        prepare.from = node.mapped->items;
        prepare.source = node.mapped->source;
      }
      effects.emplace_back(std::move(prepare));
    }
  }
  return effects;
}

}  // namespace pawl
