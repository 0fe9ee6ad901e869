// Calls per second of the operator `python`: a host's part and warm interpreters, without a
// scheduler. Beside it, in the same run, the pools of Python's own library.
//
//   bench_python [calls] [window]

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "plugins/worker/python_program.h"
#include "scheduler/base/check.h"
#include "scheduler/loop/loop.h"

namespace {

using namespace pawl;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Keeps `window` calls open until `count` are done.
class Driver : public OperatorEvents {
 public:
  Driver(std::string folder, std::string parameters)
      : folder_(std::move(folder)),
        parameters_(std::move(parameters)),
        host_(loop_, folder_, limit()) {
    auto made = make_python_operator(loop_, host_, folder_, *this);
    if (!made) std::abort();
    backend_ = std::move(*made);
  }

  /// Seconds; negative when a call failed.
  double run(std::int64_t count, std::int64_t window) {
    left_ = count;
    open_ = 0;
    const double begin = seconds_now();
    for (std::int64_t i = 0; i < window; ++i) start_one();
    while (open_ > 0) loop_.run_once(true);
    return failed_ > 0 ? -1 : seconds_now() - begin;
  }

  void log(AttemptId, LogStream, std::string_view) override {}
  void heartbeat(AttemptId) override {}
  void waits(AttemptId) override {}
  void begins(AttemptId) override {}
  void progress(AttemptId, double, std::string_view) override {}
  bool set_handle(AttemptId, std::string_view) override { return true; }
  void finished(AttemptId, OperatorResult&& result) override {
    if (result.outcome != Outcome::succeeded && failed_++ == 0) {
      std::fprintf(stderr, "%s\n%s\n", result.message.c_str(), result.trace.c_str());
    }
    --open_;
    start_one();
  }
  void note(const std::string& text) override { std::fprintf(stderr, "%s\n", text.c_str()); }

 private:
  static rlimit limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
  }

  /// As a host would make it: with all that a program of the task sees as its environment.
  void start_one() {
    if (left_ == 0) return;
    --left_;
    ++open_;
    auto request = std::make_shared<OperatorRequest>();
    request->attempt = AttemptId(++last_);
    const std::string number = std::to_string(last_);
    request->parameters = parameters_;
    request->job = "bench";
    request->run = "20261120-225801-bench1";
    request->task = "call";
    request->index = ItemIndex(last_);
    request->item = "{\"id\":" + number + "}";
    request->key = number;
    request->idempotency_key = "8a7d0c3f" + number;
    request->working_dir = folder_;
    request->definition = definition_;
    backend_->start(std::move(request));
  }

  /// The variables of a task as they are in a service.
  static std::shared_ptr<const CompiledDefinition> definition() {
    TaskDefinition task;
    task.home = "/var/lib/pawl";
    task.job = "bench";
    task.run = "20261120-225801-bench1";
    task.task = "call";
    task.operator_name = "python";
    task.with = "{}";
    task.context = "{}";
    auto compiled = CompiledDefinition::compile(std::move(task), {{"PATH", "/usr/bin:/bin"},
                                                                  {"HOME", "/root"},
                                                                  {"USER", "root"},
                                                                  {"LOGNAME", "root"},
                                                                  {"SHELL", "/bin/bash"},
                                                                  {"LANG", "C.UTF-8"},
                                                                  {"TZ", "UTC"},
                                                                  {"TMPDIR", "/tmp"}});
    PAWL_CHECK(compiled);
    return std::move(*compiled);
  }

  const std::shared_ptr<const CompiledDefinition> definition_ = definition();
  std::string folder_;
  std::string parameters_;
  Loop loop_;
  ProgramHost host_;
  std::unique_ptr<OperatorBackend> backend_;
  std::int64_t left_ = 0;
  std::int64_t open_ = 0;
  std::int64_t last_ = 0;
  std::int64_t failed_ = 0;
};

bool measure(const char* name, const std::string& folder, const std::string& parameters,
             std::int64_t count, std::int64_t window) {
  Driver driver(folder, parameters);
  driver.run(window, window);  // the interpreters start
  const double cpu = own_cpu();
  const double seconds = driver.run(count, window);
  if (seconds < 0) return false;
  std::printf("%-32s %10.0f calls/s, host %.1f us each\n", name,
              static_cast<double>(count) / seconds,
              (own_cpu() - cpu) * 1e6 / static_cast<double>(count));
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t count = argc > 1 ? std::atoll(argv[1]) : 20'000;
  const std::int64_t window = argc > 2 ? std::atoll(argv[2]) : 64;
  ::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  char pattern[] = "/tmp/pawl-bench-XXXXXX";
  const std::string folder = ::mkdtemp(pattern);
  std::ofstream(folder + "/calls.py") << "def nothing():\n    pass\n";
  const std::string call = R"({"call":"calls:nothing")";
  bool is_good =
      measure("pawl python", folder, call + "}", count, window) &&
      measure("pawl python, threads 8", folder, call + R"(,"threads":8})", count, window);
  std::filesystem::remove_all(folder);
  const std::string pools = "python3 " PAWL_BENCH_POOLS " " + std::to_string(count);
  return is_good && std::system(pools.c_str()) == 0 ? 0 : 1;
}
