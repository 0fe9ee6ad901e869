// Cancel, pause, mark, dismiss.

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/core/input.h"
#include "tests/sim/store_invariants.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("cancel ends what waits at once and what runs when it has ended") {
  World w;
  const RunId run = w.start("a; b after a; c retry=2 delay=1h");
  w.finish(run, "c", Outcome::failed);
  w.cancel(run);
  CHECK(w.states(run) == "a=running b=cancelled c=cancelled");
  CHECK(w.state(run) == "running:cancelled");
  w.finish(run, "a", {Outcome::failed, Reason::signal});
  CHECK(w.task(run, "a") == "cancelled:cancelled");
  CHECK(w.state(run) == "cancelled:cancelled");
  CHECK(w.store.timers.empty());
}

TEST_CASE("what ended by itself before the stop reached it keeps its end") {
  World w;
  const RunId run = w.start("a; b retry=3");
  w.cancel(run);
  w.finish(run, "a", {Outcome::succeeded, Reason::none, 0, false});
  w.finish(run, "b", {Outcome::failed, Reason::exit, 1, false});
  CHECK(w.states(run) == "a=succeeded b=cancelled");
}

TEST_CASE("a cancelled task whose worker dies is cancelled, not held") {
  World w;
  const RunId run = w.start("a interrupt=hold");
  w.cancel(run);
  w.finish(run, "a", {Outcome::lost, Reason::lost, 0, false});
  CHECK(w.task(run, "a") == "cancelled:cancelled");
  CHECK(w.store.attempts.begin()->second.state == AttemptState::lost);
}

TEST_CASE("a cancelled run does not succeed because its tasks may fail") {
  World w;
  const RunId run = w.start("a allow");
  w.cancel(run);
  w.finish(run, "a", {Outcome::failed, Reason::signal});
  CHECK(w.state(run) == "cancelled:cancelled");
}

TEST_CASE("a cancelled run is cancelled when something of it is not done, else it is what it did") {
  World w;
  SECTION("a task failed by itself and may") {
    const RunId run = w.start("a allow; b");
    w.cancel(run);
    w.finish(run, "a", {Outcome::failed, Reason::exit, 1, false});
    w.finish(run, "b", {Outcome::succeeded, Reason::none, 0, false});
    CHECK(w.state(run) == "cancelled:cancelled");
  }
  SECTION("a task failed by itself and may not") {
    const RunId run = w.start("a; b");
    w.cancel(run);
    w.finish(run, "a", {Outcome::failed, Reason::exit, 1, false});
    w.finish_all(run);
    CHECK(w.state(run) == "failed");
  }
  SECTION("the stop came too late for all") {
    const RunId run = w.start("a");
    w.cancel(run);
    w.finish(run, "a", {Outcome::succeeded, Reason::none, 0, false});
    CHECK(w.state(run) == "succeeded");
  }
}

TEST_CASE("cancelling one task lets the others go on, and what needs it fails") {
  World w;
  const RunId run = w.start("a; b after a; c");
  w.cancel(run, "a");
  w.finish(run, "a", {Outcome::failed, Reason::signal});
  CHECK(w.states(run) == "a=cancelled b=upstream_failed c=running");
  w.finish_all(run);
  CHECK(w.state(run) == "cancelled:cancelled");
}

TEST_CASE("a second cancel with force is passed on, one without is not") {
  World w;
  const RunId run = w.start("a");
  w.cancel(run);
  w.stopped.clear();
  w.cancel(run);
  CHECK(w.stopped.empty());
  w.cancel(run, "", true);
  CHECK(w.stopped.size() == 1);
  w.finish_all(run, Outcome::failed);
  w.cancel(run);
  CHECK(w.last_reply() == "the run has ended");
}

TEST_CASE("what cannot be cancelled says why") {
  World w;
  const RunId run = w.start("a; b; m map=3 max=1");
  w.finish(run, "a", Outcome::succeeded);
  w.cancel(run, "a");
  CHECK(w.last_reply() == "is succeeded already");
  w.cancel(run, "m:2");
  CHECK(w.last_reply() == "has not started; cancel the task, or pause the run");
  w.cancel(run, "m:7");
  CHECK(w.last_reply() == "there is no such item");
  w.handle(input::Cancel{{{run, TaskIndex{77}, {}}}, false, "ana", ReplyToken{1}, {}});
  CHECK(w.last_reply() == "there is no such task");
  w.handle(input::Cancel{{{RunId{77}, {}, {}}}, false, "ana", ReplyToken{1}, {}});
  CHECK(w.last_reply() == "the run has ended");
}

