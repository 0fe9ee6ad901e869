// Control groups in a folder that imitates what the kernel gives: the same files, with what the
// kernel would have written. What it does with them is shown by tests/integration.

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "plugins/worker/control_group.h"
#include "plugins/worker/resource_watch.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::read_whole;
using test::TempFolder;
using test::write_whole;

/// A folder that was handed over, with those controllers.
class Delegated {
 public:
  explicit Delegated(const std::string& controllers) : controllers_(controllers) {
    std::filesystem::create_directory(parent());
    std::filesystem::create_directory(worker_folder());
    fill(parent());
    // The first one makes its folder, in which a kernel would have made these files.
    const auto first = open();
    for (const auto& entry : std::filesystem::directory_iterator(parent())) {
      if (entry.is_directory()) group_ = entry.path();
    }
    fill(group_);
  }
  std::string parent() const { return folder_ / "delegated"; }
  std::string worker_folder() const { return folder_ / "worker"; }
  const std::string& group() const { return group_; }
  /// Files of the group of an attempt, as a kernel makes them.
  std::string attempt(int number) const {
    std::string path = group_ + "/" + std::to_string(number);
    std::filesystem::create_directory(path);
    for (const char* file : {"cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group",
                             "pids.max", "memory.events", "pids.events"}) {
      write_whole(path + "/" + file, "");
    }
    return path;
  }
  std::unique_ptr<ControlGroups> open() const {
    auto groups = ControlGroups::open(parent(), "/the/home", WorkerId(3), worker_folder());
    REQUIRE(groups.ok());
    return std::move(*groups);
  }

 private:
  void fill(const std::string& path) const {
    std::filesystem::create_directory(path);
    write_whole(path + "/cgroup.controllers", controllers_ + "\n");
    write_whole(path + "/cgroup.subtree_control", "");
  }

  TempFolder folder_;
  std::string controllers_;
  std::string group_;
};

Resources memory_and_pids() {
  Resources limits;
  limits.memory_bytes = 64u << 20;
  limits.pids = 5;
  return limits;
}

std::string events(int shortages, int kills) {
  return "low 0\nhigh 0\nmax 17\noom " + std::to_string(shortages) + "\noom_kill " +
         std::to_string(kills) + "\noom_group_kill 0\n";
}

}  // namespace

TEST_CASE("the group of a worker is noted in its folder, with its home's name") {
  const Delegated delegated("memory pids");
  CHECK(read_whole(delegated.worker_folder() + "/cgroup") == delegated.group());
  CHECK_THAT(delegated.group(), Catch::Contains("/pawl-") && Catch::EndsWith("-3"));
}

TEST_CASE("controllers are handed down where the folder has them") {
  SECTION("both") {
    const auto groups = Delegated("cpuset cpu io memory pids").open();
    CHECK(groups->has_memory());
    CHECK(groups->has_pids());
  }
  SECTION("one") {
    const Delegated delegated("cpu pids");
    const auto groups = delegated.open();
    CHECK_FALSE(groups->has_memory());
    CHECK(groups->has_pids());
    CHECK(read_whole(delegated.parent() + "/cgroup.subtree_control") == "+pids");
    CHECK(read_whole(delegated.group() + "/cgroup.subtree_control") == "+pids");
  }
  SECTION("none") {
    const auto groups = Delegated("cpu memory_of_others").open();
    CHECK_FALSE(groups->has_memory());
    CHECK_FALSE(groups->has_pids());
  }
  SECTION("not where the kernel refuses, as it does with processes in the folder") {
    const Delegated delegated("memory");
    std::filesystem::remove(delegated.parent() + "/cgroup.subtree_control");
    CHECK_FALSE(delegated.open()->has_memory());
  }
}

TEST_CASE("of a worker that has ended nobody says by which means it keeps limits") {
  const Delegated delegated("memory pids");
  {
    const auto groups = delegated.open();
    write_whole(delegated.group() + "/cgroup.subtree_control", "memory pids\n");
    const auto kept = kernel_limits_of_worker(delegated.worker_folder());
    REQUIRE(kept.has_value());
    CHECK(kept->pids);
  }
  std::filesystem::remove_all(delegated.group());
  CHECK_FALSE(kernel_limits_of_worker(delegated.worker_folder()).has_value());
}

TEST_CASE("limits are written as the kernel takes them") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  const std::string folder = delegated.attempt(7);
  const auto group = groups->make(AttemptId(7), memory_and_pids());
  REQUIRE(group.ok());
  CHECK(group->keeps_memory());
  CHECK(group->keeps_pids());
  CHECK(group->entrance() >= 0);
  CHECK(read_whole(folder + "/memory.max") == "67108864");
  CHECK(read_whole(folder + "/memory.swap.max") == "0");
  CHECK(read_whole(folder + "/memory.oom.group") == "1");
  CHECK(read_whole(folder + "/pids.max") == "5");
}

