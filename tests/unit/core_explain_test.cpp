// Why something is not running, in the words of the command line's contract; pools.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

std::string short_name(const World& w, RunId run) { return w.store.runs.at(run).name.substr(16); }

}  // namespace

TEST_CASE("who waits for a slot is told who has them and who is ahead") {
  World w;
  w.default_slots = 3;
  w.handle(input::SetDefaultSlots{3});
  const RunId hog = w.start("job name=hog; q map=2 timeout=5m; vacuum");
  w.pass(4min + 10s);
  const RunId first = w.start("job name=first; fix priority=10");
  const RunId run = w.start("job name=sales; query map=50");
  w.pass(41s);
  CHECK(w.explain(run, "query:7") ==
        "queued for 41s: needs 1 slot of pool default, 3 of 3 in use\n"
        "held by " +
            short_name(w, hog) +
            "/q: 2, oldest q:0 for 4m51s, its time-out in 9s\n"
            "held by " +
            short_name(w, hog) +
            "/vacuum: 1, for 4m51s, no time-out\n"
            "ahead 1 with priority 10 (" +
            short_name(w, first) +
            "/fix)\n"
            "ahead 7 of query\n"
            "place 9");
  const auto lines = w.engine.explain(w.target(run, "query:7"), w.now);
  CHECK(lines.front().kind == "pool");
  CHECK(lines.front().number == 3);
  CHECK(lines.back().kind == "place");
  CHECK(lines.back().number == 9);
}

TEST_CASE("each state has its sentence") {
  World w;
  w.answers = false;
  const RunId run = w.start(
      "list; query after list; r retry=4 delay=48s; h interrupt=hold; s when; t after s; m map=9 "
      "max=1");
  w.pass(2min);
  CHECK(w.explain(run, "query") == "waiting for list (running 2m)");
  CHECK(w.explain(run, "list") == "running for 2m, attempt 1");
  w.finish(run, "r", {Outcome::failed, Reason::exit, 5});
  const std::string at = "2026";
  CHECK(w.explain(run, "r").substr(0, 26) == "retrying: attempt 2 of 4 a");
  CHECK(w.explain(run, "r").find("(in 48s), after exit:5") != std::string::npos);
  w.finish(run, "h", Outcome::interrupted);
  CHECK(w.explain(run, "h").find("held: interrupted ") == 0);
  CHECK(w.explain(run, "h").find(", resume or mark") != std::string::npos);
  CHECK(w.explain(run, "s") == "waiting: its `when` is being judged");
  CHECK(w.explain(run, "m") == "waiting: its items are being read");
  const auto s = w.unanswered.at(0);
  const auto m = w.unanswered.at(1);
  w.handle(input::Prepared{run,
                           s.task,
                           s.stamp,
                           input::Prepared::Outcome::skip,
                           {},
                           "'params.mode == \"full\"' was false, mode is \"delta\""});
  CHECK(w.explain(run, "s") ==
        "skipped: when 'params.mode == \"full\"' was false, mode is \"delta\"");
  CHECK(w.explain(run, "t") == "skipped: its rule is all_success");
  w.answer(m, 9);
  CHECK(w.explain(run, "m").find(
            "running for 0s: 0 of 9 items done, 1 running, 0 retrying, 8 queued\n") == 0);
  CHECK(w.explain(run, "m:3")
            .find("queued for 0s: 1 of 1 items run, as many as its max_concurrent") == 0);
  w.cancel(run, "list");
  CHECK(w.explain(run, "list") == "running for 2m, attempt 1, being stopped: cancelled");
  w.finish(run, "list", Outcome::failed);
  CHECK(w.explain(run, "list") == "cancelled: cancelled");
  CHECK(w.explain(run, "query") == "upstream_failed: its rule is all_success, list cancelled");
  w.cancel(run, "m");
  CHECK(w.explain(run, "m:8") == "cancelled: cancelled, it never started");
  CHECK(w.explain(run, "m:77").empty());
}

TEST_CASE("a run that waits says for what") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  CHECK(w.explain(second, "").substr(0, 60) ==
        "run queued: " + short_name(w, first) + " is active, overlap queue");
  w.pause(first);
  CHECK(w.explain(first, "") ==
        "run paused; `pawl unpause " + short_name(w, first) + "` lets it go on");
  const RunId later =
      w.start(w.define("job name=later; a"), [&](RunRow& r) { r.start_at = w.now.wall + 90s; });
  CHECK(w.explain(later, "").find("run queued: starts at ") == 0);
  CHECK(w.explain(later, "").find("(in 1m30s)") != std::string::npos);
  CHECK(w.engine.explain({RunId{99}, {}, {}}, w.now).empty());
}

TEST_CASE("held starts and missing workers are named") {
  World w;
  w.handle(input::HoldStarts{true});
  w.handle(input::WorkerDrains{WorkerId{1}});
  const RunId run = w.start("a");
  CHECK(w.explain(run, "a") ==
        "queued for 0s: the scheduler starts nothing: it drains, or the store is full\n"
        "queued for 0s: no worker takes tasks");
}

TEST_CASE("pools show limits, holders and who waits") {
  World w;
  w.default_slots = 2;
  w.handle(input::SetDefaultSlots{2});
  const RunId run =
      w.start("job pool:db=3; a; b; c; d pool=db slots=2; e pool=db slots=2; m map=7 priority=-1");
  const auto pools = w.engine.pools();
  REQUIRE(pools.size() == 2);
  CHECK(pools[0].name == "default");
  CHECK(pools[0].limit == 2);
  CHECK(pools[0].taken == 2);
  CHECK(pools[0].waiting == 8);
  CHECK(pools[1].name == "db");
  CHECK(pools[1].job == "job");
  CHECK(pools[1].taken == 2);
  CHECK(pools[1].waiting == 1);
  REQUIRE(pools[1].holders.size() == 1);
  CHECK(pools[1].holders[0].slots == 2);
  CHECK(pools[1].holders[0].run == run);
}
