#pragma once

// A host without a scheduler: warm programs on a loop, and what they tell.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "plugins/worker/program_operator.h"
#include "scheduler/loop/loop.h"
#include "tests/integration/worker_support.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {

/// Everything a host was told.
class Recorder : public OperatorEvents {
 public:
  struct Told {
    std::string out;
    std::string err;
    int heartbeats = 0;
    bool is_waiting = false;
    double fraction = -1;
    std::string progress;
    std::string handle;
    int finished = 0;
    OperatorResult result;
  };

  void log(AttemptId id, LogStream stream, std::string_view text) override {
    (stream == LogStream::out ? told[id.value].out : told[id.value].err) += text;
  }
  void heartbeat(AttemptId id) override { ++told[id.value].heartbeats; }
  void waits(AttemptId id) override { told[id.value].is_waiting = true; }
  void begins(AttemptId id) override { told[id.value].is_waiting = false; }
  void progress(AttemptId id, double fraction, std::string_view text) override {
    told[id.value].fraction = fraction;
    told[id.value].progress = text;
  }
  bool set_handle(AttemptId id, std::string_view handle) override {
    told[id.value].handle = handle;
    return handle != "refused";
  }
  void finished(AttemptId id, OperatorResult&& result) override {
    ++count;
    ++told[id.value].finished;
    told[id.value].result = std::move(result);
  }
  void note(const std::string& text) override { notes += text + "\n"; }

  std::map<std::int64_t, Told> told;
  std::string notes;
  int count = 0;
};

/// Makes this process what a host is.
inline void become_host() {
  ::signal(SIGPIPE, SIG_IGN);
  REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

inline rlimit own_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

class TestHost {
 public:
  using Make =
      std::function<std::unique_ptr<OperatorBackend>(Loop&, ProgramHost&, OperatorEvents&)>;

  explicit TestHost(const Make& make) {
    become_host();
    host = std::make_unique<ProgramHost>(loop, "test", own_descriptor_limit());
    backend = make(loop, *host, recorder);
  }
  /// Checks that nothing is left.
  ~TestHost() {
    backend.reset();
    host.reset();
    CHECK(own_children().empty());
  }

  /// The request of an attempt, to be changed before it is started.
  static OperatorRequest request(std::int64_t id, std::string parameters = "{}") {
    OperatorRequest made;
    made.attempt = AttemptId(id);
    made.parameters = std::move(parameters);
    made.job = "job";
    made.run = "run";
    made.task = "task";
    made.idempotency_key = "key-" + std::to_string(id);
    made.working_dir = "/";
    static const std::shared_ptr<const CompiledDefinition> kDefinition = [] {
      TaskDefinition task;
      task.operator_name = "python";
      task.with = "{}";
      task.context = "{}";
      auto compiled = CompiledDefinition::compile(
          std::move(task), {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}});
      PAWL_CHECK(compiled);
      return std::move(*compiled);
    }();
    made.definition = kDefinition;
    made.output = OutputFormat::json;
    return made;
  }
  void start(OperatorRequest made) {
    backend->start(std::make_shared<const OperatorRequest>(std::move(made)));
  }
  void start(std::int64_t id, std::string parameters = "{}") {
    start(request(id, std::move(parameters)));
  }

  void wait(const std::function<bool()>& is_true) {
    const bool came = run_until(loop, is_true, kPatience);
    INFO(recorder.notes);
    REQUIRE(came);
  }
  void pass(Duration time) {
    bool is_over = false;
    Timer timer(loop, [&] { is_over = true; });
    timer.start_after(time);
    wait([&] { return is_over; });
  }
  const OperatorResult& end(std::int64_t id) {
    wait([&] { return recorder.told[id].finished > 0; });
    CHECK(recorder.told[id].finished == 1);
    return recorder.told[id].result;
  }
  const OperatorResult& run(std::int64_t id, std::string parameters = "{}") {
    start(id, std::move(parameters));
    return end(id);
  }

  Loop loop;
  Recorder recorder;
  std::unique_ptr<ProgramHost> host;
  std::unique_ptr<OperatorBackend> backend;
};

}  // namespace pawl::test
