// Tasks that call other jobs: one run for each piece of work, and the two end together.

#include <string>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string message_of(const World& w, RunId run, const std::string& task) {
  const TaskKey key = w.key(run, task);
  std::string text;
  for (const auto& [id, row] : w.store.attempts) {
    if (row.key == key) text = row.failure.message;
  }
  return text;
}

std::int64_t runs_of(const World& w, const std::string& job) {
  std::int64_t count = 0;
  for (const auto& [id, row] : w.store.runs) count += row.job == job ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("a task that calls a job sleeps until that run has ended, and holds nothing meanwhile") {
  World w;
  w.define("job name=load; x");
  w.default_slots = 1;
  w.handle(input::SetPool{1});
  const RunId run = w.start("job name=top; a call=load; b after a");
  const RunId load = w.called(run, "a");
  REQUIRE(load != RunId{});
  CHECK(w.states(run) == "a=deferred b=waiting");
  CHECK(w.states(load) == "x=running");
  const RunRow& row = w.store.runs.at(load);
  CHECK(row.trigger == Trigger::job);
  CHECK(row.parent == run);
  CHECK(row.caller == Caller{w.key(run, "a"), 1, 0});
  CHECK(row.ancestors == "top");
  CHECK(row.logical_time == w.store.runs.at(run).logical_time);
  CHECK(w.store.attempts.begin()->second.handle == row.name);
  w.finish(load, "x", Outcome::succeeded);
  CHECK(w.state(load) == "succeeded");
  CHECK(w.states(run) == "a=succeeded b=running");
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a task fails when the run that it called does") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::failed);
  CHECK(w.state(load) == "failed");
  CHECK(w.task(run, "a") == "failed:error");
  CHECK_THAT(message_of(w, run, "a"), Contains(w.store.runs.at(load).name));
  CHECK(w.state(run) == "failed");
}

TEST_CASE("another try of a call goes on with the same run, where what succeeded stays") {
  World w;
  w.define("job name=load; x; y");
  const RunId run = w.start("job name=top; a call=load retry=2 delay=1s");
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::succeeded);
  w.finish(load, "y", Outcome::failed);
  CHECK(w.task(run, "a") == "retrying:error");
  w.pass(2s);
  CHECK(w.states(run) == "a=deferred");
  CHECK(w.called(run, "a") == load);
  CHECK(w.states(load) == "x=succeeded y=running");
  CHECK(w.store.runs.at(load).resumes == 1);
  w.finish(load, "y", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.row(run, "a").attempts == 2);
}

TEST_CASE("a resume of the caller resumes the run that it called") {
  World w;
  w.define("job name=mid; m call=low");
  w.define("job name=low; x; y");
  const RunId run = w.start("job name=top; a call=mid");
  const RunId mid = w.called(run, "a");
  const RunId low = w.called(mid, "m");
  CHECK(w.store.runs.at(low).ancestors == "top/mid");
  w.finish(low, "x", Outcome::succeeded);
  w.finish(low, "y", Outcome::failed);
  CHECK(w.state(run) == "failed");
  CHECK(w.state(mid) == "failed");
  w.resume(run);
  CHECK(w.states(run) == "a=deferred");
  CHECK(w.states(mid) == "m=deferred");
  CHECK(w.states(low) == "x=succeeded y=running");
  w.finish(low, "y", Outcome::succeeded);
  CHECK(w.state(low) == "succeeded");
  CHECK(w.state(mid) == "succeeded");
  CHECK(w.state(run) == "succeeded");
  CHECK(w.store.runs.size() == 3);
}

TEST_CASE("a called run that somebody resumed by hand is taken as it is") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::failed);
  w.resume(load);
  SECTION("when it has succeeded since") {
    w.finish(load, "x", Outcome::succeeded);
    w.resume(run);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("when it goes on still") {
    w.resume(run);
    CHECK(w.states(run) == "a=deferred");
    w.finish(load, "x", Outcome::succeeded);
    CHECK(w.state(run) == "succeeded");
  }
  CHECK(w.store.runs.size() == 2);
}

