// Attempts: how one follows another, what ends them, and ends that come late or tell of nothing.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("a failed attempt is followed by another after its delay, and its number goes on") {
  World w;
  const RunId run = w.start("a retry=3 delay=10s backoff=exponential");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.task(run, "a") == "retrying:exit:1");
  w.pass(9'999ms);
  CHECK(w.states(run) == "a=retrying");
  w.pass(1ms);
  CHECK(w.states(run) == "a=running");
  CHECK(w.starts.back().number == 2);
  CHECK(w.starts.back().previous_reason == Reason::exit);
  CHECK(w.starts.back().previous_detail == 1);
  w.finish(run, "a", Outcome::failed);
  w.pass(19'999ms);
  CHECK(w.states(run) == "a=retrying");
  w.pass(1ms);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.task(run, "a") == "failed:exit:1");
  CHECK(w.row(run, "a").attempts == 3);
  CHECK(w.state(run) == "failed");
}

TEST_CASE("a reason that no other try can mend is not retried") {
  World w;
  for (const Reason reason :
       {Reason::permanent, Reason::spawn, Reason::template_, Reason::output}) {
    const RunId run = w.start("a retry=3");
    w.finish(run, "a", {Outcome::failed, reason});
    CHECK(w.task(run, "a") == "failed:" + std::string(to_string(reason)));
  }
  const RunId run = w.start("a retry=3");
  w.finish(run, "a", {Outcome::failed, Reason::exit, 127});
  CHECK(w.task(run, "a") == "failed:exit:127");
}

TEST_CASE("a task of which no process was left to die is held for a person") {
  World w;
  const RunId run = w.start("a retry=3");
  w.finish(run, "a", {Outcome::failed, Reason::unkillable});
  CHECK(w.task(run, "a") == "held:unkillable");
  CHECK(w.state(run) == "failed");
}

TEST_CASE("the total time-out counts from the first start over all attempts") {
  World w;
  const RunId run = w.start("a retry=10 delay=10s backoff=fixed total=35s");
  for (int i = 0; i < 3; ++i) {
    w.finish(run, "a", Outcome::failed);
    w.pass(10s);
  }
  CHECK(w.states(run) == "a=running");
  CHECK(w.starts.back().total_left == 5s);
  SECTION("it ends what runs") {
    w.pass(5s);
    CHECK(w.stopped.begin()->second == Reason::total_timeout);
    w.finish(run, "a", {Outcome::failed, Reason::signal});
    CHECK(w.task(run, "a") == "failed:total_timeout");
  }
  SECTION("a delay that would pass it is not waited for") {
    w.finish(run, "a", Outcome::failed);
    CHECK(w.task(run, "a") == "failed:total_timeout");
  }
  SECTION("success before the stop reached it is success") {
    w.pass(5s);
    w.finish(run, "a", {Outcome::succeeded, Reason::none, 0, false});
    CHECK(w.task(run, "a") == "succeeded");
  }
  SECTION("a worker that dies meanwhile does not make it anything else") {
    w.pass(5s);
    w.finish(run, "a", {Outcome::lost, Reason::lost, 0, false});
    CHECK(w.task(run, "a") == "failed:total_timeout");
  }
}

TEST_CASE("a total time-out passes while the task waits for a slot again") {
  World w;
  w.handle(input::SetPool{1});
  w.default_slots = 1;
  const RunId run = w.start("a retry=3 delay=1s total=5s; b priority=1");
  w.finish(run, "b", Outcome::succeeded);
  w.finish(run, "a", Outcome::failed);
  const RunId other = w.start("job name=other; x");
  CHECK(w.states(other) == "x=running");
  w.pass(5s);
  CHECK(w.task(run, "a") == "failed:total_timeout");
  w.finish_all(other);
}

TEST_CASE("a queue time-out fails what gets no slot in time, once per wait") {
  World w;
  w.handle(input::SetPool{1});
  w.default_slots = 1;
  const RunId run = w.start("a; b queue=5s");
  CHECK(w.states(run) == "a=running b=queued");
  SECTION("no slot") {
    w.pass(5s);
    CHECK(w.task(run, "b") == "failed:queue_timeout");
    CHECK(w.row(run, "b").error == "no slot within its queue_timeout");
  }
  SECTION("a slot in time") {
    w.pass(4s);
    w.finish(run, "a", Outcome::succeeded);
    w.pass(10s);
    CHECK(w.states(run) == "a=succeeded b=running");
  }
  SECTION("a paused run does not wait for slots") {
    w.pause(run);
    w.pass(20s);
    CHECK(w.states(run) == "a=running b=queued");
    w.unpause(run);
    w.pass(4s);
    CHECK(w.states(run) == "a=running b=queued");
    w.pass(1s);
    CHECK(w.task(run, "b") == "failed:queue_timeout");
  }
  SECTION("a restart does not begin it anew") {
    w.pass(4s);
    w.restart();
    w.pass(1s);
    CHECK(w.task(run, "b") == "failed:queue_timeout");
  }
}

