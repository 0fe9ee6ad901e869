// Workers that are stopped as a whole while a scheduler directs them. The service runs inside the
// test: how patient it is with workers, users have no knob for.

#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "plugins/worker/process_table.h"
#include "scheduler/daemon/operator_loader.h"
#include "tests/integration/service_support.h"

namespace pawl::test {
namespace {

using nlohmann::json;

const Duration kAnswer = patient(std::chrono::milliseconds(400));
constexpr Duration kNever = std::chrono::hours(1);

class SilentTest : public RunningService {
 public:
  /// `end`: what silent workers get beyond their time.
  explicit SilentTest(Duration end) {
    std::filesystem::create_directories(folder_ / "home/plugins");
    std::filesystem::permissions(folder_ / "home", std::filesystem::perms::owner_all);
    std::filesystem::permissions(folder_ / "home/plugins", std::filesystem::perms::owner_all);
    std::filesystem::copy_file(PAWL_FAULTY_PLUGIN, folder_ / "home/plugins/faulty.so");
    ServiceOptions with = options();
    with.settings.settings.hosts.per_library = 2;
    with.patience = {kAnswer, end};
    with.operators = load_operators(PAWL_PROGRAM, with.home, [](const std::string&) {});
    with.tell = [](Weight, const std::string&) {};
    open(std::move(with));
  }
  ~SilentTest() {
    service_.reset();
    for (pid_t pid : workers_) {
      if (is_stopped(pid)) ::kill(pid, SIGKILL);
    }
  }
  SilentTest(const SilentTest&) = delete;
  SilentTest& operator=(const SilentTest&) = delete;

  /// A run of a job with one task, `a`; its name.
  std::string submit(json task) {
    task["id"] = "a";
    task["kill_grace"] = "0s";
    task["on_interrupt"] = "fail";
    const json job = {{"name", "job" + std::to_string(++jobs_)}, {"tasks", {task}}};
    return ask("POST", "/v1/runs", {{"text", job.dump()}, {"folder", folder_.path()}})
        .value("run", "");
  }
  void cancel(const std::string& run, bool force) {
    const json answer =
        ask("POST", "/v1/commands",
            {{"verb", "cancel"}, {"targets", {{{"run", run}}}}, {"options", {{"force", force}}}});
    INFO(answer.dump());
    REQUIRE_FALSE(answer.contains("error"));
  }
  void until_ends(const std::string& run, const std::string& state) {
    until([&] {
      const std::string now = state_of(run);
      return now != "running" && now != "queued" && now != "paused";
    });
    REQUIRE(state_of(run) == state);
  }
  /// The attempts of a run, by what the command line says.
  json attempts_of(const std::string& run) const {
    const std::string command = std::string(PAWL_PROGRAM) + " --home '" + (folder_ / "home") +
                                "' attempts --run " + run + " -o json";
    std::FILE* out = ::popen(command.c_str(), "r");
    REQUIRE(out != nullptr);
    std::string text;
    for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out))
      text.push_back(static_cast<char>(c));
    REQUIRE(::pclose(out) == 0);
    return json::parse(text);
  }
  std::vector<std::string> reasons_of(const std::string& run) {
    std::vector<std::string> kinds;
    const json answer = ask("GET", "/v1/explain", nullptr, {{"run", run}, {"task", "a"}});
    for (const json& reason : answer["reasons"]) kinds.push_back(reason.value("kind", ""));
    return kinds;
  }

  struct Worker {
    std::int64_t id = 0;
    pid_t pid = 0;
    std::string state;
    std::int64_t attempts = 0;
  };
  std::vector<Worker> workers() {
    std::vector<Worker> all;
    const json status = ask("GET", "/v1/status");
    for (const json& w : status["workers"]) {
      all.push_back({w["worker"], w["pid"], w["state"], w["attempts"]});
      if (all.back().pid > 0) workers_.insert(all.back().pid);
    }
    return all;
  }
  /// The one that is in that state and has an attempt, once there is one.
  Worker until_one_is(const std::string& state) {
    Worker found;
    until([&] {
      for (const Worker& worker : workers()) {
        if (worker.state == state && worker.attempts > 0) found = worker;
      }
      return found.pid != 0;
    });
    return found;
  }
  static bool is_stopped(pid_t pid) {
    const auto stat = read_process_stat(pid);
    return stat && stat->state == 'T';
  }

