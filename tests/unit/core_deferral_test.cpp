// Attempts that end their stay in a worker and go on later, and the handles by which operators find
// their work again.

#include <string>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

const AttemptRow& only_attempt(const World& w) {
  REQUIRE(w.store.attempts.size() == 1);
  return w.store.attempts.begin()->second;
}

void use_slots(World& w, std::int64_t slots) {
  w.default_slots = slots;
  w.handle(input::SetPool{slots});
}

}  // namespace

TEST_CASE("a deferred attempt holds no slot, and goes on as the same attempt") {
  World w;
  use_slots(w, 1);
  const RunId run = w.start("a; b");
  const AttemptId attempt = w.live(run, "a");
  w.defer(run, "a", 10s, "page 7");
  CHECK(w.states(run) == "a=deferred b=running");
  CHECK(w.store.attempts.at(attempt).state == AttemptState::deferred);
  CHECK(w.store.attempts.at(attempt).state_text == "page 7");
  CHECK(!w.store.attempts.at(attempt).ended_at.has_value());
  w.finish(run, "b", Outcome::succeeded);
  w.pass(9s);
  CHECK(w.states(run) == "a=deferred b=succeeded");
  w.pass(1s);
  CHECK(w.states(run) == "a=running b=succeeded");
  CHECK(w.live(run, "a") == attempt);
  CHECK(w.starts.back().number == 1);
  CHECK(w.starts.back().has_past);
  CHECK(w.store.attempts.at(attempt).state_text == "page 7");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.row(run, "a").attempts == 1);
  CHECK(w.row(run, "a").counted == 1);
  CHECK(w.store.attempts.at(attempt).stays == 1);
  CHECK(w.store.attempts.at(attempt).state_text.empty());
}

TEST_CASE("an attempt that is deferred many times counts once, and starts when it first did") {
  World w;
  const RunId run = w.start("a retry=2 delay=1s");
  const WallTime started = w.now.wall;
  for (int i = 0; i < 20; ++i) {
    w.defer(run, "a", 1s);
    w.pass(1s);
  }
  w.finish(run, "a", Outcome::failed);
  const AttemptRow& first = w.store.attempts.begin()->second;
  CHECK(first.started_at == started);
  CHECK(first.stays == 20);
  CHECK(w.task(run, "a") == "retrying:exit:1");
  w.pass(1s);
  CHECK(w.starts.back().number == 2);
  CHECK(!w.starts.back().has_past);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.task(run, "a") == "failed:exit:1");
}

TEST_CASE("a deferral of nothing waits for a slot like everybody") {
  World w;
  use_slots(w, 1);
  const RunId run = w.start("a; b");
  w.defer(run, "a", 0s);
  CHECK(w.states(run) == "a=queued b=running");
  CHECK(w.store.attempts.begin()->second.state == AttemptState::deferred);
  w.restart();
  CHECK(w.states(run) == "a=queued b=running");
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) == "a=running b=succeeded");
  CHECK(w.starts.back().number == 1);
}

