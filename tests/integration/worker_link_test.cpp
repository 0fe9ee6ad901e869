// A worker and its schedulers: connecting, losing, taking over, going.

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "plugins/worker/journal.h"
#include "plugins/worker/python_schema.h"
#include "tests/integration/worker_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::TestScheduler;
using test::TestWorker;

constexpr int kHandles = 4000;

/// A host whose task names a handle of 4,000 bytes so often, and writes `named` when it has.
class NamingWorker : public TestWorker {
 public:
  NamingWorker()
      : TestWorker([](WorkerOptions& options) {
          options.worker_class = "host";
          options.plugins = {std::string(kPythonPlugin)};
        }) {
    std::ofstream(home() + "/naming.py") << R"py(
import pawl

def name(count, is_same):
    for i in range(count):
        pawl.attempt().set_handle(f"{(0 if is_same else i):04000}")
    open("named", "w").close()
)py";
  }
  TaskDefinition naming(bool is_same) const {
    TaskDefinition made = task(R"({"call": "naming:name", "args": [)" + std::to_string(kHandles) +
                               (is_same ? ", true]}" : ", false]}"));
    made.operator_name = kPythonOperator;
    return made;
  }
  void wait_until_named() const {
    eventually([this] { return std::filesystem::exists(home() + "/named"); });
  }
};

}  // namespace

TEST_CASE("a worker introduces itself") {
  TestWorker worker;
  TestScheduler scheduler(worker, 7);
  CHECK(scheduler.welcome().accepted);
  CHECK(scheduler.welcome().protocol == kProtocolVersion);
  CHECK(scheduler.welcome().epoch == Epoch(7));
  CHECK(scheduler.welcome().worker == WorkerId(3));
  CHECK(scheduler.welcome().pid == worker.pid());
  CHECK(scheduler.welcome().boot_id == boot_id());
  CHECK(scheduler.known().empty());
  auto stat = read_process_stat(worker.pid());
  REQUIRE(stat);
  CHECK(stat->session == worker.pid());
  struct stat info {};
  REQUIRE(::stat(worker.socket().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(*FileLock::is_held(worker.folder() + "/lock"));
  CHECK((*FileLock::last_holder(worker.folder() + "/lock"))->pid == worker.pid());
}

TEST_CASE("programs go on without a scheduler, and the next one is told of all of them") {
  TestWorker worker;
  {
    TestScheduler scheduler(worker, 1);
    scheduler.define(worker.shell("exec sleep 86420.1"), 1);
    scheduler.define(worker.shell("sleep 0.3; exit 4"), 2);
    scheduler.define(worker.shell("exit 5"), 3);
    scheduler.start(1, 1);
    scheduler.start(2, 2);
    scheduler.start(3, 3);
    scheduler.begin_of(1);
    scheduler.end_of(3);
  }
  eventually([&] {
    auto journal = read_journal(worker.folder());
    const auto* attempt = journal.ok() ? journal->find(AttemptId(2)) : nullptr;
    return attempt != nullptr && attempt->end.has_value();
  });
  TestScheduler next(worker, 2);
  REQUIRE(next.known().size() == 3);
  CHECK_FALSE(next.known().at(AttemptId(1)).ended);
  CHECK(next.known().at(AttemptId(1)).pid > 0);
  CHECK(next.known().at(AttemptId(2)).ended);
  CHECK(next.known().at(AttemptId(3)).ended);
  CHECK(next.end_of(2).exit_code == 4);
  CHECK(next.end_of(3).exit_code == 5);
  next.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  CHECK(next.end_of(1).outcome == Outcome::cancelled);
}

TEST_CASE("what was forgotten is not told again") {
  TestWorker worker;
  {
    TestScheduler scheduler(worker, 1);
    scheduler.define(worker.task(R"({"command":["true"]})"));
    scheduler.start(1);
    scheduler.start(2);
    scheduler.end_of(1);
    scheduler.end_of(2);
    scheduler.say(frame::Forget{{{AttemptId(1), 0}, {AttemptId(77), 0}}});
  }
  TestScheduler next(worker, 1);
  CHECK(next.known().size() == 1);
  CHECK(next.known().contains(AttemptId(2)));
}

TEST_CASE("what an earlier connection delivered is executed before the next one is answered") {
  for (std::int64_t round = 1; round <= 20; ++round) {
    TestWorker worker;
    auto old = std::make_unique<TestScheduler>(worker, 1);
    old->define(worker.shell("exit 0"));
    frame::Start start;
    for (int id = 1; id <= 50; ++id) start.attempts.push_back(TestScheduler::plain(id));
    old->say(start);
    if (round % 2 == 0) old.reset();  // died; else it hangs
    TestScheduler next(worker, 2);
    CHECK(next.known().size() == 50);
    if (round == 20) {
      for (int id = 1; id <= 50; ++id) CHECK(next.end_of(id).outcome == Outcome::succeeded);
    }
    if (round == 2) break;
  }
}

TEST_CASE("a scheduler of a lower epoch is refused and the other one stays") {
  TestWorker worker;
  TestScheduler scheduler(worker, 5);
  TestScheduler old(worker, 4);
  CHECK_FALSE(old.welcome().accepted);
  CHECK(old.welcome().epoch == Epoch(5));
  old.wait_for_close();
  CHECK(scheduler.run(worker.task(R"({"command":["true"]})")).outcome == Outcome::succeeded);
}

TEST_CASE("definitions of an earlier scheduler mean nothing to the next") {
  TestWorker worker;
  {
    TestScheduler scheduler(worker, 1);
    scheduler.define(worker.task(R"({"command":["true"]})"));
  }
  TestScheduler next(worker, 2);
  next.start(1);
  CHECK(next.end_of(1).reason == Reason::spawn);
}

TEST_CASE("an attempt that is started twice runs once") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("echo x >> ledger"));
  scheduler.start(1);
  scheduler.start(1);
  scheduler.end_of(1);
  scheduler.start(1);
  scheduler.start(2);
  scheduler.end_of(2);
  CHECK(test::read_whole(worker.home() + "/ledger") == "x\nx\n");
}

