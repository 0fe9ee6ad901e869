// Programs that do not behave, and what must happen all the same.

#include <sys/resource.h>

#include "plugins/worker/journal.h"
#include "plugins/worker/process_table.h"
#include "plugins/worker/remains.h"
#include "tests/integration/worker_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::read_whole;
using test::TestScheduler;
using test::TestWorker;

}  // namespace

TEST_CASE("a time-out ends a program, and one that ignores SIGTERM is killed") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition polite = worker.shell("trap 'echo bye; exit 0' TERM; sleep 86402.1 & wait");
  polite.timeout = 200ms;
  AttemptEnd end = scheduler.run(polite, 1);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::timeout);
  CHECK(end.message == "no end within 200ms");
  CHECK(end.exit_code == 0);
  CHECK(worker.log_of(1).find("bye") != std::string::npos);

  TaskDefinition deaf = worker.shell("trap '' TERM; while :; do sleep 86402.2; done");
  deaf.timeout = 200ms;
  deaf.kill_grace = 200ms;
  end = scheduler.run(deaf, 2);
  CHECK(end.reason == Reason::timeout);
  CHECK(end.signal == SIGKILL);
  CHECK(worker.programs_with("86402.").empty());
}

TEST_CASE("what is left of the total time-out ends an attempt") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("sleep 86403.1"));
  auto start = TestScheduler::plain(1);
  start.total_remaining = 150ms;
  scheduler.say(frame::Start{{start}});
  CHECK(scheduler.end_of(1).reason == Reason::total_timeout);
}

TEST_CASE("a program that falls silent stalls, one that writes does not") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition silent = worker.shell("echo hello; exec sleep 86404.1");
  silent.stall_timeout = 300ms;
  AttemptEnd end = scheduler.run(silent, 1);
  CHECK(end.reason == Reason::stalled);
  CHECK(end.message == "no output within 300ms");
  TaskDefinition busy = worker.shell("for i in 1 2 3 4 5 6 7 8; do echo .; sleep 0.1; done");
  busy.stall_timeout = 700ms;
  CHECK(scheduler.run(busy, 2).outcome == Outcome::succeeded);
}

TEST_CASE("a stopped program is ended all the same") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("kill -STOP $$; sleep 86405.1"));
  scheduler.start(1);
  frame::Began began = scheduler.begin_of(1);
  eventually([&] { return read_process_stat(began.pid)->state == 'T'; });
  scheduler.say(frame::Stop{AttemptId(1), Reason::run_timeout, false});
  AttemptEnd end = scheduler.end_of(1);
  CHECK(end.outcome == Outcome::cancelled);
  CHECK(end.reason == Reason::run_timeout);
  CHECK(end.signal == SIGTERM);
}

TEST_CASE("a stop with force does not wait for the grace") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("trap '' TERM; while :; do sleep 86406.1; done"));
  scheduler.start(1);
  scheduler.begin_of(1);
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, true});
  AttemptEnd end = scheduler.end_of(1);
  CHECK(end.outcome == Outcome::cancelled);
  CHECK(end.signal == SIGKILL);
  CHECK(worker.programs_with("86406.").empty());
}

TEST_CASE("whatever a program leaves behind is gone before its end is told") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  for (const char* script :
       {"sleep 86407.1 & exit 0",                    // the same group
        "setsid sleep 86407.2 & sleep 0.1; exit 0",  // a session of its own
        "(setsid sh -c 'sleep 86407.3 & sleep 86407.4' &) ; sleep 0.1; exit 0",  // forked twice
        "env -i setsid sleep 86407.5 & sleep 0.1; exit 0",                       // and no variables
        "setsid sh -c 'trap \"\" TERM; setsid sleep 86407.6 & sleep 86407.7' & sleep 0.1; :"}) {
    static std::int64_t attempt = 0;
    AttemptEnd end = scheduler.run(worker.shell(script), ++attempt);
    CHECK(end.outcome == Outcome::succeeded);
    INFO(script);
    CHECK(worker.programs_with("86407.").empty());
  }
}

TEST_CASE("a daemon that a running program started is left alone until that ends") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("setsid sleep 86408.1 & sleep 0.1; read x <> gate2; exit 0"), 1);
  std::string gate = worker.home() + "/gate2";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  scheduler.start(1);
  scheduler.begin_of(1);
  eventually([&] { return !worker.programs_with("86408.1").empty(); });
  scheduler.define(worker.task(R"({"command":["true"]})"), 2);
  scheduler.start(2, 2);
  scheduler.end_of(2);
  CHECK_FALSE(worker.programs_with("86408.1").empty());
  Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::write(open_gate.get(), "\n", 1) == 1);
  CHECK(scheduler.end_of(1).outcome == Outcome::succeeded);
  CHECK(worker.programs_with("86408.1").empty());
}

