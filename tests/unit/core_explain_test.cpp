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
  w.handle(input::SetPool{3});
  const RunId hog = w.start("job name=hog; q map=2 timeout=5m; vacuum");
  w.pass(4min + 10s);
  const RunId first = w.start("job name=first; fix priority=10");
  const RunId run = w.start("job name=sales; query map=50");
  w.pass(41s);
  CHECK(w.explain(run, "query:7") ==
        "needs 1 slot of pool default, 3 of 3 in use\n" + short_name(w, hog) +
            "/q          2, oldest q:0 for 4m51s, its time-out in 9s\n" + short_name(w, hog) +
            "/vacuum     1, for 4m51s, no time-out\n"
            "1 with priority 10 (" +
            short_name(w, first) +
            "/fix), 7 of query; place 9\n"
            "nothing: dependencies done, run not paused");
  const auto lines = w.engine.explain(w.target(run, "query:7"), w.now);
  CHECK(lines.front().kind == "pool");
  CHECK(lines.front().number == 3);
  CHECK(lines[3].kind == "ahead");
  CHECK(lines[3].number == 9);
}

TEST_CASE("what runs past its time-out is told to be ended, since when and till when") {
  World w;
  const RunId run = w.start("a timeout=30s; b");
  w.pass(29s);
  CHECK(w.explain(run, "a").empty());
  w.pass(5s);
  CHECK(w.explain(run, "a") ==
        "its timeout of 30s is over: it was told to end 4s ago, and is killed in 6s");
  CHECK(w.engine.explain(w.target(run, "a"), w.now).front().kind == "stopping");
  CHECK(w.explain(run, "b").empty());
  w.pass(6s);
  CHECK(w.explain(run, "a") ==
        "its timeout of 30s is over: it was told to end 10s ago, and is killed, as its kill_grace "
        "of 10s is over, too");
  w.cancel(run, "a");
  CHECK(w.explain(run, "a") == "it was told to end: cancelled");
}

TEST_CASE("who waits for what comes before is told for what, and since when that runs") {
  World w;
  w.answers = false;
  const RunId run = w.start("list; query after list; s when; m map=9 max=1; z after list,query");
  w.pass(2min);
  CHECK(w.explain(run, "query") == "list (running 2m)");
  CHECK(w.explain(run, "z") == "list (running 2m)\nquery (waiting)");
  CHECK(w.explain(run, "s") == "its `when` is being judged");
  CHECK(w.explain(run, "m") == "its items are about to be read");
  w.answer(w.unanswered.at(1), 9);
  CHECK(w.explain(run, "m") ==
        "0 of 9 done, 1 running, 0 retrying, 8 queued\n1 of 1 items run at once");
  CHECK(w.explain(run, "m:3") ==
        "1 of 1 items run at once\n2 of m; place 3\nnothing: dependencies done, run not paused");
  CHECK(w.explain(run, "m:77").empty());
  w.cancel(run, "list");
  CHECK(w.explain(run, "list") == "it was told to end: cancelled");
  CHECK(w.explain(run, "m:0").empty());
}

TEST_CASE("a run that waits says for what") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  CHECK(w.explain(second, "") ==
        "run queued: " + short_name(w, first) + " is active, overlap queue");
  w.pause(first);
  CHECK(w.explain(first, "") ==
        "the run is paused; `pawl unpause " + short_name(w, first) + "` lets it go on");
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
        "no new starts: the scheduler is draining or the store is full\nno worker takes tasks yet");
}

TEST_CASE("what is over, or goes on all the same, does not wait for its paused run") {
  World w;
  const RunId run = w.start("a; b after c; c");
  w.finish(run, "a", Outcome::succeeded);
  w.pause(run);
  CHECK(w.explain(run, "a").empty());
  CHECK(w.explain(run, "c").empty());
  CHECK(w.explain(run, "b").find("the run is paused") == 0);
}

TEST_CASE("a run with slots of its own has a pool of its own") {
  World w;
  w.handle(input::SetPool{2});
  const RunId run = w.start(w.define("m map=7"), [](RunRow& row) { row.default_slots = 3; });
  const auto pools = w.engine.pools(w.now);
  REQUIRE(pools.size() == 2);
  CHECK_FALSE(pools[0].run);
  CHECK(pools[0].taken == 0);
  CHECK(pools[0].waiting == 0);
  CHECK(pools[1].name == "default");
  CHECK(pools[1].run == run);
  CHECK(pools[1].limit == 3);
  CHECK(pools[1].taken == 3);
  CHECK(pools[1].waiting == 4);
  REQUIRE(pools[1].holders.size() == 1);
  CHECK(pools[1].holders[0].run == run);
}

TEST_CASE("pools show limits, holders and who waits") {
  World w;
  w.default_slots = 2;
  w.handle(input::SetPool{2});
  const RunId run =
      w.start("job pool:db=3; a; b; c; d pool=db slots=2; e pool=db slots=2; m map=7 priority=-1");
  const auto pools = w.engine.pools(w.now);
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
