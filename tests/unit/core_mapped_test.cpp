// Mapped tasks: one node, many items.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("a mapped task runs each item once and ends with the last") {
  World w;
  const RunId run = w.start("m map=6; z after m");
  CHECK(w.items(run, "m") == "queued=2 running=4");
  w.finish(run, "m:1", Outcome::succeeded);
  CHECK(w.items(run, "m") == "queued=1 running=4 succeeded=1");
  CHECK(w.states(run) == "m=running z=waiting");
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=6");
  CHECK(w.states(run) == "m=succeeded z=succeeded");
  CHECK(w.store.mapped.at({run, TaskIndex{0}}).low_water == 6);
}

TEST_CASE("no items are a success") {
  World w;
  const RunId run = w.start("m map=0; z after m");
  CHECK(w.states(run) == "m=succeeded z=running");
}

TEST_CASE("items are read in chunks, and the first ones start before the last are read") {
  World w;
  w.answers = false;
  const RunId run = w.start("m map=0 max=2");
  const auto prepare = w.unanswered.at(0);
  CHECK(prepare.from == 0);
  CHECK(!prepare.is_open);
  w.answer(prepare, 3, "", false);
  CHECK(w.items(run, "m") == "queued=1 running=2");
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=3");
  CHECK(w.states(run) == "m=running");
  SECTION("over a restart the reader goes on where it was") {
    w.restart();
    const auto again = w.unanswered.at(0);
    CHECK(again.from == 3);
    CHECK(again.is_open);
    CHECK(again.source == "place");
    w.handle(input::ItemsRead{run, again.task, again.stamp, 3, 2, "", "place", true, ""});
    w.finish_all(run);
    CHECK(w.items(run, "m") == "succeeded=5");
    CHECK(w.states(run) == "m=succeeded");
  }
  SECTION("an error fails the task") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 3, 0, "", "", false,
                              "the file changed"});
    CHECK(w.task(run, "m") == "failed:items");
    CHECK(w.row(run, "m").error == "the file changed");
  }
  SECTION("an error while items run keeps its text over a restart") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 3, 1, "", "place", false, ""});
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 4, 0, "", "", false,
                              "the file changed"});
    CHECK(w.states(run) == "m=running");
    w.restart();
    w.finish_all(run, Outcome::failed);
    CHECK(w.task(run, "m") == "failed:items");
    CHECK(w.row(run, "m").error == "the file changed");
  }
  SECTION("an old reader's answer means nothing") {
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp + 1, 3, 1, "", "", true, ""});
    CHECK(w.items(run, "m") == "succeeded=3");
    w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 0, 3, "", "", true, ""});
    CHECK(w.items(run, "m") == "succeeded=3");
  }
}

TEST_CASE("an error before any item fails the task") {
  World w;
  w.answers = false;
  const RunId run = w.start("m map=0; z after m");
  const auto prepare = w.unanswered.at(0);
  w.handle(input::Prepared{run, prepare.task, prepare.stamp, input::Prepared::Outcome::error,
                           Reason::items, "no such file"});
  CHECK(w.task(run, "m") == "failed:items");
  CHECK(w.states(run) == "m=failed z=upstream_failed");
  CHECK(w.row(run, "m").error == "no such file");
  w.answers = true;
  w.resume(run);
  CHECK(w.states(run) == "m=succeeded z=running");
}

TEST_CASE("failed items are forgiven within the tolerance, judged at the end") {
  struct Case {
    const char* options;
    int failures;
    const char* state;
  };
  for (const Case& c :
       {Case{"", 1, "failed:tolerance"}, Case{"tolerate=2", 2, "succeeded"},
        Case{"tolerate=2", 3, "failed:tolerance"}, Case{"tolerate=25%", 2, "succeeded"},
        Case{"tolerate=25%", 3, "failed:tolerance"}, Case{"tolerate=29%", 3, "failed:tolerance"},
        Case{"tolerate=100%", 8, "succeeded"}}) {
    World w;
    const RunId run = w.start("m map=8 " + std::string(c.options));
    for (int i = 0; i < c.failures; ++i) w.finish(run, "m:" + std::to_string(i), Outcome::failed);
    CHECK(w.states(run) == (c.failures < 8 ? "m=running" : "m=succeeded"));
    w.finish_all(run);
    INFO(c.options << " with " << c.failures);
    CHECK(w.task(run, "m") == c.state);
  }
}

TEST_CASE("stop_after_failures cancels the rest in one row") {
  World w;
  const RunId run = w.start("m map=1000 stop=2; z after m rule=all_done");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.items(run, "m") == "queued=995 running=4 failed=1");
  w.finish(run, "m:1", Outcome::failed);
  CHECK(w.items(run, "m") == "running=3 failed=2 cancelled=995");
  CHECK(w.mutations < 20);
  w.finish(run, "m:2", {Outcome::succeeded, Reason::none, 0, false});
  w.finish_all(run, Outcome::failed);
  CHECK(w.items(run, "m") == "succeeded=1 failed=2 cancelled=997");
  CHECK(w.task(run, "m") == "failed:stop_after_failures");
}

