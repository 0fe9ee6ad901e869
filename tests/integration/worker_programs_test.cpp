// What a real supervisor makes of programs: how they end, what they get, what they write.

#include <sys/resource.h>

#include "tests/integration/worker_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::read_whole;
using test::TestScheduler;
using test::TestWorker;

/// The texts of a log, without times and streams.
std::string texts(const std::string& log) {
  std::string out;
  for (std::size_t at = 0; at < log.size();) {
    std::size_t end = log.find('\n', at);
    REQUIRE(end != std::string::npos);
    std::string line = log.substr(at, end - at);
    constexpr std::size_t kHead = 30 + 1 + 6 + 1 + 1 + 1;  // time, stream, kind and blanks
    REQUIRE(line.size() >= kHead);
    out += line.substr(kHead);
    if (line[kHead - 2] == 'F') out += '\n';
    at = end + 1;
  }
  return out;
}

}  // namespace

TEST_CASE("a program that exits with 0 succeeded, and nothing is logged of a silent one") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(worker.task(R"({"command":["true"]})"));
  CHECK(end.outcome == Outcome::succeeded);
  CHECK(end.reason == Reason::none);
  CHECK(end.exit_code == 0);
  CHECK_FALSE(end.signal);
  CHECK_FALSE(end.stop_seen);
  CHECK(end.message.empty());
  CHECK(end.log_bytes == 0);
  CHECK(end.ended_at >= end.started_at);
  CHECK_FALSE(std::filesystem::exists(worker.home() + "/logs"));
}

TEST_CASE("an exit code is told with the last words on standard error") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(
      worker.shell("echo out; echo connecting >&2; echo cannot reach warehouse 3 >&2; exit 3"));
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::exit);
  CHECK(end.exit_code == 3);
  CHECK(end.message == "cannot reach warehouse 3");
  CHECK(end.trace == "connecting\ncannot reach warehouse 3");
  std::string log = worker.log_of(1);
  CHECK(static_cast<std::int64_t>(log.size()) == end.log_bytes);
  CHECK(log.find(" stdout F out\n") != std::string::npos);
  CHECK(log.find(" stderr F connecting\n") != std::string::npos);
}

TEST_CASE("an exit code of skip_exit_codes is skipped") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end =
      scheduler.run(worker.task(R"({"command":["sh","-c","exit 99"],"skip_exit_codes":[7,99]})"));
  CHECK(end.outcome == Outcome::skipped);
  CHECK(end.reason == Reason::exit);
  CHECK(end.exit_code == 99);
}

TEST_CASE("a signal is told by number") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(worker.shell("kill -SEGV $$"));
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::signal);
  CHECK(end.signal == SIGSEGV);
  CHECK_FALSE(end.exit_code);
  CHECK(end.message == "ended by SIGSEGV");
  // Somebody else's SIGKILL is no proof of too little memory.
  end = scheduler.run(worker.shell("kill -KILL $$"), 2);
  CHECK(end.reason == Reason::signal);
  CHECK(end.signal == SIGKILL);
}

TEST_CASE("a program that cannot be started says which, why and what to try") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(worker.task(R"({"command":["no-such-program"]})"), 1);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::spawn);
  CHECK(end.error_class == "ENOENT");
  CHECK(end.message ==
        "cannot start no-such-program: No such file or directory. It is in none of the folders of "
        "PATH: /usr/local/bin:/usr/bin:/bin");

  std::ofstream(worker.home() + "/plain") << "echo no first line\n";
  end = scheduler.run(worker.task(R"({"command":["./plain"]})"), 2);
  CHECK(end.error_class == "EACCES");
  CHECK(end.message.find("chmod +x") != std::string::npos);
  std::filesystem::permissions(worker.home() + "/plain", std::filesystem::perms::owner_all);
  end = scheduler.run(worker.task(R"({"command":["./plain"]})"), 3);
  CHECK(end.error_class == "ENOEXEC");
  CHECK(end.message.find("#!/bin/sh") != std::string::npos);

  TaskDefinition lost = worker.task(R"({"command":["true"]})");
  lost.working_dir = "nowhere";
  end = scheduler.run(lost, 4);
  CHECK(end.reason == Reason::spawn);
  CHECK(end.message ==
        "cannot enter working_dir " + worker.home() + "/nowhere: No such file or directory");

  std::string many = R"({"command":["true")";
  for (int i = 0; i < 40; ++i) many += ",\"" + std::string(120'000, 'x') + "\"";
  end = scheduler.run(worker.task(many + "]}"), 5);
  CHECK(end.error_class == "E2BIG");
  CHECK(scheduler.begins().empty());
}

TEST_CASE("a program is found in the PATH of its own environment") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::filesystem::create_directory(worker.home() + "/bin");
  std::ofstream(worker.home() + "/bin/mine") << "#!/bin/sh\nexit 5\n";
  std::filesystem::permissions(worker.home() + "/bin/mine", std::filesystem::perms::owner_all);
  TaskDefinition task = worker.task(R"({"command":["mine"]})");
  task.env["PATH"] = "/nonexistent:" + worker.home() + "/bin:/usr/bin:/bin";
  CHECK(scheduler.run(task).exit_code == 5);
}

