// A few hundred lives, and the proof that mistakes in them would be seen.

#include "tests/sim/simulator.h"

#include <cstdio>
#include <cstdlib>

#include <catch2/catch.hpp>

using namespace pawl::sim;

namespace {

/// PAWL_SIM_SEEDS=FROM:COUNT lives other lives than the usual ones.
std::pair<std::uint64_t, std::uint64_t> seeds() {
  const char* text = std::getenv("PAWL_SIM_SEEDS");
  unsigned long long from = 1;
  unsigned long long count = 500;
  if (text != nullptr) (void)std::sscanf(text, "%llu:%llu", &from, &count);
  return {from, count};
}

}  // namespace

TEST_CASE("whatever dies when, nothing that must hold breaks and every run ends") {
  Tale all;
  const auto [from, count] = seeds();
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    const Tale tale = simulate(seed);
    INFO("seed " << seed << ": " << tale.broken);
    CHECK(tale.broken.empty());
    all.steps += tale.steps;
    all.runs += tale.runs;
    all.processes += tale.processes;
    all.crashes += tale.crashes;
    all.lost_batches += tale.lost_batches;
    all.reboots += tale.reboots;
    all.worker_deaths += tale.worker_deaths;
    all.adopted += tale.adopted;
    all.told_late += tale.told_late;
    all.never_started += tale.never_started;
    all.interrupted += tale.interrupted;
    all.refused_batches += tale.refused_batches;
    all.commands += tale.commands;
    all.deferred += tale.deferred;
    all.woken += tale.woken;
    all.hooks += tale.hooks;
    all.rated += tale.rated;
    all.throttled += tale.throttled;
    all.paired += tale.paired;
    all.calls += tale.calls;
    all.calls_resumed += tale.calls_resumed;
    all.handles_found += tale.handles_found;
    all.versions_told_again += tale.versions_told_again;
    all.fires += tale.fires;
    all.caught_up += tale.caught_up;
    all.dropped_fires += tale.dropped_fires;
  }
  std::printf(
      "%lld lives: %lld steps, %lld runs, %lld processes, %lld commands; %lld crashes lost %lld "
      "batches, %lld reboots, %lld "
      "worker deaths; attempts adopted %lld, told late %lld, never started %lld, interrupted %lld; "
      "%lld batches of a second "
      "scheduler refused; %lld deferrals, %lld woken, %lld handles found again, %lld hooks, %lld "
      "paired; %lld runs called, %lld of them resumed; %lld "
      "fires on time, %lld caught up, %lld dropped; %lld starts under rates, %lld took the last "
      "token\n",
      static_cast<long long>(count), static_cast<long long>(all.steps),
      static_cast<long long>(all.runs), static_cast<long long>(all.processes),
      static_cast<long long>(all.commands), static_cast<long long>(all.crashes),
      static_cast<long long>(all.lost_batches), static_cast<long long>(all.reboots),
      static_cast<long long>(all.worker_deaths), static_cast<long long>(all.adopted),
      static_cast<long long>(all.told_late), static_cast<long long>(all.never_started),
      static_cast<long long>(all.interrupted), static_cast<long long>(all.refused_batches),
      static_cast<long long>(all.deferred), static_cast<long long>(all.woken),
      static_cast<long long>(all.handles_found), static_cast<long long>(all.hooks),
      static_cast<long long>(all.paired), static_cast<long long>(all.calls),
      static_cast<long long>(all.calls_resumed), static_cast<long long>(all.fires),
      static_cast<long long>(all.caught_up), static_cast<long long>(all.dropped_fires),
      static_cast<long long>(all.rated), static_cast<long long>(all.throttled));
  // A life in which nothing happened proves nothing.
  CHECK(all.crashes > 0);
  CHECK(all.lost_batches > 0);
  CHECK(all.reboots > 0);
  CHECK(all.worker_deaths > 0);
  CHECK(all.adopted > 0);
  CHECK(all.told_late > 0);
  CHECK(all.never_started > 0);
  CHECK(all.interrupted > 0);
  CHECK(all.refused_batches > 0);
  CHECK(all.versions_told_again > 0);
  CHECK(all.deferred > 0);
  CHECK(all.woken > 0);
  CHECK(all.handles_found > 0);
  CHECK(all.hooks > 0);
  CHECK(all.throttled > 0);
  CHECK(all.paired > 0);
  CHECK(all.calls > 0);
  CHECK(all.calls_resumed > 0);
  CHECK(all.fires > 0);
  CHECK(all.caught_up > 0);
  CHECK(all.dropped_fires > 0);
}