TEST_CASE("a paused run starts nothing, what runs goes on and may end it") {
  World w;
  const RunId run = w.start("a; b after a; c after b rule=all_success");
  w.pause(run);
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=queued c=waiting");
  CHECK(w.state(run) == "paused");
  SECTION("unpaused it goes on") {
    w.unpause(run);
    CHECK(w.states(run) == "a=succeeded b=running c=waiting");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("cancelled it ends") {
    w.cancel(run);
    CHECK(w.state(run) == "cancelled:cancelled");
  }
  SECTION("after a restart it is paused") {
    w.restart();
    CHECK(w.state(run) == "paused");
    w.unpause(run);
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
}

TEST_CASE("a paused run with nothing to start ends by itself") {
  World w;
  const RunId run = w.start("a; b after a");
  w.pause(run);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=upstream_failed");
  CHECK(w.state(run) == "failed");
}

TEST_CASE("a restored run with nothing to start ends when a person lets it go on") {
  World w;
  const RunId run = w.start("a; b after a");
  w.pause(run);
  w.store.runs.at(run).reason = Reason::restored;
  w.restart();
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=upstream_failed");
  CHECK(w.state(run) == "paused:restored");
  w.restart();
  CHECK(w.state(run) == "paused:restored");
  SECTION("unpaused") {
    w.unpause(run);
    CHECK(w.state(run) == "failed");
  }
  SECTION("cancelled") {
    w.cancel(run);
    CHECK(w.state(run) == "failed");
  }
}

TEST_CASE("a run that is paused before its turn keeps its place") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  w.pause(second);
  CHECK(w.state(second) == "paused");
  const RunId third = w.start(version);
  w.unpause(second);
  w.finish_all(first);
  CHECK(w.state(second) == "running");
  CHECK(w.state(third) == "queued");
}

TEST_CASE("pause and unpause say what they cannot do") {
  World w;
  const RunId run = w.start("a");
  w.unpause(run);
  CHECK(w.last_reply() == "is not paused; `pawl resume` repeats what failed");
  w.pause(run);
  w.pause(run);
  CHECK(w.last_reply() == "ok");
  w.finish_all(run);
  w.pause(run);
  CHECK(w.last_reply() == "the run has ended");
}

TEST_CASE("a run that is being stopped is not paused") {
  World w;
  const RunId run = w.start("a; b; c after b; on_exit");
  w.cancel(run, "b");
  w.pause(run);
  CHECK(w.last_reply() == "ok");
  w.unpause(run);
  w.cancel(run);
  w.pause(run);
  CHECK(w.last_reply() == "is being stopped: what runs ends, and nothing more of it starts");
  CHECK(w.state(run) == "running:cancelled");
  w.restart();
  w.pause(run);
  CHECK(w.state(run) == "running:cancelled");
  w.finish(run, "a", Outcome::failed);
  w.finish(run, "b", Outcome::failed);
  w.pause(run);
  CHECK(w.state(run) == "paused:hooks");  // those come after the stop
}

TEST_CASE("a run that its time-out stops while it is paused keeps why") {
  World w;
  const RunId run = w.start("job timeout=1m; a; b");
  w.pause(run);
  w.pass(1min);
  CHECK(w.state(run) == "paused:run_timeout");
  w.restart();
  w.finish_all(run, Outcome::failed);
  CHECK(w.state(run) == "failed:run_timeout");
}

TEST_CASE("a marked task counts as what it was marked, and releases what waited for it") {
  World w;
  const RunId run = w.start("a; b after a; c after b");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.state(run) == "failed");
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running c=waiting");
  CHECK(w.task(run, "a") == "succeeded:marked");
  CHECK(w.store.runs.at(run).resumes == 1);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a mark that lets nothing run changes the verdict of an ended run") {
  World w;
  const RunId run = w.start("a; b");
  w.finish(run, "a", Outcome::failed);
  w.finish(run, "b", Outcome::failed);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.state(run) == "failed");
  CHECK(w.store.runs.at(run).resumes == 0);
  CHECK(!w.engine.has_run(run));
  w.mark(run, "b", TaskState::skipped);
  CHECK(w.state(run) == "succeeded");
  CHECK(!w.engine.has_run(run));
  w.mark(run, "b", TaskState::failed);
  CHECK(w.state(run) == "failed");
}

TEST_CASE("a mark judges an ended run anew although another run of the job is active") {
  World w;
  const VersionId version = w.define("a");
  const RunId run = w.start(version);
  w.finish(run, "a", Outcome::failed);
  const RunId other = w.start(version);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.state(other) == "running");
}

