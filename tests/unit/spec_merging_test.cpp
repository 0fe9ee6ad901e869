// What a job says for all of its tasks.

#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

TEST_CASE("defaults fill in what a task does not say, key by key") {
  const JobSpec job = valid_job(R"({
    "name": "j", "pools": {"w": 5}, "env": {"A": "job", "B": "job", "C": "job"},
    "defaults": {"retry": {"max_attempts": 4, "delay": "60s"}, "timeout": "5m", "pool": "w",
                 "env": {"B": "defaults", "C": "defaults"}, "resources": {"nice": 5},
                 "rate_limit": {"count": 5, "per": "1s"}, "priority": 3, "kill_grace": "1s",
                 "working_dir": "d", "trigger_rule": "all_done", "allow_failure": true,
                 "on_interrupt": "fail", "pass_env": ["X"], "skip_exit_codes": [7]},
    "tasks": [
      {"id": "a", "command": ["x"]},
      {"id": "b", "command": ["x"], "retry": {"delay": "1s"}, "timeout": "1s", "pool": "default",
       "env": {"C": "task", "D": "task"}, "resources": {"pids": 9}, "rate_limit": {"count": 9},
       "priority": 0, "allow_failure": false, "pass_env": ["Y"], "skip_exit_codes": [8]},
      {"id": "c", "command": ["x"], "retry": null, "timeout": null, "pool": null,
       "env": {"A": null, "B": null}, "resources": null, "rate_limit": null, "working_dir": null,
       "on_interrupt": null, "trigger_rule": null},
      {"id": "d", "command": ["x"], "retry": {"max_attempts": null}, "env": null,
       "resources": {"nice": null}}]})");
  const TaskSpec& a = job.tasks[0];
  CHECK(a.retry.max_attempts == 4);
  CHECK(a.retry.delay == 60s);
  CHECK(a.timeout == 5min);
  CHECK(a.pools[0].pool == "w");
  CHECK(a.env ==
        std::map<std::string, std::string>{{"A", "job"}, {"B", "defaults"}, {"C", "defaults"}});
  CHECK(a.resources.nice == 5);
  CHECK(a.rate_limit->count == 5);
  CHECK(a.priority == 3);
  CHECK(a.kill_grace == 1s);
  CHECK(a.working_dir == "d");
  CHECK(a.trigger_rule == TriggerRule::all_done);
  CHECK(a.allow_failure);
  CHECK(a.on_interrupt == OnInterrupt::fail);
  CHECK(a.pass_env == std::vector<std::string>{"X"});
  CHECK(with_of(a)["skip_exit_codes"] == Json({7}));
  const TaskSpec& b = job.tasks[1];
  CHECK(b.retry.max_attempts == 4);
  CHECK(b.retry.delay == 1s);
  CHECK(b.timeout == 1s);
  CHECK(b.pools[0].pool == "default");
  CHECK(b.env == std::map<std::string, std::string>{
                     {"A", "job"}, {"B", "defaults"}, {"C", "task"}, {"D", "task"}});
  CHECK(b.resources.nice == 5);
  CHECK(b.resources.pids == 9);
  CHECK(b.rate_limit->count == 9);
  CHECK(b.rate_limit->per == 1s);
  CHECK(b.priority == 0);
  CHECK_FALSE(b.allow_failure);
  CHECK(b.pass_env == std::vector<std::string>{"Y"});
  CHECK(with_of(b)["skip_exit_codes"] == Json({8}));
  const TaskSpec& c = job.tasks[2];
  CHECK(c.retry.max_attempts == 1);
  CHECK(c.retry.delay == 10s);
  CHECK(c.timeout == 0s);
  CHECK(c.pools[0].pool == "default");
  CHECK(c.env == std::map<std::string, std::string>{{"C", "defaults"}});
  CHECK_FALSE(c.resources.nice.has_value());
  CHECK_FALSE(c.rate_limit.has_value());
  CHECK(c.working_dir.empty());
  CHECK(c.on_interrupt == OnInterrupt::hold);
  CHECK(c.trigger_rule == TriggerRule::all_success);
  const TaskSpec& d = job.tasks[3];
  CHECK(d.retry.max_attempts == 1);
  CHECK(d.retry.delay == 60s);
  CHECK(d.env == std::map<std::string, std::string>{{"A", "job"}, {"B", "job"}, {"C", "job"}});
  CHECK_FALSE(d.resources.nice.has_value());
}

TEST_CASE("parameters of an operator merge for the same operator only") {
  const JobSpec job = valid_job(R"({
    "name": "j",
    "defaults": {"operator": "http", "with": {"method": "POST", "headers": {"A": "1", "B": "2"}}},
    "tasks": [
      {"id": "a", "with": {"url": "u", "headers": {"B": "3", "A": null}}},
      {"id": "b", "operator": "http", "with": {"method": "GET"}},
      {"id": "c", "operator": "sleep", "with": {"for": "1s"}},
      {"id": "d", "operator": "sleep"},
      {"id": "e"},
      {"id": "f", "command": ["x"]},
      {"id": "g", "with": null}]})");
  CHECK(with_of(job.tasks[0]) ==
        Json::parse(R"({"method": "POST", "url": "u", "headers": {"B": "3"}})"));
  CHECK(job.tasks[0].operator_name == "http");
  CHECK(with_of(job.tasks[1]) ==
        Json::parse(R"({"method": "GET", "headers": {"A": "1", "B": "2"}})"));
  CHECK(with_of(job.tasks[2]) == Json::parse(R"({"for": "1s"})"));
  CHECK(job.tasks[3].with == "{}");
  CHECK(with_of(job.tasks[4])["method"] == "POST");
  CHECK(job.tasks[5].operator_name == "process");
  CHECK(job.tasks[6].with == "{}");
}

TEST_CASE("hooks take no defaults") {
  const JobSpec job = valid_job(job_with(R"(
    "defaults": {"retry": {"max_attempts": 4}, "timeout": "1s", "env": {"A": "d"}},
    "env": {"B": "job"}, "on_exit": [{"command": ["x"]}])"));
  CHECK(job.hooks[0].task.retry.max_attempts == 1);
  CHECK(job.hooks[0].task.timeout == 5min);
  CHECK(job.hooks[0].task.env == std::map<std::string, std::string>{{"B", "job"}});
}

TEST_CASE("what defaults multiply to is bounded") {
  std::string env;
  for (int i = 0; i < 400; ++i) env += (i ? ",\"V" : "\"V") + std::to_string(i) + "\":\"x\"";
  std::string tasks;
  for (int i = 0; i < 10'000; ++i) {
    tasks += (i ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(i) + "\",\"command\":[\"x\"]}";
  }
  const auto errors = errors_of(tasks_of(tasks, "\"defaults\":{\"env\":{" + env + "}}"));
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0].message, Catch::Contains("more than 256 MiB over all tasks"));
}