TEST_CASE("max_concurrent bounds the live items, and numbers them from 0") {
  World w;
  w.default_slots = 100;
  w.handle(input::SetPool{100});
  const RunId run = w.start("m map=10 max=3; other");
  CHECK(w.items(run, "m") == "queued=7 running=3");
  std::set<std::int32_t> slots;
  for (const auto& [id, start] : w.running) {
    if (start.key.task == TaskIndex{0}) slots.insert(start.slot);
  }
  CHECK(slots == std::set<std::int32_t>{0, 1, 2});
  w.finish(run, "m:1", Outcome::succeeded);
  CHECK(w.starts.back().slot == 1);
  CHECK(w.items(run, "m") == "queued=6 running=3 succeeded=1");
}

TEST_CASE("an attempt after an interruption is no retry, of a task and of an item") {
  World w;
  const RunId run = w.start("a retry=2; m map=1 retry=2");
  for (const char* task : {"a", "m:0"}) {
    w.finish(run, task, End{Outcome::lost, Reason::lost, 0, false});
    CHECK(w.task(run, task) == "running");
  }
  CHECK(w.engine.states(run).retries == 0);
  for (const char* task : {"a", "m:0"}) w.finish(run, task, Outcome::failed);
  w.pass(1h);
  CHECK(w.engine.task(run, TaskIndex{0}).retries == 1);
  CHECK(w.engine.task(run, TaskIndex{1}).retries == 1);
}

TEST_CASE("an item is retried by itself while the others go on") {
  World w;
  const RunId run = w.start("m map=3 retry=2 delay=5s");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.task(run, "m:0") == "retrying:exit:1");
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish(run, "m:2", Outcome::succeeded);
  CHECK(w.states(run) == "m=running");
  w.pass(5s);
  CHECK(w.row(run, "m:0").attempts == 2);
  CHECK(w.engine.task(run, TaskIndex{0}).retries == 1);
  w.restart();
  CHECK(w.engine.task(run, TaskIndex{0}).retries == 1);
  w.finish(run, "m:0", Outcome::succeeded);
  CHECK(w.task(run, "m") == "succeeded");
}

TEST_CASE(
    "a queue time-out fails the items that got no slot, and not those that run or are retried") {
  World w;
  const RunId run = w.start("m map=10 max=2 queue=5s retry=2 delay=1s tolerate=8");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.items(run, "m") == "queued=7 running=2 retrying=1");
  w.pass(5s);
  CHECK(w.items(run, "m") == "queued=1 running=2 failed=7");
  w.finish(run, "m:1", Outcome::failed);
  CHECK(w.items(run, "m") == "running=2 retrying=1 failed=7");
  w.pass(1s);
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=3 failed=7");
  CHECK(w.task(run, "m") == "succeeded");
}

TEST_CASE(
    "an item that waits too long for another slot fails, and its place in the queue with it") {
  World w;
  w.default_slots = 2;
  w.handle(input::SetPool{2});
  const RunId run = w.start("m map=3 queue=5s retry=2 delay=1s");
  w.finish(run, "m:0", Outcome::failed);
  const RunId hog = w.start("job name=hog; x priority=9; y priority=9");
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish(run, "m:2", Outcome::succeeded);
  CHECK(w.states(hog) == "x=running y=running");
  w.pass(1s);
  CHECK(w.task(run, "m:0") == "queued:exit:1");
  w.pass(5s);
  CHECK(w.task(run, "m:0") == "failed:queue_timeout");
  CHECK(w.task(run, "m") == "failed:tolerance");
  w.finish_all(hog);
}

TEST_CASE("items that got no slot in time fail their task with that reason") {
  World w;
  const RunId hog = w.start("job name=hog; x priority=9; y priority=9; z priority=9; u priority=9");
  const RunId run = w.start("m map=3 queue=5s; n map=2 queue=5s tolerate=2");
  w.pass(5s);
  CHECK(w.items(run, "m") == "failed=3");
  CHECK(w.task(run, "m") == "failed:queue_timeout");
  CHECK(w.row(run, "m").error == "no slot within its queue_timeout");
  CHECK(w.task(run, "n") == "succeeded");
  w.finish_all(hog);
  w.resume(run);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a queue time-out while items are still read ends the reading") {
  World w;
  w.answers = false;
  const RunId run = w.start("m map=0 queue=5s");
  const auto prepare = w.unanswered.at(0);
  w.answer(prepare, 3, "", false);
  w.finish_all(run);
  w.pass(5s);
  CHECK(w.task(run, "m") == "failed:queue_timeout");
  w.handle(input::ItemsRead{run, prepare.task, prepare.stamp, 3, 2, "", "", true, ""});
  CHECK(w.items(run, "m") == "succeeded=3");
}