TEST_CASE("every state that is not running can be marked, and a running one says what to do") {
  const char* marks[] = {"succeeded", "failed", "skipped"};
  for (const char* word : marks) {
    const TaskState state = *task_state_from(word);
    World w;
    w.default_slots = 1;
    w.handle(input::SetPool{1});
    const RunId run =
        w.start("a priority=9; q; r priority=5 retry=2 delay=1h; w after q; z after w");
    w.mark(run, "a", state);
    CHECK(w.last_reply() == "is running; cancel it first");
    w.finish(run, "a", Outcome::succeeded);
    w.finish(run, "r", Outcome::failed);
    const RunId blocker = w.start("job name=blocker; x priority=10");
    w.finish(run, "q", Outcome::succeeded);
    CHECK(w.states(run) == "a=succeeded q=succeeded r=retrying w=queued z=waiting");
    for (const char* task : {"a", "q", "r", "w", "z"}) {
      w.mark(run, task, state);
      CHECK(w.last_reply() == "ok");
      CHECK(w.task(run, task).substr(0, 6) == std::string(word).substr(0, 6));
    }
    CHECK(w.state(run) == (state == TaskState::failed ? "failed" : "succeeded"));
    w.finish_all(blocker);
    for (const char* again : marks) {
      w.mark(run, "a", *task_state_from(again));
      CHECK(w.task(run, "a") ==
            (std::string(word) == again && again == marks[0] && w.task(run, "a") == "succeeded"
                 ? "succeeded"
                 : w.task(run, "a")));
      CHECK(w.task(run, "a").find(again) == 0);
    }
  }
}

TEST_CASE("a run that waits for its turn and has nothing left to do ends when its turn comes") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  const RunId third = w.start(version);
  w.mark(second, "a", TaskState::succeeded);
  CHECK(w.state(second) == "queued");
  w.finish_all(first);
  CHECK(w.state(second) == "succeeded");
  CHECK(w.state(third) == "running");
}

TEST_CASE("a mark without a task, or of what there is not, is refused") {
  World w;
  const RunId run = w.start("a; m map=2");
  w.mark(run, "", TaskState::failed);
  CHECK(w.last_reply() == "name a task: a run's state follows from its tasks");
  w.mark(run, "m:9", TaskState::failed);
  CHECK(w.last_reply() == "has not started, or there is no such item");
  w.mark(run, "m:0", TaskState::failed);
  CHECK(w.last_reply() == "is running; cancel it first");
  w.mark(run, "a:3", TaskState::failed);
  CHECK(w.last_reply() == "has not started, or there is no such item");
}

TEST_CASE("marking an item judges the whole anew, and the run with it") {
  World w;
  const RunId run = w.start("m map=3; z after m");
  w.finish(run, "m:0", Outcome::failed);
  w.finish(run, "m:1", Outcome::succeeded);
  SECTION("while the whole is open") {
    w.mark(run, "m:0", TaskState::succeeded);
    CHECK(w.items(run, "m") == "running=1 succeeded=2");
    w.finish(run, "m:2", Outcome::succeeded);
    CHECK(w.states(run) == "m=succeeded z=running");
  }
  SECTION("after it failed") {
    w.finish(run, "m:2", Outcome::failed);
    CHECK(w.states(run) == "m=failed z=upstream_failed");
    w.mark(run, "m:0", TaskState::succeeded);
    CHECK(w.states(run) == "m=failed z=upstream_failed");
    CHECK(w.state(run) == "failed");
    w.mark(run, "m:2", TaskState::skipped);
    CHECK(w.states(run) == "m=succeeded z=running");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
    w.mark(run, "m:1", TaskState::failed);
    CHECK(w.states(run) == "m=failed z=succeeded");
    CHECK(w.state(run) == "failed");
  }
}

TEST_CASE("a dismissed failure keeps its error, and comes back when it fails again") {
  World w;
  w.answers = false;
  const RunId run = w.start("a when; b; m map=2");
  const auto a = w.unanswered.at(0);
  w.handle(input::Prepared{run, a.task, a.stamp, input::Prepared::Outcome::error, Reason::when,
                           "no such key"});
  w.dismiss(run, "a");
  CHECK(w.last_reply() == "ok");
  CHECK(w.row(run, "a").dismissed == 1);
  CHECK(w.row(run, "a").error == "no such key");
  w.dismiss(run, "a");
  CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
  const auto m = w.unanswered.at(1);
  w.answer(m, 2);
  w.finish(run, "m:0", Outcome::failed);
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.state(run) == "failed");
  w.dismiss(run);
  CHECK(w.row(run, "m:0").dismissed == 1);
  CHECK(w.row(run, "m").dismissed == 1);
  CHECK(w.row(run, "m:1").dismissed == 0);
  CHECK(!w.engine.has_run(run));
  w.resume(run, "m:0");
  w.finish(run, "m:0", Outcome::failed);
  CHECK(w.row(run, "m:0").dismissed == 0);
  CHECK(w.row(run, "m:0").attempts == 2);
}

