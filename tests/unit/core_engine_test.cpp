// The life of a run, step by step.

#include <catch2/catch.hpp>

#include "scheduler/core/effect.h"
#include "scheduler/spec/reason.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

TEST_CASE("a failed task fails what waits on it and nothing else") {
  World w;
  const RunId run = w.start("a; b after a; c");
  CHECK(w.states(run) == "a=running b=waiting c=running");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=upstream_failed c=running");
  w.finish(run, "c", Outcome::succeeded);
  CHECK(w.states(run) == "a=failed b=upstream_failed c=succeeded");
  CHECK(w.state(run) == "failed");
  CHECK(!w.engine.has_run(run));
  CHECK(w.ended == std::vector<RunId>{run});
}

TEST_CASE("a run succeeds when all its tasks did, and leaves memory") {
  World w;
  const RunId run = w.start("a; b after a");
  w.finish_all(run);
  CHECK(w.states(run) == "a=succeeded b=succeeded");
  CHECK(w.state(run) == "succeeded");
  CHECK(w.engine.runs().empty());
  CHECK(w.store.runs.at(run).started_at.has_value());
}

TEST_CASE("a run has its name for as long as it is in memory") {
  World w;
  const RunId first = w.start("a");
  const RunId second = w.start("a");
  const std::string name = w.engine.run(first)->name;
  CHECK(w.engine.run_named(name) == first);
  CHECK(w.engine.run_named(w.engine.run(second)->name) == second);
  w.finish_all(first);
  CHECK_FALSE(w.engine.run_named(name));
  CHECK(w.engine.run_named(w.engine.run(second)->name) == second);
  CHECK_FALSE(w.engine.run_named(""));
}

TEST_CASE("a run keeps its end until its last batch is durable") {
  World w;
  w.forgets = false;
  const RunId run = w.start("a");
  w.finish_all(run);
  CHECK(w.engine.has_run(run));
  w.handle(input::RunDurable{run});
  CHECK(!w.engine.has_run(run));
}

TEST_CASE("the failure of a task with allow_failure leaves the run to succeed, and rules see it") {
  World w;
  const RunId run = w.start("a allow; b after a; c after a rule=all_done");
  w.finish(run, "a", Outcome::failed);
  w.finish_all(run);
  CHECK(w.states(run) == "a=failed b=upstream_failed c=succeeded");
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a task whose operator skips is skipped, and so is what needs it") {
  World w;
  const RunId run = w.start("a; b after a; c after a rule=none_failed");
  w.finish(run, "a", {Outcome::skipped, Reason::exit, 99});
  CHECK(w.task(run, "a") == "skipped:exit:99");
  CHECK(w.states(run) == "a=skipped b=skipped c=running");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("a run time-out ends what runs and fails the run") {
  World w;
  const RunId run = w.start("job timeout=1m; a; b after a");
  w.pass(1min);
  CHECK(w.states(run) == "a=running b=cancelled");
  CHECK(w.stopped.size() == 1);
  SECTION("also over a restart in between") {
    w.restart();
    CHECK(w.stopped.size() == 1);
  }
  w.finish(run, "a", {Outcome::failed, Reason::signal});
  CHECK(w.task(run, "a") == "cancelled:run_timeout");
  CHECK(w.state(run) == "failed:run_timeout");
}

TEST_CASE("fail_fast cancels the rest at the first failure") {
  World w;
  const RunId run = w.start("job fail_fast; a; b; c after b; d allow");
  w.finish(run, "d", Outcome::failed);
  CHECK(w.states(run) == "a=running b=running c=waiting d=failed");
  w.finish(run, "a", Outcome::failed);
  CHECK(w.states(run) == "a=failed b=running c=cancelled d=failed");
  SECTION("also over a restart in between") { w.restart(); }
  w.finish(run, "b", Outcome::failed);
  CHECK(w.task(run, "b") == "cancelled:fail_fast");
  CHECK(w.task(run, "c") == "cancelled:fail_fast");
  CHECK(w.state(run) == "failed:fail_fast");
}

TEST_CASE("`when` skips a task, fails it, or lets it run") {
  World w;
  w.answers = false;
  const RunId run = w.start("a when; b after a; c when");
  CHECK(w.unanswered.size() == 2);
  const auto a = w.unanswered[0];
  const auto c = w.unanswered[1];
  w.handle(
      input::Prepared{run, a.task, a.stamp, input::Prepared::Outcome::skip, {}, "'x' was false"});
  CHECK(w.task(run, "a") == "skipped:when");
  CHECK(w.row(run, "a").error == "'x' was false");
  CHECK(w.states(run) == "a=skipped b=skipped c=waiting");
  w.handle(input::Prepared{run, c.task, c.stamp, input::Prepared::Outcome::error, Reason::when,
                           "no such key"});
  CHECK(w.task(run, "c") == "failed:when");
  CHECK(w.state(run) == "failed");
}

TEST_CASE("an answer that comes after the task was cancelled changes nothing") {
  World w;
  w.answers = false;
  const RunId run = w.start("a when; b");
  const auto a = w.unanswered.at(0);
  w.cancel(run, "a");
  CHECK(w.task(run, "a") == "cancelled:cancelled");
  w.handle(input::Prepared{run, a.task, a.stamp, {}, {}, {}});
  CHECK(w.task(run, "a") == "cancelled:cancelled");
  w.finish_all(run);
  CHECK(w.state(run) == "cancelled:cancelled");
}

TEST_CASE("runs of one job queue up unless it says otherwise") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  const RunId third = w.start(version, [](RunRow& r) { r.priority_class = 1; });
  const RunId fourth = w.start(version);
  CHECK(w.state(second) == "queued");
  const RunId forced = w.start(version, {}, true);
  CHECK(w.state(forced) == "running");
  w.finish_all(forced);
  CHECK(w.state(second) == "queued");
  w.finish_all(first);
  CHECK(w.state(second) == "running");
  w.finish_all(second);
  CHECK(w.state(fourth) == "running");  // a lower class goes first
  CHECK(w.state(third) == "queued");
  w.finish_all(fourth);
  CHECK(w.state(third) == "running");
  w.finish_all(third);
  CHECK(w.engine.runs().empty());
}

