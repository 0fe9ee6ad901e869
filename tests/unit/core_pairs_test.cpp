// `each`: item by item after the items of another task.

#include <set>

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

/// Started, by `task:item`, in order.
std::vector<std::string> started(const World& w, RunId run) {
  const JobSpec& job = w.jobs.at(w.store.runs.at(run).version);
  std::vector<std::string> out;
  for (const effect::StartAttempt& start : w.starts) {
    std::string name = job.node(start.key.task).id;
    if (start.key.item != kWhole) name += ":" + std::to_string(start.key.item.value);
    out.push_back(std::move(name));
  }
  return out;
}

}  // namespace

TEST_CASE("an item waits for its own item, and not for the slowest of the others") {
  World w;
  w.handle(input::SetPool{4});
  const RunId run = w.start("m map=3; n after m*; z after n");
  CHECK(w.items(run, "n") == "waiting=3");
  CHECK(w.states(run) == "m=running n=running z=waiting");
  w.finish(run, "m:1", Outcome::succeeded);
  CHECK(w.items(run, "n") == "waiting=2 running=1");
  w.finish(run, "n:1", Outcome::succeeded);
  CHECK(w.items(run, "m") == "running=2 succeeded=1");
  CHECK(w.items(run, "n") == "waiting=2 succeeded=1");
  w.finish_all(run);
  CHECK(w.states(run) == "m=succeeded n=succeeded z=succeeded");
  CHECK(started(w, run) == std::vector<std::string>{"m:0", "m:1", "m:2", "n:1", "n:0", "n:2", "z"});
}

TEST_CASE("a chain and a diamond go item by item") {
  World w;
  const RunId run = w.start("m map=2; a after m*; b after m*; c after a*,b*; d after c*");
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish(run, "b:1", Outcome::succeeded);
  CHECK(w.items(run, "c") == "waiting=2");
  w.finish(run, "a:1", Outcome::succeeded);
  CHECK(w.items(run, "c") == "waiting=1 running=1");
  w.finish(run, "c:1", Outcome::succeeded);
  CHECK(w.items(run, "d") == "waiting=1 running=1");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.items(run, "d") == "succeeded=2");
}

TEST_CASE("an item that fails takes its own followers along, and no others") {
  World w;
  const RunId run = w.start("m map=3; n after m*; o after n*; z after o");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.items(run, "n") == "waiting=2 upstream_failed=1");
  CHECK(w.items(run, "o") == "waiting=2 upstream_failed=1");
  CHECK(w.task(run, "n:0") == "upstream_failed:upstream");
  w.finish_all(run);
  CHECK(w.items(run, "o") == "succeeded=2 upstream_failed=1");
  CHECK(w.states(run) == "m=failed n=upstream_failed o=upstream_failed z=upstream_failed");
  CHECK(w.state(run) == "failed");
}

TEST_CASE("what the first of a chain forgives its followers forgive, too") {
  World w;
  const RunId run = w.start("m map=4 tolerate=1; n after m*; z after n");
  w.finish(run, "m:2", Outcome::failed);
  SECTION("within the tolerance") {
    w.finish_all(run);
    CHECK(w.items(run, "n") == "succeeded=3 upstream_failed=1");
    CHECK(w.states(run) == "m=succeeded n=succeeded z=succeeded");
  }
  SECTION("an own failure beside it is one too many") {
    w.finish(run, "m:0", Outcome::succeeded);
    w.finish(run, "n:0", Outcome::failed);
    w.finish_all(run);
    CHECK(w.items(run, "n") == "succeeded=2 failed=1 upstream_failed=1");
    CHECK(w.states(run) == "m=succeeded n=failed z=upstream_failed");
    CHECK(w.task(run, "n") == "failed:tolerance");
    CHECK(w.state(run) == "failed");
  }
  SECTION("two own failures are its own failure") {
    w.finish(run, "m:0", Outcome::succeeded);
    w.finish(run, "n:0", Outcome::failed);
    w.finish(run, "m:1", Outcome::succeeded);
    w.finish(run, "n:1", Outcome::failed);
    w.finish_all(run);
    CHECK(w.task(run, "n") == "failed:tolerance");
  }
}

TEST_CASE("the rule is asked of each item") {
  World w;
  const RunId run = w.start("m map=3; done after m* rule=all_done; bad after m* rule=one_failed");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.items(run, "done") == "waiting=2 running=1");
  CHECK(w.items(run, "bad") == "waiting=2 running=1");
  w.finish_all(run);
  CHECK(w.items(run, "done") == "succeeded=3");
  CHECK(w.items(run, "bad") == "succeeded=1 skipped=2");
  CHECK(w.task(run, "bad:1") == "skipped:rule");
  CHECK(w.states(run) == "m=failed done=succeeded bad=succeeded");
}