TEST_CASE("a run that its time-out failed is dismissed with its tasks, until it goes on") {
  World w;
  const RunId run = w.start("job timeout=1m; a; b after a; on_failure");
  const auto dismissed = [&] { return w.store.runs.at(run).dismissed; };
  w.pass(1min);
  w.finish(run, "a", {Outcome::failed, Reason::signal});
  w.finish(run, "hook:on_failure:0", Outcome::failed);
  REQUIRE(w.state(run) == "failed:run_timeout");
  w.dismiss(run, "a");
  CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
  CHECK_FALSE(dismissed());
  SECTION("alone, and its tasks after it") {
    w.dismiss_itself(run);
    CHECK(w.last_reply() == "ok");
    CHECK(dismissed());
    CHECK(w.row(run, "hook:on_failure:0").dismissed == 0);
    w.dismiss_itself(run);
    CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
  }
  w.dismiss(run);
  CHECK(w.last_reply() == "ok");
  CHECK(dismissed());
  CHECK(w.row(run, "hook:on_failure:0").dismissed == 1);
  CHECK(w.state(run) == "failed:run_timeout");
  w.dismiss(run);
  CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
  SECTION("a hook that is repeated says nothing new of the run") {
    w.resume(run, "hook:on_failure:0");
    w.finish(run, "hook:on_failure:0", Outcome::succeeded);
    CHECK(w.state(run) == "failed:run_timeout");
    CHECK(dismissed());
  }
  SECTION("when it times out again it is a new failure") {
    w.resume(run);
    CHECK_FALSE(dismissed());
    w.pass(1min);
    w.finish(run, "a", {Outcome::failed, Reason::signal});
    w.finish(run, "hook:on_failure:0", Outcome::succeeded);
    CHECK(w.state(run) == "failed:run_timeout");
    CHECK_FALSE(dismissed());
  }
}

TEST_CASE("commands on several targets answer for each") {
  World w;
  const RunId run = w.start("a; b");
  w.handle(input::Cancel{{w.target(run, "a"), w.target(run, "b"), {RunId{9}, {}, {}}},
                         false,
                         "ana",
                         ReplyToken{5},
                         {}},
           true);
  REQUIRE(w.reply.results.size() == 3);
  CHECK(w.reply.token == ReplyToken{5});
  CHECK(w.reply.results[0].ok);
  CHECK(!w.reply.results[2].ok);
  CHECK(w.store.events.back().verb == "cancel");
  CHECK(w.store.events.back().actor == "ana");
}

TEST_CASE("a mark in a run that is being stopped lets nothing start, and the run ends") {
  World w;
  const RunId run = w.start("job fail_fast; a; b; c after a; d after b");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=running c=upstream_failed d=cancelled");
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running c=cancelled d=cancelled");
  w.finish_all(run, Outcome::failed);
  CHECK(w.state(run) == "failed:fail_fast");
}

TEST_CASE("a mark upstream calls back what waits for a slot because of what was before") {
  World w;
  const RunId run = w.start("a; b after a; c after b rule=all_done");
  w.pause(run);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=upstream_failed c=queued");
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.states(run) == "a=succeeded b=queued c=waiting");
  w.unpause(run);
  w.finish_all(run);
  CHECK(w.states(run) == "a=succeeded b=succeeded c=succeeded");
}

TEST_CASE("work that had succeeded and was marked failed is new work when it runs again") {
  World w;
  const RunId run = w.start("a");
  w.finish(run, "a", Outcome::succeeded);
  w.mark(run, "a", TaskState::failed);
  w.resume(run);
  CHECK(w.starts.back().work == 1);
  CHECK(w.starts.back().number == 2);
}