TEST_CASE("garbage on the wire costs the connection and nothing else") {
  TestWorker worker;
  const std::vector<std::string> garbage = {
      "GET / HTTP/1.1\r\n\r\n", std::string("\xff\xff\xff\xff", 4), std::string(4, '\0'),
      TestScheduler::with_length("\x03\xff\xff\xff\xff"), TestScheduler::with_length("\x63")};
  for (const std::string& bytes : garbage) {
    TestScheduler greeting(worker, 1, false);
    greeting.say_bytes(bytes);
    greeting.wait_for_close();
    TestScheduler greeted(worker, 1);
    greeted.say_bytes(bytes);
    greeted.wait_for_close();
  }
  {
    TestScheduler half(worker, 1);
    half.say_bytes(std::string("\x10\0\0\0\x03", 5));
  }
  TestScheduler scheduler(worker, 1);
  CHECK(scheduler.run(worker.task(R"({"command":["true"]})")).outcome == Outcome::succeeded);
}

TEST_CASE("ends wait for a scheduler that does not read") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task = worker.shell("head -c 60000 /dev/zero | tr '\\\\0' x; echo >> ledger");
  task.output = OutputFormat::text;
  scheduler.define(task);
  frame::Start start;
  for (int id = 1; id <= 200; ++id) start.attempts.push_back(TestScheduler::plain(id));
  scheduler.say(start);
  // Twelve megabytes of ends, and nobody reads them yet.
  eventually([&] { return test::read_whole(worker.home() + "/ledger").size() == 200; });
  for (int id = 1; id <= 200; ++id) CHECK(scheduler.end_of(id).output.value.size() == 60000);
}

TEST_CASE("a handle that is named again and again is kept and told once") {
  NamingWorker worker;
  TestScheduler scheduler(worker);
  CHECK(scheduler.run(worker.naming(true)).outcome == Outcome::succeeded);
  REQUIRE(scheduler.handles().size() == 1);
  CHECK(scheduler.handles()[0].handle == std::string(4000, '0'));
  int segments = 0;
  for (const auto& entry : std::filesystem::directory_iterator(worker.folder()))
    segments += entry.path().filename().string().starts_with("journal.") ? 1 : 0;
  CHECK(segments == 1);  // all of them are four
}

