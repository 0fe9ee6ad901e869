// Who starts next, and on which worker.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("higher priority starts first, equals take turns") {
  World w;
  w.default_slots = 1;
  w.handle(input::SetPool{1});
  const RunId blocker = w.start("job name=blocker; x");
  const RunId run = w.start("job name=wide; a; b; m map=3; h priority=5");
  std::string order;
  w.finish_all(blocker);
  while (w.live_count() > 0) {
    const auto key = w.running.begin()->second.key;
    order += "abmh"[key.task.value];
    w.finish(run,
             std::string(1, "abmh"[key.task.value]) +
                 (key.item == kWhole ? "" : ":" + std::to_string(key.item.value)),
             Outcome::succeeded);
  }
  CHECK(order == "habmmm");
}

TEST_CASE("two wide tasks of one pool start alternately") {
  World w;
  w.default_slots = 1;
  w.handle(input::SetPool{1});
  const RunId one = w.start("job name=one; m map=4");
  const RunId two = w.start("job name=two; m map=4");
  w.starts.clear();
  while (w.live_count() > 0) {
    const auto key = w.running.begin()->second.key;
    w.finish(key.run, "m:" + std::to_string(key.item.value), Outcome::succeeded);
  }
  std::string order;
  for (const auto& start : w.starts) order += start.key.run == one ? '1' : '2';
  CHECK(order == "1212122");
  CHECK(w.state(two) == "succeeded");
}

TEST_CASE("a run with slots of its own takes none from the pool, and not more than its own") {
  World w;
  w.default_slots = 1;
  w.handle(input::SetPool{1});
  const RunId blocker = w.start("job name=blocker; x");
  const RunId run = w.start(w.define("a; b; c"), [](RunRow& r) { r.default_slots = 2; });
  CHECK(w.states(blocker) == "x=running");
  CHECK(w.states(run) == "a=running b=running c=queued");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running c=running");
  w.finish_all(run);
  w.finish_all(blocker);
}

TEST_CASE("a job's own pool limits all its runs, also those with slots of their own") {
  World w;
  const VersionId version = w.define("job overlap=allow pool:db=1; a pool=db; b pool=db");
  const RunId one = w.start(version);
  const RunId two = w.start(version, [](RunRow& r) { r.default_slots = 3; });
  CHECK(w.states(one) == "a=running b=queued");
  CHECK(w.states(two) == "a=queued b=queued");
  w.finish_all(one);
  w.finish_all(two);
  CHECK(w.state(two) == "succeeded");
}

TEST_CASE("a task takes as many slots as it says, and waits for them all") {
  World w;
  const RunId run = w.start("a; b slots=4; c slots=2");
  CHECK(w.states(run) == "a=running b=queued c=queued");  // no one passes the one that waits
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running c=queued");
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=succeeded c=running");
}

TEST_CASE("more slots start more, fewer stop nothing") {
  World w;
  w.handle(input::SetPool{1});
  w.default_slots = 1;
  const RunId run = w.start("a; b; c");
  CHECK(w.states(run) == "a=running b=queued c=queued");
  w.handle(input::SetPool{3});
  w.default_slots = 3;
  CHECK(w.states(run) == "a=running b=running c=running");
  w.handle(input::SetPool{1});
  w.default_slots = 1;
  CHECK(w.states(run) == "a=running b=running c=running");
}

TEST_CASE("nothing starts while starts are held, and all goes on after") {
  World w;
  w.handle(input::HoldStarts{true});
  const RunId run = w.start("a; b after a");
  CHECK(w.states(run) == "a=queued b=waiting");
  w.handle(input::HoldStarts{false});
  CHECK(w.states(run) == "a=running b=waiting");
}

TEST_CASE("nothing starts without a worker, and one that drains gets nothing new") {
  World w;
  w.handle(input::WorkerDrains{WorkerId{1}});
  const RunId run = w.start("a; b");
  CHECK(w.states(run) == "a=queued b=queued");
  w.workers.push_back(WorkerId{2});
  w.handle(input::WorkerUp{WorkerId{2}});
  CHECK(w.states(run) == "a=running b=running");
  CHECK(w.starts.back().worker == WorkerId{2});
}

TEST_CASE("a task whose operator no worker takes asks for one and is in nobody's way") {
  World w;
  w.handle(input::SetPool{1});
  w.default_slots = 1;
  const RunId run = w.start("a op=http priority=5; b; c op=http");
  CHECK(w.states(run) == "a=queued b=running c=queued");
  CHECK(w.wanted == std::vector<std::string>{"http"});
  CHECK(w.engine.operators_without_worker() == std::vector<std::string>{"http"});
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) == "a=queued b=succeeded c=queued");

  w.workers.push_back(WorkerId{2});
  w.handle(input::WorkerUp{WorkerId{2}, {"http", "sleep"}});
  CHECK(w.engine.operators_without_worker().empty());
  CHECK(w.states(run) == "a=running b=succeeded c=queued");
  CHECK(w.starts.back().worker == WorkerId{2});
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=succeeded c=running");
}