TEST_CASE("a dismissal of very many items goes in bounded steps, and is answered after the last") {
  World w;
  w.checks = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("m map=9000 tolerate=9000");
  w.finish(run, "m:0", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.items(run, "m") == "succeeded=1 failed=8999");
  w.know(w.store.runs.at(run).version);
  const auto answers = [](const Step& step) {
    return std::count_if(step.effects.begin(), step.effects.end(), [](const Effect& effect) {
      return std::holds_alternative<effect::Reply>(effect);
    });
  };
  const input::Dismiss dismiss{
      {w.target(run, "")}, "seen", "ana", ReplyToken{7}, {w.store.snapshot(run, false)}};
  Step step = w.engine.handle(dismiss, w.now);
  int steps = 1;
  for (; step.more && steps < 10; ++steps) {
    CHECK(answers(step) == 0);
    CHECK(w.store.apply(step.mutations, true).empty());
    step = w.engine.handle(input::Tick{}, w.now);
  }
  CHECK(steps == 5);
  REQUIRE(answers(step) == 1);
  CHECK(w.store.apply(step.mutations, true).empty());
  const auto seen = [&](std::int64_t item) {
    return w.store.tasks.at({run, TaskIndex{0}, ItemIndex{item}}).dismissed;
  };
  CHECK(seen(0) == 0);
  for (std::int64_t item = 1; item < 9000; ++item) CHECK(seen(item) == 1);
  CHECK(w.store.snapshot(run, false).mapped.at(0).to_dismiss == 0);
  w.dismiss(run);
  CHECK(w.last_reply() == "has nothing failed or held that is not dismissed already");
}

TEST_CASE("a cancel of very many items that wait goes in bounded steps") {
  World w;
  w.checks = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("m map=9000 retry=3 delay=1h; z after m");
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.items(run, "m") == "retrying=9000");
  const bool names_task = GENERATE(false, true);
  input::Cancel cancel;
  cancel.targets = {w.target(run, names_task ? "m" : "")};
  Step step = w.engine.handle(cancel, w.now);
  CHECK(w.store.apply(step.mutations, true).empty());
  REQUIRE(step.more);
  CHECK(step.mutations.size() <= limits::kMutationsPerStepMax + 100);
  CHECK(broken_invariant(w.store, run, w.jobs.at(w.store.runs.at(run).version)).empty());
  SECTION("one after the other") {
    for (std::size_t steps = 0; step.more && steps < 10; ++steps) {
      step = w.engine.handle(input::Tick{}, w.now);
      CHECK(step.mutations.size() <= limits::kMutationsPerStepMax + 100);
      CHECK(w.store.apply(step.mutations, false).empty());
    }
    REQUIRE_FALSE(step.more);
  }
  SECTION("and goes on where a crash left it") { w.restart(); }
  SECTION("and nothing of it starts meanwhile, though its time has come") {
    const std::size_t started = w.starts.size();
    w.pass(std::chrono::hours(2));
    CHECK(w.starts.size() == started);
  }
  CHECK(w.items(run, "m") == "cancelled=9000");
  CHECK(w.task(run, "m") == "cancelled:cancelled");
  w.check();
}

TEST_CASE("a resume that meets a task's cancel half done lets go on what was not reached") {
  World w;
  w.checks = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("m map=9000 retry=3 delay=1h");
  w.finish(run, "m:0", End{Outcome::failed, Reason::permanent});
  w.finish_all(run, Outcome::failed);
  input::Cancel cancel;
  cancel.targets = {w.target(run, "m")};
  const Step step = w.engine.handle(cancel, w.now);
  CHECK(w.store.apply(step.mutations, true).empty());
  REQUIRE(step.more);
  w.resume(run);
  REQUIRE(w.last_reply() == "ok");
  w.finish_all(run, Outcome::failed);
  CHECK(w.items(run, "m") == "retrying=9000");
  CHECK(w.state(run) == "running");
  w.pass(std::chrono::hours(1));
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  w.check();
}

TEST_CASE(
    "a run that waits for its turn, all of whose tasks were marked done, ends when cancelled") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  w.mark(second, "a", TaskState::succeeded);
  CHECK(w.state(second) == "queued");
  w.cancel(second);
  CHECK(w.state(second) == "succeeded");
  w.finish_all(first);
  CHECK(w.engine.runs().empty());
}

TEST_CASE("an ended run that was marked stays in memory until that is durable") {
  World w;
  w.forgets = false;
  const RunId run = w.start("a; b after a; c after b");
  w.cancel(run);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.state(run) == "cancelled:cancelled");
  w.handle(input::RunDurable{run});
  REQUIRE(!w.engine.has_run(run));
  w.mark(run, "b", TaskState::succeeded);
  CHECK(w.state(run) == "cancelled:cancelled");
  // A call may have loaded it a moment before.
  CHECK(w.engine.has_run(run));
  w.handle(input::RunDurable{run});
  CHECK(!w.engine.has_run(run));
}