TEST_CASE("a scheduler that does not read hears the newest handle, not all") {
  NamingWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.naming(false));
  scheduler.start(1);
  worker.wait_until_named();
  CHECK(scheduler.end_of(1).outcome == Outcome::succeeded);
  const auto& handles = scheduler.handles();
  REQUIRE(!handles.empty());
  CHECK(handles.size() < kHandles / 2);
  CHECK(handles.back().handle == std::string(3996, '0') + std::to_string(kHandles - 1));
  CHECK(std::is_sorted(handles.begin(), handles.end(),
                       [](const auto& a, const auto& b) { return a.serial < b.serial; }));
}

TEST_CASE("a worker that nobody needs goes") {
  TestWorker worker([](WorkerOptions& options) { options.idle_exit = test::patient(1s); });
  {
    TestScheduler scheduler(worker);
    scheduler.define(worker.shell("sleep 0.5; exit 3"));
    scheduler.start(1);
    scheduler.begin_of(1);
  }
  CHECK(worker.wait() == 0);
  auto journal = read_journal(worker.folder());
  REQUIRE(journal.ok());
  REQUIRE(journal->find(AttemptId(1)) != nullptr);
  CHECK(journal->find(AttemptId(1))->end->exit_code == 3);
  CHECK_FALSE(std::filesystem::exists(worker.socket()));
  CHECK_FALSE(std::filesystem::exists(worker.folder() + "/scratch"));
}

TEST_CASE("SIGTERM takes no program from a worker, it goes when the last has ended") {
  TestWorker worker;
  {
    TestScheduler scheduler(worker);
    std::string gate = worker.home() + "/gate";
    REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
    scheduler.define(worker.shell("read x <> gate; exit 3"));
    scheduler.start(1);
    scheduler.begin_of(1);
    kill(worker.pid(), SIGTERM);
    kill(worker.pid(), SIGHUP);
    eventually([&] {
      return test::read_whole(worker.folder() + "/log").find("SIGHUP") != std::string::npos;
    });
    Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::write(open_gate.get(), "\n", 1) == 1);
    CHECK(scheduler.end_of(1).exit_code == 3);
    CHECK_FALSE(worker.has_exited());
  }
  CHECK(worker.wait() == 0);
}

TEST_CASE("after SHUTDOWN a worker goes when its last attempt is forgotten") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("sleep 0.2"));
  scheduler.start(1);
  scheduler.say(frame::Shutdown{});
  CHECK(scheduler.end_of(1).outcome == Outcome::succeeded);
  CHECK_FALSE(worker.has_exited());
  scheduler.say(frame::Forget{{{AttemptId(1), 0}}});
  CHECK(worker.wait() == 0);
}

TEST_CASE("a second worker of the same number does not start") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  pid_t second = fork();
  if (second == 0) {
    WorkerOptions options;
    options.home = worker.home();
    options.id = WorkerId(3);
    ::close(2);
    _exit(worker_main(options));
  }
  int status = 0;
  REQUIRE(waitpid(second, &status, 0) == second);
  CHECK(WEXITSTATUS(status) == 75);
  CHECK(scheduler.run(worker.task(R"({"command":["true"]})")).outcome == Outcome::succeeded);
}

TEST_CASE("what a worker notes again and again is in its log once, and how often") {
  TestWorker worker;
  for (int i = 0; i < 3; ++i) {
    TestScheduler stranger(worker, 1, false);
    stranger.say(frame::Ping{});
    stranger.wait_for_close();
  }
  ::kill(worker.pid(), SIGTERM);
  worker.wait();
  const std::string log = test::read_whole(worker.folder() + "/log");
  const std::size_t first = log.find("did not begin with HELLO");
  REQUIRE(first != std::string::npos);
  CHECK(log.find("did not begin with HELLO", first + 1) == std::string::npos);
  CHECK_THAT(log, Catch::Contains("the same 2 more times\n"));
}

}  // namespace pawl
