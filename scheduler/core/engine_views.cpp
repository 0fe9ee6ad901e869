// What people see: progress, explanations, pools. Reads only.

#include <algorithm>
#include <map>

#include "scheduler/base/text.h"
#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

std::optional<WallTime> if_set(WallTime time) {
  if (time.ms == 0) return std::nullopt;
  return time;
}

std::string ago(Duration d) {
  // Whole seconds: nobody reads the rest.
  return format_duration(Duration(std::max<std::int64_t>(0, d.count()) / 1000 * 1000));
}

}  // namespace

std::optional<RunView> Engine::State::view(RunId id) const {
  const Run* run = find(id);
  if (run == nullptr) return std::nullopt;
  RunView out;
  out.run = run->row;
  out.tasks.reserve(run->nodes.size());
  for (const Node& node : run->nodes) {
    TaskView task;
    task.state = node.work.state;
    task.reason = node.work.reason;
    task.detail = node.work.detail;
    task.attempts = node.work.attempts;
    task.started_at = if_set(node.work.started_at);
    task.ended_at = if_set(node.work.ended_at);
    if (node.mapped) {
      task.counts = node.mapped->counts;
      task.items = node.mapped->items;
      task.retries = node.mapped->retries;
    }
    out.tasks.push_back(std::move(task));
  }
  return out;
}

std::vector<Explanation> Engine::State::explain(const Target& target, Now now) const {
  std::vector<Explanation> out;
  auto say = [&out](std::string kind, std::string text) -> Explanation& {
    out.push_back({std::move(kind), std::move(text), {}, {}, 0});
    return out.back();
  };
  const Run* run = find(target.run);
  if (run == nullptr) return out;
  if (run->row.state == RunState::paused) say("paused", "the run is paused; `pawl unpause " + run->row.name + "` lets it go on");
  if (run->row.state == RunState::queued) {
    if (run->row.start_at && *run->row.start_at > now.wall) {
      say("start_at", "starts at " + format_utc(*run->row.start_at));
    } else {
      for (const auto& [id, other] : runs_) {
        if (id == run->row.id || other->row.job != run->row.job || !other->is_admitted) continue;
        say("overlap", "run queued: " + other->row.name + " is active, overlap " +
                           std::string(to_string(run->version->job.overlap))).run = id;
      }
    }
  }
  if (!target.task || target.task->value >= run->nodes.size()) return out;
  const TaskIndex task = *target.task;
  const Node& node = run->node(task);
  const TaskSpec& spec = run->spec(task);
  if (holds_starts_) say("held_starts", "no new starts: the scheduler is draining or the store is full");

  const Piece* work = &node.work;
  bool is_fresh = false;
  if (target.item && *target.item != kWhole && node.mapped) {
    auto it = node.mapped->works.find(target.item->value);
    is_fresh = it == node.mapped->works.end() && target.item->value >= node.mapped->next_fresh &&
               target.item->value < node.mapped->items && node.mapped->rest_state == TaskState::queued;
    if (it != node.mapped->works.end()) work = &it->second;
    else if (!is_fresh) return out;
  }
  const TaskState state = is_fresh ? TaskState::queued : work->state;

  switch (state) {
    case TaskState::waiting:
      if (node.is_preparing) {
        say("preparing", "its `when` is being judged or its items are being read");
        return out;
      }
      for (const Dependency& d : spec.depends_on) {
        const Piece& up = run->node(d.task).work;
        if (is_final(up.state)) continue;
        std::string text = run->spec(d.task).id + " (" + std::string(to_string(up.state));
        if (up.state == TaskState::running && up.started_at.ms != 0) text += " " + ago(now.wall - up.started_at);
        Explanation& line = say("upstream", text + ")");
        line.run = run->row.id;
        line.task = d.task;
      }
      return out;
    case TaskState::queued: {
      const std::string& pool = spec.pools.front().pool;
      const Lane* lane = nullptr;
      const std::int64_t owner = run->row.default_slots > 0 ? run->row.id.value : 0;
      if (auto it = lanes_.find({pool, owner}); it != lanes_.end()) lane = it->second.get();
      const Slots* slots = lane == nullptr ? nullptr : lane->pool != nullptr ? lane->pool : &lane->own;
      if (!pick_worker()) say("no_worker", "no worker takes tasks yet");
      if (slots != nullptr && !slots->has_room()) {
        Explanation& line = say("pool", "needs 1 slot of pool " + pool + ", " + std::to_string(slots->taken) + " of " +
                                            std::to_string(slots->limit) + " in use");
        line.number = slots->taken;
        std::map<std::pair<RunId, TaskIndex>, std::int64_t> holders;
        for (const auto& [id, live] : live_) ++holders[{live.run->row.id, live.task}];
        for (const auto& [who, count] : holders) {
          const Run* holder = find(who.first);
          Explanation& held = say("holder", holder->row.name + "/" + holder->spec(who.second).id);
          held.run = who.first;
          held.task = who.second;
          held.number = count;
        }
        std::int64_t ahead = 0;
        for (const auto& [rank, sources] : lane->ring) {
          if (rank < Lane::Rank{-spec.priority, run->row.priority_class}) ahead += static_cast<std::int64_t>(sources.size());
        }
        if (ahead > 0) say("ahead", std::to_string(ahead) + " tasks with higher priority").number = ahead;
      }
      if (spec.map && spec.map->max_concurrent > 0 && node.mapped && node.mapped->live >= spec.map->max_concurrent) {
        say("max_concurrent", std::to_string(node.mapped->live) + " of " + std::to_string(spec.map->max_concurrent) +
                                  " items run at once").number = node.mapped->live;
      }
      if (is_fresh) {
        const std::int64_t place = target.item->value - node.mapped->next_fresh +
                                   static_cast<std::int64_t>(node.mapped->ready.size()) + 1;
        say("place", "place " + std::to_string(place) + " of its task").number = place;
      }
      return out;
    }
    case TaskState::retrying:
    case TaskState::running:
    case TaskState::deferred:
    case TaskState::held:
    case TaskState::succeeded:
    case TaskState::failed:
    case TaskState::skipped:
    case TaskState::upstream_failed:
    case TaskState::cancelled: return out;
  }
  return out;
}

