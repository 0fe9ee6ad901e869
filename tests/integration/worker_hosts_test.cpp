// A host whose attempts are to end: what that costs the others in it.

#include <fstream>

#include "plugins/worker/crash_record.h"
#include "tests/integration/worker_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::TestScheduler;
using test::TestWorker;

/// A host with the plugin of tests.
class FaultyHost : public TestWorker {
 public:
  explicit FaultyHost(const std::function<void(WorkerOptions&)>& change = {})
      : TestWorker([&change](WorkerOptions& options) {
          options.worker_class = "host";
          options.plugins = {PAWL_FAULTY_PLUGIN};
          options.retire_within = test::kPatience;
          if (change) change(options);
        }) {}
  TaskDefinition of(const std::string& name) const {
    TaskDefinition made = task("{}");
    made.operator_name = name;
    return made;
  }
  void make_file(const std::string& name) const { std::ofstream(home() + "/" + name) << '\n'; }
};

}  // namespace

TEST_CASE("a forced stop of an attempt that listens leaves its host to the others") {
  FaultyHost worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.of("meek"), 1);
  scheduler.define(worker.of("obedient"), 2);
  scheduler.define(worker.of("patient"), 3);
  for (std::int64_t id : {1, 2, 3}) scheduler.start(id, static_cast<std::uint64_t>(id));
  for (std::int64_t id : {1, 2}) {
    scheduler.begin_of(id);
    scheduler.say(frame::Stop{AttemptId(id), Reason::cancelled, true});
    CHECK(scheduler.end_of(id).outcome == Outcome::cancelled);
  }
  worker.make_file("go");
  CHECK(scheduler.end_of(3).outcome == Outcome::succeeded);
  CHECK_FALSE(scheduler.drains());
}

TEST_CASE("a second stop, with force, does not wait for the grace") {
  FaultyHost worker;
  TestScheduler scheduler(worker);
  TaskDefinition deaf = worker.of("deaf");
  deaf.kill_grace = std::chrono::hours(1);
  scheduler.define(deaf);
  scheduler.start(1);
  scheduler.begin_of(1);
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, true});
  scheduler.wait_for_close();
}

TEST_CASE("those that had to end with one that does not listen can be told because of whom") {
  FaultyHost worker([](WorkerOptions& options) { options.retire_within = test::patient(50ms); });
  TestScheduler scheduler(worker);
  TaskDefinition deaf = worker.of("deaf");
  deaf.kill_grace = 20ms;
  scheduler.define(deaf, 1);
  scheduler.define(worker.of("patient"), 2);
  for (std::int64_t id : {1, 2}) scheduler.start(id, static_cast<std::uint64_t>(id));
  for (std::int64_t id : {1, 2}) scheduler.begin_of(id);
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  scheduler.wait_for_close();
  const auto crash = read_crash(worker.folder());
  REQUIRE(crash);
  CHECK(crash->attempt == AttemptId(1));
  CHECK(crash->how == Crash::How::deaf);
  CHECK(crash->who == "20261120-225801-7k3f9q/query");
}

TEST_CASE("who ends late, but ends, takes nobody along") {
  FaultyHost worker([](WorkerOptions& options) { options.retire_within = test::patient(500ms); });
  TestScheduler scheduler(worker);
  TaskDefinition late = worker.of("late");
  late.kill_grace = 20ms;
  scheduler.define(late, 1);
  scheduler.define(worker.of("nap"), 2);
  scheduler.start(1, 1);
  scheduler.begin_of(1);
  scheduler.start(2, 2);
  scheduler.begin_of(2);
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  scheduler.wait_for_drains();
  worker.make_file("end");
  CHECK(scheduler.end_of(1).outcome == Outcome::cancelled);
  CHECK(scheduler.end_of(2).outcome == Outcome::succeeded);
}

TEST_CASE("who blocks the loop ends with its host and is blamed, also the very first of it") {
  const std::string name = GENERATE("blocker", "unmade");
  INFO(name);
  FaultyHost worker([](WorkerOptions& options) { options.loop_patience = test::patient(2s); });
  TestScheduler scheduler(worker);
  scheduler.define(worker.of(name));
  scheduler.start(1);
  scheduler.wait_for_close();
  const auto crash = read_crash(worker.folder());
  REQUIRE(crash);
  CHECK(crash->attempt == AttemptId(1));
  CHECK(crash->how == Crash::How::blocked);
}

TEST_CASE("what blocks the loop while no attempt runs ends its host, and nobody is blamed") {
  FaultyHost worker([](WorkerOptions& options) { options.loop_patience = test::patient(2s); });
  TestScheduler scheduler(worker);
  CHECK(scheduler.run(worker.of("squatter")).outcome == Outcome::succeeded);
  worker.make_file("go");
  scheduler.wait_for_close();
  const auto crash = read_crash(worker.folder());
  REQUIRE(crash);
  CHECK_FALSE(crash->attempt);
  CHECK(crash->how == Crash::How::blocked);
}

TEST_CASE("a host whose operator does not close is gone when its time for that is over") {
  FaultyHost worker([](WorkerOptions& options) { options.end_within = 100ms; });
  TestScheduler scheduler(worker);
  CHECK(scheduler.run(worker.of("lingerer")).outcome == Outcome::succeeded);
  scheduler.say(frame::Forget{{{AttemptId(1), 0}}});
  scheduler.say(frame::Shutdown{});
  CHECK(WTERMSIG(worker.wait()) == SIGKILL);
  CHECK(test::read_whole(worker_log_path(worker.folder())) ==
        "an operator does not close, or its library does not end: this host is killed\n");
}

TEST_CASE("who is cancelled before a thread was free for it ends at once") {
  constexpr std::int64_t kThreads = 256;
  FaultyHost worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.of("patient"));
  for (std::int64_t id = 1; id <= kThreads + 2; ++id) scheduler.start(id);
  scheduler.begin_of(kThreads);
  scheduler.say(frame::Stop{AttemptId(kThreads + 1), Reason::cancelled, false});
  scheduler.say(frame::Stop{AttemptId(kThreads + 2), Reason::timeout, true});
  CHECK(scheduler.end_of(kThreads + 1).outcome == Outcome::cancelled);
  CHECK(scheduler.end_of(kThreads + 2).reason == Reason::timeout);
  worker.make_file("go");
  for (std::int64_t id = 1; id <= kThreads; ++id)
    CHECK(scheduler.end_of(id).outcome == Outcome::succeeded);
  CHECK_FALSE(scheduler.drains());
}

}  // namespace pawl