TEST_CASE("a call whose run is resumed before its end was told waits on") {
  World w;
  w.define("job name=load; x");
  w.answers_calls = false;
  const RunId run = w.start("job name=top; a call=load");
  w.answer(w.calls[0]);
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::failed);
  REQUIRE(w.calls.size() == 2);
  const CallAnswer late = answer_of(w.calls[1], w.store, w.jobs);
  w.resume(load);
  w.handle(late.input);
  REQUIRE(w.calls.size() == 3);
  w.answer(w.calls[2]);
  CHECK(w.states(run) == "a=deferred");
  w.finish(load, "x", Outcome::succeeded);
  w.answer(w.calls[3]);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("the end of a called run reaches its task without a token, and while all is paused") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load rate=1/60s; b after a");
  const RunId load = w.called(run, "a");
  SECTION("no token") {
    w.finish(load, "x", Outcome::succeeded);
    CHECK(w.states(run) == "a=succeeded b=running");
  }
  SECTION("paused") {
    w.pause(run);
    w.finish(load, "x", Outcome::succeeded);
    CHECK(w.states(run) == "a=succeeded b=queued");
    w.unpause(run);
    CHECK(w.states(run) == "a=succeeded b=running");
  }
}

TEST_CASE("a call that had succeeded and runs again makes a new run") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::succeeded);
  w.resume(run, "a", [](input::Resume& in) { in.only = true; });
  const RunId again = w.called(run, "a");
  CHECK(again != load);
  CHECK(w.store.runs.at(again).caller->work == 1);
  w.finish(again, "x", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a run of work that is done is nothing to the task that made it, whoever resumes it") {
  World w;
  w.define("job name=load overlap=allow active=9; x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId old = w.called(run, "a");
  w.finish(old, "x", Outcome::succeeded);
  w.resume(run, "a", [](input::Resume& in) { in.only = true; });
  const RunId load = w.called(run, "a");
  w.resume(old, "x", [](input::Resume& in) { in.only = true; });
  REQUIRE(w.state(old) == "running");
  SECTION("the task ends with the new one") {
    w.finish(load, "x", Outcome::succeeded);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("the old one is not cancelled with the task") {
    w.cancel(run);
    w.finish(load, "x", Outcome::failed);
    CHECK(w.state(run) == "cancelled:cancelled");
  }
  CHECK(w.state(old) == "running");
}

TEST_CASE("to cancel the caller is to cancel the run that it called, and to wait for its end") {
  World w;
  w.define("job name=load; x; y after x");
  const RunId run = w.start("job name=top; a call=load; b");
  const RunId load = w.called(run, "a");
  SECTION("a whole run") { w.cancel(run); }
  SECTION("one task") { w.cancel(run, "a"); }
  CHECK(w.task(run, "a") == "running");
  CHECK(w.stopped.contains(w.live(load, "x")));
  CHECK_THAT(w.explain(run, "a"), Contains("told to end: cancelled") && Contains("of job load"));
  w.finish(load, "x", Outcome::failed);
  CHECK(w.state(load) == "cancelled:cancelled");
  CHECK(w.task(run, "a") == "cancelled:cancelled");
  const AttemptId other = w.live(run, "b");
  w.finish(run, "b", w.stopped.contains(other) ? Outcome::failed : Outcome::succeeded);
  CHECK(w.state(run).starts_with("cancelled"));
}

TEST_CASE("a cancel of a cancel, with force, reaches the run that was called") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId load = w.called(run, "a");
  w.cancel(run);
  w.stopped.clear();
  w.cancel(run, "", true);
  CHECK(w.stopped.contains(w.live(load, "x")));
}

TEST_CASE("a called run that was cancelled fails the task for good") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load retry=5");
  const RunId load = w.called(run, "a");
  w.cancel(load);
  w.finish(load, "x", Outcome::failed);
  CHECK(w.task(run, "a") == "failed:permanent");
}

