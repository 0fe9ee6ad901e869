// Resume: the same run goes on.

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/sim/store_invariants.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("what a limit took away and nobody repeats leaves the run failed by that limit") {
  World w;
  SECTION("when a part of it is resumed") {
    const RunId run = w.start("job timeout=1m; a; b; c after a,b");
    w.pass(1min);
    w.finish(run, "a", {Outcome::failed, Reason::signal});
    w.finish(run, "b", {Outcome::failed, Reason::signal});
    REQUIRE(w.state(run) == "failed:run_timeout");
    w.resume(run, "a");
    w.finish(run, "a", Outcome::succeeded);
    CHECK(w.states(run) == "a=succeeded b=cancelled c=cancelled");
    CHECK(w.state(run) == "failed:run_timeout");
    CHECK(failed_by_itself(w.store.runs.at(run)));
    w.resume(run);
    w.finish(run, "b", Outcome::succeeded);
    w.finish(run, "c", Outcome::succeeded);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("when the task that failed is marked") {
    const RunId run = w.start("job fail_fast; a; b; c after b");
    w.finish(run, "a", Outcome::failed);
    w.finish(run, "b", {Outcome::failed, Reason::signal});
    REQUIRE(w.state(run) == "failed:fail_fast");
    CHECK_FALSE(failed_by_itself(w.store.runs.at(run)));
    w.mark(run, "a", TaskState::succeeded);
    CHECK(w.state(run) == "failed:fail_fast");
    CHECK(failed_by_itself(w.store.runs.at(run)));
  }
  SECTION("but not when a person cancels what goes on") {
    const RunId run = w.start("job timeout=1m; a; b");
    w.pass(1min);
    w.finish(run, "a", {Outcome::failed, Reason::signal});
    w.finish(run, "b", {Outcome::failed, Reason::signal});
    w.resume(run, "a");
    w.cancel(run);
    w.finish(run, "a", {Outcome::failed, Reason::signal});
    CHECK(w.state(run) == "cancelled:cancelled");
  }
}

TEST_CASE("resume runs what failed again, and what waited for it; what succeeded stays") {
  World w;
  const RunId run = w.start("a; b after a; c after b; d");
  w.finish(run, "a", Outcome::succeeded);
  w.finish(run, "b", Outcome::failed);
  w.finish(run, "d", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=failed c=upstream_failed d=succeeded");
  CHECK(w.plan(run) == std::vector<std::string>{"run b", "wait c"});
  w.resume(run);
  CHECK(w.last_reply() == "ok");
  CHECK(w.states(run) == "a=succeeded b=running c=waiting d=succeeded");
  CHECK(w.starts.back().number == 2);
  CHECK(w.starts.back().work == 0);
  CHECK(w.store.runs.at(run).resumes == 1);
  CHECK(!w.store.runs.at(run).ended_at);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  w.resume(run);
  CHECK(w.last_reply() ==
        "nothing of it failed, was held or cancelled; `pawl rerun` makes a new run");
  CHECK(!w.engine.has_run(run));
}

TEST_CASE("a resume gives the retry budget anew, attempt numbers go on") {
  World w;
  const RunId run = w.start("a retry=2 delay=1s");
  w.finish(run, "a", Outcome::failed);
  w.pass(1s);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.state(run) == "failed");
  w.resume(run);
  CHECK(w.starts.back().number == 3);
  CHECK(w.starts.back().has_past);  // who knows why number 2 ended
  CHECK(w.row(run, "a").counted == 1);
  CHECK(w.engine.states(run).retries == 0);  // a person's resume is none
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=retrying");
  w.pass(1s);
  CHECK(w.engine.states(run).retries == 1);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.state(run) == "failed");
  CHECK(w.row(run, "a").attempts == 4);
  CHECK(w.row(run, "a").counted == 2);
  w.resume(run);
  w.resume(run);
  CHECK(w.last_reply() == "nothing of it has failed so far, and it goes on");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.store.runs.at(run).resumes == 2);
}