TEST_CASE("what left its session and its variables behind is known by its mark") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::string gate = worker.home() + "/gate3";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  scheduler.define(worker.shell("read x <> gate3; exit 0"), 1);
  scheduler.start(1);
  scheduler.begin_of(1);
  // Another attempt runs on, and yet this one's end is not told before its stray is gone.
  scheduler.define(worker.shell("env -i setsid sleep 86411.1 & sleep 0.1; exit 0"), 2);
  scheduler.start(2, 2);
  CHECK(scheduler.end_of(2).outcome == Outcome::succeeded);
  CHECK(worker.programs_with("86411.1").empty());
  CHECK_FALSE(scheduler.ends().contains(AttemptId(1)));
  Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::write(open_gate.get(), "\n", 1) == 1);
  scheduler.end_of(1);
}

TEST_CASE("who holds the pipe open is not waited for") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  // Its end would come in a day.
  AttemptEnd end =
      scheduler.run(worker.shell("echo early; setsid sleep 86409.1 & echo late; exit 0"));
  CHECK(end.outcome == Outcome::succeeded);
  std::string log = worker.log_of(1);
  CHECK(log.find("early") != std::string::npos);
  CHECK(log.find("late") != std::string::npos);
}

TEST_CASE("a program that closes its streams runs on and is judged by its exit") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task = worker.shell("exec 0<&- 1>&- 2>&-; sleep 0.3; exit 4");
  CHECK(scheduler.run(task).exit_code == 4);
}

TEST_CASE("a flood is capped in the log, keeps head and tail, and holds up nobody") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("echo first; head -c 150000000 /dev/zero | tr '\\\\0' x | "
                                "fold -w 4000; echo; echo last"),
                   1);
  scheduler.define(worker.task(R"({"command":["true"]})"), 2);
  scheduler.start(1, 1);
  scheduler.begin_of(1);
  for (int id = 2; id <= 20; ++id) {
    scheduler.start(id, 2);
    CHECK(scheduler.end_of(id).outcome == Outcome::succeeded);
  }
  AttemptEnd end = scheduler.end_of(1);
  CHECK(end.outcome == Outcome::succeeded);
  CHECK(end.log_bytes < 65 << 20);
  CHECK(end.log_bytes > 40 << 20);
  std::string log = worker.log_of(1);
  CHECK(static_cast<std::int64_t>(log.size()) == end.log_bytes);
  CHECK(log.substr(30, 16) == " stdout F first\n");
  CHECK(log.ends_with(" stdout F last\n"));
  CHECK(log.find("bytes are left out here]") != std::string::npos);
}

TEST_CASE("a disk that takes no journal starts no program") {
  // A limit of file sizes stands for the full disk; programs inherit it, none is started.
  TestWorker worker([](WorkerOptions&) {});
  rlimit small{1 << 20, 1 << 20};
  prlimit(worker.pid(), RLIMIT_FSIZE, &small, nullptr);
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(worker.shell("touch started"));
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::spawn);
  CHECK(end.message.find("cannot make a journal segment") == 0);
  CHECK_FALSE(std::filesystem::exists(worker.home() + "/started"));
}

TEST_CASE("a log that cannot be written does not hurt the task") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::ofstream(worker.home() + "/logs") << "in the way of the folder";
  AttemptEnd end = scheduler.run(worker.shell("echo hello; echo oh >&2; exit 3"));
  CHECK(end.reason == Reason::exit);
  CHECK(end.message == "oh");
  CHECK(end.log_bytes == 0);
}

TEST_CASE("a log that is removed under a running task is made anew") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::string gate = worker.home() + "/gate";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  scheduler.define(worker.shell("echo one; read x <> gate; echo two"));
  scheduler.start(1);
  eventually([&] { return worker.log_of(1).find("one") != std::string::npos; });
  std::filesystem::remove(worker.home() + "/logs/1.log");
  Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::write(open_gate.get(), "\n", 1) == 1);
  CHECK(scheduler.end_of(1).outcome == Outcome::succeeded);
  CHECK(worker.log_of(1).find("two") != std::string::npos);
}