TEST_CASE("the time-outs of a call cancel its run") {
  World w;
  w.define("job name=load; x");
  SECTION("of an attempt, and another one goes on") {
    const RunId run = w.start("job name=top; a call=load timeout=60s retry=2 delay=1s");
    const RunId load = w.called(run, "a");
    w.pass(60s);
    w.finish(load, "x", Outcome::failed);
    CHECK(w.state(load) == "cancelled:cancelled");
    CHECK(w.task(run, "a") == "retrying:timeout");
    w.pass(2s);
    CHECK(w.states(load) == "x=running");
    w.finish(load, "x", Outcome::succeeded);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("of all of them") {
    const RunId run = w.start("job name=top; a call=load total=60s retry=2 delay=1s");
    const RunId load = w.called(run, "a");
    w.pass(60s);
    CHECK(w.task(run, "a") == "running");
    w.finish(load, "x", Outcome::failed);
    CHECK(w.task(run, "a") == "failed:total_timeout");
  }
  SECTION("of the caller's run") {
    const RunId run = w.start("job name=top timeout=60s; a call=load");
    const RunId load = w.called(run, "a");
    w.pass(60s);
    w.finish(load, "x", Outcome::failed);
    CHECK(w.state(run) == "failed:run_timeout");
  }
}

TEST_CASE("a pause of the caller pauses what it waits for, and lets it go on with it") {
  World w;
  w.define("job name=load; x; y after x");
  const RunId run = w.start("job name=top; a call=load");
  const RunId load = w.called(run, "a");
  w.pause(run);
  CHECK(w.state(load) == "paused");
  w.finish(load, "x", Outcome::succeeded);
  CHECK(w.states(load) == "x=succeeded y=queued");
  SECTION("by unpause") { w.unpause(run); }
  SECTION("by resume") { w.resume(run); }
  CHECK(w.states(load) == "x=succeeded y=running");
  w.finish(load, "y", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a called run that is paused keeps its caller waiting, and says so") {
  World w;
  w.define("job name=load; x; y after x");
  const RunId run = w.start("job name=top; a call=load timeout=60s");
  const RunId load = w.called(run, "a");
  w.pause(load);
  w.finish(load, "x", Outcome::succeeded);
  CHECK(w.states(run) == "a=deferred");
  CHECK_THAT(w.explain(run, "a"), Contains("of job load (paused)"));
  SECTION("until it goes on") {
    w.unpause(load);
    w.finish(load, "y", Outcome::succeeded);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("until the caller waits no longer") {
    w.pass(60s);
    CHECK(w.state(load) == "cancelled:cancelled");
    CHECK(w.task(run, "a") == "failed:timeout");
  }
  SECTION("until somebody ends it") {
    w.cancel(load);
    CHECK(w.task(run, "a") == "failed:permanent");
  }
}

TEST_CASE("a mark of what failed in a called run settles its caller, too") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load; b after a");
  const RunId load = w.called(run, "a");
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.last_reply() == "is deferred; cancel it first");
  w.finish(load, "x", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=upstream_failed");
  w.mark(load, "x", TaskState::succeeded);
  REQUIRE(w.state(load) == "succeeded");
  w.resume(run);
  CHECK(w.states(run) == "a=succeeded b=running");
  CHECK(w.store.runs.size() == 2);
}

TEST_CASE("a caller that was marked by hand leaves the run that failed to whoever resumes it") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load; b after a");
  const RunId load = w.called(run, "a");
  w.finish(load, "x", Outcome::failed);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running");
  w.resume(load);
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
  w.finish(load, "x", Outcome::failed);
  CHECK(w.state(load) == "failed");
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a caller that is cancelled takes its run out of the queue of that run's job") {
  World w;
  const VersionId load = w.define("job name=load; x");
  const RunId other = w.start(load);
  const RunId run = w.start("job name=top; a call=load");
  const RunId called = w.called(run, "a");
  REQUIRE(w.state(called) == "queued");
  w.cancel(run);
  CHECK(w.state(called) == "cancelled:cancelled");
  CHECK(w.state(run) == "cancelled:cancelled");
  w.finish(other, "x", Outcome::succeeded);
  CHECK(w.state(w.start(load)) == "running");
}

TEST_CASE("each item of a mapped call has its run, as many at once as it may") {
  World w;
  w.define("job name=load overlap=allow active=100; x");
  const RunId run = w.start("job name=top; m call=load map=5 max=2 tolerate=1; z after m");
  CHECK(w.items(run, "m") == "queued=3 deferred=2");
  CHECK(w.called(run, "m:2") == RunId{});
  w.finish(w.called(run, "m:1"), "x", Outcome::succeeded);
  CHECK(w.items(run, "m") == "queued=2 deferred=2 succeeded=1");
  w.finish(w.called(run, "m:0"), "x", Outcome::failed);
  w.finish(w.called(run, "m:2"), "x", Outcome::succeeded);
  w.finish(w.called(run, "m:3"), "x", Outcome::succeeded);
  w.finish(w.called(run, "m:4"), "x", Outcome::succeeded);
  CHECK(w.items(run, "m") == "succeeded=4 failed=1");
  CHECK(w.states(run) == "m=succeeded z=running");
  CHECK(w.store.runs.size() == 6);
}

TEST_CASE("a mapped call that is cancelled waits for all of its runs") {
  World w;
  w.checks = false;  // a thousand runs
  w.define("job name=load overlap=allow active=100; x");
  const RunId run = w.start("job name=top; m call=load map=3000");
  CHECK(w.items(run, "m") == "queued=2000 deferred=1000");
  w.cancel(run);
  // Those of which something ran.
  CHECK(w.items(run, "m") == "running=4 cancelled=2996");
  for (int i = 0; i < 4; ++i)
    w.finish(w.called(run, "m:" + std::to_string(i)), "x", Outcome::failed);
  CHECK(w.state(run) == "cancelled:cancelled");
}

TEST_CASE("a job does not start itself, nor through others") {
  World w;
  w.define("job name=b; y call=c");
  w.define("job name=c; z call=a");
  const RunId run = w.start("job name=a; x call=b");
  const RunId last = w.called(w.called(run, "x"), "y");
  CHECK(message_of(w, last, "z") == "job a would start itself: a → b → c → a");
  CHECK(w.task(last, "z") == "failed:permanent");
  CHECK(w.state(run) == "failed");
  CHECK(w.store.runs.size() == 3);
}

TEST_CASE("calls are as deep as they may be and no deeper") {
  World w;
  for (int i = 1; i < 20; ++i) {
    w.define("job name=j" + std::to_string(i) + "; x call=j" + std::to_string(i + 1));
  }
  const RunId run = w.start("job name=j0; x call=j1");
  CHECK(w.state(run) == "failed");
  CHECK(static_cast<int>(w.store.runs.size()) == limits::kCallDepthMax + 1);
  CHECK_THAT(message_of(w, w.store.last_run(), "x"), Contains("would wait for each other"));
}

TEST_CASE("a job that nobody knows fails the task for good") {
  World w;
  const RunId run = w.start("job name=top; a call=nothing retry=5");
  CHECK(w.task(run, "a") == "failed:permanent");
}

TEST_CASE("a called run takes its place among the runs of its job") {
  World w;
  const VersionId load = w.define("job name=load; x");
  const RunId other = w.start(load);
  const RunId run = w.start("job name=top; a call=load");
  const RunId called = w.called(run, "a");
  CHECK(w.state(called) == "queued");
  CHECK_THAT(w.explain(run, "a"), Contains("of job load (queued)") && Contains("is active"));
  w.finish(other, "x", Outcome::succeeded);
  CHECK(w.state(called) == "running");
}

TEST_CASE("two jobs that call each other never wait for each other's turn for ever") {
  World w;
  w.answers_calls = false;
  const VersionId a = w.define("job name=a; x call=b");
  const VersionId b = w.define("job name=b; y call=a");
  const RunId first = w.start(a);
  const RunId second = w.start(b);
  REQUIRE(w.calls.size() == 2);
  w.answers_calls = true;
  w.answer(w.calls[0]);
  CHECK(w.state(w.called(first, "x")) == "queued");
  w.answer(w.calls[1]);
  CHECK_THAT(message_of(w, second, "y"), Contains("neither would ever end"));
  CHECK(w.state(second) == "failed");
  // Now it is the turn of the one that was called, which would start its own caller.
  CHECK(w.state(first) == "failed");
}

TEST_CASE("nor when a run that was forced into the line hides that they do") {
  World w;
  w.answers_calls = false;
  const VersionId a = w.define("job name=a; x call=b");
  const VersionId b = w.define("job name=b; y call=a");
  const RunId first = w.start(a);
  w.start(b);
  const RunId forced = w.start(b, {}, true);
  REQUIRE(w.calls.size() == 3);
  w.answers_calls = true;
  w.answer(w.calls[0]);
  CHECK(w.state(w.called(first, "x")) == "queued");
  w.answer(w.calls[1]);
  w.cancel(forced);
  CHECK(w.store.open_runs().empty());
}

TEST_CASE("a called run that is paused before its turn closes a circle like one that waits") {
  World w;
  w.define("job name=j2; a call=j0");
  w.define("job name=j3; x; y after x call=j2");
  const RunId first = w.start("job name=j0; m call=j3");
  const RunId second = w.start(VersionId{1});
  const RunId waiting = w.called(second, "a");
  REQUIRE(w.state(waiting) == "queued");
  w.pause(waiting);
  const RunId middle = w.called(first, "m");
  w.finish(middle, "x", Outcome::succeeded);
  CHECK(w.task(middle, "y") == "failed:permanent");
  CHECK_THAT(message_of(w, middle, "y"), Contains("neither would ever end"));
}

TEST_CASE("a scheduler that dies between the start of a call and its run asks again") {
  World w;
  w.define("job name=load; x");
  w.answers_calls = false;
  const RunId run = w.start("job name=top; a call=load");
  REQUIRE(w.calls.size() == 1);
  const effect::StartAttempt early = w.calls[0];
  w.restart();
  REQUIRE(w.calls.size() == 1);
  w.answer(w.calls[0]);
  CHECK(w.states(run) == "a=deferred");
  w.answer(early);  // as late as it may come
  CHECK(runs_of(w, "load") == 1);
  w.restart();
  CHECK(w.states(run) == "a=deferred");
  w.finish(w.called(run, "a"), "x", Outcome::succeeded);
  REQUIRE(w.calls.size() == 1);
  CHECK(w.calls[0].stay == 1);
  w.restart();
  REQUIRE(w.calls.size() == 1);
  w.answer(w.calls[0]);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a task whose run cannot be read any more fails, and does not ask for ever") {
  World w;
  w.checks = false;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load");
  w.unreadable.insert(w.called(run, "a"));
  w.answers_calls = false;
  w.restart();
  REQUIRE(w.calls.size() == 1);
  const Step step = w.engine.handle(answer_of(w.calls[0], w.store, w.jobs).input, w.now);
  std::string message;
  for (const Mutation& change : step.mutations) {
    const auto* end = std::get_if<mutation::UpdateAttempt>(&change);
    if (end != nullptr && end->row.reason == Reason::permanent) message = end->row.failure.message;
  }
  CHECK_THAT(message, Contains("left alone"));
}

TEST_CASE("a call that is cancelled before it made its run makes none") {
  World w;
  w.define("job name=load; x");
  w.answers_calls = false;
  const RunId run = w.start("job name=top; a call=load");
  w.cancel(run);
  CHECK(w.state(run) == "cancelled:cancelled");
  w.answer(w.calls[0]);
  CHECK(runs_of(w, "load") == 0);
}

TEST_CASE("a cancel that a restart interrupts goes on") {
  World w;
  w.define("job name=load; x");
  const RunId run = w.start("job name=top; a call=load; b");
  const RunId load = w.called(run, "a");
  w.cancel(run, "a");
  w.restart();
  CHECK(w.task(run, "a") == "running");
  w.finish(load, "x", Outcome::failed);
  CHECK(w.task(run, "a") == "cancelled:cancelled");
}

TEST_CASE("a hook may call a job") {
  World w;
  w.define("job name=tidy; x");
  const RunId run = w.start("job name=top; a; on_exit call=tidy");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.state(run) == "running:hooks");
  w.finish(w.called(run, "hook:on_exit:0"), "x", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
}
