// Why something is not running, as sentences. Reads only.

#include <algorithm>
#include <cstdio>

#include "scheduler/base/text.h"
#include "scheduler/core/engine_state.h"

namespace pawl {
namespace {

/// Whole seconds, or milliseconds below one: nobody reads the rest.
std::string span(Duration d) {
  const std::int64_t ms = std::max<std::int64_t>(0, d.count());
  return format_duration(Duration(ms < 1000 ? ms : ms / 1000 * 1000));
}

/// The time of the day, in UTC.
std::string clock_time(WallTime time) { return format_utc(time).substr(11, 8) + "Z"; }

std::string short_name(const std::string& run) { return run.substr(run.rfind('-') + 1); }

std::string why(Reason reason, std::int32_t detail) {
  std::string text(to_string(reason));
  if (reason == Reason::exit || reason == Reason::signal) text += ":" + std::to_string(detail);
  return text;
}

std::string plural(std::int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

/// Collects the lines of one explanation.
struct Engine::State::Explainer {
  const State& state;
  Now now;
  std::vector<Explanation> out;

  Explanation& say(std::string kind, std::string text) {
    out.push_back({std::move(kind), std::move(text), {}, {}, 0});
    return out.back();
  }
  std::string name(const Run& run, TaskIndex task, ItemIndex item = kWhole) const {
    std::string text = run.spec(task).id;
    if (item != kWhole) text += ":" + std::to_string(item.value);
    return text;
  }

  void run_waits(const Run& run) {
    if (run.is_dormant)
      say("dormant",
          "nothing of the run starts before `pawl resume " + short_name(run.row.name) + "`");
    if (run.row.state == RunState::paused) {
      say("paused", "run paused; `pawl unpause " + short_name(run.row.name) + "` lets it go on");
    }
    if (run.row.state != RunState::queued) return;
    if (run.row.start_at && *run.row.start_at > now.wall) {
      say("start_at", "run queued: starts at " + format_utc(*run.row.start_at) + " (in " +
                          span(*run.row.start_at - now.wall) + ")")
          .number = run.row.start_at->ms;
      return;
    }
    std::vector<const Run*> active;
    for (const auto& [id, other] : state.runs_) {
      if (id != run.row.id && other->row.job == run.row.job && other->is_admitted)
        active.push_back(other.get());
    }
    std::sort(active.begin(), active.end(),
              [](const Run* a, const Run* b) { return a->row.id < b->row.id; });
    for (const Run* other : active) {
      say("overlap", "run queued: " + short_name(other->row.name) + " is active, overlap " +
                         std::string(to_string(run.version->job.overlap)))
          .run = other->row.id;
    }
  }

  void waits_for_upstream(const Run& run, TaskIndex task) {
    const Node& node = run.node(task);
    if (node.is_preparing) {
      say("preparing", run.spec(task).is_mapped() ? "waiting: its items are being read"
                                                  : "waiting: its `when` is being judged");
      return;
    }
    for (const Dependency& d : run.spec(task).depends_on) {
      const Piece& up = run.node(d.task).work;
      if (is_final(up.state)) continue;
      std::string text =
          "waiting for " + run.spec(d.task).id + " (" + std::string(to_string(up.state));
      if (up.state == TaskState::running && up.started_at.ms != 0)
        text += " " + span(now.wall - up.started_at);
      Explanation& line = say("upstream", text + ")");
      line.run = run.row.id;
      line.task = d.task;
    }
  }

  void waits_for_slot(const Run& run, TaskIndex task, WallTime since, std::int64_t place) {
    const Node& node = run.node(task);
    const TaskSpec& spec = run.spec(task);
    const std::string prefix =
        since.ms == 0 ? "queued: " : "queued for " + span(now.wall - since) + ": ";
    const std::size_t before = out.size();
    if (state.holds_starts_)
      say("held_starts", prefix + "the scheduler starts nothing: it drains, or the store is full");
    if (!state.pick_worker()) say("no_worker", prefix + "no worker takes tasks");
    const std::int64_t limit = spec.map ? spec.map->max_concurrent : 0;
    if (limit > 0 && node.mapped && node.mapped->live >= limit) {
      say("max_concurrent", prefix + std::to_string(node.mapped->live) + " of " +
                                std::to_string(limit) + " items run, as many as its max_concurrent")
          .number = node.mapped->live;
    }
    const PoolUse& use = spec.pools.front();
    if (node.lane != nullptr && !node.lane->slots().has_room(use.slots)) {
      const Slots& slots = node.lane->slots();
      say("pool", prefix + "needs " + plural(use.slots, "slot") + " of pool " + use.pool + ", " +
                      std::to_string(slots.taken) + " of " + std::to_string(slots.limit) +
                      " in use")
          .number = slots.taken;
      who_holds(run, *node.lane);
    }
    if (node.lane != nullptr) who_is_ahead(run, task, *node.lane, place);
    if (out.size() == before && run.row.state == RunState::running && !run.is_dormant) {
      say("else", prefix + "nothing stands in its way, it starts next");
    }
  }

  void who_holds(const Run& run, const Lane& lane) {
    for (const auto& [who, holding] : state.holders_of(&lane)) {
      const Live& oldest = *holding.oldest;
      const Run& holder = *oldest.run;
      const bool is_item = oldest.item != kWhole;
      std::string text = "held by " + short_name(holder.row.name) + "/" + name(holder, who.second) +
                         ": " + std::to_string(holding.slots) + ", " +
                         (is_item ? "oldest " + name(holder, who.second, oldest.item) + " " : "") +
                         "for " + span(now.wall - oldest.started_at);
      const Duration timeout = holder.spec(who.second).timeout;
      if (timeout == Duration{0}) {
        text += ", no time-out";
      } else {
        text += ", its time-out in " + span(timeout - (now.wall - oldest.started_at));
      }
      Explanation& line = say("holder", std::move(text));
      line.run = who.first;
      line.task = who.second;
      line.number = holding.slots;
    }
    if (&lane == run.nodes.front().lane && lane.pool == nullptr) {
      say("concurrency", "the run has slots of its own (--concurrency)").number = lane.own.limit;
    }
  }

  void who_is_ahead(const Run& run, TaskIndex task, const Lane& lane, std::int64_t place) {
    const Lane::Rank own{-run.spec(task).priority, run.row.priority_class};
    std::int64_t ahead = 0;
    for (const auto& [rank, sources] : lane.ring) {
      if (rank >= own) break;
      for (const Lane::Source& source : sources) {
        const Run* other = state.find(source.run);
        if (other == nullptr || !state.is_startable(*other, source.task)) continue;
        const Node& node = other->node(source.task);
        const std::int64_t count = node.mapped ? node.mapped->count(TaskState::queued) : 1;
        Explanation& line =
            say("ahead", "ahead " + std::to_string(count) + " with priority " +
                             std::to_string(-rank.first) + " (" + short_name(other->row.name) +
                             "/" + other->spec(source.task).id + ")");
        line.run = source.run;
        line.task = source.task;
        line.number = count;
        ahead += count;
        if (out.size() > kLinesMax) return;
      }
    }
    if (place <= 0) return;
    if (place > 1)
      say("ahead", "ahead " + std::to_string(place - 1) + " of " + run.spec(task).id).number =
          place - 1;
    say("place", "place " + std::to_string(ahead + place)).number = ahead + place;
  }

  void retries(const Run& run, TaskKey key, const Piece& work) {
    std::string text = "retrying: attempt " + std::to_string(work.attempts + 1);
    const std::int32_t max = run.spec(key.task).retry.max_attempts;
    if (work.attempts == work.counted) text += " of " + std::to_string(max);
    Explanation& line = say("retry", "");
    if (const auto due = state.timers_.due_of(key, TimerKind::retry, work.stamp)) {
      const Duration left = std::max(Duration{0}, *due - now.mono);
      text += " at " + clock_time(now.wall + left) + " (in " + span(left) + ")";
      line.number = (now.wall + left).ms;
    }
    line.text = text + ", after " + why(work.reason, work.detail);
  }

  void is_decided(const Run& run, TaskIndex task, const Piece& work, bool is_item) {
    std::string text(to_string(work.state));
    const auto error = run.errors.find(task);
    const bool has_error = !is_item && error != run.errors.end();
    if (work.state == TaskState::held) {
      text += ": " + why(work.reason, work.detail) +
              (work.ended_at.ms != 0 ? " " + clock_time(work.ended_at) : "") + ", resume or mark";
    } else if (work.reason == Reason::upstream) {
      text += ": its rule is " + std::string(to_string(run.spec(task).trigger_rule));
      for (const Dependency& d : run.spec(task).depends_on) {
        const Piece& up = run.node(d.task).work;
        if (is_final(up.state) && up.state != TaskState::succeeded)
          text += ", " + run.spec(d.task).id + " " + std::string(to_string(up.state));
      }
    } else if (work.reason == Reason::rule) {
      text += ": its rule is " + std::string(to_string(run.spec(task).trigger_rule));
    } else if (work.reason == Reason::when) {
      text += has_error ? ": when " + error->second : ": when was false";
    } else if (work.reason != Reason::none) {
      text += ": " + why(work.reason, work.detail) + (has_error ? ", " + error->second : "");
    }
    say(std::string(to_string(work.state)), std::move(text));
  }

  void runs(const Run& run, TaskIndex task, const Piece& work) {
    const Node& node = run.node(task);
    const std::string since =
        work.started_at.ms == 0 ? "running" : "running for " + span(now.wall - work.started_at);
    if (!node.mapped || &work != &node.work) {
      std::string text = since + ", attempt " + std::to_string(work.attempts);
      const auto live = state.live_.find(work.live);
      if (live != state.live_.end() && live->second.stop != Reason::none)
        text += ", being stopped: " + std::string(to_string(live->second.stop));
      say("running", std::move(text));
      return;
    }
    const Mapped& mapped = *node.mapped;
    const std::int64_t open = mapped.open();
    say("running", since + ": " + std::to_string(mapped.items - open) + " of " +
                       std::to_string(mapped.items) + (mapped.complete ? "" : " read so far") +
                       " items done, " + std::to_string(mapped.live) + " running, " +
                       std::to_string(mapped.count(TaskState::retrying)) + " retrying, " +
                       std::to_string(mapped.count(TaskState::queued)) + " queued");
    if (mapped.count(TaskState::queued) > 0) waits_for_slot(run, task, {}, 0);
  }

  static constexpr std::size_t kLinesMax = 50;
};

std::vector<Explanation> Engine::State::explain(const Target& target, Now now) const {
  Explainer explainer{*this, now, {}};
  const Run* run = find(target.run);
  if (run == nullptr) return {};
  explainer.run_waits(*run);
  if (!target.task || target.task->value >= run->nodes.size()) return std::move(explainer.out);
  const TaskIndex task = *target.task;
  const Node& node = run->node(task);
  const bool is_item = target.item && *target.item != kWhole;
  const Piece* work = &node.work;
  if (is_item) {
    if (!node.mapped || target.item->value < 0 || target.item->value >= node.mapped->items)
      return std::move(explainer.out);
    work = find_work(*run, {target.run, task, *target.item});
  }
  if (work == nullptr) {
    const Mapped& mapped = *node.mapped;
    const std::int64_t item = target.item->value;
    if (item < mapped.next_fresh) {
      explainer.say("final", "has ended");
    } else if (mapped.rest_state != TaskState::queued) {
      explainer.say(std::string(to_string(mapped.rest_state)),
                    std::string(to_string(mapped.rest_state)) + ": " +
                        std::string(to_string(mapped.rest_reason)) + ", it never started");
    } else {
      explainer.waits_for_slot(*run, task, node.work.queued_at,
                               mapped.queued + item - mapped.next_fresh + 1);
    }
    return std::move(explainer.out);
  }
  switch (work->state) {
    case TaskState::waiting: explainer.waits_for_upstream(*run, task); break;
    case TaskState::queued: explainer.waits_for_slot(*run, task, work->queued_at, 0); break;
    case TaskState::retrying:
      explainer.retries(*run, {target.run, task, is_item ? *target.item : kWhole}, *work);
      break;
    case TaskState::running: explainer.runs(*run, task, *work); break;
    case TaskState::deferred:
      explainer.say("deferred", "deferred: its operator is asked again later");
      break;
    case TaskState::held:
    case TaskState::succeeded:
    case TaskState::failed:
    case TaskState::skipped:
    case TaskState::upstream_failed:
    case TaskState::cancelled: explainer.is_decided(*run, task, *work, is_item); break;
  }
  return std::move(explainer.out);
}

}  // namespace pawl