  bool has_file(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  std::string file(const std::string& name) const { return folder_ / name; }

 private:
  int jobs_ = 0;
  std::set<pid_t> workers_;
};

/// A run of a program that waits, and its supervisor, which is stopped and known to be silent.
struct StoppedSupervisor {
  explicit StoppedSupervisor(SilentTest& test)
      : run(test.submit(
            {{"command", {"sh", "-c", "echo > " + test.file("began") + "; exec sleep 1000"}}})),
        worker(test.until_one_is("up")) {
    test.until([&] {
      test.workers();
      return test.has_file("began");
    });
    ::kill(worker.pid, SIGSTOP);
    test.until_one_is("silent");
  }
  std::string run;
  SilentTest::Worker worker;
};

}  // namespace

TEST_CASE("a host that is stopped ends with the time-out of its attempt") {
  SilentTest test(Duration(200));
  const std::string run = test.submit({{"operator", "stopper"}, {"timeout", "1s"}});
  const auto host = test.until_one_is("silent");
  CHECK(test.reasons_of(run).back() == "no_worker");  // after its time-out, if that is over
  test.until_ends(run, "failed");
  const json attempts = test.attempts_of(run);
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0]["reason"] == "lost");
  CHECK(attempts[0]["error"]["message"].get<std::string>().find("did not answer") !=
        std::string::npos);
  CHECK_FALSE(test.is_stopped(host.pid));
}

TEST_CASE("beside a host that is stopped another one takes what follows, and a cancel ends it") {
  SilentTest test(Duration(200));
  const std::string stopped = test.submit({{"operator", "stopper"}});
  const auto host = test.until_one_is("silent");
  const std::string other = test.submit({{"operator", "counter"}});
  test.until_ends(other, "succeeded");
  CHECK(test.attempts_of(other)[0]["worker"] != host.id);
  CHECK(test.state_of(stopped) == "running");
  CHECK(test.is_stopped(host.pid));
  test.cancel(stopped, false);
  test.until_ends(stopped, "cancelled");
}

TEST_CASE("a host that goes on before its time is over goes on as if nothing had been") {
  SilentTest test(kNever);
  const std::string run = test.submit({{"operator", "stopper"}, {"timeout", "1s"}});
  const auto host = test.until_one_is("silent");
  ::kill(host.pid, SIGCONT);
  test.until_ends(run, "succeeded");
  CHECK(test.attempts_of(run).size() == 1);
  const std::string next = test.submit({{"operator", "counter"}});
  test.until_ends(next, "succeeded");
  CHECK(test.attempts_of(next)[0]["worker"] == host.id);
}

TEST_CASE("a supervisor that is stopped is replaced, and killed when a person does not wait") {
  SilentTest test(kNever);
  const auto [run, supervisor] = StoppedSupervisor(test);
  const std::string other = test.submit({{"command", {"true"}}});
  test.until_ends(other, "succeeded");
  CHECK(test.attempts_of(other)[0]["worker"] != supervisor.id);
  test.cancel(run, false);
  CHECK(test.state_of(run) == "running");
  CHECK(test.is_stopped(supervisor.pid));
  test.cancel(run, true);
  test.until_ends(run, "cancelled");
}

TEST_CASE("what a stopped supervisor was told is done when it goes on") {
  SilentTest test(kNever);
  const auto [run, supervisor] = StoppedSupervisor(test);
  test.cancel(run, false);
  ::kill(supervisor.pid, SIGCONT);
  test.until_ends(run, "cancelled");
  // The one in its place is not needed any more.
  test.until([&] {
    std::size_t up = 0;
    for (const auto& worker : test.workers()) up += worker.state == "up" ? 1 : 0;
    return up == 1;
  });
}

}  // namespace pawl::test