TEST_CASE("an item that is skipped skips its followers") {
  World w;
  const RunId run = w.start("m map=2; n after m*");
  w.finish(run, "m:0", Outcome::skipped);
  CHECK(w.items(run, "n") == "waiting=1 skipped=1");
  w.finish_all(run);
  CHECK(w.states(run) == "m=succeeded n=succeeded");
}

TEST_CASE("a task waits for what it waits for as a whole before any of its items starts") {
  World w;
  const RunId run = w.start("a; m map=2; n after m*,a");
  w.finish(run, "m:0", Outcome::succeeded);
  w.finish(run, "m:1", Outcome::succeeded);
  CHECK(w.states(run) == "a=running m=succeeded n=waiting");
  w.restart();
  SECTION("then all that may start does") {
    w.finish(run, "a", Outcome::succeeded);
    CHECK(w.items(run, "n") == "running=2");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("or nothing does") {
    w.finish(run, "a", Outcome::failed);
    CHECK(w.states(run) == "a=failed m=succeeded n=upstream_failed");
    CHECK(w.items(run, "n") == "none");
  }
}

TEST_CASE("items that are still being read are followed as they come") {
  World w;
  w.answers = false;
  const RunId run = w.start("m map=0; n after m*");
  const auto prepare = w.unanswered.at(0);
  w.answer(prepare, 2, "", false);
  CHECK(w.items(run, "n") == "waiting=2");
  w.finish_all(run);
  CHECK(w.items(run, "n") == "succeeded=2");
  CHECK(w.states(run) == "m=running n=running");
  SECTION("to the last") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 2, 1, "", "", true, ""});
    CHECK(w.items(run, "n") == "waiting=1 succeeded=2");
    w.finish_all(run);
    CHECK(w.states(run) == "m=succeeded n=succeeded");
  }
  SECTION("what could not be read fails the first, and its followers with it") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 2, 0, "", "", false, "cut"});
    CHECK(w.states(run) == "m=failed n=upstream_failed");
    w.resume(run);
    CHECK(w.states(run) == "m=running n=running");
  }
  SECTION("no more of them") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 2, 0, "", "", true, ""});
    CHECK(w.states(run) == "m=succeeded n=succeeded");
  }
}

TEST_CASE("items are not read anew while something goes over those that were") {
  World w;
  w.handle(input::SetPool{1});
  w.answers = false;
  const RunId run = w.start("x priority=1; m map=0; p after x,m*; q after p*");
  const auto prepare = w.unanswered.at(0);
  w.answer(prepare, 2, "", false);
  w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 2, 0, "", "", false, "cut"});
  CHECK(w.states(run) == "x=running m=failed p=waiting q=running");
  w.resume(run);
  CHECK(w.last_reply() == "q is running; cancel it first");
  w.finish_all(run);
  CHECK(w.states(run) == "x=succeeded m=failed p=upstream_failed q=upstream_failed");
  w.resume(run);
  CHECK(w.states(run) == "x=succeeded m=waiting p=waiting q=waiting");
  w.answer(w.unanswered.back(), 1, "", true);
  w.finish_all(run);
  CHECK(w.items(run, "q") == "succeeded=1");
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("no items are a success of all") {
  World w;
  const RunId run = w.start("m map=0; n after m*; z after n");
  CHECK(w.states(run) == "m=succeeded n=succeeded z=running");
}

TEST_CASE("a whole that never had items is followed as a whole") {
  World w;
  const RunId run = w.start("a; m map=3 after a; n after m*; o after n*");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed m=upstream_failed n=upstream_failed o=upstream_failed");
}

TEST_CASE("what a limit of failures cancels before it starts is one word for its followers, too") {
  World w;
  const RunId run = w.start("m map=1000 stop=1; n after m*; o after n*");
  w.finish(run, "m:3", Outcome::failed);
  CHECK(w.mutations < 40);
  // The stop came too late for these.
  for (const char* item : {"m:0", "m:1", "m:2"})
    w.finish(run, item, {Outcome::succeeded, Reason::none, 0, false});
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=3 failed=1 cancelled=996");
  CHECK(w.items(run, "n") == "succeeded=3 upstream_failed=997");
  CHECK(w.items(run, "o") == "succeeded=3 upstream_failed=997");
  CHECK(w.states(run) == "m=failed n=upstream_failed o=upstream_failed");
  w.resume(run);
  CHECK(w.items(run, "o") == "waiting=997 succeeded=3");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.items(run, "o") == "succeeded=1000");
}