std::vector<PoolView> Engine::State::pools() const {
  std::map<std::string, PoolView> by_name;
  for (const auto& [name, slots] : pools_) {
    PoolView& pool = by_name[name];
    pool.name = name;
    pool.limit = slots.limit;
    pool.taken = slots.taken;
  }
  std::map<std::pair<RunId, TaskIndex>, std::int64_t> holders;
  for (const auto& [id, live] : live_) {
    if (live.run->row.default_slots == 0) ++holders[{live.run->row.id, live.task}];
  }
  for (const auto& [who, count] : holders) {
    by_name[find(who.first)->spec(who.second).pools.front().pool].holders.push_back({who.first, who.second, count});
  }
  for (const auto& [id, run] : runs_) {
    if (run->row.state != RunState::running) continue;
    for (std::uint32_t i = 0; i < run->nodes.size(); ++i) {
      const Node& node = run->nodes[i];
      PoolView& pool = by_name[run->version->job.tasks[i].pools.front().pool];
      if (node.mapped) {
        pool.waiting += node.mapped->counts[static_cast<std::size_t>(TaskState::queued)];
      } else if (node.work.state == TaskState::queued) {
        ++pool.waiting;
      }
    }
  }
  std::vector<PoolView> out;
  for (auto& [name, pool] : by_name) {
    std::stable_sort(pool.holders.begin(), pool.holders.end(),
                     [](const auto& a, const auto& b) { return a.slots > b.slots; });
    out.push_back(std::move(pool));
  }
  return out;
}

std::vector<Effect> Engine::State::regenerate_effects() const {
  std::vector<AttemptId> ids;
  for (const auto& [id, live] : live_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  std::vector<Effect> effects;
  for (AttemptId id : ids) {
    const Live& live = live_.at(id);
    if (live.state == AttemptState::stopping) {
      effects.emplace_back(effect::StopAttempt{id, live.worker, live.stop, false});
    } else if (live.state == AttemptState::starting) {
      effect::StartAttempt start;
      start.attempt = id;
      start.key = live.key();
      start.number = live.number;
      start.worker = live.worker;
      start.slot = live.slot;
      effects.emplace_back(start);
    }
  }
  std::vector<RunId> runs;
  for (const auto& [id, run] : runs_) runs.push_back(id);
  std::sort(runs.begin(), runs.end());
  for (RunId id : runs) {
    const Run& run = *find(id);
    for (std::uint32_t i = 0; i < run.nodes.size(); ++i) {
      const Node& node = run.nodes[i];
      if (!node.is_preparing) continue;
      effect::Prepare prepare{id, TaskIndex{i}, node.prepare_stamp, node.work.state == TaskState::running, 0, {}};
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