TEST_CASE("resume repeats what was held and what was cancelled") {
  World w;
  const RunId run = w.start("a interrupt=hold; b; c after b");
  w.finish(run, "a", Outcome::interrupted);
  w.cancel(run);
  w.finish_all(run, Outcome::failed);
  CHECK(w.states(run) == "a=held b=cancelled c=cancelled");
  CHECK(w.state(run) == "failed");
  w.resume(run);
  CHECK(w.states(run) == "a=running b=running c=waiting");
  CHECK(!w.store.runs.at(run).cancel_requested);
  w.restart();
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("what ran although something before it failed is stale, and --downstream runs it again") {
  World w;
  const RunId run = w.start("a; report after a rule=all_done; z after report");
  w.finish(run, "a", Outcome::failed);
  w.finish_all(run);
  CHECK(w.states(run) == "a=failed report=succeeded z=succeeded");
  CHECK(w.plan(run) == std::vector<std::string>{"run a", "stale report", "stale z"});
  SECTION("it stays") {
    w.resume(run);
    CHECK(w.states(run) == "a=running report=succeeded z=succeeded");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
    CHECK(w.row(run, "report").attempts == 1);
  }
  SECTION("it runs again") {
    CHECK(w.plan(run, "", kDownstream) ==
          std::vector<std::string>{"run a", "wait report", "wait z"});
    w.resume(run, "", kDownstream);
    CHECK(w.states(run) == "a=running report=waiting z=waiting");
    w.finish(run, "a", Outcome::succeeded);
    CHECK(w.starts.back().work == 1);  // it had succeeded: another idempotency key
    w.finish_all(run);
    CHECK(w.row(run, "report").attempts == 2);
    CHECK(w.state(run) == "succeeded");
  }
}

TEST_CASE(
    "resume --from runs a task and all that follows, --only it alone, whatever came of them") {
  World w;
  const RunId run = w.start("a; b after a; c after b; d after a");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  SECTION("from") {
    w.resume(run, "b", kFrom);
    CHECK(w.states(run) == "a=succeeded b=running c=waiting d=succeeded");
    w.finish_all(run);
    CHECK(w.row(run, "b").work == 1);
    CHECK(w.row(run, "d").attempts == 1);
  }
  SECTION("only") {
    w.resume(run, "b", kOnly);
    CHECK(w.states(run) == "a=succeeded b=running c=succeeded d=succeeded");
    w.finish_all(run);
    CHECK(w.row(run, "c").attempts == 1);
  }
  CHECK(w.state(run) == "succeeded");
  w.resume(run, "b");
  CHECK(w.last_reply() ==
        "b is succeeded, not failed; `--from b` runs it again with all that follows it, `--only b` "
        "it alone");
}

TEST_CASE("a task that never ran cannot be resumed by itself") {
  World w;
  const RunId run = w.start("a; b after a");
  w.finish(run, "a", Outcome::failed);
  w.resume(run, "b");
  CHECK(w.last_reply() == "b never ran: what it depends on failed. Resume that, or `mark` it");
  CHECK(w.states(run) == "a=failed b=upstream_failed");
}

TEST_CASE("resume while the run is active repeats what failed so far") {
  World w;
  const RunId run = w.start("a; b; c after a; r after a rule=all_done");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=running c=upstream_failed r=running");
  w.resume(run);
  CHECK(w.states(run) == "a=running b=running c=waiting r=running");
  CHECK(w.store.runs.at(run).resumes == 0);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("what waits for a slot because of what runs again waits for that instead") {
  World w;
  const RunId run = w.start("a; b; r after a rule=all_done; w after a rule=all_done when");
  w.pause(run);
  w.answers = false;
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=running r=queued w=waiting");
  const auto prepare = w.unanswered.at(0);
  w.answers = true;
  w.resume(run);
  CHECK(w.states(run) == "a=running b=running r=waiting w=waiting");
  w.handle(input::Prepared{run, prepare.task, prepare.stamp, {}, {}, {}});
  CHECK(w.states(run) == "a=running b=running r=waiting w=waiting");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running r=running w=running");
}

TEST_CASE("resume of a paused run goes on with it, also when nothing failed") {
  World w;
  const RunId run = w.start("a; b after a");
  w.pause(run);
  w.finish(run, "a", Outcome::succeeded);
  w.resume(run);
  CHECK(w.states(run) == "a=succeeded b=running");
}

TEST_CASE("a run that is being stopped is resumed when it has ended, and not before") {
  World w;
  const std::string ending = "it is being stopped; resume it when it has ended";
  const RunId run = w.start("a; b after a; c");
  SECTION("cancelled") { w.cancel(run); }
  SECTION("and paused") {
    w.cancel(run);
    w.pause(run);
  }
  w.finish(run, "c", Outcome::failed);
  CHECK(w.states(run) == "a=running b=cancelled c=cancelled");
  w.resume(run);
  CHECK(w.last_reply() == ending);
  w.resume(run, "b", kFrom);
  CHECK(w.last_reply() == ending);
  CHECK(w.states(run) == "a=running b=cancelled c=cancelled");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.state(run) == "cancelled:cancelled");
  w.resume(run);
  CHECK(w.last_reply() == "ok");
  CHECK(w.states(run) == "a=running b=waiting c=running");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a task that is open is not resumed by itself, and the answer says what would work") {
  World w;
  const RunId run = w.start("a; b");
  w.finish(run, "b", Outcome::failed);
  w.resume(run, "a");
  CHECK(w.last_reply() ==
        "a is running, not failed: ask again when it has ended, or cancel it first");
  w.cancel(run, "a");
  w.finish(run, "a", Outcome::failed);
  w.resume(run, "a");
  CHECK(w.states(run) == "a=running b=failed");
}

TEST_CASE("a resumed run has its time-out anew") {
  World w;
  const RunId run = w.start("job timeout=1m; a");
  w.pass(1min);
  SECTION("after it ended") {
    w.finish_all(run, Outcome::failed);
    CHECK(w.state(run) == "failed:run_timeout");
    w.resume(run);
  }
  SECTION("while it ends") {
    const RunId other = w.start("job name=x; y");
    w.resume(run);
    CHECK(w.last_reply() == "it is being stopped; resume it when it has ended");
    w.finish_all(other);
    w.finish_all(run, Outcome::failed);
    w.resume(run);
  }
  CHECK(w.states(run) == "a=running");
  w.pass(59s);
  CHECK(w.stopped.empty());
  w.pass(1s);
  CHECK(w.stopped.size() == 1);
}

TEST_CASE("a resumed run waits for its turn") {
  World w;
  const VersionId version = w.define("a");
  const RunId run = w.start(version);
  w.finish(run, "a", Outcome::failed);
  const RunId other = w.start(version);
  w.resume(run);
  CHECK(w.state(run) == "queued");
  CHECK(w.states(run) == "a=waiting");
  w.restart();
  CHECK(w.state(run) == "queued");
  w.finish_all(other);
  CHECK(w.state(run) == "running");
}

TEST_CASE("failed items run again, and nothing else of the mapped task") {
  World w;
  const RunId run = w.start("m map=6; z after m");
  w.finish(run, "m:1", Outcome::failed);
  w.finish(run, "m:3", Outcome::failed);
  w.finish_all(run);
  CHECK(w.states(run) == "m=failed z=upstream_failed");
  CHECK(w.plan(run) == std::vector<std::string>{"run m 2", "wait z"});
  SECTION("all") {
    w.resume(run);
    CHECK(w.items(run, "m") == "running=2 succeeded=4");
    CHECK(w.states(run) == "m=running z=waiting");
    CHECK(w.live(run, "m:1").value > 0);
    CHECK(w.starts.back().number == 2);
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
    CHECK(w.row(run, "m").work == 0);
  }
  SECTION("one") {
    CHECK(w.plan(run, "m:3") == std::vector<std::string>{"run m 1", "wait z"});
    w.resume(run, "m:3");
    CHECK(w.items(run, "m") == "running=1 succeeded=4 failed=1");
    w.finish(run, "m:3", Outcome::succeeded);
    CHECK(w.task(run, "m") == "failed:tolerance");
    CHECK(w.states(run) == "m=failed z=upstream_failed");
  }
  SECTION("one that succeeded, or is not there") {
    w.resume(run, "m:0");
    CHECK(w.last_reply() == "m:0 has not failed; `--only m` runs all of m again");
    w.resume(run, "m:9");
    CHECK(w.last_reply() == "m:9 has not failed: it never started or there is no such item");
    w.resume(run, "m:0", kOnly);
    CHECK(w.items(run, "m") == "running=1 succeeded=3 failed=2");
    CHECK(w.starts.back().work == 1);
  }
  SECTION("twice, also by a snapshot that is older than the first") {
    input::Resume resume;
    resume.targets = {w.target(run, "")};
    resume.loaded = {w.store.snapshot(run, true)};
    SECTION("while it is in memory") { w.forgets = false; }
    SECTION("after it left memory") {}
    w.resume(run);
    w.finish(run, "m:1", Outcome::failed);
    w.finish(run, "m:3", Outcome::failed);
    CHECK(w.state(run) == "failed");
    w.handle(resume, true);
    CHECK(w.last_reply() ==
          (w.forgets ? "is not in memory and was not loaded; ask again"
                     : "the items of m changed while the command was on its way; ask again"));
    w.resume(run, "m");
    CHECK(w.items(run, "m") == "running=2 succeeded=4");
    CHECK(w.starts.back().number == 3);
  }
}

TEST_CASE("the failed items of an open mapped task run again while it goes on") {
  World w;
  const RunId run = w.start("m map=10");
  w.finish(run, "m:0", Outcome::failed);
  w.resume(run);
  CHECK(w.items(run, "m") == "queued=6 running=4");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.row(run, "m:0").attempts == 2);
}