TEST_CASE("a resume runs what failed, and then what waited for it") {
  World w;
  const RunId run = w.start("m map=3; n after m*; o after n*");
  w.finish(run, "m:0", Outcome::failed);
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish(run, "n:1", Outcome::failed);
  w.finish_all(run);
  CHECK(w.items(run, "o") == "succeeded=1 upstream_failed=2");
  w.restart();
  w.resume(run);
  CHECK(w.last_reply() == "ok");
  CHECK(w.items(run, "m") == "running=1 succeeded=2");
  CHECK(w.items(run, "n") == "waiting=1 running=1 succeeded=1");
  CHECK(w.items(run, "o") == "waiting=2 succeeded=1");
  w.restart();
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  const auto names = started(w, run);
  CHECK(std::count(names.begin(), names.end(), "o:2") == 1);
  CHECK(std::count(names.begin(), names.end(), "n:0") == 1);
}

TEST_CASE("a resume of one item opens what was decided because of it, and nothing else") {
  World w;
  const RunId run = w.start("m map=3; n after m*; o after n*");
  w.finish(run, "m:0", Outcome::failed);
  w.finish(run, "m:1", Outcome::failed);
  w.finish_all(run);
  w.resume(run, "m:1");
  CHECK(w.items(run, "m") == "running=1 succeeded=1 failed=1");
  CHECK(w.items(run, "n") == "waiting=1 succeeded=1 upstream_failed=1");
  w.finish_all(run);
  CHECK(w.items(run, "o") == "succeeded=2 upstream_failed=1");
  CHECK(w.states(run) == "m=failed n=upstream_failed o=upstream_failed");
}

