// Why something is not running, as sentences. Reads only. What a row says (held, failed, a retry's
// time) whoever shows it reads from there; here is what only the engine knows.

#include <algorithm>

#include "scheduler/base/text.h"
#include "scheduler/core/engine_state.h"
#include "scheduler/core/overdue.h"

namespace pawl {
namespace {

// Nobody reads more.
constexpr std::size_t kLinesMax = 20;

/// Whole seconds: nobody reads the rest.
std::string span(Duration d) {
  return format_duration(Duration(std::max<std::int64_t>(0, d.count()) / 1000 * 1000));
}

/// Until something happens: never `0s`.
std::string until(Duration d) {
  if (d < std::chrono::seconds(1)) return format_duration(std::max(Duration{1}, d));
  return span(d + std::chrono::milliseconds(999));
}

std::string short_name(const std::string& run) { return run.substr(run.rfind('-') + 1); }

std::string name(const Run& run, TaskIndex task, ItemIndex item = kWhole) {
  std::string text = run.spec(task).id;
  if (item != kWhole) text += ":" + std::to_string(item.value);
  return text;
}

std::string of(std::int64_t part, std::int64_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

}  // namespace

namespace {

/// A pause of the run, or its turn, is what such a task waits for.
bool waits_with_run(TaskState state) {
  return state == TaskState::waiting || state == TaskState::queued ||
         state == TaskState::deferred || state == TaskState::retrying;
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

  void run_waits(const Run& run) {
    const std::string own = short_name(run.row.name);
    if (run.is_dormant)
      say("dormant", "nothing of the run starts before `pawl resume " + own + "`");
    if (run.row.state == RunState::paused) {
      say("paused", "the run is paused; `pawl unpause " + own + "` lets it go on");
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
      const bool is_other = id != run.row.id && line_of(*other) == line_of(run);
      if (is_other && other->is_admitted) active.push_back(other.get());
    }
    std::sort(active.begin(), active.end(),
              [](const Run* a, const Run* b) { return a->row.id < b->row.id; });
    for (const Run* other : active) {
      if (out.size() >= kLinesMax) return;
      const std::string why = run.row.trigger == Trigger::backfill
                                  ? "--max-active " + std::to_string(run.row.max_active)
                                  : "overlap " + std::string(to_string(run.version->job.overlap));
      say("overlap", "run queued: " + short_name(other->row.name) + " is active, " + why).run =
          other->row.id;
    }
  }

  void waits_for_upstream(const Run& run, TaskIndex task) {
    if (run.node(task).is_preparing) {
      say("preparing", run.spec(task).is_mapped() ? "its items are about to be read"
                                                  : "its `when` is being judged");
      return;
    }
    if (run.is_hook(task)) {
      if (!run.runs_hooks()) say("hook", "a hook: it runs when all tasks are final, if at all");
      return;
    }
    for (const Dependency& d : run.spec(task).depends_on) {
      const Piece& up = run.node(d.task).work;
      if (is_final(up.state)) continue;
      // It is there as far as that one is concerned: its items wait each for its own.
      if (d.each && has_items(run, *run.spec(task).mapped_over)) continue;
      if (out.size() >= kLinesMax) return;
      std::string text = run.spec(d.task).id + " (" + std::string(to_string(up.state));
      if (up.state == TaskState::running && up.started_at.ms != 0)
        text += " " + span(now.wall - up.started_at);
      Explanation& line = say("upstream", text + ")");
      line.run = run.row.id;
      line.task = d.task;
    }
  }

  /// Of an item: those that it is paired with and that are open.
  void waits_for_pairs(const Run& run, TaskIndex task, std::int64_t item) {
    for (const Dependency& d : run.spec(task).depends_on) {
      if (!d.each) continue;
      const TaskState up_state = item_state(run, d.task, item);
      if (is_final(up_state)) continue;
      std::string text =
          name(run, d.task, ItemIndex{item}) + " (" + std::string(to_string(up_state));
      const Piece* up = find_awake(run, {run.row.id, d.task, ItemIndex{item}});
      if (up != nullptr && up->state == TaskState::running)
        text += " " + span(now.wall - up->started_at);
      Explanation& line = say("upstream", text + ")");
      line.run = run.row.id;
      line.task = d.task;
    }
  }

  /// `place`: of an item among the queued ones of its task, from 1; 0: not an item.
  void waits_for_slot(const Run& run, TaskIndex task, std::int64_t place) {
    const Node& node = run.node(task);
    const TaskSpec& spec = run.spec(task);
    if (state.holds_starts_)
      say("held_starts", "no new starts: the scheduler is draining or the store is full");
    if (!state.pick_worker(spec.operator_name)) {
      say("no_worker", spec.operator_name == "process"
                           ? "no worker takes tasks yet"
                           : "no worker takes the operator " + spec.operator_name +
                                 " yet; where `pawl operators` does not list it its plugin is "
                                 "missing: put that back and send the scheduler SIGHUP; where it "
                                 "does and none comes, the scheduler's log says why");
    }
    const std::size_t before = out.size();
    const std::int64_t limit = items_at_once(spec);
    const std::int64_t busy = node.mapped ? items_under_way(spec, *node.mapped) : 0;
    if (limit > 0 && node.mapped && busy >= limit)
      say("max_concurrent", of(busy, limit) + " items run at once").number = busy;
    bool has_free_rate = false;
    if (node.line != nullptr) {
      const Lane& lane = *node.line->lane;
      has_free_rate = !needs_tokens(spec, *node.line, place);
      for (std::size_t i = 0; i < spec.pools.size(); ++i)
        needs_slots(run, task, spec.pools[i], *lane.pools[i]);
      who_is_ahead(run, task, *node.line, place);
    }
    if (before == 0 && out.size() > before) {
      say("else", std::string("nothing: dependencies done, ") +
                      (has_free_rate ? "rate limit free, " : "") + "run not paused");
    }
  }

  /// True when a rate has no token, or there is none to ask for one.
  bool needs_tokens(const TaskSpec& spec, const Line& line, std::int64_t place) {
    bool is_free = false;
    bool lacks_any = false;
    const auto needs = [&](const RateLimit* rate, const std::string& of_what) {
      if (rate == nullptr) return;
      const bool lacks = needs_token(*rate, of_what, place);
      lacks_any |= lacks;
      is_free |= !lacks;
    };
    needs(line.rate, "its rate_limit");
    for (std::size_t i = 0; i < spec.pools.size(); ++i)
      needs(line.lane->pools[i]->rate, "pool " + spec.pools[i].pool);
    return lacks_any || !is_free;
  }

  bool needs_token(const RateLimit& rate, const std::string& of_what, std::int64_t place) {
    TokenBucket bucket = rate.bucket;
    bucket.settle(now.mono);
    if (bucket.has_token()) return false;
    const Rate& limit = bucket.rate();
    const Duration wait = bucket.next_token() - now.mono;
    std::string text = "needs 1 start of " + of_what + ", " + of(bucket.taken(), limit.count) +
                       " in " + format_duration(limit.per) + " used, the next in " + until(wait);
    // A whole bucket for each `count` before it.
    const std::int64_t rounds = place > 0 ? (place - 1) / limit.count : 0;
    if (rounds > 0) text += ", its own in " + until(wait + rounds * limit.per) + " or later";
    say("rate", std::move(text)).number = wait.count();
    return true;
  }

  void needs_slots(const Run& run, TaskIndex task, const PoolUse& use, const Pool& pool) {
    const std::string what =
        &pool == run.own_pool.get() ? "the run (--concurrency)" : "pool " + use.pool;
    const std::string wanted = "needs " + std::to_string(use.slots) +
                               (use.slots == 1 ? " slot of " : " slots of ") + what + ", ";
    if (use.slots > pool.limit) {
      say("pool", wanted + (pool.limit == 0 ? "which is not in the settings any more"
                                            : "which has only " + std::to_string(pool.limit)))
          .number = pool.limit;
      return;
    }
    if (pool.has_room(use.slots)) {
      kept_slots(run, task, use, pool, wanted);
      return;
    }
    say("pool", wanted + of(pool.taken, pool.limit) + " in use").number = pool.taken;
    for (const auto& [who, holding] : state.holders_of(pool)) {
      if (out.size() >= kLinesMax) return;
      const Live& oldest = *holding.oldest;
      const Run& holder = *oldest.run;
      std::string text = short_name(holder.row.name) + "/" + name(holder, who.second);
      text.append(text.size() < 16 ? 16 - text.size() : 0, ' ');
      const std::string slots = std::to_string(holding.slots);
      text.append(slots.size() < 3 ? 3 - slots.size() : 1, ' ');
      text += slots + ",";
      if (oldest.item != kWhole) text += " oldest " + name(holder, who.second, oldest.item);
      const Duration lasted = now.wall - oldest.started_at;
      text += " for " + span(lasted);
      const Duration timeout = holder.spec(who.second).timeout;
      text +=
          timeout == Duration{0} ? ", no time-out" : ", its time-out in " + span(timeout - lasted);
      Explanation& line = say("holder", std::move(text));
      line.run = who.first;
      line.task = who.second;
    }
  }

  /// Enough is free, but kept for those before it that lack slots of another pool.
  void kept_slots(const Run& run, TaskIndex task, const PoolUse& use, const Pool& pool,
                  const std::string& wanted) {
    const Rank own{-run.spec(task).priority, run.row.priority_class};
    std::int64_t kept = 0;
    std::string names;
    for (const Lane* lane : pool.lanes) {
      const std::optional<Head> first = head_of(*lane);
      if (lane == run.node(task).line->lane || !first || first->rank > own) continue;
      const Run& other = *state.find(first->source.run);
      for (std::size_t i = 0; i < lane->pools.size(); ++i) {
        if (lane->pools[i] == &pool) kept += other.spec(first->source.task).pools[i].slots;
      }
      names += (names.empty() ? "" : ", ") + short_name(other.row.name) + "/" +
               name(other, first->source.task);
    }
    if (kept == 0 || pool.has_room(use.slots + kept)) return;
    say("kept", wanted + std::to_string(kept) + " kept for " + names).number = kept;
  }

  /// The head of a lane, without looking at who has left.
  std::optional<Head> head_of(const Lane& lane) const {
    std::optional<Head> best;
    if (lane.shut > 0) return best;
    const auto look_at = [&](const Line& line) {
      if (line.ring.empty() || line.ring.begin()->second.empty()) return;
      const Head first{
          nullptr, line.ring.begin()->first, line.ring.begin()->second.front(), nullptr, {}};
      const Run* run = state.find(first.source.run);
      if (run == nullptr || !state.is_startable(*run, first.source.task)) return;
      if (!best || first.is_before(*best)) best = first;
    };
    look_at(lane.plain);
    if (!lane.listed.empty()) look_at(*lane.listed.begin()->line);
    return best;
  }

  void who_is_ahead(const Run& run, TaskIndex task, const Line& own_line, std::int64_t place) {
    const Rank own{-run.spec(task).priority, run.row.priority_class};
    std::string text;
    std::int64_t ahead = 0;
    std::size_t named = 0;
    const auto count_in = [&](const Line& line) {
      for (const auto& [rank, sources] : line.ring) {
        if (rank >= own) break;
        for (const Source& source : sources) {
          const Run* other = state.find(source.run);
          if (other == nullptr || !state.is_startable(*other, source.task)) continue;
          const Node& node = other->node(source.task);
          const std::int64_t count = node.mapped ? node.mapped->count(TaskState::queued) : 1;
          ahead += count;
          if (++named > kLinesMax) continue;
          text += (text.empty() ? "" : ", ") + std::to_string(count) + " with priority " +
                  std::to_string(-rank.first) + " (" + short_name(other->row.name) + "/" +
                  name(*other, source.task) + ")";
        }
      }
    };
    count_in(own_line);
    const Lane& lane = *own_line.lane;
    if (&lane.plain != &own_line) count_in(lane.plain);
    for (const Lane::Listed& listed : lane.listed) {
      if (listed.line != &own_line) count_in(*listed.line);
    }
    if (place > 1)
      text += (text.empty() ? "" : ", ") + std::to_string(place - 1) + " of " + name(run, task);
    if (text.empty()) return;
    if (place > 0) text += "; place " + std::to_string(ahead + place);
    say("ahead", std::move(text)).number = place > 0 ? ahead + place : ahead;
  }

  /// The runs of other jobs that the task or item waits for, and why they wait themselves.
  void waits_for_calls(TaskKey key) {
    for (auto it = state.calls_.lower_bound({key, RunId{}}); it != state.calls_.end(); ++it) {
      if (it->first != key || out.size() >= kLinesMax) return;
      const Run* called = state.find(it->second);
      if (called == nullptr) continue;
      const RunRow& row = called->row;
      std::string text = "run " + short_name(row.name) + " of job " + row.job + " (" +
                         std::string(to_string(row.state));
      if (row.state == RunState::running && row.started_at)
        text += " " + span(now.wall - *row.started_at);
      say("run", text + ")").run = row.id;
      run_waits(*called);
    }
  }

  void runs(const Run& run, TaskIndex task, const Piece& work, ItemIndex item = kWhole) {
    const Node& node = run.node(task);
    if (const auto live = state.live_.find(work.live); live != state.live_.end()) {
      const Reason stop = live->second.stop;
      if (stop != Reason::none) {
        say("stopping", "it was told to end: " + std::string(to_string(stop)));
      } else if (std::string text =
                     overdue_text(run.spec(task), now.wall - live->second.started_at);
                 !text.empty()) {
        say("stopping", std::move(text));
      }
    }
    if (!node.mapped || &work != &node.work) {
      if (run.spec(task).calls_job()) waits_for_calls({run.row.id, task, item});
      return;
    }
    const Mapped& mapped = *node.mapped;
    say("items", of(mapped.items - mapped.open(), mapped.items) +
                     (mapped.complete ? "" : " read so far") + " done, " +
                     std::to_string(mapped.live) + " running, " +
                     std::to_string(mapped.count(TaskState::retrying)) + " retrying, " +
                     std::to_string(mapped.count(TaskState::queued)) + " queued" +
                     (mapped.is_paired ? ", " + std::to_string(mapped.count(TaskState::waiting)) +
                                             " waiting for the items that they are paired with"
                                       : ""));
    if (mapped.count(TaskState::queued) > 0) waits_for_slot(run, task, 0);
  }
};

std::vector<Explanation> Engine::State::explain(const Target& target, Now now) const {
  Explainer explainer{*this, now, {}};
  const Run* run = find(target.run);
  if (run == nullptr) return {};
  if (!target.task || target.task->value >= run->nodes.size()) {
    explainer.run_waits(*run);
    return std::move(explainer.out);
  }
  const TaskIndex task = *target.task;
  const Node& node = run->node(task);
  if (!target.item || *target.item == kWhole) {
    if (waits_with_run(node.work.state)) explainer.run_waits(*run);
    switch (node.work.state) {
      case TaskState::waiting: explainer.waits_for_upstream(*run, task); break;
      case TaskState::queued: explainer.waits_for_slot(*run, task, 0); break;
      case TaskState::running: explainer.runs(*run, task, node.work); break;
      case TaskState::deferred: explainer.waits_for_calls({target.run, task, kWhole}); break;
      case TaskState::retrying:
      case TaskState::held:
      case TaskState::succeeded:
      case TaskState::failed:
      case TaskState::skipped:
      case TaskState::upstream_failed:
      case TaskState::cancelled: break;
    }
    return std::move(explainer.out);
  }
  const std::int64_t item = target.item->value;
  if (!node.mapped || item < 0 || item >= node.mapped->items) return std::move(explainer.out);
  const Mapped& mapped = *node.mapped;
  const Piece* work = find_awake(*run, {target.run, task, *target.item});
  const bool is_blank = mapped.is_paired && mapped.is_blank(item) && !mapped.is_rest(item);
  const bool is_fresh = !mapped.is_paired && item >= mapped.next_fresh;
  const TaskState state =
      work != nullptr ? work->state
      : is_blank      ? static_cast<TaskState>(mapped.states[static_cast<std::size_t>(item)])
      : is_fresh      ? mapped.rest_state
                      : TaskState::succeeded;
  if (waits_with_run(state)) explainer.run_waits(*run);
  if (work != nullptr && state == TaskState::running)
    explainer.runs(*run, task, *work, *target.item);
  if (work != nullptr && state == TaskState::deferred)
    explainer.waits_for_calls({target.run, task, *target.item});
  if (node.work.state == TaskState::waiting && !is_final(state)) {
    explainer.waits_for_upstream(*run, task);  // the whole, and this one with it
    return std::move(explainer.out);
  }
  if (state == TaskState::waiting) explainer.waits_for_pairs(*run, task, item);
  if (state == TaskState::queued) {
    const auto before =
        is_fresh ? mapped.queued + item - mapped.next_fresh
                 : std::find(mapped.ready.begin(), mapped.ready.end(), item) - mapped.ready.begin();
    explainer.waits_for_slot(*run, task, before + 1);
  }
  return std::move(explainer.out);
}

}  // namespace pawl