TEST_CASE("the rest that was cancelled runs with the resume, in its order") {
  World w;
  const RunId run = w.start("m map=20; z after m");
  w.finish(run, "m:0", Outcome::succeeded);
  w.cancel(run);
  w.finish_all(run, Outcome::failed);
  CHECK(w.items(run, "m") == "succeeded=1 cancelled=19");
  CHECK(w.state(run) == "cancelled:cancelled");
  CHECK(w.plan(run) == std::vector<std::string>{"run m 19", "wait z"});
  w.resume(run);
  CHECK(w.items(run, "m") == "queued=15 running=4 succeeded=1");
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=20");
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE(
    "an item resumed after its task was cancelled may be retried, and the rest stays cancelled") {
  World w;
  const RunId run = w.start("m map=9 retry=2 delay=1s tolerate=8");
  w.cancel(run);
  w.finish_all(run, Outcome::failed);
  w.resume(run, "m:2");
  CHECK(w.items(run, "m") == "running=1 cancelled=8");
  w.finish(run, "m:2", Outcome::failed);
  CHECK(w.items(run, "m") == "retrying=1 cancelled=8");
  w.pass(1s);
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=1 cancelled=8");
  CHECK(w.task(run, "m") == "succeeded");
}

TEST_CASE(
    "after failed reading the items go on where they were, and those that never ran are read "
    "anew") {
  World w;
  w.answers = false;
  const RunId run = w.start("m map=0");
  const auto prepare = w.unanswered.at(0);
  SECTION("some ran") {
    w.answer(prepare, 3, "", false);
    w.finish_all(run);
    w.handle(
        input::ItemsRead{run, prepare.task, prepare.stamp, 3, 0, "", "", false, "cannot read"});
    CHECK(w.task(run, "m") == "failed:items");
    w.resume(run);
    const auto again = w.unanswered.at(1);
    CHECK(again.from == 3);
    CHECK(again.is_open);
    w.handle(input::ItemsRead{run, again.task, again.stamp, 3, 1, "", "place", true, ""});
    w.finish_all(run);
    CHECK(w.items(run, "m") == "succeeded=4");
  }
  SECTION("none ran") {
    w.handle(input::HoldStarts{true});
    w.answer(prepare, 3, "cannot read", false);
    CHECK(w.task(run, "m") == "failed:items");
    CHECK(w.plan(run) == std::vector<std::string>{"run m"});  // nobody knows how many items
    w.handle(input::HoldStarts{false});
    w.resume(run);
    const auto again = w.unanswered.at(1);
    CHECK(again.from == 0);
    CHECK(!again.is_open);
    w.answer(again, 2);
    w.finish_all(run);
    CHECK(w.items(run, "m") == "succeeded=2");
  }
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a mapped task run again as a whole reads its items anew and counts its attempts on") {
  World w;
  w.answers = false;
  const RunId run = w.start("a; m after a map=0; z after m");
  w.finish(run, "a", Outcome::succeeded);
  w.answer(w.unanswered.at(0), 5);
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  w.unanswered.clear();
  w.resume(run, "a", kFrom);
  w.finish(run, "a", Outcome::succeeded);
  REQUIRE(w.unanswered.size() == 1);
  const auto again = w.unanswered.at(0);
  CHECK(again.from == 0);
  CHECK(!again.is_open);
  SECTION("as many") { w.answer(again, 5); }
  SECTION("more") { w.answer(again, 7); }
  SECTION("fewer") { w.answer(again, 2); }
  SECTION("over a restart") {
    w.restart();
    w.answer(w.unanswered.at(0), 5);
  }
  SECTION("cancelled before they are read, and resumed") {
    w.cancel(run);
    CHECK(w.states(run) == "a=succeeded m=cancelled z=cancelled");
    CHECK(w.task(run, "m:3") == "cancelled:items");
    w.resume(run);
    w.answer(w.unanswered.at(1), 5);
  }
  CHECK(w.starts.back().number == 2);
  CHECK(w.starts.back().work == 1);
  w.finish_all(run);
  CHECK(w.states(run) == "a=succeeded m=succeeded z=succeeded");
  CHECK(w.state(run) == "succeeded");
  const std::int64_t items = w.store.mapped.at({run, TaskIndex{1}}).items;
  CHECK(w.items(run, "m") == "succeeded=" + std::to_string(items));
  if (items == 2) CHECK(w.task(run, "m:4") == "cancelled:items");
  // And once more, with all that had been there before.
  w.unanswered.clear();
  w.resume(run, "m", kOnly);
  w.answer(w.unanswered.at(0), 8);
  w.finish_all(run);
  CHECK(w.items(run, "m") == "succeeded=8");
  CHECK(w.row(run, "m:4").attempts == (items == 2 ? 2 : 3));
}

TEST_CASE("a resume by another door is refused: what is not loaded, not there, or not sound") {
  World w;
  const RunId run = w.start("a");
  w.finish(run, "a", Outcome::failed);
  w.handle(input::Resume{{w.target(run, "")}, false, false, false, "ana", ReplyToken{1}, {}}, true);
  CHECK(w.last_reply() == "is not in memory and was not loaded; ask again");
  w.handle(input::Resume{{{run, TaskIndex{9}, {}}},
                         false,
                         false,
                         false,
                         "ana",
                         ReplyToken{1},
                         {w.store.snapshot(run, true)}},
           true);
  CHECK(w.last_reply() == "there is no such task");
  CHECK(!w.engine.has_run(run));
  w.resume(run);
  CHECK(w.states(run) == "a=running");
}

TEST_CASE(
    "a mapped task that was marked failed and has nothing to run again is what its items say") {
  World w;
  const RunId run = w.start("m map=3; z after m");
  w.finish_all(run);
  w.mark(run, "m", TaskState::failed);
  CHECK(w.state(run) == "failed");
  w.resume(run);
  CHECK(w.states(run) == "m=succeeded z=succeeded");
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a resume of many runs answers for each, in the order asked") {
  World w;
  const VersionId version = w.define("job overlap=allow active=100; a; b after a");
  input::Resume resume;
  std::vector<RunId> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(w.start(version));
    w.finish(ids.back(), "a", i % 2 == 0 ? Outcome::failed : Outcome::succeeded);
    w.finish_all(ids.back());
  }
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    resume.targets.push_back({*id, {}, {}});
    resume.loaded.push_back(w.store.snapshot(*id, true));
  }
  w.handle(resume, true);
  REQUIRE(w.reply.results.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(w.reply.results[i].target.run == ids[19 - i]);
    CHECK(w.reply.results[i].ok == (i % 2 == 1));
  }
  CHECK(w.engine.runs().size() == 10);
}