TEST_CASE("a task is run again with all that runs over its items, or not at all") {
  World w;
  const RunId run = w.start("m map=2; n after m*");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  w.resume(run, "m", kOnly);
  CHECK(w.last_reply() == "other tasks go item by item after m; `--from m` runs them again too");
  w.resume(run, "m", kFrom);
  CHECK(w.last_reply() == "ok");
  CHECK(w.items(run, "m") == "running=2");
  CHECK(w.items(run, "n") == "waiting=2");
  w.finish_all(run);
  CHECK(w.items(run, "n") == "succeeded=2");
  w.resume(run, "n", kFrom);
  CHECK(w.items(run, "m") == "succeeded=2");
  CHECK(w.items(run, "n") == "running=2");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE(
    "a resume with --downstream repeats the pairs of what runs again, also those that succeeded") {
  World w;
  const RunId run = w.start("m map=2; n after m* rule=all_done");
  w.finish(run, "m:0", Outcome::failed);
  w.finish_all(run);
  CHECK(w.items(run, "n") == "succeeded=2");
  w.resume(run, "m:0", kDownstream);
  CHECK(w.items(run, "n") == "waiting=1 succeeded=1");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("items that go on wait once more for what their task waits for as a whole") {
  World w;
  const RunId run = w.start("q map=2; w; c after q*,w rule=all_done; d after c*");
  w.finish(run, "q:0", Outcome::succeeded);
  w.finish(run, "q:1", Outcome::succeeded);
  w.finish(run, "w", Outcome::failed);
  w.finish(run, "c:1", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.states(run) == "q=succeeded w=failed c=failed d=failed");
  w.resume(run);
  CHECK(w.states(run) == "q=succeeded w=running c=waiting d=running");
  CHECK(w.items(run, "c") == "waiting=1 succeeded=1");
  CHECK(w.explain(run, "c:0") == "w (running 0s)");
  w.resume(run, "q", kFrom);
  CHECK(w.last_reply() == "c is waiting; cancel it first");
  SECTION("over a restart") { w.restart(); }
  SECTION("at once") {}
  CHECK(w.items(run, "d") == "waiting=1 running=1");
  w.finish(run, "w", Outcome::succeeded);
  CHECK(w.items(run, "c") == "running=1 succeeded=1");
  w.finish_all(run);
  CHECK(w.states(run) == "q=succeeded w=succeeded c=succeeded d=succeeded");
  CHECK(w.row(run, "c:1").attempts == 1);
}

TEST_CASE("a mark of an item is seen by the items that are paired with it") {
  World w;
  const RunId run = w.start("m map=2; n after m*; o after n*");
  w.finish(run, "m:0", Outcome::failed);
  SECTION("while the run goes on") {
    w.mark(run, "m:0", TaskState::succeeded);
    CHECK(w.last_reply() == "ok");
    CHECK(w.items(run, "n") == "waiting=1 running=1");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("after its end") {
    w.finish_all(run);
    CHECK(w.states(run) == "m=failed n=upstream_failed o=upstream_failed");
    w.mark(run, "m:0", TaskState::succeeded);
    CHECK(w.last_reply() == "ok");
    CHECK(w.items(run, "n") == "running=1 succeeded=1");
    w.finish_all(run);
    CHECK(w.states(run) == "m=succeeded n=succeeded o=succeeded");
  }
}

TEST_CASE("a cancelled follower leaves the others alone, a cancelled first takes its followers") {
  World w;
  const RunId run = w.start("m map=3; n after m*");
  w.finish(run, "m:0", Outcome::succeeded);
  w.cancel(run, "n:2");
  CHECK(w.last_reply() == "has not started; cancel the task, or pause the run");
  SECTION("the follower") {
    w.cancel(run, "n");
    w.finish(run, "n:0", {Outcome::failed, Reason::signal, 0, true});
    CHECK(w.items(run, "n") == "cancelled=3");
    CHECK(w.states(run) == "m=running n=cancelled");
    w.finish_all(run);
    CHECK(w.states(run) == "m=succeeded n=cancelled");
    w.resume(run);
    CHECK(w.items(run, "n") == "running=3");
  }
  SECTION("the first") {
    w.cancel(run, "m");
    w.finish(run, "m:1", {Outcome::failed, Reason::signal, 0, true});
    w.finish(run, "m:2", {Outcome::failed, Reason::signal, 0, true});
    CHECK(w.items(run, "n") == "running=1 upstream_failed=2");
    w.finish_all(run);
    CHECK(w.states(run) == "m=cancelled n=upstream_failed");
  }
}

TEST_CASE("a run that is cancelled ends all pairs, and goes on where they were") {
  World w;
  const RunId run = w.start("m map=6; n after m*; o after n*");
  w.finish(run, "m:0", Outcome::succeeded);
  w.cancel(run);
  w.finish_all(run, Outcome::failed);
  CHECK(w.state(run) == "cancelled:cancelled");
  w.resume(run);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.items(run, "o") == "succeeded=6");
}

TEST_CASE("failed items of a chain are dismissed one by one or together") {
  World w;
  const RunId run = w.start("m map=2; n after m*");
  w.finish(run, "m:0", Outcome::failed);
  w.finish_all(run);
  w.dismiss(run, "n");
  CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
  w.dismiss(run);
  CHECK(w.last_reply() == "ok");
  CHECK(w.row(run, "m:0").dismissed == 1);
}

TEST_CASE("what waits for its own item says so") {
  World w;
  const RunId run = w.start("a; m map=6; n after m*; o after n*,a");
  w.pass(3s);
  CHECK(w.explain(run, "n:0") == "m:0 (running 3s)");
  CHECK(w.explain(run, "n:5") == "m:5 (waiting)");
  CHECK(w.explain(run, "o") == "a (running 3s)");
  CHECK(w.explain(run, "n") ==
        "0 of 6 done, 0 running, 0 retrying, 0 queued, 6 waiting for the items that they are "
        "paired with");
}

TEST_CASE("over restarts what was let go is, and what waits does") {
  World w;
  w.handle(input::SetPool{2});
  const RunId run = w.start("m map=6; n after m* retry=2 delay=1s; o after n* queue=1h");
  for (int i = 0; i < 4; ++i) w.finish(run, "m:" + std::to_string(i), Outcome::succeeded);
  w.restart();
  w.restart(true);
  w.pass(1s);
  w.finish_all(run);
  w.pass(10s);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.items(run, "o") == "succeeded=6");
}

TEST_CASE("an upstream's items are known again after a restart, however long ago they ended") {
  World w;
  w.handle(input::SetPool{100});
  w.default_slots = 100;
  const RunId run = w.start("a; m map=4; n after m*,a");
  w.finish(run, "m:0", Outcome::skipped);
  w.finish(run, "m:1", Outcome::failed);
  w.finish(run, "m:2", Outcome::succeeded);
  w.finish(run, "m:3", Outcome::succeeded);
  w.restart();
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.items(run, "n") == "running=2 skipped=1 upstream_failed=1");
  w.finish_all(run);
  w.restart();
  w.resume(run, "n", kFrom);
  CHECK(w.items(run, "n") == "running=2 skipped=1 upstream_failed=1");
}