TEST_CASE("the real store on a disk that loses what was not synced holds what it must") {
  const auto [from, count] = seeds();
  std::int64_t crashes = 0;
  std::int64_t reboots = 0;
  std::int64_t cut_commits = 0;
  // It takes longer than the model alone.
  for (std::uint64_t seed = from; seed < from + count / 8; ++seed) {
    const Tale tale = simulate_on_disk(seed);
    INFO("seed " << seed << ": " << tale.broken);
    CHECK(tale.broken.empty());
    crashes += tale.crashes;
    reboots += tale.reboots;
    cut_commits += tale.cut_commits;
  }
  std::printf("%lld crashes, %lld of them of the machine, %lld in the middle of a commit\n",
              static_cast<long long>(crashes), static_cast<long long>(reboots),
              static_cast<long long>(cut_commits));
  CHECK(crashes > reboots);
  CHECK(reboots > 0);
  CHECK(cut_commits > 0);
}

namespace {

constexpr Scenario kScenarios[] = {
    {"one task", "a"},
    {"a retry and a follower", "a retry=3 delay=1s; b after a retry=2 delay=1s"},
    {"a join that runs whatever came", "a; b; c after a,b rule=all_done"},
    {"items, and one that waits for all", "m map=4 max=2 tolerate=2 retry=2 delay=1s; z after m"},
    {"two runs that wait for one slot", "job pool:p=1; a pool=p; b after a pool=p", 2},
    {"a run that is cancelled and resumed", "a; b after a; c after b", 1, Act::cancel_and_resume},
};

const char* name(Remains remains) {
  switch (remains) {
    case Remains::nothing: return "nothing";
    case Remains::everything: return "everything";
    case Remains::sectors: return "some sectors";
  }
  return "";
}

}  // namespace

TEST_CASE("a crash at each operation of the disk, in six small stories, breaks nothing") {
  std::int64_t cuts = 0;
  for (const Scenario& scenario : kScenarios) {
    const Tale whole = play(scenario, 0, Remains::nothing);
    INFO(scenario.name << ": " << whole.broken);
    REQUIRE(whole.broken.empty());
    REQUIRE(whole.operations > 20);
    for (const Remains remains : {Remains::nothing, Remains::everything, Remains::sectors}) {
      for (std::int64_t at = 1; at <= whole.operations; ++at) {
        const Tale tale = play(scenario, at, remains);
        INFO(scenario.name << ", cut at " << at
                           << ", what was not synced and remains: " << name(remains) << "\n"
                           << tale.broken);
        REQUIRE(tale.broken.empty());
        cuts += tale.crashes;
      }
    }
  }
  std::printf("%lld cuts\n", static_cast<long long>(cuts));
  CHECK(cuts > 500);
}

TEST_CASE("the same seed lives the same life") {
  const Tale one = simulate(42);
  const Tale two = simulate(42);
  CHECK(one.steps == two.steps);
  CHECK(one.processes == two.processes);
  CHECK(one.adopted == two.adopted);
  CHECK(one.broken == two.broken);
}

TEST_CASE("each planted mistake is found") {
  struct Case {
    Planted planted;
    const char* name;
  };
  for (const Case& c : {Case{Planted::start_before_commit, "start before commit"},
                        Case{Planted::no_compare, "no compare-and-set"},
                        Case{Planted::count_never_started, "a never-started attempt counts"},
                        Case{Planted::success_by_default, "success by default"},
                        Case{Planted::spawn_before_begin, "spawn before the begin record"},
                        Case{Planted::fire_by_the_clock, "fire again on a backward clock"},
                        Case{Planted::place_before_run, "a fire's run in a later commit"},
                        Case{Planted::full_buckets, "rates forget at a restart"}}) {
    std::string found;
    std::uint64_t seed = 0;
    while (found.empty() && seed < 400) found = simulate(++seed, c.planted).broken;
    std::printf("planted: %s - found by seed %llu: %s\n", c.name,
                static_cast<unsigned long long>(seed), found.c_str());
    INFO(c.name);
    CHECK(!found.empty());
  }
}

TEST_CASE("a store that does not wait for the disk is found") {
  std::string found;
  std::uint64_t seed = 0;
  // Other checks may see first what a lost commit leads to.
  const auto is_seen = [&] {
    return found.find("what was acknowledged is not what is there") != std::string::npos;
  };
  while (!is_seen() && seed < 50) found = simulate_on_disk(++seed, Planted::no_sync).broken;
  INFO("no life of " << seed << " found it, the last one: " << found);
  CHECK(is_seen());
}
