// Slots of several pools at once: who starts, who waits, and that nobody waits for ever.

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

const std::map<std::string, std::int64_t> kPools = {{"p", 2}, {"q", 3}, {"r", 1}};

std::string random_text(Random& random) {
  static const char* const kUses[] = {"p",   "p:2",     "q",   "q:3",  "r",
                                      "p,q", "p:2,q:2", "q,r", "p,q,r"};
  std::string text = "job name=j overlap=allow active=9 pool:p=2 pool:q=3 pool:r=1;";
  for (int i = 0; i < 10; ++i) {
    text += std::string("t") + static_cast<char>('a' + i) + " pool=" + kUses[random.below(9)] +
            " priority=" + std::to_string(random.below(3)) + ";";
  }
  return text;
}

struct Waiting {
  TaskKey key;
  const TaskSpec* spec;
};

std::vector<Waiting> waiting_in(const World& w) {
  std::vector<Waiting> out;
  for (RunId run : w.engine.runs()) {
    const auto& tasks = w.jobs.at(w.engine.run(run)->version).tasks;
    for (std::uint32_t i = 0; i < tasks.size(); ++i) {
      if (w.engine.task(run, TaskIndex{i}).state == TaskState::queued)
        out.push_back({{run, TaskIndex{i}, kWhole}, &tasks[i]});
    }
  }
  return out;
}

std::map<std::string, std::int64_t> free_slots(const World& w) {
  auto free = kPools;
  for (const auto& [id, start] : w.running) {
    const auto& task =
        w.jobs.at(w.store.runs.at(start.key.run).version).tasks[start.key.task.value];
    for (const PoolUse& use : task.pools) free[use.pool] -= use.slots;
  }
  return free;
}

/// The one that waits with a higher priority than all others that do, if there is one.
std::optional<Waiting> first_of(const std::vector<Waiting>& waiting) {
  std::optional<Waiting> best;
  bool is_alone = false;
  for (const Waiting& one : waiting) {
    if (!best || one.spec->priority > best->spec->priority) {
      best = one;
      is_alone = true;
    } else if (one.spec->priority == best->spec->priority) {
      is_alone = false;
    }
  }
  return is_alone ? best : std::nullopt;
}

bool fits(const TaskSpec& task, const std::map<std::string, std::int64_t>& free) {
  return std::all_of(task.pools.begin(), task.pools.end(),
                     [&](const PoolUse& use) { return free.at(use.pool) >= use.slots; });
}

}  // namespace

TEST_CASE(
    "whatever waits for which pools, no pool is overdrawn, the first waits only for lack of "
    "slots, what it lacks is kept for it, and all end") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    World w;
    w.checks = false;
    const VersionId version = w.define(random_text(random));
    std::vector<RunId> runs;
    std::optional<Waiting> first;
    std::size_t started = 0;
    for (int round = 0; round < 400; ++round) {
      if (runs.size() < 4 && random.below(4) == 0) runs.push_back(w.start(version));
      if (!w.running.empty()) {
        auto it = w.running.begin();
        std::advance(it, random.below(static_cast<std::int64_t>(w.running.size())));
        AttemptResult result;
        result.attempt = it->first;
        result.worker = it->second.worker;
        result.outcome = Outcome::succeeded;
        w.handle(input::AttemptsEnded{{result}});
      }
      const auto free = free_slots(w);
      for (const auto& [name, slots] : free) REQUIRE(slots >= 0);
      for (const PoolView& pool : w.engine.pools(w.now)) {
        REQUIRE(pool.taken <= pool.limit);
        if (kPools.contains(pool.name)) REQUIRE(pool.limit - pool.taken == free.at(pool.name));
      }
      // Who was first and waits on: nobody behind took what it wants.
      const std::vector<Waiting> waiting = waiting_in(w);
      const bool waits_on =
          first && std::any_of(waiting.begin(), waiting.end(),
                               [&](const auto& t) { return t.key == first->key; });
      for (std::size_t s = started; waits_on && s < w.starts.size(); ++s) {
        const TaskKey& key = w.starts[s].key;
        const TaskSpec& task = w.jobs.at(version).tasks[key.task.value];
        if (task.priority >= first->spec->priority) continue;
        for (const PoolUse& theirs : task.pools) {
          for (const PoolUse& wanted : first->spec->pools) {
            if (theirs.pool == wanted.pool) REQUIRE(free.at(wanted.pool) >= wanted.slots);
          }
        }
      }
      started = w.starts.size();
      first = first_of(waiting);
      if (first) REQUIRE(!fits(*first->spec, free));
    }
    REQUIRE(runs.size() == 4);
    for (RunId run : runs) REQUIRE(w.state(run) == "succeeded");
  }
}

