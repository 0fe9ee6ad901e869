// All limits at once, over random workloads: pools with slots and rates, rates of tasks, items that
// run at a time, priorities. What is allowed is counted here from the starts alone.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/sim/random.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

std::string random_job(Random& random) {
  std::string text = "job name=j overlap=allow active=9 pool:p=" + random.of({"2", "2@3/2s", "3"}) +
                     " pool:q=" + random.of({"3", "3@5/1s"}) +
                     " pool:r=" + random.of({"1", "1@1/500ms"}) + ";";
  for (int i = 0; i < 8; ++i) {
    text += std::string("t") + static_cast<char>('a' + i) +
            " pool=" + random.of({"p", "p:2", "q", "q:3", "r", "p,q", "p:2,q:2", "q,r", "p,q,r"}) +
            " priority=" + std::to_string(random.below(3));
    if (random.one_in(3)) text += " rate=" + random.of({"1/1s", "2/3s", "7/5s"});
    if (random.one_in(2)) {
      text += " map=" + std::to_string(random.below(9) + 1);
      if (random.one_in(2)) text += " max=" + std::to_string(random.below(2) + 1);
    }
    if (random.one_in(3)) text += " retry=2 delay=1s";
    text += ";";
  }
  return text;
}

/// What the starts so far have taken, by their specifications and times.
class Ledger {
 public:
  explicit Ledger(const JobSpec& job) : job_(job) {}

  void start(TaskIndex task, RunId run, MonoTime at) {
    const TaskSpec& spec = job_.node(task);
    for (const PoolUse& use : spec.pools) {
      taken_[use.pool] += use.slots;
      if (job_.pools.at(use.pool).rate) starts_[use.pool].push_back(at);
    }
    if (spec.rate_limit) starts_["task " + spec.id].push_back(at);
    ++live_[{run, task}];
  }
  void end(TaskIndex task, RunId run) {
    for (const PoolUse& use : job_.node(task).pools) taken_[use.pool] -= use.slots;
    --live_[{run, task}];
  }

  /// The first limit that is passed; empty: none.
  std::string broken(MonoTime now) const {
    for (const auto& [name, pool] : job_.pools) {
      if (taken_of(name) > pool.slots) return "slots of " + name;
      if (pool.rate && counted(name, *pool.rate, now) > pool.rate->count) return "rate of " + name;
    }
    for (const TaskSpec& spec : job_.tasks) {
      if (!spec.rate_limit) continue;
      if (counted("task " + spec.id, *spec.rate_limit, now) > spec.rate_limit->count)
        return "rate of " + spec.id;
    }
    for (const auto& [who, live] : live_) {
      const TaskSpec& spec = job_.node(who.second);
      const std::int64_t limit = !spec.map ? 1 : spec.map->max_concurrent;
      if (limit > 0 && live > limit) return "items at a time of " + spec.id;
    }
    return {};
  }

  bool has_tokens(const TaskSpec& spec, MonoTime now) const {
    if (spec.rate_limit &&
        counted("task " + spec.id, *spec.rate_limit, now) >= spec.rate_limit->count)
      return false;
    return std::all_of(spec.pools.begin(), spec.pools.end(), [&](const PoolUse& use) {
      const auto& rate = job_.pools.at(use.pool).rate;
      return !rate || counted(use.pool, *rate, now) < rate->count;
    });
  }
  bool fits(const TaskSpec& spec) const {
    return std::all_of(spec.pools.begin(), spec.pools.end(), [&](const PoolUse& use) {
      return job_.pools.at(use.pool).slots - taken_of(use.pool) >= use.slots;
    });
  }

 private:
  std::int64_t taken_of(const std::string& pool) const {
    const auto found = taken_.find(pool);
    return found == taken_.end() ? 0 : found->second;
  }
  std::int64_t counted(const std::string& name, const Rate& rate, MonoTime now) const {
    const auto found = starts_.find(name);
    if (found == starts_.end()) return 0;
    return std::count_if(found->second.begin(), found->second.end(),
                         [&](MonoTime at) { return now - at < rate.per; });
  }

  const JobSpec& job_;
  std::map<std::string, std::int64_t> taken_;
  std::map<std::string, std::vector<MonoTime>> starts_;
  std::map<std::pair<RunId, TaskIndex>, std::int64_t> live_;
};

struct Waiting {
  RunId run;
  TaskIndex task;
  const TaskSpec* spec;
};

/// Tasks with something that may start, slots and tokens aside.
std::vector<Waiting> waiting_in(const World& w, const JobSpec& job) {
  std::vector<Waiting> out;
  for (RunId run : w.engine.runs()) {
    for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
      const TaskSpec& spec = job.tasks[i];
      const TaskView task = w.engine.task(run, TaskIndex{i});
      bool waits = task.state == TaskState::queued;
      if (task.counts) {
        const std::int64_t limit = spec.map->max_concurrent;
        const auto count = [&](TaskState s) { return (*task.counts)[static_cast<std::size_t>(s)]; };
        waits = task.state == TaskState::running && count(TaskState::queued) > 0 &&
                (limit == 0 || count(TaskState::running) < limit);
      }
      if (waits) out.push_back({run, TaskIndex{i}, &spec});
    }
  }
  return out;
}