TEST_CASE("an attempt is told when its run's time is over") {
  World w;
  const RunId run = w.start("job timeout=1m; a; b after a");
  CHECK(w.starts.back().run_left == 60s);
  w.pass(20s);
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.starts.back().run_left == 40s);
  w.start("job name=free; c");
  CHECK(w.starts.back().run_left == 0s);
}

TEST_CASE("an attempt that never started gives its number back, and nothing of it counts") {
  World w;
  const RunId run = w.start("a total=10s retry=2 delay=1s");
  w.pass(6s);
  w.finish(run, "a", Outcome::never_started);
  CHECK(w.states(run) == "a=running");
  CHECK(w.starts.back().number == 1);
  CHECK(w.starts.back().total_left == 10s);
  CHECK(w.row(run, "a").attempts == 1);
  CHECK(w.store.attempts.size() == 1);
  w.pass(9s);
  CHECK(w.stopped.empty());
  w.finish(run, "a", Outcome::failed);
  w.finish_all(run);
  CHECK(w.task(run, "a") == "failed:total_timeout");
}

TEST_CASE("an attempt that was to be stopped and never started ends its task so") {
  World w;
  const RunId run = w.start("a; b after a rule=all_done");
  w.cancel(run, "a");
  CHECK(w.states(run) == "a=running b=waiting");
  w.finish(run, "a", Outcome::never_started);
  CHECK(w.states(run) == "a=cancelled b=running");
  CHECK(w.row(run, "a").attempts == 0);
}

TEST_CASE("a result that comes twice, or of an unknown attempt, changes nothing and is forgotten") {
  World w;
  const RunId run = w.start("a; b");
  const AttemptId id = w.live(run, "a");
  w.finish(run, "a", Outcome::succeeded);
  AttemptResult again;
  again.attempt = id;
  again.worker = WorkerId{1};
  again.outcome = Outcome::failed;
  again.reason = Reason::exit;
  const std::size_t events = w.store.events.size();
  w.handle(input::AttemptsEnded{{again}});
  CHECK(w.mutations == 0);
  CHECK(w.store.events.size() == events);
  CHECK(w.task(run, "a") == "succeeded");
}

TEST_CASE("what ended while no scheduler was up has ended then, not when it is told") {
  World w;
  const RunId run = w.start("a");
  AttemptResult result;
  result.attempt = w.live(run, "a");
  result.worker = WorkerId{1};
  result.outcome = Outcome::succeeded;
  result.ended_at = w.now.wall + 3s;
  w.pass(60s);
  w.handle(input::AttemptsEnded{{result}});
  CHECK(w.states(run) == "a=succeeded");
  CHECK(w.store.tasks.at({run, TaskIndex{0}, kWhole}).ended_at == result.ended_at);
}

TEST_CASE("an attempt that lasts says so, once") {
  World w;
  const RunId run = w.start("a");
  const AttemptId id = w.live(run, "a");
  w.handle(input::AttemptBegan{id, w.now.wall});
  CHECK(w.store.attempts.at(id).state == AttemptState::running);
  w.handle(input::AttemptBegan{id, w.now.wall});
  CHECK(w.mutations == 0);
  w.handle(input::AttemptBegan{AttemptId{99}, w.now.wall});
  CHECK(w.mutations == 0);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("an attempt that is known to have begun is never taken for one that did not") {
  World w;
  const RunId run = w.start("a; b");
  const AttemptId begun = w.live(run, "a");
  w.handle(input::AttemptBegan{begun, w.now.wall});
  w.finish(run, "a", Outcome::never_started);
  w.finish(run, "b", Outcome::never_started);
  CHECK(w.store.attempts.at(begun).state == AttemptState::interrupted);
  CHECK(w.task(run, "a") == "held:interrupted");
  w.finish_all(run);
  CHECK(w.task(run, "b") == "succeeded");
}
