// Hooks: when they run, what they cannot change, and that no restart loses or doubles one.

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

constexpr const char* kAll = "a; on_success; on_failure; on_exit";

}  // namespace

TEST_CASE("hooks run when all tasks are final and before the run is") {
  World w;
  const RunId run = w.start("a; b after a; on_success; on_exit");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded b=running");
  w.finish(run, "b", Outcome::succeeded);
  CHECK(w.states(run) ==
        "a=succeeded b=succeeded hook:on_success:0=running hook:on_exit:0=running");
  CHECK(w.state(run) == "running:hooks");
  w.finish(run, "hook:on_exit:0", Outcome::succeeded);
  CHECK(w.state(run) == "running:hooks");
  w.finish(run, "hook:on_success:0", Outcome::succeeded);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.ended == std::vector<RunId>{run});
}

TEST_CASE("what the tasks came to says which hooks run") {
  World w;
  const RunId good = w.start(kAll);
  w.finish(good, "a", Outcome::succeeded);
  CHECK(w.states(good) == "a=succeeded hook:on_success:0=running hook:on_exit:0=running");
  w.finish_all(good);
  const RunId bad = w.start(kAll);
  w.finish(bad, "a", Outcome::failed);
  CHECK(w.states(bad) == "a=failed hook:on_failure:0=running hook:on_exit:0=running");
  w.finish_all(bad);
  CHECK(w.state(bad) == "failed");
  const RunId cancelled = w.start(kAll);
  w.cancel(cancelled);
  w.finish(cancelled, "a", End{Outcome::failed, Reason::signal});
  CHECK(w.states(cancelled) == "a=cancelled hook:on_exit:0=running");
  w.finish_all(cancelled);
  CHECK(w.state(cancelled) == "cancelled:cancelled");
}

TEST_CASE("a run that was cancelled before its turn runs no hooks") {
  World w;
  const RunId first = w.start(kAll);
  const RunId second = w.start(kAll);
  CHECK(w.state(second) == "queued");
  w.cancel(second);
  CHECK(w.state(second) == "cancelled:cancelled");
  CHECK(w.states(second) == "a=cancelled");
  (void)first;
}

TEST_CASE("a hook that fails changes nothing of the result") {
  World w;
  const RunId run = w.start("job fail_fast; a; on_success retry=2 delay=10s");
  w.finish(run, "a", Outcome::succeeded);
  w.finish(run, "hook:on_success:0", Outcome::failed);
  CHECK(w.task(run, "hook:on_success:0") == "retrying:exit:1");
  w.pass(10s);
  w.finish(run, "hook:on_success:0", Outcome::failed);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.task(run, "hook:on_success:0") == "failed:exit:1");
  CHECK(w.store.runs.at(run).counts[static_cast<std::size_t>(TaskState::failed)] == 0);
}

TEST_CASE("a hook of an earlier end waits for nothing once its run has ended another way") {
  World w;
  const RunId run = w.start(kAll);
  w.finish(run, "a", Outcome::failed);
  w.finish_all(run);
  CHECK(w.task(run, "hook:on_failure:0") == "succeeded");
  w.resume(run);
  CHECK(w.task(run, "hook:on_failure:0") == "waiting");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.states(run) ==
        "a=succeeded hook:on_success:0=succeeded hook:on_failure:0=skipped "
        "hook:on_exit:0=succeeded");
  w.mark(run, "a", TaskState::failed);
  w.resume(run);
  w.finish(run, "a", Outcome::failed);
  CHECK(w.task(run, "hook:on_failure:0") == "running");
}

TEST_CASE("a hook whose `when` is false is skipped") {
  World w;
  w.answers = false;
  const RunId run = w.start("a; on_exit when");
  w.finish(run, "a", Outcome::succeeded);
  REQUIRE(w.unanswered.size() == 1);
  const effect::Prepare& asked = w.unanswered.front();
  w.handle(input::Prepared{run, asked.task, asked.stamp, input::Prepared::Outcome::skip,
                           Reason::when, "no"});
  CHECK(w.state(run) == "succeeded");
  CHECK(w.task(run, "hook:on_exit:0") == "skipped:when");
}

TEST_CASE("after a resume hooks run again at the end, as another piece of work") {
  World w;
  const RunId run = w.start(kAll);
  w.finish(run, "a", Outcome::failed);
  w.finish_all(run);
  REQUIRE(w.state(run) == "failed");
  const std::int32_t work = w.row(run, "hook:on_exit:0").work;
  w.resume(run);
  CHECK(w.states(run) == "a=running");
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.states(run) == "a=succeeded hook:on_success:0=running hook:on_exit:0=running");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.row(run, "hook:on_exit:0").work == work + 1);
  CHECK(w.row(run, "hook:on_exit:0").attempts == 2);
}

