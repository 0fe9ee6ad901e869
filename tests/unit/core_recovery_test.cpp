// Going on after a restart: at every point, with every fate of every live attempt.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

/// A run with something of everything, `steps` inputs into its life.
RunId play(World& w, int steps) {
  const RunId run = w.start(
      "job timeout=1h; a retry=3 delay=5s interrupt=retry; b after a rule=all_done; m after a "
      "map=5 max=2 retry=2 delay=3s "
      "tolerate=1 interrupt=retry rule=all_done; z after b,m rule=none_skipped; q queue=2m "
      "priority=-1");
  for (int i = 0; i < steps && w.engine.has_run(run); ++i) {
    if (i == 6) w.pause(run);
    if (i == 8) w.unpause(run);
    if (i == 11) w.cancel(run, "m:4");
    if (w.running.empty()) {
      w.pass(1s);
      continue;
    }
    const auto start = w.running.begin()->second;
    std::string task = w.jobs.begin()->second.tasks[start.key.task.value].id;
    if (start.key.item != kWhole) task += ":" + std::to_string(start.key.item.value);
    w.finish(run, task, i % 3 == 1 ? Outcome::failed : Outcome::succeeded);
  }
  return run;
}

void finish_quietly(World& w, RunId run) {
  for (int i = 0; i < 1'000 && !is_final(w.store.runs.at(run).state); ++i) {
    w.finish_all(run);
    w.pass(1s);
    if (w.state(run).starts_with("paused")) w.unpause(run);
  }
  REQUIRE(is_final(w.store.runs.at(run).state));
}

}  // namespace

TEST_CASE("a restart at any point changes nothing, and the run goes on to its end") {
  std::size_t lived = 0;
  for (int steps = 0; steps < 30; ++steps) {
    for (const bool new_boot : {false, true}) {
      World w;
      const RunId run = play(w, steps);
      lived += w.live_count();
      w.restart(new_boot);
      finish_quietly(w, run);
      INFO("after " << steps << " steps");
      CHECK((w.state(run) == "succeeded" || w.state(run) == "failed" ||
             w.state(run) == "cancelled:cancelled"));
    }
  }
  CHECK(lived > 20);
}

TEST_CASE("whatever became of the live attempts meanwhile, told before the engine decides") {
  for (int steps = 0; steps < 24; ++steps) {
    for (const Outcome fate : {Outcome::succeeded, Outcome::failed, Outcome::interrupted,
                               Outcome::never_started, Outcome::lost}) {
      World w;
      const RunId run = play(w, steps);
      if (!w.engine.has_run(run)) continue;
      w.restart(false, false);
      w.checks = false;
      w.finish_all(run, fate);  // not yet recovered: nothing new starts
      CHECK(w.live_count() == 0);
      w.recovered();
      w.checks = true;
      w.handle(input::Tick{});
      finish_quietly(w, run);
    }
  }
}

TEST_CASE("an attempt that was to be stopped is told again") {
  World w;
  const RunId run = w.start("a; b");
  w.cancel(run, "a");
  w.stopped.clear();
  w.restart();
  CHECK(w.stopped.size() == 1);
  CHECK(w.stopped.begin()->second == Reason::cancelled);
  w.finish_all(run, Outcome::failed);
  CHECK(w.states(run) == "a=cancelled b=failed");
}

TEST_CASE(
    "timers keep their time within a boot, and after another boot never wait longer than they were "
    "set for") {
  World w;
  const RunId run = w.start("a retry=3 delay=10s");
  w.finish(run, "a", Outcome::failed);
  w.pass(4s);
  SECTION("the same boot, and the calendar is nonsense") {
    w.now.wall = WallTime{0};
    w.restart();
    w.pass(5s);
    CHECK(w.states(run) == "a=retrying");
    w.pass(1s);
  }
  SECTION("another boot") {
    w.restart(true);
    w.pass(5s);
    CHECK(w.states(run) == "a=retrying");
    w.pass(1s);
  }
  SECTION("another boot, the calendar a year behind") {
    w.now.wall = w.now.wall - 365 * 24h;
    w.restart(true);
    w.pass(9s);
    CHECK(w.states(run) == "a=retrying");
    w.pass(1s);
  }
  SECTION("another boot, the calendar a year ahead") {
    w.now.wall = w.now.wall + 365 * 24h;
    w.restart(true);
    w.pass(0s);
  }
  CHECK(w.states(run) == "a=running");
}

TEST_CASE("restarts after another boot do not begin a wait anew each time") {
  World w;
  const RunId run = w.start("a retry=3 delay=10s");
  w.finish(run, "a", Outcome::failed);
  w.now.wall = w.now.wall - 365 * 24h;
  w.restart(true);
  for (int i = 0; i < 3; ++i) {
    w.pass(3s);
    w.restart();
  }
  CHECK(w.states(run) == "a=retrying");
  w.pass(1s);
  CHECK(w.states(run) == "a=running");
}

TEST_CASE("runs that waited for their turn keep their order") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  const RunId third = w.start(version);
  w.restart();
  CHECK(w.state(first) == "running");
  CHECK(w.state(second) == "queued");
  w.finish_all(first);
  CHECK(w.state(second) == "running");
  CHECK(w.state(third) == "queued");
}

TEST_CASE("nothing is decided before all runs are there") {
  World w;
  const RunId run = w.start("a; b after a; m map=3 retry=2 delay=1s");
  w.finish(run, "m:0", Outcome::failed);
  w.restart(false, false);
  w.pass(1h);
  CHECK(!w.engine.next_deadline().has_value());
  CHECK(w.task(run, "m:0") == "retrying:exit:1");
  w.recovered();
  w.pass(0s);
  CHECK(w.task(run, "m:0") == "running");
}

TEST_CASE("a dormant run records its ends, starts nothing, and holds nobody up") {
  World w;
  const VersionId version = w.define("a; b after a; c after a rule=all_failed");
  const RunId run = w.start(version);
  const RunId other = w.start(version);
  w.engine = Engine(EngineCounters{w.store.last_run(), w.store.last_attempt});
  JobVersionRow row;
  row.id = version;
  w.checks = false;
  w.handle(input::AddVersion{row, w.jobs.at(version), true});
  w.handle(input::SetPool{w.default_slots});
  w.handle(input::Recover{w.store.snapshot(run, false), true});
  w.handle(input::Recover{w.store.snapshot(other, false), false});
  w.handle(input::WorkerUp{WorkerId{1}});
  w.handle(input::Recovered{});
  CHECK(w.state(other) == "running");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=waiting c=skipped");
  CHECK(w.explain(run, "b") == "nothing of the run starts before `pawl resume " +
                                   w.store.runs.at(run).name.substr(16) + "`");
  w.finish_all(other);
  SECTION("resumed") { w.resume(run); }
  SECTION("unpaused") { w.unpause(run); }
  w.checks = true;
  CHECK(w.states(run) == "a=succeeded b=running c=skipped");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a snapshot of an open run that a command brings is not taken for an ended one") {
  World w;
  const RunId run = w.start("a");
  w.finish(run, "a", Outcome::failed);
  RunSnapshot open = w.store.snapshot(run, true);
  open.run.state = RunState::running;
  w.handle(input::Resume{{w.target(run, "")}, false, false, false, "ana", ReplyToken{1}, {open}},
           true);
  CHECK(w.last_reply() == "is not in memory and was not loaded; ask again");
}
