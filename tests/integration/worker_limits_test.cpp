// Limits of attempts, with real programs that reach them: by looking at the processes, and by
// control groups where this machine lets the test make one.

#include <cstdlib>

#include "plugins/worker/control_group.h"
#include "tests/integration/worker_support.h"
#include "tests/skip.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::TestScheduler;
using test::TestWorker;

/// A folder of control groups of the test's own; nothing where the kernel gives none.
class GroupFolder {
 public:
  GroupFolder() {
    const auto own = own_control_group();
    if (!own) return;
    std::string place = *own + "/pawl-test-XXXXXX";
    if (::mkdtemp(place.data()) != nullptr) path_ = place;
  }
  ~GroupFolder() {
    // Of a worker that was killed: its own, empty by then.
    for (const std::string& folder : below()) ::rmdir(folder.c_str());
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  GroupFolder(const GroupFolder&) = delete;
  GroupFolder& operator=(const GroupFolder&) = delete;

  explicit operator bool() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  bool is_empty() const { return below().empty(); }

 private:
  std::vector<std::string> below() const {
    std::vector<std::string> folders;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(path_, none)) {
      if (entry.is_directory()) folders.push_back(entry.path());
    }
    return folders;
  }

  std::string path_;
};

/// A worker with that setting of control groups.
std::function<void(WorkerOptions&)> with_groups(const std::string& setting) {
  return [setting](WorkerOptions& options) { options.control_groups = setting; };
}

void check_memory(TestWorker& worker, TestScheduler& scheduler) {
  TaskDefinition task = worker.shell(
      "head -c 300000000 /dev/zero | tail -c 300000000 > kept; echo too far; sleep 86402.1");
  task.resources.memory_bytes = 64u << 20;
  const AttemptEnd end = scheduler.run(task, 1);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::oom);
  CHECK(end.signal == SIGKILL);
  CHECK_THAT(end.message, Catch::Contains("resources.memory") && Catch::Contains("64.0 MiB"));
  CHECK(worker.log_of(1).empty());
}

void check_cpu_time(TestWorker& worker, TestScheduler& scheduler) {
  // Two children: neither passes the limit alone.
  TaskDefinition task = worker.shell(
      "burn() { while :; do :; done; }; trap 'echo told; exit 3' TERM; burn & burn & wait");
  task.resources.cpu_time = 400ms;
  const AttemptEnd end = scheduler.run(task, 2);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::cpu_time);
  CHECK(end.exit_code == 3);  // SIGTERM first
  CHECK_THAT(end.message, Catch::Contains("resources.cpu_time is 400ms"));
  CHECK(end.use.cpu_us >= 400'000);
  CHECK(worker.log_of(2).find("told") != std::string::npos);
}

void check_pids(TestWorker& worker, TestScheduler& scheduler) {
  TaskDefinition task =
      worker.shell("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 86402.6 & done; wait");
  task.resources.pids = 5;
  const AttemptEnd end = scheduler.run(task, 3);
  CHECK(end.outcome == Outcome::failed);
  CHECK(end.reason == Reason::pids);
  CHECK_THAT(end.message, Catch::Contains("resources.pids"));
  CHECK(worker.programs_with("86402.6").empty());
}

void check_within(TestWorker& worker, TestScheduler& scheduler) {
  TaskDefinition task = worker.shell("sleep 0.3; (echo fine)");
  task.resources = {256u << 20, 10s, 50, 7};
  const AttemptEnd end = scheduler.run(task, 4);
  CHECK(end.outcome == Outcome::succeeded);
  CHECK(end.message.empty());
  CHECK(worker.log_of(4).find("fine") != std::string::npos);
}

/// Each way of keeping limits must end the same programs for the same reasons.
void check_all(TestWorker& worker, TestScheduler& scheduler) {
  check_memory(worker, scheduler);
  check_cpu_time(worker, scheduler);
  check_pids(worker, scheduler);
  check_within(worker, scheduler);
}

}  // namespace

TEST_CASE("limits are kept by looking where there are no control groups") {
  TestWorker worker(with_groups("none"));
  TestScheduler scheduler(worker);
  check_all(worker, scheduler);
}

TEST_CASE("limits are kept with control groups, and the groups go with their attempts") {
  GroupFolder groups;
  if (!groups) {
    test::skip("no control groups (cgroup v2) can be made here");
    return;
  }
  {
    TestWorker worker(with_groups(groups.path()));
    TestScheduler scheduler(worker);
    check_all(worker, scheduler);
    CHECK_FALSE(groups.is_empty());
    scheduler.disconnect();
    ::kill(worker.pid(), SIGTERM);
    CHECK(worker.wait() == 0);
  }
  CHECK(groups.is_empty());
}

TEST_CASE("a program that hides from its session is ended with its control group") {
  GroupFolder groups;
  if (!groups) {
    test::skip("no control groups (cgroup v2) can be made here");
    return;
  }
  TestWorker worker(with_groups(groups.path()));
  TestScheduler scheduler(worker);
  // Another session, no environment, no mark: nothing but the group knows whose it is.
  TaskDefinition task = worker.shell(
      "setsid env -i prlimit --locks=1:1 sleep 86402.3 > /dev/null 2>&1 < /dev/null & "
      "while ! pgrep -f '^sleep 86402.3' > /dev/null; do sleep 0.01; done");
  task.resources.pids = 50;
  // Another attempt that it could belong to by its time.
  scheduler.define(worker.shell("exec sleep 86402.4"), 2);
  scheduler.start(9, 2);
  scheduler.begin_of(9);
  CHECK(scheduler.run(task, 1).outcome == Outcome::succeeded);
  CHECK(worker.programs_with("86402.3").empty());
  CHECK(worker.programs_with("86402.4").size() == 1);
  scheduler.say(frame::Stop{AttemptId(9), Reason::cancelled, true});
  CHECK(scheduler.end_of(9).outcome == Outcome::cancelled);
}

TEST_CASE("what a dead worker left in its control groups is ended, in a copy of the home nothing") {
  GroupFolder groups;
  if (!groups) {
    test::skip("no control groups (cgroup v2) can be made here");
    return;
  }
  TestWorker worker(with_groups(groups.path()));
  {
    TestScheduler scheduler(worker);
    TaskDefinition task = worker.shell("exec sleep 86402.5");
    task.resources.pids = 50;
    scheduler.define(task);
    scheduler.start(1);
    scheduler.begin_of(1);
  }
  worker.kill_now();
  remove_control_groups(worker.folder(), worker.home() + "-copy", WorkerId(3), 1s);
  CHECK(worker.programs_with("86402.5").size() == 1);
  remove_control_groups(worker.folder(), worker.home(), WorkerId(3), 5s);
  CHECK(worker.programs_with("86402.5").empty());
  CHECK(groups.is_empty());
}

TEST_CASE("control groups are looked for where systemd handed them over, and nowhere else") {
  CHECK_FALSE(find_control_groups("none"));
  CHECK(find_control_groups("/sys/fs/cgroup/mine") == "/sys/fs/cgroup/mine");
  // The folder that cannot serve is said, and limits are kept all the same.
  const std::string home = std::filesystem::temp_directory_path().string();
  TestWorker worker(with_groups(home));
  TestScheduler scheduler(worker);
  check_pids(worker, scheduler);
  CHECK_THAT(test::read_whole(worker.folder() + "/log"), Catch::Contains("is no control group"));
}

}  // namespace pawl