TEST_CASE("a resume of very many items goes in bounded steps, and goes on where a crash left it") {
  World w;
  w.checks = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("m map=9000 stop=9000; z after m");
  w.finish(run, "m:0", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.items(run, "m") == "succeeded=1 failed=8999");
  const bool from = GENERATE(false, true);
  input::Resume resume;
  resume.targets = {w.target(run, from ? "m" : "")};
  resume.from = from;
  resume.loaded = {w.store.snapshot(run, true)};
  w.handle(input::HoldStarts{true});
  std::size_t steps = 0;
  Step step = w.engine.handle(resume, w.now);
  CHECK(w.store.apply(step.mutations, true).empty());
  while (step.more && steps < (from ? 1U : 2U)) {
    CHECK(step.mutations.size() <= limits::kMutationsPerStepMax + 100);
    CHECK(broken_invariant(w.store, run, w.jobs.at(w.store.runs.at(run).version)).empty());
    step = w.engine.handle(input::Tick{}, w.now);
    CHECK(w.store.apply(step.mutations, false).empty());
    ++steps;
  }
  REQUIRE(step.more);
  SECTION("which is gone") {
    w.restart();
    if (from) {
      CHECK(w.items(run, "m") == "running=9000");
    } else {
      CHECK(w.items(run, "m") == "running=8999 succeeded=1");
    }
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
    CHECK(w.row(run, "m:0").attempts == (from ? 2 : 1));
    CHECK(w.row(run, "m:8999").attempts == 2);
  }
  SECTION("and a cancel in the middle ends it") {
    w.cancel(run);
    w.finish_all(run, Outcome::failed);
    CHECK(w.state(run).starts_with(from ? "cancelled" : "failed"));
    w.restart();
    CHECK(w.live_count() == 0);
  }
  w.check();
}

