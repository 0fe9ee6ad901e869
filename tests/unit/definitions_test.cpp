#include "scheduler/daemon/definitions.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

/// The answer in a process of a user without rights that has this `nice` itself.
bool may_have(int nice, int own_nice) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    const bool is_set = setpriority(PRIO_PROCESS, 0, own_nice) == 0 &&
                        setrlimit(RLIMIT_NICE, &none) == 0 &&
                        (::geteuid() != 0 || ::setuid(65534) == 0);
    ::_exit(!is_set ? 2 : may_have_nice(nice) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) < 2);
  return WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("without rights a program may be nicer than this process, not less nice") {
  CHECK(may_have(19, 10));
  CHECK(may_have(10, 10));
  CHECK_FALSE(may_have(9, 10));
  CHECK_FALSE(may_have(-1, 10));
}

TEST_CASE("asking for a nice changes nothing of this process") {
  const int before = getpriority(PRIO_PROCESS, 0);
  static_cast<void>(may_have_nice(-20));
  CHECK(may_have_nice(19));
  CHECK(getpriority(PRIO_PROCESS, 0) == before);
}

TEST_CASE("a definition's own retention goes over what is kept otherwise, as far as it says") {
  JobVersionRow row;
  row.job = "sales";
  row.folder = "/";
  const auto kept = [&](const std::string& more) -> std::string {
    row.body = R"({"name": "sales", "tasks": [{"id": "a", "command": ["true"]}])" + more + "}";
    const auto own = own_retention(row);
    if (!own) return "nothing";
    const Retention all = own->over({1000, 30});
    return std::to_string(all.runs) + " " + std::to_string(all.days);
  };
  CHECK(kept("") == "nothing");
  CHECK(kept(R"(, "retention": {"runs": 5})") == "5 30");
  CHECK(kept(R"(, "retention": {"days": 7})") == "1000 7");
  CHECK(kept(R"(, "retention": 5)") == "nothing");  // cannot be read
}

TEST_CASE("tasks and hooks are found by their ids") {
  const std::string text = R"({"name": "sales", "tasks": [{"id": "a", "command": ["true"]},
      {"id": "b", "command": ["true"]}], "on_exit": [{"command": ["true"]}]})";
  const ParseResult parsed = parse_job(text, parse_options("/", nullptr, nullptr));
  REQUIRE(parsed.ok);
  const auto tasks = tasks_by_id(parsed.job);
  REQUIRE(tasks.size() == 3);
  for (const auto& [id, index] : tasks) CHECK(task_named(parsed.job, id) == index);
  CHECK_FALSE(tasks.contains("c"));
}

}  // namespace pawl::test