TEST_CASE("overlap allow is limited by max_active_runs") {
  World w;
  const VersionId version = w.define("job overlap=allow active=2; a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  const RunId third = w.start(version);
  CHECK(w.state(second) == "running");
  CHECK(w.state(third) == "queued");
  w.finish_all(first);
  CHECK(w.state(third) == "running");
}

TEST_CASE("a cancelled run gives its turn to the next, also one that only waited") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  const RunId third = w.start(version);
  w.cancel(second);
  CHECK(w.state(second) == "cancelled:cancelled");
  CHECK(w.states(second) == "a=cancelled");
  w.finish_all(first);
  CHECK(w.state(third) == "running");
}

TEST_CASE("a run with a start time waits for the calendar, not for a delay") {
  World w;
  const VersionId version = w.define("a");
  const WallTime at = w.now.wall + 1h;
  const RunId run = w.start(version, [&](RunRow& r) { r.start_at = at; });
  CHECK(w.state(run) == "queued");
  SECTION("it comes") {
    w.pass(59min);
    CHECK(w.state(run) == "queued");
    w.pass(1min);
    CHECK(w.state(run) == "running");
  }
  SECTION("the calendar steps forward") {
    w.now.wall = at;
    w.handle(input::Tick{});
    CHECK(w.state(run) == "running");
  }
  SECTION("the calendar steps back by a year") {
    w.now.wall = w.now.wall - 365 * 24h;
    w.pass(2h);
    CHECK(w.state(run) == "queued");
    REQUIRE(w.engine.next_deadline().has_value());
    w.now.wall = at;
    w.handle(input::Tick{});
    CHECK(w.state(run) == "running");
  }
  SECTION("it is cancelled before") {
    w.cancel(run);
    w.pass(2h);
    CHECK(w.state(run) == "cancelled:cancelled");
  }
}

TEST_CASE("the same request id gives the same run, with other params it is refused") {
  World w;
  const VersionId version = w.define("a");
  const RunId run = w.start(version, [](RunRow& r) { r.request_id = "q"; });
  CHECK(w.reply.created);
  CHECK(w.start(version, [](RunRow& r) { r.request_id = "q"; }) == run);
  CHECK(!w.reply.created);
  CHECK(w.reply.run_name == w.store.runs.at(run).name);
  (void)w.start(version, [](RunRow& r) {
    r.request_id = "q";
    r.params = "{\"x\":1}";
  });
  CHECK(!w.reply.status.ok());
  CHECK(w.store.runs.size() == 1);
  w.finish_all(run);
  CHECK(w.engine.run_of_request("q") == run);
}