TEST_CASE("each item has its own total time-out") {
  World w;
  const RunId run = w.start("m map=2 max=1 total=10s");
  w.pass(9s);
  w.finish(run, "m:0", Outcome::succeeded);
  w.pass(9s);
  CHECK(w.stopped.empty());
  w.pass(1s);
  CHECK(w.stopped.size() == 1);
  w.finish_all(run, Outcome::failed);
  CHECK(w.task(run, "m:1") == "failed:total_timeout");
}

TEST_CASE("cancelling an item that waits lets the others go on") {
  World w;
  const RunId run = w.start("m map=3 retry=2 delay=1h tolerate=1");
  w.finish(run, "m:0", Outcome::failed);
  w.cancel(run, "m:0");
  CHECK(w.task(run, "m:0") == "cancelled:cancelled");
  w.finish_all(run);
  CHECK(w.task(run, "m") == "succeeded");
}

TEST_CASE("items that were cancelled one by one beyond the tolerance fail their task") {
  World w;
  const RunId run = w.start("m map=3 tolerate=1");
  w.cancel(run, "m:0");
  w.cancel(run, "m:1");
  w.finish_all(run, Outcome::succeeded);
  CHECK(w.items(run, "m") == "succeeded=1 cancelled=2");
  CHECK(w.task(run, "m") == "failed:tolerance");
  CHECK(w.state(run) == "failed");
}

TEST_CASE("a cancelled mapped task shares that word, whatever never started") {
  World w;
  const RunId run = w.start("m map=100");
  w.finish(run, "m:0", Outcome::succeeded);
  w.cancel(run, "m");
  CHECK(w.items(run, "m") == "running=4 succeeded=1 cancelled=95");
  w.finish_all(run, Outcome::failed);
  CHECK(w.task(run, "m") == "cancelled:cancelled");
  CHECK(w.items(run, "m") == "succeeded=1 cancelled=99");
}

TEST_CASE("fail_fast counts items once they pass the tolerance") {
  World w;
  const RunId run = w.start("job fail_fast; m map=20 tolerate=1; z");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.state(run) == "running");
  w.finish(run, "m:1", Outcome::failed);
  CHECK(w.state(run) == "running:fail_fast");
  w.finish_all(run, Outcome::failed);
  CHECK(w.task(run, "m") == "failed:tolerance");
  CHECK(w.task(run, "z") == "cancelled:fail_fast");
  CHECK(w.state(run) == "failed:fail_fast");
}

TEST_CASE("an item that never started gets its number back and comes next") {
  World w;
  w.default_slots = 1;
  w.handle(input::SetPool{1});
  const RunId run = w.start("m map=3");
  w.finish(run, "m:0", Outcome::never_started);
  CHECK(w.starts.back().key.item == ItemIndex{0});
  CHECK(w.starts.back().number == 1);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("an open mapped task goes on after any restart, with its place and counts") {
  World w;
  const RunId run = w.start("m map=50 retry=2 delay=1s max=3");
  int turn = 0;
  while (!w.store.open_runs().empty()) {
    if (w.running.empty()) {
      w.pass(1s);
    } else {
      const auto start = w.running.begin()->second;
      const bool fails = start.number == 1 && ++turn % 5 == 0;
      w.finish(run, "m:" + std::to_string(start.key.item.value),
               fails ? Outcome::failed : Outcome::succeeded);
    }
    w.restart();
  }
  CHECK(w.items(run, "m") == "succeeded=50");
}

TEST_CASE("two mapped tasks write their counts once a step, not once an item") {
  World w;
  w.default_slots = 40;
  w.handle(input::SetPool{40});
  const RunId run = w.start("m map=20; n map=20");
  input::AttemptsEnded ended;
  for (int i = 0; i < 20; ++i) {
    for (const char* task : {"m", "n"}) {
      AttemptResult result;
      result.attempt = w.live(run, task + std::string(":") + std::to_string(i));
      result.worker = WorkerId{1};
      result.outcome = Outcome::succeeded;
      ended.results.push_back(result);
    }
  }
  w.handle(ended);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.mutations <= 40 * 2 + 2 + 2 + 1 + 1);
}

TEST_CASE("a tolerance in percent is rounded down and exact at the borders") {
  CHECK(Tolerance{true, 1}.of(10'000) == 100);
  CHECK(Tolerance{true, 1}.of(199) == 1);
  CHECK(Tolerance{true, 0}.of(1'000) == 0);
  CHECK(Tolerance{true, 100}.of(7) == 7);
  CHECK(Tolerance{false, 3}.of(1) == 3);
  for (std::int64_t n = 0; n <= 2'000; ++n) REQUIRE(Tolerance{true, 29}.of(n) == n * 29 / 100);
  for (std::int64_t hundredths = 1; hundredths <= 10'000; ++hundredths) {
    const Tolerance share{true, static_cast<double>(hundredths) / 100};
    for (std::int64_t n : {150, 9'999, 10'000, 100'000, 1'000'000'000})
      REQUIRE(share.of(n) == n * hundredths / 10'000);
  }
}