TEST_CASE("a wide task is not starved by narrow ones, in one pool or in two") {
  const std::string wide = GENERATE("p:4", "p:4,q", "q,p:4");
  World w;
  const VersionId version =
      w.define("job pool:p=4 pool:q=1; narrow map=200 pool=p; b after narrow");
  const VersionId other =
      w.define("job name=job overlap=allow active=9 pool:p=4 pool:q=1; wide pool=" + wide);
  const RunId stream = w.start(version);
  const RunId late = w.start(other, {}, true);
  // One narrow item was in line before it.
  for (int i = 0; i < 5; ++i) {
    CHECK(w.states(late) == "wide=queued");
    w.finish(stream, "narrow:" + std::to_string(i), Outcome::succeeded);
  }
  CHECK(w.states(late) == "wide=running");
  w.finish_all(late);
  w.finish_all(stream);
  w.finish_all(stream);
  CHECK(w.state(stream) == "succeeded");
}

TEST_CASE("higher priority goes first in a pool, whatever else it wants") {
  World w;
  const RunId run =
      w.start("job pool:p=1 pool:q=1; a pool=p priority=9; low pool=p; high pool=p,q priority=1");
  CHECK(w.states(run) == "a=running low=queued high=queued");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded low=queued high=running");
}

TEST_CASE("a full pool holds up nobody who does not want it") {
  World w;
  const RunId run = w.start(
      "job pool:p=1 pool:q=2; a pool=p priority=9; b pool=p,q priority=1; "
      "c pool=q; d pool=q; e");
  // One slot of q is kept for b, which came before.
  CHECK(w.states(run) == "a=running b=queued c=running d=queued e=running");
  CHECK(w.explain(run, "d").find("kept for") != std::string::npos);
  SECTION("what is kept is free again when nobody waits for it") { w.cancel(run, "b"); }
  SECTION("and also after a restart") {
    w.restart();
    CHECK(w.states(run) == "a=running b=queued c=running d=queued e=running");
    w.cancel(run, "b");
  }
  CHECK(w.states(run) == "a=running b=cancelled c=running d=running e=running");
}

TEST_CASE("without its pool of the settings a task waits and says so") {
  World w;
  w.handle(input::SetPool{1, "gpu"});
  const RunId run = w.start("a pool=gpu; b pool=gpu");
  CHECK(w.states(run) == "a=running b=queued");
  w.handle(input::SetPool{0, "gpu"});
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=queued");
  CHECK(w.explain(run, "b") ==
        "needs 1 slot of pool gpu, which is not in the settings any more\nnothing: dependencies "
        "done, run not paused");
  w.handle(input::SetPool{2, "gpu"});
  CHECK(w.states(run) == "a=succeeded b=running");
  w.finish_all(run);
}

TEST_CASE("a task that wants more than its pool has steps aside, and starts when the pool grows") {
  World w;
  const RunId run = w.start("job pool:p=2; a pool=p:3 priority=5; b pool=p");
  CHECK(w.states(run) == "a=queued b=running");
  CHECK(w.explain(run, "a") ==
        "needs 3 slots of pool p, which has only 2\nnothing: dependencies done, run not paused");
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) == "a=queued b=succeeded");
  (void)w.define("job pool:p=3; a pool=p:3");
  CHECK(w.states(run) == "a=running b=succeeded");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("slots of the run's own stand in for pool default, beside other pools") {
  World w;
  const VersionId version = w.define("job pool:p=5; m map=9 pool=default,p");
  const RunId run = w.start(version, [](RunRow& row) { row.default_slots = 2; });
  CHECK(w.items(run, "m") == "queued=7 running=2");
  w.restart();
  CHECK(w.items(run, "m") == "queued=7 running=2");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}