TEST_CASE("a log that is moved or emptied under a running task goes on in a whole file") {
  for (const bool is_moved : {true, false}) {
    TestWorker worker;
    TestScheduler scheduler(worker);
    const std::string gate = worker.home() + "/gate";
    const std::string log = worker.home() + "/logs/1.log";
    REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
    scheduler.define(worker.shell("echo one; read x <> gate; echo two"));
    scheduler.start(1);
    eventually([&] { return worker.log_of(1).find("one") != std::string::npos; });
    // The two ways of logrotate: create, and copytruncate.
    if (is_moved) {
      std::filesystem::rename(log, log + ".1");
    } else {
      std::filesystem::resize_file(log, 0);
    }
    Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::write(open_gate.get(), "\n", 1) == 1);
    CHECK(scheduler.end_of(1).outcome == Outcome::succeeded);
    const std::string text = worker.log_of(1);
    CHECK(text.ends_with(" stdout F two\n"));
    CHECK(text.find("one") == std::string::npos);
    CHECK(text.find('\0') == std::string::npos);
    if (is_moved) CHECK(read_whole(log + ".1").ends_with(" stdout F one\n"));
  }
}

TEST_CASE(
    "a killed worker leaves a journal that tells all, and its programs are found and killed") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("exit 5"), 1);
  scheduler.define(worker.shell("setsid sleep 86410.1 & sleep 86410.2"), 2);
  scheduler.define(worker.shell("unset PAWL_ATTEMPT_ID; exec sleep 86410.3"), 3);
  scheduler.start(1, 1);
  scheduler.end_of(1);
  scheduler.start(2, 2);
  scheduler.start(3, 3);
  scheduler.begin_of(2);
  scheduler.begin_of(3);
  eventually([&] { return worker.programs_with("86410.").size() >= 3; });
  worker.kill_now();
  CHECK_FALSE(*FileLock::is_held(worker.folder() + "/lock"));
  CHECK((*FileLock::last_holder(worker.folder() + "/lock"))->boot_id == boot_id());
  CHECK_FALSE(worker.programs_with("86410.").empty());

  auto journal = read_journal(worker.folder());
  REQUIRE(journal.ok());
  CHECK_FALSE(journal->damaged);
  REQUIRE(journal->attempts.size() == 3);
  CHECK(journal->find(AttemptId(1))->end->exit_code == 5);
  std::vector<JournalAttempt> open;
  for (const JournalAttempt& attempt : journal->attempts) {
    if (attempt.end) continue;
    CHECK(attempt.spawned);
    open.push_back(attempt);
  }
  REQUIRE(open.size() == 2);
  const Remains remains = *kill_remains(worker.home(), worker.folder(), open, 10s);
  CHECK(remains.all_gone());
  CHECK(remains.killed >= 3);
  CHECK(worker.programs_with("86410.").empty());
}

TEST_CASE("programs that hand themselves on from process to process do not outrun the search") {
  const std::string home = "/nonexistent/home";
  for (std::int64_t number = 900'001; number <= 900'010; ++number) {
    const pid_t first = fork();
    if (first == 0) {
      setsid();
      const rlimit mark{attempt_mark(number, home), RLIM_INFINITY};
      setrlimit(RLIMIT_LOCKS, &mark);
      // Ten seconds at the least; without an end it would outlive a test that fails.
      for (int hop = 0; hop < 5'000; ++hop) {
        if (fork() != 0) _exit(0);
        setsid();
        usleep(2'000);
      }
      _exit(0);
    }
    waitpid(first, nullptr, 0);
    JournalAttempt attempt;
    attempt.attempt = AttemptId(number);
    const Remains remains = *kill_remains(home, home + "/workers/1", {attempt}, 60s);
    CHECK(remains.all_gone());
    CHECK(remains.killed >= 1);
    for (pid_t pid : all_processes()) {
      const auto stat = read_process_stat(pid);
      if (!stat || stat->has_ended()) continue;
      CHECK(attempt_of_process(pid, home) != number);
    }
  }
}

TEST_CASE("a reused pid is not killed for an attempt of another time") {
  pid_t bystander = fork();
  if (bystander == 0) {
    setsid();
    execlp("sleep", "sleep", "86411.1", nullptr);
    _exit(127);
  }
  const std::string command = "/proc/" + std::to_string(bystander) + "/cmdline";
  eventually([&] { return read_whole(command).starts_with("sleep"); });
  std::uint64_t started = *process_start_time(bystander);
  JournalAttempt attempt;
  attempt.attempt = AttemptId(1);
  attempt.spawned = Spawned{bystander, started - 500, started - 400};
  Remains remains =
      *kill_remains("/nonexistent/home", "/nonexistent/home/workers/1", {attempt}, 1s);
  CHECK(remains.all_gone());
  CHECK(remains.killed == 0);
  CHECK(kill(bystander, 0) == 0);
  attempt.spawned = Spawned{bystander, started, started};
  remains = *kill_remains("/nonexistent/home", "/nonexistent/home/workers/1", {attempt}, 5s);
  CHECK(remains.killed == 1);  // and its zombie, which is ours to reap, counts as gone
  CHECK(remains.all_gone());
  waitpid(bystander, nullptr, 0);
}

}  // namespace pawl