TEST_CASE("an operator whose worker is gone is asked for again") {
  World w;
  w.workers.push_back(WorkerId{2});
  w.handle(input::WorkerUp{WorkerId{2}, {"http"}});
  const RunId run = w.start("a op=http retry=2 interrupt=retry");
  CHECK(w.states(run) == "a=running");
  CHECK(w.wanted.empty());
  w.workers = {WorkerId{1}};
  w.lose_running();
  w.handle(input::WorkerDrains{WorkerId{2}});
  w.handle(input::WorkerGone{WorkerId{2}});
  w.pass(0s);
  CHECK(w.states(run) == "a=queued");
  CHECK(w.wanted == std::vector<std::string>{"http"});
}

TEST_CASE("attempts spread over workers by how much these have") {
  World w;
  w.workers.push_back(WorkerId{2});
  w.handle(input::WorkerUp{WorkerId{2}});
  (void)w.start("a; b; c; d");
  CHECK(w.engine.attempts_of(WorkerId{1}).size() == 2);
  CHECK(w.engine.attempts_of(WorkerId{2}).size() == 2);
}

TEST_CASE("what a worker leaves behind untold is lost, and on_interrupt decides") {
  World w;
  const RunId run = w.start("a interrupt=hold; b interrupt=fail; c retry=2 interrupt=retry");
  w.handle(input::WorkerUp{WorkerId{2}});
  w.workers = {WorkerId{2}};
  w.lose_running();
  w.handle(input::WorkerGone{WorkerId{1}});
  CHECK(w.task(run, "a") == "held:lost");
  CHECK(w.task(run, "b") == "failed:lost");
  w.pass(0s);
  CHECK(w.states(run) == "a=held b=failed c=running");
  CHECK(w.starts.back().number == 2);
  CHECK(w.row(run, "c").counted == 1);
}

TEST_CASE(
    "the third interruption within three days that the task may have caused holds it as poison") {
  World w;
  const RunId run = w.start("a interrupt=retry retry=2");
  for (int i = 0; i < 2; ++i) {
    w.finish(run, "a", Outcome::interrupted);
    w.pass(0s);
    CHECK(w.states(run) == "a=running");
  }
  SECTION("a third one soon") {
    w.finish(run, "a", Outcome::interrupted);
    CHECK(w.task(run, "a") == "held:poison");
  }
  SECTION("a third one that something else caused") {
    w.finish(run, "a", {Outcome::interrupted, Reason::none, 0, true, false});
    w.pass(0s);
    CHECK(w.states(run) == "a=running");
  }
  SECTION("a third one much later") {
    w.pass(73h);
    w.finish(run, "a", Outcome::interrupted);
    w.pass(0s);
    CHECK(w.states(run) == "a=running");
  }
}

TEST_CASE("each start tells how often in a row the task was lost, and ten times hold it") {
  World w;
  const RunId run = w.start("a interrupt=retry retry=2");
  const End lost{Outcome::lost, Reason::none, 0, true, false};
  auto told = [&] {
    w.pass(0s);
    REQUIRE(w.states(run) == "a=running");
    const effect::StartAttempt& start = w.starts.back();
    return start.previous_reason == Reason::lost ? start.previous_detail : 0;
  };
  CHECK(told() == 0);
  w.finish(run, "a", lost);
  CHECK(told() == 1);
  w.finish(run, "a", lost);
  CHECK(told() == 2);
  SECTION("one that never started is no proof of anything") {
    w.finish(run, "a", Outcome::never_started);
    CHECK(told() == 2);
  }
  SECTION("nor is a restart") {
    w.finish(run, "a", lost);
    w.restart();
    CHECK(told() == 3);
  }
  SECTION("another end clears it") {
    w.finish(run, "a", {Outcome::interrupted, Reason::none, 0, true, false});
    CHECK(told() == 0);
    w.finish(run, "a", lost);
    CHECK(told() == 1);
  }
  SECTION("ten in a row hold it, though it may not be the cause") {
    for (int losses = 3; losses <= 9; ++losses) {
      w.finish(run, "a", lost);
      CHECK(told() == losses);
    }
    w.finish(run, "a", lost);
    CHECK(w.task(run, "a") == "held:poison");
  }
}

TEST_CASE("the window of interruptions slides, and a restart does not empty it") {
  World w;
  const RunId run = w.start("a interrupt=retry");
  for (const Duration pause : {0h, 50h, 50h}) {
    w.pass(pause);
    w.finish(run, "a", Outcome::interrupted);
    w.pass(0s);
    CHECK(w.states(run) == "a=running");
    w.restart();
  }
  w.pass(20h);
  w.finish(run, "a", Outcome::interrupted);
  CHECK(w.task(run, "a") == "held:poison");
}