TEST_CASE("a template that cannot be rendered fails the attempt, not the worker") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  AttemptEnd end = scheduler.run(worker.task(R"({"command":["echo","{{ params.missing }}"]})"), 1);
  CHECK(end.reason == Reason::template_);
  CHECK(end.message.find("command[1]: ") == 0);
  end = scheduler.run(worker.task(R"({"command":["echo","{{ 1 + "]})"), 2);
  CHECK(end.reason == Reason::template_);
  scheduler.start(3, 99);
  CHECK(scheduler.end_of(3).reason == Reason::spawn);
  CHECK(scheduler.run(worker.task(R"({"command":["true"]})"), 4).outcome == Outcome::succeeded);
}

TEST_CASE("a program has the signals, limits, streams and session of a login shell") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task = worker.shell(
      "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -n; ls /proc/self/fd | tr '\\n' ' '; "
      "wc -c; cut -d' ' -f1,5,6 /proc/$$/stat; nice");
  task.resources.nice = 5;
  task.output = OutputFormat::text;
  AttemptEnd end = scheduler.run(task);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  std::string out = end.output.value;
  CHECK(out.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" +
                 std::to_string(limit.rlim_cur) + "\n0 1 2 3 0\n") == 0);  // 3 is ls's own
  std::size_t at = out.find("0 1 2 3 0\n") + 10;
  std::string ids = out.substr(at, out.find('\n', at) - at);
  std::string pid = ids.substr(0, ids.find(' '));
  CHECK(ids == pid + " " + pid + " " + pid);
  CHECK(out.substr(out.size() - 2) == "\n5");
}

TEST_CASE("a script runs as a file by its shell, with braces as they are") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task = worker.task(R"({"script":"echo '{{ x }}' \"$0\"\nfalse | true\necho no"})");
  task.output = OutputFormat::text;
  AttemptEnd end = scheduler.run(task);
  CHECK(end.reason == Reason::exit);
  CHECK(texts(worker.log_of(1)).find("{{ x }} " + worker.folder() + "/scripts/1-query\n") == 0);
  CHECK(texts(worker.log_of(1)).find("no\n") == std::string::npos);
  scheduler.say(frame::Undefine{DefinitionId(1)});
  eventually([&] { return std::filesystem::is_empty(worker.folder() + "/scripts"); });
}

TEST_CASE("standard input is what the task says") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task = worker.task(R"({"command":["cat"],"stdin":"one\n{{ run.date }}"})");
  task.context = R"({"run":{"date":"2026-11-21"}})";
  task.output = OutputFormat::text;
  CHECK(scheduler.run(task).output.value == "one\n2026-11-21");
}

TEST_CASE("outputs are values or files") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition json = worker.shell("echo '{\"n\": [1, 2]}'");
  json.output = OutputFormat::json;
  CHECK(scheduler.run(json, 1).output.value == "{\"n\": [1, 2]}");

  TaskDefinition wrong = worker.shell("echo nothing");
  wrong.output = OutputFormat::json;
  AttemptEnd end = scheduler.run(wrong, 2);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::output);
  CHECK(end.exit_code == 0);
  CHECK(end.message.find("standard output: it is not JSON") == 0);

  TaskDefinition lines = worker.shell("seq 100000");
  lines.output = OutputFormat::jsonl;
  end = scheduler.run(lines, 3);
  CHECK(end.outcome == Outcome::succeeded);
  CHECK(end.output.file == "logs/3.out");
  CHECK(end.output.bytes == 588'895);
  CHECK(std::filesystem::file_size(worker.home() + "/logs/3.out") == 588'895);

  TaskDefinition file = worker.shell("echo log; echo '\"v\"' > \"$PAWL_OUTPUT\"");
  file.output = OutputFormat::json;
  file.output_from_file = true;
  end = scheduler.run(file, 4);
  CHECK(end.output.value == "\"v\"");
  CHECK(texts(worker.log_of(4)) == "log\n");
  TaskDefinition none = worker.shell("true");
  none.output = OutputFormat::text;
  none.output_from_file = true;
  CHECK(scheduler.run(none, 5).message == "the program wrote no file $PAWL_OUTPUT");
}

TEST_CASE("half an output of a failed program is not kept") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition lines = worker.shell("seq 100000; exit 3");
  lines.output = OutputFormat::jsonl;
  AttemptEnd end = scheduler.run(lines);
  CHECK(end.reason == Reason::exit);
  CHECK(end.output == AttemptOutput{});
  CHECK_FALSE(std::filesystem::exists(worker.home() + "/logs/1.out"));
}