bool share_a_pool(const TaskSpec& a, const TaskSpec& b) {
  return std::any_of(a.pools.begin(), a.pools.end(), [&](const PoolUse& use) {
    return std::any_of(b.pools.begin(), b.pools.end(),
                       [&](const PoolUse& other) { return other.pool == use.pool; });
  });
}

/// One life under limits; each step is judged.
class Workload {
 public:
  explicit Workload(std::uint64_t seed)
      : random_(seed), version_(w_.define(random_job(random_))), ledger_(w_.jobs.at(version_)) {
    w_.checks = false;
  }

  void live() {
    for (int round = 0; round < 300 || !is_done(); ++round) {
      REQUIRE(round < 3'000);
      if (runs_.size() < 4 && random_.one_in(4)) {
        before();
        runs_.push_back(w_.start(version_));
        judge();
      }
      if (!w_.running.empty() && !random_.one_in(3)) end_one();
      if (random_.one_in(2)) pass();
      if (random_.one_in(60)) restart();
    }
    REQUIRE(runs_.size() == 4);
  }

 private:
  const JobSpec& job() const { return w_.jobs.at(version_); }
  bool is_done() const {
    return runs_.size() == 4 && std::all_of(runs_.begin(), runs_.end(), [&](RunId run) {
             return is_final(w_.store.runs.at(run).state);
           });
  }

  void end_one() {
    auto it = w_.running.begin();
    std::advance(it, random_.below(static_cast<std::int64_t>(w_.running.size())));
    AttemptResult result;
    result.attempt = it->first;
    result.worker = it->second.worker;
    result.ended_at = w_.now.wall;
    result.outcome = random_.one_in(8) ? Outcome::failed : Outcome::succeeded;
    if (result.outcome == Outcome::failed) result.reason = Reason::exit;
    const TaskKey key = it->second.key;
    before();
    ledger_.end(key.task, key.run);
    w_.handle(input::AttemptsEnded{{result}});
    judge();
  }

  void pass() {
    Duration step(random_.below(700));
    if (const auto due = w_.engine.next_deadline(); due && *due - w_.now.mono < step)
      step = std::max(Duration{0}, *due - w_.now.mono);
    before();
    w_.now = {w_.now.mono + step, w_.now.wall + step};
    if (random_.one_in(9)) w_.now.wall = w_.now.wall + (random_.below(3) - 1) * 24h;
    w_.handle(input::Tick{});
    judge();
  }

  void restart() {
    before();
    w_.restart();
    judge();
  }

  void before() { waited_ = waiting_in(w_, job()); }

  /// The starts of one step, in order: none before one of higher priority that waited already and
  /// could have started, none over a limit. Then: nobody waits who could start.
  void judge() {
    const std::vector<Waiting> waiting = waiting_in(w_, job());
    const auto waits_on = [&](const Waiting& one) {
      return std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& other) {
        return other.run == one.run && other.task == one.task;
      });
    };
    for (; seen_ < w_.starts.size(); ++seen_) {
      const TaskKey& key = w_.starts[seen_].key;
      const TaskSpec& spec = job().node(key.task);
      for (const Waiting& other : waited_) {
        if (other.spec->priority <= spec.priority || !share_a_pool(*other.spec, spec)) continue;
        const bool could = ledger_.has_tokens(*other.spec, w_.now.mono) &&
                           ledger_.fits(*other.spec) && waits_on(other) &&
                           !is_kept_from(other, waited_);
        INFO(spec.id << " starts before " << other.spec->id);
        REQUIRE_FALSE(could);
      }
      ledger_.start(key.task, key.run, w_.started_at[seen_]);
      REQUIRE(ledger_.broken(w_.now.mono).empty());
    }
    for (const Waiting& one : waiting) {
      if (!ledger_.has_tokens(*one.spec, w_.now.mono) || !ledger_.fits(*one.spec)) continue;
      INFO(one.spec->id << " waits for nothing");
      REQUIRE(is_kept_from(one, waiting));
    }
  }

  /// Whether something may be kept for another one that lacks slots, and has its tokens; or for one
  /// that waits because of such a one, and so on.
  bool is_kept_from(const Waiting& one, const std::vector<Waiting>& waiting) const {
    std::vector<const Waiting*> reached{&one};
    for (std::size_t i = 0; i < reached.size(); ++i) {
      for (const Waiting& other : waiting) {
        const bool is_before = other.spec->priority >= reached[i]->spec->priority &&
                               share_a_pool(*other.spec, *reached[i]->spec) &&
                               ledger_.has_tokens(*other.spec, w_.now.mono);
        if (!is_before) continue;
        if (!ledger_.fits(*other.spec)) return true;
        if (std::find(reached.begin(), reached.end(), &other) == reached.end())
          reached.push_back(&other);
      }
    }
    return false;
  }

  Random random_;
  World w_;
  VersionId version_;
  Ledger ledger_;
  std::vector<RunId> runs_;
  std::vector<Waiting> waited_;
  std::size_t seen_ = 0;
};

}  // namespace

TEST_CASE(
    "whatever the limits, none is passed, none waits without a reason, higher priority goes first "
    "and all end") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    Workload(seed).live();
  }
}