TEST_CASE("a deferral outlives the scheduler and the machine") {
  World w;
  const bool new_boot = GENERATE(false, true);
  const RunId run = w.start("a; m map=3");
  const AttemptId attempt = w.live(run, "a");
  w.defer(run, "a", 60s, "x");
  w.defer(run, "m:1", 60s);
  w.pass(20s);
  w.restart(new_boot);
  CHECK(w.task(run, "a") == "deferred");
  CHECK(w.task(run, "m:1") == "deferred");
  CHECK(w.items(run, "m") == "running=2 deferred=1");
  w.pass(39s);
  CHECK(w.task(run, "a") == "deferred");
  w.pass(1s);
  CHECK(w.task(run, "a") == "running");
  CHECK(w.task(run, "m:1") == "running");
  CHECK(w.live(run, "a") == attempt);
  w.restart();
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("what ends a deferred task works at once") {
  World w;
  const RunId run = w.start("a total=30s; b");
  w.defer(run, "a", 1h, "x");
  SECTION("a cancel") {
    w.cancel(run, "a");
    CHECK(w.task(run, "a") == "cancelled:cancelled");
    CHECK(w.store.attempts.begin()->second.state == AttemptState::cancelled);
  }
  SECTION("a cancel of the run") {
    w.cancel(run);
    CHECK(w.task(run, "a") == "cancelled:cancelled");
  }
  SECTION("a cancel while it waits for a slot again") {
    use_slots(w, 1);
    const RunId other = w.start("x map=9");
    w.finish(run, "b", Outcome::succeeded);
    w.pass(29s);
    (void)other;
    w.cancel(run, "a");
    CHECK(w.task(run, "a") == "cancelled:cancelled");
  }
  SECTION("its total time-out") {
    w.pass(30s);
    CHECK(w.task(run, "a") == "failed:total_timeout");
    CHECK(w.store.attempts.begin()->second.state == AttemptState::failed);
    CHECK(w.store.attempts.begin()->second.reason == Reason::total_timeout);
  }
  CHECK(w.store.attempts.begin()->second.ended_at.has_value());
  CHECK(w.store.attempts.begin()->second.state_text.empty());
  CHECK(w.store.timers.empty());
  CHECK(w.stopped.empty() == (w.store.runs.at(run).cancel_requested == false));
}

TEST_CASE("items that sleep are ended one by one, by their total time-out, or all together") {
  World w;
  use_slots(w, 50);
  const RunId run = w.start("m map=40 total=1h retry=2 delay=30m");
  for (int i = 0; i < 40; ++i) {
    const std::string item = "m:" + std::to_string(i);
    if (i % 2 == 0) {
      w.defer(run, item, Duration(60'000 * (i + 1)));
    } else {
      w.finish(run, item, Outcome::failed);
    }
  }
  CHECK(w.items(run, "m") == "retrying=20 deferred=20");
  w.cancel(run, "m:8");
  w.cancel(run, "m:7");
  w.mark(run, "m:9", TaskState::succeeded);
  CHECK(w.last_reply() == "ok");
  w.mark(run, "m:6", TaskState::succeeded);
  CHECK(w.last_reply() == "is deferred; cancel it first");
  CHECK(w.items(run, "m") == "retrying=18 deferred=19 succeeded=1 cancelled=2");
  w.restart(GENERATE(false, true));
  SECTION("each goes on at its time") {
    w.pass(7min);
    CHECK(w.task(run, "m:6") == "running");
    CHECK(w.items(run, "m") == "running=4 retrying=18 deferred=15 succeeded=1 cancelled=2");
    w.pass(23min);
    CHECK(w.task(run, "m:11") == "running");
    w.finish_all(run);
    w.pass(29min);
    w.finish_all(run);
    CHECK(w.items(run, "m") == "succeeded=38 cancelled=2");
  }
  SECTION("the total time-out ends who sleeps") {
    w.pass(59min);
    while (!w.running.empty()) {
      const TaskKey key = w.running.begin()->second.key;
      w.defer(run, "m:" + std::to_string(key.item.value), 1h);
    }
    w.pass(1min);
    CHECK(w.items(run, "m") == "succeeded=1 failed=37 cancelled=2");
    CHECK(w.task(run, "m:6") == "failed:total_timeout");
    CHECK(w.store.timers.empty());
  }
  SECTION("a cancel ends them all") {
    w.cancel(run, "m");
    CHECK(w.items(run, "m") == "succeeded=1 cancelled=39");
    CHECK(w.store.timers.empty());
  }
}

TEST_CASE("total_timeout bounds all stays together") {
  World w;
  const RunId run = w.start("a total=30s");
  w.pass(10s);
  w.defer(run, "a", 10s);
  w.pass(10s);
  CHECK(w.starts.back().total_left == 10s);
  w.pass(10s);
  CHECK(w.stopped.size() == 1);
  w.defer(run, "a", 10s);
  CHECK(w.task(run, "a") == "failed:total_timeout");
}

TEST_CASE("who is to end does not sleep first") {
  World w;
  SECTION("it was told to") {
    const RunId run = w.start("a");
    w.cancel(run, "a");
    w.defer(run, "a", 10s);
    CHECK(w.task(run, "a") == "cancelled:cancelled");
  }
  SECTION("its run stops") {
    const RunId run = w.start("job fail_fast; a; b");
    w.checks = false;
    input::AttemptsEnded both;
    for (const char* name : {"b", "a"}) {
      AttemptResult result;
      result.attempt = w.live(run, name);
      result.worker = WorkerId{1};
      result.outcome = *name == 'b' ? Outcome::failed : Outcome::deferred;
      result.reason = *name == 'b' ? Reason::exit : Reason::none;
      result.look_again_after = 10s;
      result.ended_at = w.now.wall;
      both.results.push_back(result);
    }
    w.checks = true;
    w.handle(both);
    CHECK(w.task(run, "a") == "cancelled:fail_fast");
    CHECK(w.state(run) == "failed:fail_fast");
  }
}

TEST_CASE("a paused run wakes nobody, and lets go on what woke meanwhile") {
  World w;
  const RunId run = w.start("a; b");
  w.defer(run, "a", 10s);
  w.pause(run);
  w.pass(10s);
  CHECK(w.task(run, "a") == "queued");
  w.restart();
  CHECK(w.live(run, "a") == AttemptId{});
  w.unpause(run);
  CHECK(w.task(run, "a") == "running");
}

TEST_CASE("a stay that never began leaves the attempt asleep") {
  World w;
  use_slots(w, 1);
  const RunId run = w.start("a");
  w.defer(run, "a", 1s, "x");
  w.pass(1s);
  w.workers.clear();
  w.handle(input::WorkerDrains{WorkerId{1}});
  SECTION("and it goes on with the next worker") {
    w.finish(run, "a", Outcome::never_started);
    CHECK(w.task(run, "a") == "queued");
    CHECK(only_attempt(w).state == AttemptState::deferred);
    CHECK(only_attempt(w).state_text == "x");
    w.workers = {WorkerId{2}};
    w.handle(input::WorkerUp{WorkerId{2}});
    CHECK(w.task(run, "a") == "running");
    CHECK(only_attempt(w).worker == WorkerId{2});
    SECTION("and what the old one says of its stay is too late") {
      AttemptResult late;
      late.attempt = only_attempt(w).id;
      late.worker = WorkerId{1};
      late.outcome = Outcome::deferred;
      w.handle(input::AttemptsEnded{{late}});
      CHECK(w.task(run, "a") == "running");
    }
  }
  SECTION("and when it was told to end it does") {
    w.cancel(run);
    w.finish(run, "a", Outcome::never_started);
    CHECK(w.task(run, "a") == "cancelled:cancelled");
    CHECK(only_attempt(w).state == AttemptState::cancelled);
    CHECK(w.state(run) == "cancelled:cancelled");
  }
}

TEST_CASE("what a worker says again of an earlier stay proves nothing about this one") {
  World w;
  const RunId run = w.start("a");
  AttemptResult late;
  late.attempt = w.live(run, "a");
  late.worker = WorkerId{1};
  late.outcome = Outcome::deferred;
  w.defer(run, "a", 0s);
  CHECK(w.starts.back().stay == 1);
  w.restart();
  CHECK(w.engine.stay_of(late.attempt) == 1);
  w.handle(input::AttemptsEnded{{late}});
  CHECK(w.task(run, "a") == "running");
  CHECK(w.live(run, "a") == late.attempt);
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("an attempt that is lost in a later stay is another attempt from then on") {
  World w;
  const RunId run = w.start("a retry=2");
  w.defer(run, "a", 1s, "x");
  w.pass(1s);
  w.finish(run, "a", Outcome::lost);
  w.pass(0s);
  CHECK(w.starts.back().number == 2);
  CHECK(w.row(run, "a").counted == 1);
}

TEST_CASE("a queue time-out also bounds the wait of a deferred attempt for its slot") {
  World w;
  use_slots(w, 1);
  const RunId run = w.start("a queue=5s; b");
  w.defer(run, "a", 1s);
  w.pass(6s);
  CHECK(w.task(run, "a") == "failed:queue_timeout");
  CHECK(w.store.attempts.begin()->second.state == AttemptState::failed);
}

TEST_CASE("a state text that is longer than is kept fails its attempt, and says so") {
  World w;
  const RunId run = w.start("a");
  w.defer(run, "a", 1s, std::string(limits::kStateTextBytesMax + 1, 'x'));
  CHECK(w.task(run, "a") == "failed:error");
  CHECK(only_attempt(w).failure.message ==
        "its state of 65537 bytes is longer than the 65536 that are kept");
}

TEST_CASE("a deferred task is resumed and marked like any other that is open") {
  World w;
  const RunId run = w.start("a; b after a");
  w.defer(run, "a", 1h);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.last_reply() == "is deferred; cancel it first");
  w.resume(run, "a", [](input::Resume& in) { in.from = true; });
  CHECK(w.last_reply() == "a is deferred; cancel it first");
  w.cancel(run, "a");
  w.resume(run);
  CHECK(w.states(run) == "a=running b=waiting");
  CHECK(w.starts.back().number == 2);
}

TEST_CASE("a handle is durable before the operator is told, and comes back after an interruption") {
  World w;
  const RunId run = w.start("a interrupt=retry");
  w.set_handle(run, "a", "job-17");
  CHECK(w.handles.back().is_stored);
  CHECK(w.handles.back().serial == 1);
  CHECK(only_attempt(w).handle == "job-17");
  SECTION("to the next stay") {
    w.defer(run, "a", 1s);
    w.pass(1s);
    CHECK(w.starts.back().has_past);
    CHECK(only_attempt(w).handle == "job-17");
  }
  SECTION("to the next attempt, and the one after that") {
    for (int i = 2; i < 4; ++i) {
      w.finish(run, "a", {Outcome::interrupted, Reason::none, 0, true, false});
      w.restart();
      w.pass(0s);
      CHECK(w.starts.back().number == i);
      CHECK(w.starts.back().has_past);
      CHECK(w.store.attempts.rbegin()->second.handle == "job-17");
    }
  }
  SECTION("also when an attempt between never started") {
    w.finish(run, "a", Outcome::lost);
    w.pass(0s);
    w.finish(run, "a", Outcome::never_started);
    CHECK(w.starts.back().number == 2);
    CHECK(w.starts.back().previous_reason == Reason::lost);
    CHECK(w.store.attempts.rbegin()->second.handle == "job-17");
  }
  SECTION("not after a failure") {
    w.finish(run, "a", Outcome::failed);
    w.resume(run);
    CHECK(w.starts.back().number == 2);
    CHECK(w.store.attempts.rbegin()->second.handle.empty());
  }
}

TEST_CASE("a handle is taken from its own worker only, and only while it fits") {
  World w;
  const RunId run = w.start("a");
  const AttemptId attempt = w.live(run, "a");
  w.set_handle(run, "a", std::string(limits::kHandleBytesMax + 1, 'x'));
  CHECK(!w.handles.back().is_stored);
  w.handle(input::AttemptHandle{attempt, WorkerId{9}, 5, "x"});
  CHECK(!w.handles.back().is_stored);
  CHECK(only_attempt(w).handle.empty());
  w.finish(run, "a", Outcome::succeeded);
  w.handle(input::AttemptHandle{attempt, WorkerId{1}, 6, "x"});
  CHECK(!w.handles.back().is_stored);
}

TEST_CASE("a handle that only a dead worker's journal knows comes with the attempt's fate") {
  World w;
  const RunId run = w.start("a interrupt=retry");
  AttemptResult fate;
  fate.attempt = w.live(run, "a");
  fate.worker = WorkerId{1};
  fate.outcome = Outcome::interrupted;
  fate.ended_at = w.now.wall;
  fate.handle = "job-18";
  w.handle(input::AttemptsEnded{{fate}});
  w.pass(0s);
  CHECK(w.starts.back().has_past);
  CHECK(w.store.attempts.rbegin()->second.handle == "job-18");
}