TEST_CASE("a scratch folder is empty, the attempt's own, and gone afterwards") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  TaskDefinition task =
      worker.shell("ls -A \"$PAWL_SCRATCH\"; echo x > \"$PAWL_SCRATCH/file\"; pwd");
  task.output = OutputFormat::text;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(scheduler.run(task, attempt).output.value == worker.home());
  }
  eventually([&] {
    // It is being emptied meanwhile: a folder that goes under the walk is one more to look for.
    std::error_code gone;
    std::filesystem::recursive_directory_iterator entry(worker.folder() + "/scratch", gone);
    for (; !gone && entry != end(entry); entry.increment(gone)) {
      if (entry->is_regular_file(gone)) return false;
    }
    return !gone;
  });
}

TEST_CASE("secrets reach the program and nothing else") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::ofstream(worker.home() + "/secret-file") << "second-canary-4711\n";
  TaskDefinition task = worker.shell(
      "test \"$A\" = canary-secret-0815 || exit 7; test \"$B\" = second-canary-4711 || exit 8; "
      "echo \"a $A b $B\"; printf 'canary-sec' ; printf 'ret-0815\\n'; echo \"$A\" >&2; exit 3");
  task.secrets = {{"ONE", {false, "PAWL_TEST_CANARY"}}, {"TWO", {true, "secret-file"}}};
  task.secret_env = {{"PAWL_TEST_CANARY", "canary-secret-0815"}};
  task.env = {{"A", "{{ secrets.ONE }}"}, {"B", "{{ secrets.TWO }}"}};
  AttemptEnd end = scheduler.run(task);
  CHECK(end.exit_code == 3);
  CHECK(end.message == "***");
  CHECK(texts(worker.log_of(1)).find("a *** b ***\n") != std::string::npos);
  std::filesystem::remove(worker.home() + "/secret-file");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(worker.home())) {
    if (!entry.is_regular_file()) continue;
    std::string bytes = read_whole(entry.path().string());
    CHECK(bytes.find("canary-secret-0815") == std::string::npos);
    CHECK(bytes.find("second-canary-4711") == std::string::npos);
  }
  TaskDefinition missing = worker.shell("true");
  missing.secrets = {{"ONE", {false, "PAWL_TEST_NOT_SET"}}};
  end = scheduler.run(missing, 2);
  CHECK(end.reason == Reason::template_);
  CHECK(end.message.find("PAWL_TEST_NOT_SET is not set") != std::string::npos);
}

TEST_CASE("a long program is reported as begun, a short one is not") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  scheduler.define(worker.shell("echo $$ > pid; exec sleep 86401.1"));
  scheduler.start(1);
  frame::Began began = scheduler.begin_of(1);
  CHECK(read_whole(worker.home() + "/pid") == std::to_string(began.pid) + "\n");
  scheduler.say(frame::Stop{AttemptId(1), Reason::cancelled, false});
  AttemptEnd end = scheduler.end_of(1);
  CHECK(end.outcome == Outcome::cancelled);
  CHECK(end.reason == Reason::cancelled);
  CHECK(end.stop_seen);
  CHECK(end.signal == SIGTERM);
  CHECK(end.started_at == began.started_at);
}

TEST_CASE("CPU time and the largest memory of a program are told") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  // More than the worker's own, which is as large as this test's: of less only that is known.
  rusage own{};
  REQUIRE(getrusage(RUSAGE_SELF, &own) == 0);
  const std::string bytes = std::to_string(2 * own.ru_maxrss * 1024 + 50'000'000);
  AttemptEnd end = scheduler.run(worker.shell("head -c " + bytes + " /dev/zero | tail -c " + bytes +
                                              " | sha256sum > /dev/null"));
  CHECK(end.use.cpu_us > 10'000);
  CHECK(end.use.peak_memory_bytes > 50'000'000);
  CHECK(end.use.memory_bound_bytes == 0);
  const std::int64_t of_large = end.use.peak_memory_bytes;
  end = scheduler.run(worker.task(R"({"command":["true"]})"), 2);
  CHECK(end.use.peak_memory_bytes == 0);
  CHECK(end.use.memory_bound_bytes > 0);
  CHECK(end.use.memory_bound_bytes < of_large);
}

TEST_CASE("five hundred programs that end at once are all told") {
  TestWorker worker;
  TestScheduler scheduler(worker);
  std::string gate = worker.home() + "/gate";
  REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
  // Opened for both ways nobody waits at the gate's door; every newline lets one through.
  scheduler.define(worker.shell("read line <> gate; exit 6"));
  frame::Start start;
  for (int id = 1; id <= 500; ++id) start.attempts.push_back(TestScheduler::plain(id));
  scheduler.say(start);
  scheduler.listen_until([&] { return scheduler.begins().size() == 500; });
  Fd open_gate(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  std::string keys(500, '\n');
  REQUIRE(::write(open_gate.get(), keys.data(), keys.size()) == 500);
  for (int id = 1; id <= 500; ++id) {
    const AttemptEnd& end = scheduler.end_of(id);
    CHECK(end.outcome == Outcome::failed);
    CHECK(end.exit_code == 6);
  }
}

}  // namespace pawl