TEST_CASE("a failed hook can be resumed alone, and the result stays") {
  World w;
  const RunId run = w.start("job timeout=10s; a; on_failure; on_exit");
  w.pass(10s);
  w.finish(run, "a", End{Outcome::failed, Reason::signal});
  w.finish(run, "hook:on_exit:0", Outcome::succeeded);
  w.finish(run, "hook:on_failure:0", Outcome::failed);
  REQUIRE(w.state(run) == "failed:run_timeout");
  w.resume(run, "hook:on_failure:0");
  CHECK(w.last_reply() == "ok");
  CHECK(w.state(run) == "running:hooks");
  CHECK(w.states(run) == "a=cancelled hook:on_failure:0=running hook:on_exit:0=succeeded");
  w.restart();
  CHECK(w.state(run) == "running:hooks");
  w.finish(run, "hook:on_failure:0", Outcome::succeeded);
  CHECK(w.state(run) == "failed:run_timeout");
}

TEST_CASE("a restart neither loses a hook nor runs it twice") {
  World w;
  const RunId run = w.start("a; on_failure; on_exit");
  w.handle(input::HoldStarts{true});
  w.finish(run, "a", Outcome::failed);
  CHECK(w.state(run) == "running:hooks");
  w.restart();
  CHECK(w.states(run) == "a=failed hook:on_failure:0=running hook:on_exit:0=running");
  w.finish(run, "hook:on_exit:0", Outcome::succeeded);
  w.restart();
  CHECK(w.states(run) == "a=failed hook:on_failure:0=running hook:on_exit:0=succeeded");
  w.finish(run, "hook:on_failure:0", Outcome::succeeded);
  CHECK(w.state(run) == "failed");
  CHECK(w.row(run, "hook:on_failure:0").attempts == 1);
}

TEST_CASE("cancelling a run whose hooks run cancels the hooks, not the result") {
  World w;
  const RunId run = w.start("a; on_success; on_exit");
  w.default_slots = 4;
  w.finish(run, "a", Outcome::succeeded);
  w.cancel(run);
  CHECK(w.stopped.size() == 2);
  w.finish(run, "hook:on_success:0", End{Outcome::failed, Reason::signal});
  w.finish(run, "hook:on_exit:0", End{Outcome::failed, Reason::signal});
  CHECK(w.state(run) == "succeeded");
  CHECK(w.task(run, "hook:on_exit:0") == "cancelled:cancelled");
}

TEST_CASE("a paused run keeps its hooks for later, and a cancelled one runs them") {
  World w;
  const RunId run = w.start("a; on_success");
  w.pause(run);
  w.finish(run, "a", Outcome::succeeded);
  CHECK(w.state(run) == "paused");
  w.restart();
  CHECK(w.state(run) == "paused");
  w.unpause(run);
  CHECK(w.states(run) == "a=succeeded hook:on_success:0=running");
  w.finish_all(run);
  const RunId other = w.start("a; b after a; on_exit");
  w.finish(other, "a", Outcome::succeeded);
  w.pause(other);
  w.finish(other, "b", Outcome::succeeded);
  w.cancel(other);
  CHECK(w.state(other) == "running:hooks");
  w.finish_all(other);
  CHECK(w.state(other) == "succeeded");
}

TEST_CASE("the time-out of a run is over when its hooks begin") {
  World w;
  const RunId run = w.start("job timeout=10s; a; on_success");
  w.finish(run, "a", Outcome::succeeded);
  w.pass(1h);
  CHECK(w.state(run) == "running:hooks");
  w.finish_all(run);
  CHECK(w.state(run) == "succeeded");
}

TEST_CASE("while hooks run nothing else of the run is repeated or marked") {
  World w;
  const RunId run = w.start("a; b; on_failure");
  w.finish(run, "a", Outcome::failed);
  w.finish(run, "b", Outcome::succeeded);
  w.resume(run);
  CHECK(w.last_reply().find("its hooks are running") == 0);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.last_reply().find("its run has only hooks to run") == 0);
  w.mark(run, "hook:on_failure:0", TaskState::skipped);
  CHECK(w.last_reply().find("is running") == 0);
  w.finish_all(run);
  w.mark(run, "a", TaskState::succeeded);
  CHECK(w.state(run) == "succeeded");
  CHECK(w.live_count() == 0);
}
