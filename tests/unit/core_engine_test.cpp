// The life of a run, step by step.

#include <catch2/catch.hpp>

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
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) == "a=queued b=succeeded c=queued");

  w.workers.push_back(WorkerId{2});
  w.handle(input::WorkerUp{WorkerId{2}, {"http", "sleep"}});
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