TEST_CASE("a definition leaves memory a minute after the last of its runs, and is told of again") {
  World w;
  const VersionId version = w.define("job pool:p=2; a pool=p");
  const RunId first = w.start(version);
  const RunId second = w.start(version);
  w.finish_all(first, Outcome::failed);
  w.pass(2min);
  CHECK(w.engine.knows_version(version));
  w.finish_all(second);
  CHECK(w.engine.knows_version(version));
  w.pass(2min);
  CHECK(!w.engine.knows_version(version));
  CHECK(w.engine.pools(w.now).size() == 1);
  SECTION("whoever did not notice is told") {
    w.handle(input::Submit{w.store.runs.at(first), false, "ana", ReplyToken{7}});
    CHECK(w.last_reply() == "the job's definition is not in memory; ask again");
  }
  SECTION("an old run is resumed") {
    w.resume(first);
    w.finish_all(first);
    CHECK(w.state(first) == "succeeded");
  }
  SECTION("a new run comes") {
    const RunId third = w.start(version);
    w.finish_all(third);
    CHECK(w.state(third) == "succeeded");
  }
}

TEST_CASE("a definition that is found is known to the next input, however long nobody used it") {
  World w;
  const VersionId version = w.define("a");
  const RunId first = w.start(version);
  w.finish_all(first);
  w.now.mono = w.now.mono + 3h;  // and nothing happens
  REQUIRE(w.engine.knows_version(version));
  RunRow row;
  row.job = w.jobs.at(version).name;
  row.version = version;
  w.handle(input::Submit{row, false, "ana", ReplyToken{7}});
  CHECK(w.last_reply() == "ok");
}

TEST_CASE("a definition that is told of again stays for another minute") {
  World w;
  const VersionId version = w.define("a");
  const VersionId other = w.define("b");
  w.finish_all(w.start(version));
  w.finish_all(w.start(other));
  w.pass(50s);
  w.handle(input::AddVersion{w.store.versions.at(version), w.jobs.at(version), true});
  w.pass(50s);
  CHECK(w.engine.knows_version(version));
  CHECK(!w.engine.knows_version(other));
}

TEST_CASE("a definition that is used again and again stays, however long ago its first run ended") {
  World w;
  const VersionId version = w.define("a");
  for (int i = 0; i < 5; ++i) {
    w.finish_all(w.start(version));
    w.pass(45s);
    CHECK(w.engine.knows_version(version));
  }
  w.pass(1min);
  CHECK(!w.engine.knows_version(version));
}

TEST_CASE("a definition of which no run comes leaves memory, one whose run goes on stays") {
  World w;
  const VersionId used = w.define("a");
  const VersionId unused = w.define("job name=other; a");
  (void)w.start(used);
  w.pass(2min);
  CHECK(w.engine.knows_version(used));
  CHECK(!w.engine.knows_version(unused));
}

TEST_CASE("an output is kept with the success that made it, and not with a failure") {
  World w;
  const RunId run = w.start("a; b");
  for (const char* task : {"a", "b"}) {
    AttemptResult result;
    result.attempt = w.live(run, task);
    result.worker = WorkerId{1};
    result.outcome = *task == 'a' ? Outcome::succeeded : Outcome::failed;
    result.reason = *task == 'a' ? Reason::none : Reason::exit;
    result.output_format = "json";
    result.output_value = "[1]";
    w.handle(input::AttemptsEnded{{result}});
  }
  CHECK(w.store.outputs.size() == 1);
  CHECK(w.store.outputs.begin()->second.value == "[1]");
}

TEST_CASE("names of runs differ, sort by time and never collide") {
  CHECK(run_name(WallTime{1'795'212'681'000}, RunId{1}).substr(0, 9) == "20261120-");
  std::set<std::string> names;
  for (std::int64_t i = 1; i <= 100'000; ++i) names.insert(run_name(WallTime{0}, RunId{i}));
  CHECK(names.size() == 100'000);
}

TEST_CASE("a clock that steps a year in either direction moves no delay") {
  for (const Duration step : {Duration(365 * 24h), Duration(-365 * 24h)}) {
    World w;
    const RunId run = w.start("a retry=2 delay=10s total=1h; b queue=1m");
    w.finish(run, "a", Outcome::failed);
    w.now.wall = w.now.wall + step;
    w.handle(input::Tick{});
    CHECK(w.states(run) == "a=retrying b=running");
    w.pass(9s);
    CHECK(w.states(run) == "a=retrying b=running");
    w.pass(1s);
    CHECK(w.states(run) == "a=running b=running");
    w.finish_all(run);
    CHECK(w.state(run) == "succeeded");
  }
}