TEST_CASE("only the limits that were asked for are set") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  const std::string folder = delegated.attempt(7);
  Resources limits;
  limits.cpu_time = std::chrono::seconds(1);
  const auto group = groups->make(AttemptId(7), limits);
  REQUIRE(group.ok());
  CHECK_FALSE(group->keeps_memory());
  CHECK_FALSE(group->keeps_pids());
  CHECK(read_whole(folder + "/memory.max").empty());
  CHECK(read_whole(folder + "/pids.max").empty());
}

TEST_CASE("a kernel without swap or groups of killing keeps the limit all the same") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  const std::string folder = delegated.attempt(7);
  std::filesystem::remove(folder + "/memory.swap.max");
  std::filesystem::remove(folder + "/memory.oom.group");
  CHECK(groups->make(AttemptId(7), memory_and_pids()).ok());
}

TEST_CASE("a limit that cannot be set refuses the attempt") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  std::filesystem::remove(delegated.attempt(7) + "/memory.max");
  const auto group = groups->make(AttemptId(7), memory_and_pids());
  REQUIRE_FALSE(group.ok());
  CHECK(group.error().kind == ErrorKind::refused);
  CHECK_THAT(group.error().message, Catch::Contains("cannot set the limits"));
}

TEST_CASE("what the kernel counted is read, and 0 where it counts nothing") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  const std::string folder = delegated.attempt(7);
  const auto group = groups->make(AttemptId(7), memory_and_pids());
  REQUIRE(group.ok());
  CHECK(group->cpu_us() == 0);
  CHECK(group->peak_memory_bytes() == 0);
  CHECK(group->oom_kills() == 0);
  write_whole(folder + "/cpu.stat", "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\n");
  write_whole(folder + "/memory.peak", "5000000\n");
  write_whole(folder + "/memory.events", events(2, 3));
  write_whole(folder + "/pids.events", "max 4\n");
  write_whole(folder + "/cgroup.procs", "12\n345\n");
  write_whole(folder + "/cgroup.events", "populated 1\nfrozen 0\n");
  CHECK(group->cpu_us() == 123'456);
  CHECK(group->peak_memory_bytes() == 5'000'000);
  CHECK(group->oom_kills() == 3);
  CHECK(group->memory_shortages() == 2);
  CHECK(group->refused_forks() == 4);
  CHECK(group->processes() == std::vector<pid_t>{12, 345});
  CHECK_FALSE(group->is_empty());
  write_whole(folder + "/cgroup.events", "populated 0\nfrozen 0\n");
  CHECK(group->is_empty());
}

TEST_CASE("what the kernel did is told with the limit that made it") {
  const Delegated delegated("memory pids");
  const auto groups = delegated.open();
  const std::string folder = delegated.attempt(7);
  const auto group = groups->make(AttemptId(7), memory_and_pids());
  REQUIRE(group.ok());
  CHECK_FALSE(enforced_limit(*group, memory_and_pids()));
  SECTION("a limit that reclaim could hold is none") {
    write_whole(folder + "/memory.events", events(0, 0));
    CHECK_FALSE(enforced_limit(*group, memory_and_pids()));
  }
  SECTION("its own memory") {
    write_whole(folder + "/memory.events", events(1, 1));
    const auto hit = enforced_limit(*group, memory_and_pids());
    REQUIRE(hit);
    CHECK(hit->reason == Reason::oom);
    CHECK(hit->message == "killed by the kernel: over resources.memory, 64.0 MiB");
  }
  SECTION("the memory of the machine") {
    write_whole(folder + "/memory.events", events(0, 1));
    const auto hit = enforced_limit(*group, memory_and_pids());
    REQUIRE(hit);
    CHECK(hit->reason == Reason::oom);
    CHECK_THAT(hit->message, Catch::Contains("not over resources.memory"));
  }
  SECTION("processes") {
    write_whole(folder + "/pids.events", "max 1\n");
    const auto hit = enforced_limit(*group, memory_and_pids());
    REQUIRE(hit);
    CHECK(hit->reason == Reason::pids);
    CHECK_THAT(hit->message, Catch::Contains("beyond resources.pids, 5"));
  }
}

TEST_CASE("a folder that is no control group cannot serve, and the reason is told") {
  const TempFolder folder;
  const std::string path = folder / "none";
  std::filesystem::create_directory(path);
  const auto checked = check_control_groups(path);
  REQUIRE_FALSE(checked.ok());
  CHECK(checked.error().message == path + " is no control group (cgroup v2)");
  CHECK_THAT(describe_limits(path), Catch::Contains("by looking at the processes") &&
                                        Catch::Contains("is no control group"));
  CHECK_FALSE(kernel_limits(path).memory);
  CHECK_FALSE(kernel_limits(std::nullopt).pids);
}

}  // namespace pawl