TEST_CASE("failed items wait for what runs again before their task, and ask its rule") {
  World w;
  const RunId run = w.start("load; per after load rule=all_done map=3; z after per");
  w.finish(run, "load", Outcome::failed);
  w.finish(run, "per:0", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.states(run) == "load=failed per=failed z=upstream_failed");
  CHECK(w.plan(run) == std::vector<std::string>{"run load", "wait per 2", "wait z"});
  w.resume(run);
  CHECK(w.states(run) == "load=running per=waiting z=waiting");
  CHECK(w.items(run, "per") == "waiting=2 succeeded=1");
  CHECK(w.explain(run, "per") == "load (running 0s)");
  CHECK(w.explain(run, "per:1") == "load (running 0s)");
  SECTION("and go on with it") { w.finish(run, "load", Outcome::succeeded); }
  SECTION("after a restart, too") {
    w.restart();
    CHECK(w.states(run) == "load=running per=waiting z=waiting");
    CHECK(w.items(run, "per") == "waiting=2 succeeded=1");
    w.finish(run, "load", Outcome::succeeded);
  }
  SECTION("when that failed once more, for the rule says so") {
    w.finish(run, "load", Outcome::failed);
  }
  SECTION("in a run that is paused meanwhile") {
    w.pause(run);
    w.finish(run, "load", Outcome::succeeded);
    CHECK(w.items(run, "per") == "queued=2 succeeded=1");
    w.unpause(run);
  }
  SECTION("those that are not cancelled meanwhile") {
    w.cancel(run, "per:1");
    CHECK(w.items(run, "per") == "waiting=1 succeeded=1 cancelled=1");
    w.finish(run, "load", Outcome::succeeded);
    CHECK(w.items(run, "per") == "running=1 succeeded=1 cancelled=1");
    w.finish_all(run);
    CHECK(w.task(run, "per") == "failed:tolerance");
    return;
  }
  SECTION("those that are not marked meanwhile") {
    w.mark(run, "per:1", TaskState::succeeded);
    w.mark(run, "per:2", TaskState::succeeded);
    CHECK(w.states(run) == "load=running per=waiting z=waiting");
    w.finish(run, "load", Outcome::succeeded);
    CHECK(w.states(run) == "load=succeeded per=succeeded z=running");
    w.finish_all(run);
    CHECK(w.row(run, "per:1").attempts == 1);
    return;
  }
  CHECK(w.items(run, "per") == "running=2 succeeded=1");
  CHECK(w.starts.back().number >= 2);
  w.finish_all(run);
  CHECK(w.items(run, "per") == "succeeded=3");
  CHECK(w.row(run, "per:0").attempts == 1);
  CHECK(w.task(run, "z") == "succeeded");
}

TEST_CASE("failed items end as their task does when that does not go on") {
  World w;
  const RunId run = w.start("load; per after load map=3; z after per rule=all_done");
  w.finish(run, "load", Outcome::succeeded);
  w.finish(run, "per:0", Outcome::succeeded);
  w.finish(run, "per:1", Outcome::failed);
  w.finish(run, "per:2", Outcome::failed);
  w.finish_all(run);
  w.mark(run, "load", TaskState::failed);
  REQUIRE(w.states(run) == "load=failed per=failed z=succeeded");
  w.resume(run);
  REQUIRE(w.states(run) == "load=running per=waiting z=succeeded");
  SECTION("because what it depends on failed again") {
    w.finish(run, "load", Outcome::failed);
    CHECK(w.task(run, "per") == "upstream_failed:upstream");
    CHECK(w.items(run, "per") == "succeeded=1 upstream_failed=2");
    CHECK(w.task(run, "per:1") == "upstream_failed:upstream");
    CHECK(w.state(run) == "failed");
    CHECK(w.plan(run) == std::vector<std::string>{"run load", "wait per 2", "stale z"});
    SECTION("and a resume goes on with them") {
      w.resume(run);
      CHECK(w.items(run, "per") == "waiting=2 succeeded=1");
      w.finish(run, "load", Outcome::succeeded);
    }
    SECTION("and so does a mark of that") { w.mark(run, "load", TaskState::succeeded); }
    CHECK(w.items(run, "per") == "running=2 succeeded=1");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
    CHECK(w.row(run, "per:0").attempts == 1);
  }
  SECTION("because it is cancelled") {
    w.cancel(run, "per");
    CHECK(w.task(run, "per") == "cancelled:cancelled");
    CHECK(w.items(run, "per") == "succeeded=1 cancelled=2");
    w.finish_all(run);
    CHECK(w.state(run) == "cancelled:cancelled");
  }
  SECTION("because its run is cancelled") {
    w.cancel(run);
    w.finish_all(run);
    CHECK(w.items(run, "per") == "succeeded=1 cancelled=2");
    CHECK(w.state(run) == "cancelled:cancelled");
    w.resume(run);
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
  SECTION("because it is marked") {
    w.mark(run, "per", TaskState::skipped);
    CHECK(w.task(run, "per") == "skipped:marked");
    CHECK(w.task(run, "per:2") == "skipped:marked");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
}

TEST_CASE("a failed item is not run again by a rule that is not met any more") {
  World w;
  const RunId run = w.start("a; m after a rule=one_failed map=3; u after a rule=one_failed");
  w.finish(run, "a", Outcome::failed);
  w.finish(run, "m:1", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  w.mark(run, "a", TaskState::succeeded);
  REQUIRE(w.states(run) == "a=succeeded m=failed u=failed");
  w.resume(run, "m:0");
  CHECK(w.task(run, "m") == "skipped:rule");
  CHECK(w.task(run, "m:0") == "skipped:rule");
  CHECK(w.items(run, "m") == "succeeded=1 failed=1 skipped=1");
  w.resume(run, "u");
  CHECK(w.task(run, "u") == "skipped:rule");
  CHECK(w.live_count() == 0);
  w.resume(run, "a", kOnly);
  w.finish(run, "a", Outcome::failed);
  w.resume(run, "a");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.items(run, "m") == "running=2 succeeded=1");
}

TEST_CASE("failed items wait for a task that a new definition puts before them") {
  World w;
  const RunId run = w.start("m map=3; r after m");
  w.finish(run, "m:0", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  REQUIRE(w.states(run) == "m=failed r=upstream_failed");
  w.store.runs.at(run).version = w.define("m map=3 after n; r after m; n");
  CHECK(w.plan(run) == std::vector<std::string>{"wait m 2", "wait r"});
  w.resume(run);
  CHECK(w.states(run) == "m=waiting r=waiting n=running");
  w.finish(run, "n", Outcome::succeeded);
  CHECK(w.items(run, "m") == "running=2 succeeded=1");
  w.finish_all(run);
  CHECK(w.states(run) == "m=succeeded r=succeeded n=succeeded");
}

TEST_CASE("very many items that wait for their task end with it in bounded steps") {
  World w;
  w.checks = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("a; m after a map=9000; z after m rule=always");
  w.finish(run, "a", Outcome::succeeded);
  w.finish(run, "m:0", Outcome::succeeded);
  w.finish_all(run, Outcome::failed);
  w.mark(run, "a", TaskState::failed);
  w.resume(run);
  REQUIRE(w.items(run, "m") == "waiting=8999 succeeded=1");
  const auto attempt = w.live(run, "a");
  const bool fails = GENERATE(true, false);
  AttemptResult result;
  result.attempt = attempt;
  result.worker = WorkerId{1};
  result.outcome = fails ? AttemptResult::Outcome::failed : AttemptResult::Outcome::succeeded;
  result.reason = fails ? Reason::exit : Reason::none;
  result.ended_at = w.now.wall;
  w.handle(input::HoldStarts{true});
  Step step = w.engine.handle(input::AttemptsEnded{{result}}, w.now);
  for (int steps = 0; step.more && steps < 2; ++steps) {
    CHECK(step.mutations.size() <= limits::kMutationsPerStepMax + 100);
    CHECK(w.store.apply(step.mutations, false).empty());
    CHECK(broken_invariant(w.store, run, w.jobs.at(w.store.runs.at(run).version)).empty());
    step = w.engine.handle(input::Tick{}, w.now);
  }
  REQUIRE(step.more);
  CHECK(w.state(run) == "running");
  // What was not stored is decided again.
  w.running.erase(attempt);
  w.restart();
  CHECK(w.items(run, "m") ==
        (fails ? "succeeded=1 upstream_failed=8999" : "running=8999 succeeded=1"));
  w.finish_all(run);
  CHECK(w.state(run) == (fails ? "failed" : "succeeded"));
  w.check();
}

TEST_CASE("very many items that are read no more end in bounded steps") {
  World w;
  w.checks = false;
  w.answers = false;
  w.default_slots = 10'000;
  w.handle(input::SetPool{10'000});
  const RunId run = w.start("m map=0; z after m");
  w.answer(w.unanswered.at(0), 9'000);
  w.finish_all(run);
  REQUIRE(w.state(run) == "succeeded");
  w.unanswered.clear();
  w.resume(run, "m", kFrom);
  const effect::Prepare again = w.unanswered.at(0);
  w.handle(input::Prepared{run, again.task, again.stamp, {}, {}, {}});
  w.handle(input::HoldStarts{true});
  Step step = w.engine.handle(
      input::ItemsRead{run, again.task, again.stamp, 0, 0, "", "", true, ""}, w.now);
  CHECK(step.mutations.size() <= limits::kMutationsPerStepMax + 100);
  REQUIRE(step.more);
  CHECK(w.store.apply(step.mutations, false).empty());
  w.restart();
  CHECK(w.states(run) == "m=succeeded z=running");
  CHECK(w.task(run, "m:8999") == "cancelled:items");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  w.check();
}
