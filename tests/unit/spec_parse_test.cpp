#include <array>

#include "scheduler/base/limits.h"
#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

namespace {

Json with_of(const TaskSpec& task) { return Json::parse(task.with); }

std::vector<std::string> ids_of(const JobSpec& job, const std::vector<TaskIndex>& tasks) {
  std::vector<std::string> out;
  for (const TaskIndex t : tasks) out.push_back(job.tasks[t.value].id);
  return out;
}

/// One wrong text; the error stands where `place` first occurs.
struct Wrong {
  std::string text;
  const char* pointer;
  const char* place;
  const char* message;
};

void check_all(const std::vector<Wrong>& cases) {
  for (const Wrong& wrong : cases)
    check_error(wrong.text, wrong.pointer, wrong.place, wrong.message);
}

}  // namespace

// ---- What a job says

TEST_CASE("a job with one task has every default filled in") {
  const JobSpec job = valid_job(job_with(""));
  CHECK(job.name == "j");
  CHECK(job.folder == "/jobs");
  CHECK(job.schedules.empty());
  CHECK(job.catchup.policy == CatchupPolicy::latest);
  CHECK(job.catchup.limit == 100);
  CHECK(job.catchup.window == 168h);
  CHECK(job.overlap == Overlap::queue);
  CHECK(job.queue_limit == 10);
  CHECK(job.max_active_runs == 16);
  CHECK(job.pause_after_failures == 0);
  CHECK(job.timeout == 0s);
  CHECK_FALSE(job.fail_fast);
  CHECK_FALSE(job.retention_runs.has_value());
  CHECK(job.hooks.empty());
  const TaskSpec& task = job.tasks.at(0);
  CHECK(task.id == "a");
  CHECK(task.operator_name == "process");
  CHECK(with_of(task) == Json({{"command", {"true"}}}));
  CHECK(task.env.empty());
  CHECK(task.working_dir.empty());
  CHECK(task.depends_on.empty());
  CHECK(task.trigger_rule == TriggerRule::all_success);
  CHECK(task.when.empty());
  CHECK_FALSE(task.allow_failure);
  CHECK_FALSE(task.is_mapped());
  CHECK(task.retry.max_attempts == 1);
  CHECK(task.retry.delay == 10s);
  CHECK(task.retry.backoff == Backoff::exponential);
  CHECK(task.retry.multiplier == 2.0);
  CHECK(task.retry.max_delay == 1h);
  CHECK(task.retry.jitter == Jitter::equal);
  CHECK(task.retry.on == retried_by_default());
  CHECK(task.timeout == 0s);
  CHECK(task.kill_grace == 10s);
  REQUIRE(task.pools.size() == 1);
  CHECK(task.pools[0].pool == "default");
  CHECK(task.pools[0].slots == 1);
  CHECK(task.priority == 0);
  CHECK_FALSE(task.rate_limit.has_value());
  CHECK(task.on_interrupt == OnInterrupt::hold);
  CHECK(task.output == OutputFormat::none);
}

TEST_CASE("every key of a job is read") {
  const JobSpec job = valid_job(job_with(R"(
    "format": 1, "$schema": "s", "x-own": [1], "comment": {"any": "thing"},
    "description": ["two", "lines"], "labels": {"team": "data", "a/b": ""},
    "schedule": {"cron": "0 2 * * *", "timezone": "Asia/Tokyo", "start": "2026-01-01",
                 "end": "2027-01-01", "jitter": "5m", "except": ["2026-12-25"]},
    "catchup": {"policy": "all", "limit": 5, "window": "2d"},
    "overlap": "replace", "queue_limit": 3, "max_active_runs": 4,
    "pause_after_failures": 5,
    "params": {"region": {"type": "string", "default": "jp"}},
    "env": {"A": "1"}, "pass_env": ["HOME", "HOME", "LANG"],
    "secrets": {"S": {"env": "X"}, "T": {"file": "t.txt"}},
    "working_dir": "work", "pools": {"w": 20, "g": {"slots": 2, "rate": {"count": 3, "per": "1s"}}},
    "timeout": "2h", "fail_fast": true, "retention": {"runs": 7, "days": 9},
    "on_success": [{"command": ["ok"]}], "on_failure": [{"command": ["bad"]}, {"script": "x"}],
    "on_exit": [{"command": ["end"], "timeout": "1m"}])"));
  CHECK(job.description == "two\nlines");
  CHECK(job.labels == std::map<std::string, std::string>{{"team", "data"}, {"a/b", ""}});
  REQUIRE(job.schedules.size() == 1);
  const ScheduleSpec& schedule = job.schedules[0];
  CHECK(schedule.kind == ScheduleSpec::Kind::cron);
  CHECK(schedule.cron == "0 2 * * *");
  CHECK(schedule.timezone == "Asia/Tokyo");
  CHECK(schedule.start == "2026-01-01");
  CHECK(schedule.end == "2027-01-01");
  CHECK(schedule.jitter == 5min);
  CHECK(schedule.except_dates == std::vector<std::string>{"2026-12-25"});
  CHECK(job.catchup.policy == CatchupPolicy::all);
  CHECK(job.catchup.limit == 5);
  CHECK(job.catchup.window == 48h);
  CHECK(job.overlap == Overlap::replace);
  CHECK(job.queue_limit == 3);
  CHECK(job.max_active_runs == 4);
  CHECK(job.pause_after_failures == 5);
  CHECK(Json::parse(job.params.at("region").schema)["type"] == "string");
  CHECK(job.params.at("region").default_value == "\"jp\"");
  CHECK(job.secrets.at("S").name == "X");
  CHECK_FALSE(job.secrets.at("S").from_file);
  CHECK(job.secrets.at("T").name == "t.txt");
  CHECK(job.secrets.at("T").from_file);
  CHECK(job.pools.at("w").slots == 20);
  CHECK(job.pools.at("g").slots == 2);
  CHECK(job.pools.at("g").rate->count == 3);
  CHECK(job.pools.at("g").rate->per == 1s);
  CHECK(job.timeout == 2h);
  CHECK(job.fail_fast);
  CHECK(job.retention_runs == 7);
  CHECK(job.retention_days == 9);
  CHECK(job.tasks[0].env.at("A") == "1");
  CHECK(job.tasks[0].pass_env == std::vector<std::string>{"HOME", "LANG"});
  CHECK(job.tasks[0].working_dir == "work");
  REQUIRE(job.hooks.size() == 4);
  CHECK(job.hooks[0].task.id == "hook:on_success:0");
  CHECK(job.hooks[2].task.id == "hook:on_failure:1");
  CHECK(job.hooks[2].kind == HookKind::on_failure);
  CHECK(job.hooks[2].place == 1);
  CHECK(job.hooks[0].task.timeout == 5min);
  CHECK(job.hooks[3].task.timeout == 1min);
  CHECK(job.hooks[3].task.env.at("A") == "1");
}

TEST_CASE("every key of a task is read") {
  const JobSpec job =
      valid_job(tasks_of(R"(
    {"id": "first", "command": ["one"], "output": "json"},
    {"id": "a", "command": ["prog", "x y", ""], "stdin": ["l1", "l2"], "skip_exit_codes": [9, 3, 9],
     "depends_on": ["first", "first"], "trigger_rule": "all_done", "when": "params.p == 'x'",
     "allow_failure": true,
     "map": {"items": [1, {"k": 2}], "key": "{{ item }}", "max_concurrent": 3,
             "tolerated_failures": "12.5%", "stop_after_failures": 4},
     "retry": {"max_attempts": 50000, "delay": "1s", "backoff": "linear", "multiplier": 1.5,
               "max_delay": "5m", "jitter": "full", "on": ["exit", "spawn", "timeout"],
               "not_on": ["timeout"], "exit_codes": [5, 4], "not_exit_codes": [126]},
     "timeout": "1m", "total_timeout": "1h", "queue_timeout": "2m", "stall_timeout": "3m",
     "kill_grace": "0s", "pool": {"w": 2, "default": 1}, "priority": -5,
     "rate_limit": {"count": 2500, "per": "1s"},
     "resources": {"memory": "512MiB", "cpu_time": "10m", "pids": 100, "nice": 19},
     "on_interrupt": "fail", "env": {"E": "{{ params.p }}"}, "pass_env": [], "working_dir": "w",
     "output": {"format": "jsonl", "from": "file"}})",
                         R"("params": {"p": {"default": "x"}}, "pools": {"w": 3})"));
  const TaskSpec& task = job.tasks.at(1);
  CHECK(with_of(task) == Json::parse(R"({"command": ["prog", "x y", ""], "stdin": "l1\nl2",
                                         "skip_exit_codes": [3, 9]})"));
  REQUIRE(task.depends_on.size() == 1);
  CHECK(task.depends_on[0].task == TaskIndex(0));
  CHECK_FALSE(task.depends_on[0].each);
  CHECK(task.trigger_rule == TriggerRule::all_done);
  CHECK(task.when == "params.p == 'x'");
  CHECK(task.allow_failure);
  REQUIRE(task.map.has_value());
  CHECK(task.map->kind == MapSpec::Kind::inline_array);
  CHECK(task.map->items == R"([1,{"k":2}])");
  CHECK(task.map->key == "{{ item }}");
  CHECK(task.map->max_concurrent == 3);
  CHECK(task.map->tolerated_failures.is_percent);
  CHECK(task.map->tolerated_failures.value == 12.5);
  CHECK(task.map->stop_after_failures == 4);
  CHECK(task.retry.max_attempts == 50000);
  CHECK(task.retry.delay == 1s);
  CHECK(task.retry.backoff == Backoff::linear);
  CHECK(task.retry.multiplier == 1.5);
  CHECK(task.retry.max_delay == 5min);
  CHECK(task.retry.jitter == Jitter::full);
  CHECK(task.retry.on.has(Reason::exit));
  CHECK(task.retry.on.has(Reason::spawn));
  CHECK_FALSE(task.retry.on.has(Reason::timeout));
  CHECK_FALSE(task.retry.on.has(Reason::signal));
  CHECK(task.retry.exit_codes == std::vector<int>{4, 5});
  CHECK(task.retry.not_exit_codes == std::vector<int>{126});
  CHECK(task.timeout == 1min);
  CHECK(task.total_timeout == 1h);
  CHECK(task.queue_timeout == 2min);
  CHECK(task.stall_timeout == 3min);
  CHECK(task.kill_grace == 0s);
  REQUIRE(task.pools.size() == 2);
  CHECK(task.pools[1].pool == "w");
  CHECK(task.pools[1].slots == 2);
  CHECK(task.priority == -5);
  CHECK(task.rate_limit->count == 2500);
  CHECK(task.rate_limit->per == 1s);
  CHECK(task.resources.memory_bytes == 536'870'912);
  CHECK(task.resources.cpu_time == 10min);
  CHECK(task.resources.pids == 100);
  CHECK(task.resources.nice == 19);
  CHECK(task.on_interrupt == OnInterrupt::fail);
  CHECK(task.env.at("E") == "{{ params.p }}");
  CHECK(task.pass_env.empty());
  CHECK(task.working_dir == "w");
  CHECK(task.output == OutputFormat::jsonl);
  CHECK(task.output_from_file);
}

TEST_CASE("a script keeps its lines, and its shell is a list or a text") {
  CHECK(with_of(valid_job(tasks_of(R"({"id": "a", "script": "echo hi\n"})")).tasks[0]) ==
        Json::parse(R"({"script": "echo hi\n", "shell": ["/bin/bash", "-eo", "pipefail"]})"));
  CHECK(with_of(valid_job(tasks_of(R"({"id": "a", "script": ["a", "", "b"], "shell": "sh  -e"})"))
                    .tasks[0]) == Json::parse(R"({"script": "a\n\nb", "shell": ["sh", "-e"]})"));
  CHECK(with_of(valid_job(tasks_of(R"({"id": "a", "script": "x", "shell": ["python3", "-u"]})"))
                    .tasks[0])["shell"] == Json({"python3", "-u"}));
}

TEST_CASE("an operator keeps its parameters as they are written") {
  const TaskSpec task =
      valid_job(
          tasks_of(
              R"({"id": "a", "operator": "http", "with": {"url": "u", "body": {"n": null, "l": [1.5]},
          "comment": "c", "x-y": 1}})"))
          .tasks[0];
  CHECK(task.operator_name == "http");
  CHECK(with_of(task) ==
        Json::parse(R"({"url": "u", "body": {"n": null, "l": [1.5]}, "comment": "c", "x-y": 1})"));
  CHECK(valid_job(tasks_of(R"({"id": "a", "operator": "noop"})")).tasks[0].with == "{}");
}

TEST_CASE("schedules are one or a list, of three kinds") {
  const JobSpec job = valid_job(job_with(R"("timeout": "1h", "schedule": [
      {"cron": "@daily"}, {"every": "5m", "start": "2026-01-01T00:00:00Z"},
      {"at": "2026-11-20T22:58", "timezone": "America/New_York"},
      {"cron": "0 0 * * *", "except": {"file": "holidays.txt"}}])"));
  REQUIRE(job.schedules.size() == 4);
  CHECK(job.schedules[0].timezone == "UTC");
  CHECK(job.schedules[1].kind == ScheduleSpec::Kind::every);
  CHECK(job.schedules[1].every == 5min);
  CHECK(job.schedules[2].kind == ScheduleSpec::Kind::at);
  CHECK(job.schedules[2].at == "2026-11-20T22:58");
  CHECK(job.schedules[3].except_file == "holidays.txt");
}

TEST_CASE("items come from a list, an expression or a file") {
  const auto items = [](std::string_view text) {
    return *valid_task("\"map\": {\"items\": " + std::string(text) + "}",
                       R"("params": {"list": {"default": []}})")
                .map;
  };
  CHECK(items("[]").kind == MapSpec::Kind::inline_array);
  CHECK(items("\"{{ params.list }}\"").kind == MapSpec::Kind::expression);
  CHECK(items("{\"file\": \"i.jsonl\"}").format == ItemFormat::jsonl);
  const MapSpec csv = items("{\"file\": \"i.csv\", \"format\": \"csv\"}");
  CHECK(csv.kind == MapSpec::Kind::file);
  CHECK(csv.items == "i.csv");
  CHECK(csv.format == ItemFormat::csv);
  CHECK(csv.tolerated_failures.of(100) == 0);
}

TEST_CASE("more than one attempt says that a task is safe to run again") {
  CHECK(valid_task(R"("retry": {"max_attempts": 2})").on_interrupt == OnInterrupt::retry);
  CHECK(valid_task(R"("retry": {"max_attempts": 1})").on_interrupt == OnInterrupt::hold);
  CHECK(valid_task(R"("retry": {"max_attempts": 2}, "on_interrupt": "hold")").on_interrupt ==
        OnInterrupt::hold);
}

TEST_CASE("a first delay over an hour raises the default cap") {
  CHECK(valid_task(R"("retry": {"max_attempts": 2, "delay": "2h"})").retry.max_delay == 2h);
}

TEST_CASE("$schema, comment and x- keys are ignored everywhere") {
  const JobSpec job = valid_job(R"({
    "name": "j", "$schema": "u", "comment": 1, "x-a": 2,
    "schedule": {"cron": "@daily", "comment": "c", "x-b": 1}, "timeout": "1h",
    "params": {"x-c": 1, "comment": "about", "p": {"default": 1, "x-d": 1}},
    "secrets": {"comment": "about", "S": {"env": "A", "comment": "c"}},
    "pools": {"comment": "about", "x-e": "y", "w": {"slots": 1, "comment": "c"}},
    "env": {"x-f": 5, "$schema": 1, "A": "b"}, "labels": {"x-g": 1},
    "defaults": {"comment": "c", "retry": {"comment": "c"}},
    "tasks": [{"id": "a", "command": ["x"], "comment": ["a"], "x-h": {}, "$schema": "",
               "map": {"items": [], "comment": "c"}, "output": {"format": "json", "x-i": 1},
               "resources": {"comment": "c"}, "pool": {"x-j": "z", "w": 1},
               "env": {"x-k": 1}}]})");
  CHECK(job.params.size() == 1);
  CHECK(job.secrets.size() == 1);
  CHECK(job.pools.size() == 1);
  CHECK(job.labels.empty());
  CHECK(job.tasks[0].env == std::map<std::string, std::string>{{"A", "b"}});
  CHECK(job.tasks[0].pools.size() == 1);
}

TEST_CASE("a parameter or variable may be called comment") {
  const JobSpec job = valid_job(task_with(
      R"("env": {"comment": "{{ params.comment }}"})",
      R"("params": {"comment": {"type": "string", "default": "none"}}, "labels": {"comment": "x"})"));
  CHECK(job.params.contains("comment"));
  CHECK(job.tasks[0].env.contains("comment"));
  CHECK(job.labels.contains("comment"));
}

// ---- Merging

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

// ---- Errors of single values

TEST_CASE("unknown keys name the nearest known one, or where it belongs") {
  check_all({
      {job_with(R"("shedule": {"cron": "@daily"})"), "/shedule", "\"shedule\"",
       "unknown key \"shedule\" of job; did you mean \"schedule\"?"},
      {job_with(R"("zzzz": 1)"), "/zzzz", "\"zzzz\"", "known are name, format, description"},
      {task_with(R"("dependson": [])"), "/tasks/0/dependson", "\"dependson\"",
       "did you mean \"depends_on\"?"},
      {task_with(R"("max_attempts": 3)"), "/tasks/0/max_attempts", "\"max_attempts\"",
       "it belongs in \"retry\""},
      {task_with(R"("max_concurrent": 3)"), "/tasks/0/max_concurrent", "\"max_concurrent\"",
       "it belongs in \"map\""},
      {task_with(R"("overlap": "skip")"), "/tasks/0/overlap", "\"overlap\"",
       "it is a key of the job"},
      {job_with(R"("retry": {"max_attempts": 3})"), "/retry", "\"retry\"",
       "for all tasks it stands in \"defaults\""},
      {job_with(R"("defaults": {"when": "true"})"), "/defaults/when", "\"when\"",
       "each task says it for itself"},
      {job_with(R"("defaults": {"command": ["x"]})"), "/defaults/command", "\"command\": [\"x\"]",
       "each task says it for itself"},
      {task_with(R"("retry": {"max_attempt": 3})"), "/tasks/0/retry/max_attempt", "\"max_attempt\"",
       "it is \"max_attempts\""},
      {task_with(R"("retires": 3)"), "/tasks/0/retires", "\"retires\"", "pawl counts all attempts"},
      {job_with(R"("catchup": {"polcy": "all"})"), "/catchup/polcy", "\"polcy\"",
       "did you mean \"policy\"?"},
      {job_with(R"("on_exit": [{"command": ["x"], "id": "h"}])"), "/on_exit/0/id", "\"id\": \"h\"",
       "a hook is named by its place"},
      {job_with(R"("on_exit": [{"command": ["x"], "map": {}}])"), "/on_exit/0/map", "\"map\"",
       "a hook runs once"},
  });
}

TEST_CASE("words of other schedulers get a hint") {
  struct Foreign {
    const char* key;
    const char* hint;
  };
  const std::array<Foreign, 28> of_tasks = {{{"retries", "pawl counts all attempts"},
                                             {"retry_delay", "\"delay\": \"60s\""},
                                             {"task_id", "it is \"id\""},
                                             {"name", "it is \"id\""},
                                             {"upstream", "it is \"depends_on\""},
                                             {"needs", "it is \"depends_on\""},
                                             {"depends", "it is \"depends_on\""},
                                             {"dependsOn", "it is \"depends_on\""},
                                             {"cmd", "it is \"command\""},
                                             {"run", "it is \"script\""},
                                             {"bash_command", "it is \"script\""},
                                             {"uses", "it is \"operator\""},
                                             {"with_items", "it is \"map\""},
                                             {"withParam", "it is \"map\""},
                                             {"matrix", "it is \"map\""},
                                             {"if", "it is \"when\""},
                                             {"continue_on_error", "\"allow_failure\": true"},
                                             {"continue-on-error", "\"allow_failure\": true"},
                                             {"continueOn", "\"allow_failure\": true"},
                                             {"execution_timeout", "it is \"timeout\""},
                                             {"timeout-minutes", "it is \"timeout\""},
                                             {"env_vars", "it is \"env\""},
                                             {"environment", "it is \"env\""},
                                             {"cwd", "it is \"working_dir\""},
                                             {"priority_weight", "it is \"priority\""},
                                             {"pool_slots", "it is \"pool\""},
                                             {"on_failure_callback", "\"on_failure\" of the job"},
                                             {"on_failure", "hooks belong to the job"}}};
  for (const Foreign& foreign : of_tasks) {
    const std::string quoted = "\"" + std::string(foreign.key) + "\"";
    check_error(tasks_of("{\"command\": [\"true\"], " + quoted + ": 1, \"id\": \"a\"}"),
                "/tasks/0/" + std::string(foreign.key), quoted + ": 1", foreign.hint);
  }
  const std::array<Foreign, 16> of_jobs = {{{"dag_id", "it is \"name\""},
                                            {"schedule_interval", "it is \"schedule\""},
                                            {"cron", "it stands in \"schedule\""},
                                            {"on", "it is \"schedule\""},
                                            {"steps", "it is \"tasks\""},
                                            {"jobs", "it is \"tasks\""},
                                            {"tags", "it is \"labels\""},
                                            {"max_active_tasks", "it is a pool"},
                                            {"concurrencyPolicy", "it is \"overlap\""},
                                            {"default_args", "it is \"defaults\""},
                                            {"parameters", "it is \"params\""},
                                            {"start_date", "it stands in \"schedule\""},
                                            {"timezone", "it stands in \"schedule\""},
                                            {"dagrun_timeout", "it is \"timeout\""},
                                            {"handlerOn", "\"on_failure\""},
                                            {"sla_miss_callback", "there is none"}}};
  for (const Foreign& foreign : of_jobs) {
    const std::string quoted = "\"" + std::string(foreign.key) + "\"";
    check_error(job_with(quoted + ": 1"), "/" + std::string(foreign.key), quoted, foreign.hint);
  }
}

TEST_CASE("a value of a wrong type says what belongs there, and how to write it") {
  check_all({
      {"[]", "", "[]", "expected a job: an object with name and tasks, found an empty list"},
      {job_with(R"("timeout": 30)"), "/timeout", "30", "a bare number has no unit, write \"30s\""},
      {job_with(R"("timeout": true)"), "/timeout", "true}", "expected a duration"},
      {job_with(R"("fail_fast": "true")"), "/fail_fast", "\"true\"}", "without quotes, true"},
      {job_with(R"("fail_fast": 1)"), "/fail_fast", "1}",
       "expected true or false, found the number 1"},
      {job_with(R"("queue_limit": "5")"), "/queue_limit", "\"5\"", "without quotes, 5"},
      {job_with(R"("queue_limit": 1.5)"), "/queue_limit", "1.5", "expected a whole number"},
      {job_with(R"("catchup": false)"), "/catchup", "false", "false is {\"policy\": \"none\"}"},
      {job_with(R"("catchup": "all")"), "/catchup", "\"all\"", "write {\"policy\": \"all\"}"},
      {job_with(R"("labels": ["a"])"), "/labels", "[\"a\"]", "expected an object of texts"},
      {job_with(R"("labels": {"a": 1})"), "/labels/a", "1}}", "write it in quotes, \"1\""},
      {job_with(R"("env": {"N": 5})"), "/env/N", "5}}", "write it in quotes, \"5\""},
      {job_with(R"("pass_env": "HOME")"), "/pass_env", "\"HOME\"", "write [\"HOME\"]"},
      {job_with(R"("on_exit": {"command": ["x"]})"), "/on_exit", "{\"command\": [\"x\"]}",
       "put it in brackets"},
      {job_with(R"("description": 5)"), "/description", "5", "a text or a list of lines"},
      {job_with(R"("description": ["a", 5])"), "/description/1", "5", "a line (a text)"},
      {job_with(R"("secrets": {"S": "x"})"), "/secrets/S", "\"x\"", "{\"env\": \"NAME\"}"},
      {job_with(R"("pools": {"w": "5"})"), "/pools/w", "\"5\"", "a number of slots"},
      {job_with(R"("defaults": [])"), "/defaults", "[]", "an object of task keys"},
      {task_with(R"("depends_on": "b")"), "/tasks/0/depends_on", "\"b\"", "write [\"b\"]"},
      {task_with(R"("when": true)"), "/tasks/0/when", "true}", "an expression (a text)"},
      {task_with(R"("retry": 3)"), "/tasks/0/retry", "3}", "it is {\"max_attempts\": 3}"},
      {task_with(R"("map": [1])"), "/tasks/0/map", "[1]", "such as {\"items\": [1, 2, 3]}"},
      {task_with(R"("map": {"items": 5})"), "/tasks/0/map/items", "5}", "a list, a text"},
      {task_with(R"("output": true)"), "/tasks/0/output", "true}", "\"jsonl\", or {\"format\""},
      {task_with(R"("pool": 2)"), "/tasks/0/pool", "2}", "the name of a pool"},
      {task_with(R"("resources": {"memory": 512})"), "/tasks/0/resources/memory", "512",
       "a bare number has no unit, write \"512MiB\""},
      {task_with(R"("depends_on": [5])"), "/tasks/0/depends_on/0", "5]", "a task id, or"},
      {task_with(R"("env": ["A=1"])"), "/tasks/0/env", "[\"A=1\"]", "an object of variables"},
      {tasks_of(R"({"id": "a", "command": "echo hi"})"), "/tasks/0/command", "\"echo hi\"",
       "a shell's text is \"script\""},
      {tasks_of(R"({"id": "a", "command": ["x", 5]})"), "/tasks/0/command/1", "5]",
       "write it in quotes, \"5\""},
      {tasks_of(R"({"id": 5, "command": ["x"]})"), "/tasks/0/id", "5", "expected a task id"},
      {tasks_of(R"({"id": "a", "operator": "x", "with": []})"), "/tasks/0/with", "[]",
       "an object of the operator's parameters"},
      {tasks_of(R"("a")"), "/tasks/0", "\"a\"", "expected a task: an object"},
      {R"({"name": "j", "tasks": {"a": {}}})", "/tasks", "{\"a\"", "put it in brackets"},
  });
}

TEST_CASE("an impossible value says what is possible") {
  check_all({
      {job_with(R"("format": 2)"), "/format", "2}", "2 is out of range: 1 is allowed"},
      {job_with(R"("overlap": "forbid")"), "/overlap", "\"forbid\"", "it is \"skip\""},
      {job_with(R"("overlap": "quue")"), "/overlap", "\"quue\"",
       "did you mean \"queue\"?; allowed are \"queue\", \"skip\", \"replace\" and \"allow\""},
      {job_with(R"("queue_limit": -1)"), "/queue_limit", "-1", "0 to 1000000 are allowed"},
      {job_with(R"("queue_limit": 18446744073709551615)"), "/queue_limit", "18446744073709551615",
       "out of range"},
      {job_with(R"("timeout": "0s")"), "/timeout", "\"0s\"", "leave the key out for no limit"},
      {job_with(R"("timeout": "5 minutes")"), "/timeout", "\"5 minutes\"", "is not a duration"},
      {job_with(R"("timeout": "999999d")"), "/timeout", "\"999999d\"", "at most \"36500d\""},
      {job_with(R"("catchup": {"policy": "last"})"), "/catchup/policy", "\"last\"",
       "it is \"latest\""},
      {job_with(R"("env": {"A-B": "x"})"), "/env/A-B", "\"A-B\"", "a variable's name"},
      {job_with(R"("env": {"A": "x\u0000y"})"), "/env/A", "\\u0000", "a NUL character"},
      {job_with(R"("pass_env": ["A B"])"), "/pass_env/0", "\"A B\"", "a variable's name"},
      {job_with(R"("labels": {"a=b": "x"})"), "/labels/a=b", "\"a=b\"", "a label's name"},
      {job_with(R"("pools": {"default": 5})"), "/pools/default", "\"default\"",
       "exists everywhere"},
      {job_with(R"("pools": {"w": 0})"), "/pools/w", "0}", "1 to 1000000000 are allowed"},
      {job_with(R"("pools": {"w": {}})"), "/pools/w", "{}", "the key \"slots\" is missing"},
      {job_with(R"("pools": {"w": {"slots": 1, "rate": {"count": 1}}})"), "/pools/w/rate",
       "{\"count\"", "the key \"per\" is missing"},
      {job_with(R"("secrets": {"S": {}})"), "/secrets/S", "{}", "a secret comes from one place"},
      {job_with(R"("secrets": {"S": {"env": "A", "file": "b"}})"), "/secrets/S", "{\"env\"",
       "a secret comes from one place"},
      {job_with(R"("retention": {"runs": 0})"), "/retention/runs", "0}", "1 to"},
      {job_with(R"("defaults": {"with": {"a": 1}})"), "/defaults/with", "\"with\"",
       "needs the \"operator\" beside it"},
      {R"({"name": "a b", "tasks": [{"id": "a", "command": ["x"]}]})", "/name", "\"a b\"",
       "a job name is 1 to 128"},
      {R"({"name": "", "tasks": [{"id": "a", "command": ["x"]}]})", "/name", "\"\"",
       "found an empty text"},
      {R"({"tasks": [{"id": "a", "command": ["x"]}]})", "", "{", "the key \"name\" is missing"},
      {R"({"name": "j"})", "", "{", "the key \"tasks\" is missing"},
      {R"({"name": "j", "tasks": []})", "/tasks", "[]", "found an empty list"},
      {tasks_of(R"({"command": ["x"]})"), "/tasks/0", "{\"command\"", "the key \"id\" is missing"},
      {tasks_of(R"({"id": "1a", "command": ["x"]})"), "/tasks/0/id", "\"1a\"", "a task id is"},
      {tasks_of(R"({"id": "a.b", "command": ["x"]})"), "/tasks/0/id", "\"a.b\"", "a task id is"},
      {tasks_of(R"({"id": "a"})"), "/tasks/0", "{\"id\"", "needs one of \"command\""},
      {tasks_of(R"({"id": "a", "command": ["x"], "script": "y"})"), "/tasks/0/script", "\"script\"",
       "exclude each other"},
      {tasks_of(R"({"id": "a", "command": ["x"], "operator": "http"})"), "/tasks/0/operator",
       "\"operator\"", "a task does one thing"},
      {tasks_of(R"({"id": "a", "operator": "http", "stdin": "x"})"), "/tasks/0/stdin", "\"stdin\"",
       "belongs to \"command\" and \"script\""},
      {tasks_of(R"({"id": "a", "operator": "bash"})"), "/tasks/0/operator", "\"bash\"",
       "write \"script\" instead"},
      {tasks_of(R"({"id": "a", "operator": "process"})"), "/tasks/0/operator", "\"process\"",
       "write \"command\" or \"script\""},
      {tasks_of(R"({"id": "a", "command": ["x"], "with": {}})"), "/tasks/0/with", "\"with\"",
       "this task runs a program"},
      {tasks_of(R"({"id": "a", "command": []})"), "/tasks/0/command", "[]", "found an empty list"},
      {tasks_of(R"({"id": "a", "command": [""]})"), "/tasks/0/command/0", "\"\"",
       "the program's name is empty"},
      {tasks_of(R"({"id": "a", "script": ""})"), "/tasks/0/script", "\"\"", "found an empty text"},
      {tasks_of(R"({"id": "a", "script": ["", ""]})"), "/tasks/0/script", "[\"\"",
       "found only empty lines"},
      {task_with(R"("trigger_rule": "all_succes")"), "/tasks/0/trigger_rule", "\"all_succes\"",
       "did you mean \"all_success\"?"},
      {task_with(R"("trigger_rule": "none_failed_or_skipped")"), "/tasks/0/trigger_rule",
       "\"none_failed_or_skipped\"", "it is \"none_failed_min_one_success\""},
      {task_with(R"("kill_grace": "x")"), "/tasks/0/kill_grace", "\"x\"", "is not a duration"},
      {task_with(R"("retry": {"max_attempts": 0})"), "/tasks/0/retry/max_attempts", "0}",
       "1 to 100000 are allowed"},
      {task_with(R"("retry": {"multiplier": 0.5})"), "/tasks/0/retry/multiplier", "0.5",
       "1 to 1000 are allowed"},
      {task_with(R"("retry": {"backoff": "constant"})"), "/tasks/0/retry/backoff", "\"constant\"",
       "it is \"fixed\""},
      {task_with(R"("retry": {"delay": "5m", "max_delay": "1m"})"), "/tasks/0/retry/max_delay",
       "\"1m\"", "shorter than the first \"delay\""},
      {task_with(R"("retry": {"exit_codes": [0]})"), "/tasks/0/retry/exit_codes/0", "0]",
       "1 to 255"},
      {task_with(R"("retry": {"exit_codes": [256]})"), "/tasks/0/retry/exit_codes/0", "256",
       "1 to 255"},
      {task_with(R"("retry": {"exit_codes": []})"), "/tasks/0/retry/exit_codes", "[]}",
       "found an empty list"},
      {task_with(R"("resources": {"nice": 20})"), "/tasks/0/resources/nice", "20", "-20 to 19"},
      {task_with(R"("resources": {"memory": "0B"})"), "/tasks/0/resources/memory", "\"0B\"",
       "too small"},
      {task_with(R"("resources": {"memory": "5M"})"), "/tasks/0/resources/memory", "\"5M\"",
       "is not a size"},
      {task_with(R"("rate_limit": {"count": 5})"), "/tasks/0/rate_limit", "{\"count\"",
       "the key \"per\" is missing"},
      {task_with(R"("output": "xml")"), "/tasks/0/output", "\"xml\"",
       "allowed are \"none\", \"text\", \"json\" and \"jsonl\""},
      {task_with(R"("output": {"from": "file"})"), "/tasks/0/output", "{\"from\"",
       "the key \"format\" is missing"},
      {task_with(R"("map": {"key": "{{ item }}"})"), "/tasks/0/map", "{\"key\"",
       "the key \"items\" is missing"},
      {task_with(R"("map": {"items": [], "tolerated_failures": "101%"})"),
       "/tasks/0/map/tolerated_failures", "\"101%\"", "is not a share"},
      {task_with(R"("map": {"items": [], "tolerated_failures": "5"})"),
       "/tasks/0/map/tolerated_failures", "\"5\"", "is not a share"},
      {task_with(R"("map": {"items": [], "max_concurrent": 0})"), "/tasks/0/map/max_concurrent",
       "0}", "1 to"},
      {task_with(R"("map": {"items": "items.jsonl"})"), "/tasks/0/map/items", "\"items.jsonl\"",
       "for a file write {\"file\": \"items.jsonl\"}"},
      {task_with(R"("map": {"items": "x {{ params }}"})"), "/tasks/0/map/items", "\"x {{",
       "only {{ … }} and nothing around it"},
      {task_with(R"("map": {"items": {"format": "csv"}})"), "/tasks/0/map/items", "{\"format\"",
       "the key \"file\" is missing"},
      {task_with(R"("map": {"items": [], "key": "same"})"), "/tasks/0/map/key", "\"same\"",
       "gives every item the same name"},
      {task_with(R"("pool": {})"), "/tasks/0/pool", "{}", "names no pool"},
  });
}

TEST_CASE("retry.on takes what an attempt can end with, and says why not the rest") {
  const auto refused = [](const char* word, const char* why) {
    check_error(task_with("\"retry\": {\"on\": [\"" + std::string(word) + "\"]}"),
                "/tasks/0/retry/on/0", ("\"" + std::string(word) + "\"").c_str(), why);
  };
  for (const char* word : {"lost", "interrupted"}) refused(word, "`on_interrupt` decides over it");
  for (const char* word : {"total_timeout", "queue_timeout", "run_timeout"}) {
    refused(word, "the time for all attempts");
  }
  for (const char* word :
       {"upstream", "rule", "when", "cancelled", "fail_fast", "stop_after_failures", "replaced",
        "items", "tolerance", "poison", "unkillable", "restored", "marked", "no_worker", "hooks"}) {
    refused(word, "it is never retried");
  }
  refused("exti", "did you mean \"exit\"?");
  check_error(task_with(R"("retry": {"not_on": ["lost"]})"), "/tasks/0/retry/not_on/0", "\"lost\"",
              "never retried");
  for (const char* word : {"exit", "signal", "oom", "timeout", "stalled", "error", "cpu_time",
                           "pids", "permanent", "spawn", "template", "output"}) {
    const TaskSpec task = valid_task("\"retry\": {\"on\": [\"" + std::string(word) + "\"]}");
    CHECK(task.retry.on.has(*reason_from(word)));
  }
}

TEST_CASE("a schedule is checked to the last field") {
  const auto wrong = [](const char* schedule, const char* pointer, const char* place,
                        const char* message) {
    check_error(job_with("\"timeout\": \"1h\", \"schedule\": " + std::string(schedule)), pointer,
                place, message);
  };
  wrong("\"0 2 * * *\"", "/schedule", "\"0 2", "write {\"cron\": \"0 2 * * *\"}");
  wrong("\"5m\"", "/schedule", "\"5m\"", "write {\"every\": \"5m\"}");
  wrong("[]", "/schedule", "[]}", "found an empty list");
  wrong("{}", "/schedule", "{}", "needs one of \"cron\", \"every\" or \"at\"");
  wrong(R"({"cron": "0 2 * * *", "every": "5m"})", "/schedule", "{\"cron\"", "exclude each other");
  wrong(R"({"cron": "0 2 * * * *"})", "/schedule/cron", "*\"}", "exactly five fields");
  wrong(R"({"cron": "0 25 * * *"})", "/schedule/cron", "25", "outside of the field hour");
  wrong(R"({"cron": "0 0 30 2 *"})", "/schedule/cron", "30 2", "can never fire");
  wrong(R"([{"cron": "@daily"}, {"cron": "0 0 * * H"}])", "/schedule/1/cron", "H\"",
        "a hashed value");
  wrong(R"({"every": "500ms"})", "/schedule/every", "\"500ms\"", "at least \"1s\"");
  wrong(R"({"every": "1m", "jitter": "2m"})", "/schedule/jitter", "\"2m\"",
        "shorter than \"every\"");
  wrong(R"({"at": "soon"})", "/schedule/at", "\"soon\"", "is not a time");
  wrong(R"({"at": "2026-02-30T00:00"})", "/schedule/at", "\"2026-02-30", "is not a time");
  wrong(R"({"cron": "@daily", "timezone": "Mars/Olympus"})", "/schedule/timezone",
        "\"Mars/Olympus\"", "is not a known time zone");
  wrong(R"({"cron": "@daily", "timezone": "../etc/passwd"})", "/schedule/timezone", "\"../etc",
        "is not a known time zone");
  wrong(R"({"cron": "@daily", "start": "x"})", "/schedule/start", "\"x\"", "is not a time");
  wrong(R"({"cron": "@daily", "start": "2026-02-01", "end": "2026-01-01"})", "/schedule/end",
        "\"2026-01-01\"", "can never fire");
  wrong(R"({"cron": "@daily", "except": ["2026-13-01"]})", "/schedule/except/0", "\"2026-13-01\"",
        "is not a date of the calendar");
  wrong(R"({"cron": "@daily", "except": "2026-12-25"})", "/schedule/except", "\"2026-12-25\"",
        "a list of dates");
  for (const char* reserved : {"file", "job", "webhook"}) {
    const auto errors = errors_of(
        job_with("\"timeout\": \"1h\", \"schedule\": {\"" + std::string(reserved) + "\": \"x\"}"));
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0].message, Catch::Contains("not yet available"));
  }
}

TEST_CASE("without a loader of zones any well-formed name passes") {
  ParseOptions plain;
  CHECK(parse_job(
            job_with(
                R"("timeout": "1h", "schedule": {"cron": "@daily", "timezone": "Mars/Olympus"})"),
            plain)
            .ok);
}

// ---- Errors between values

TEST_CASE("ids are unique, and the error names the line of the first") {
  check_error(
      "{\"name\": \"j\", \"tasks\": [\n{\"id\": \"a\", \"command\": [\"x\"]},\n"
      "{\"command\": [\"y\"], \"id\": \"a\"}]}",
      "/tasks/1/id", "\"a\"}]", "the task id \"a\" is taken: line 2 has it");
}

TEST_CASE("a dependency must exist and not be the task itself") {
  check_error(tasks_of(R"({"id": "load", "command": ["x"]},
                          {"id": "b", "command": ["x"], "depends_on": ["laod"]})"),
              "/tasks/1/depends_on/0", "\"laod\"",
              "there is no task \"laod\"; did you mean \"load\"?; tasks are \"b\" and \"load\"");
  check_error(task_with(R"("depends_on": [ "a"])"), "/tasks/0/depends_on/0", "\"a\"]",
              "depends on itself");
}

TEST_CASE("a cycle is named by its tasks, beginning with the first in the file") {
  check_error(tasks_of(R"({"id": "x", "command": ["x"]},
                          {"id": "c", "command": ["x"], "depends_on": ["x", "b"]},
                          {"id": "a", "command": ["x"], "depends_on": ["c"]},
                          {"id": "b", "command": ["x"], "depends_on": ["a"]},
                          {"id": "behind", "command": ["x"], "depends_on": ["b"]})"),
              "/tasks/1/depends_on", "[\"x\", \"b\"]", "in a cycle: c → a → b → c");
}

TEST_CASE("a long cycle is shortened") {
  std::string tasks;
  for (int i = 0; i < 50; ++i) {
    tasks += (i ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(i) +
             "\",\"command\":[\"x\"],\"depends_on\":[\"t" + std::to_string((i + 49) % 50) + "\"]}";
  }
  const auto errors = errors_of(tasks_of(tasks));
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0].message, Catch::Contains("t0 → t1 →"));
  CHECK_THAT(errors[0].message, Catch::Contains("… → t0 (50 tasks)"));
}

TEST_CASE("a pool must be known and large enough") {
  check_all({
      {task_with(R"("pool": "wharehouse")", R"("pools": {"warehouse": 2})"), "/tasks/0/pool",
       "\"wharehouse\"", "did you mean \"warehouse\"?; pools are \"default\" and \"warehouse\""},
      {task_with(R"("pool": {"warehouse": 3})", R"("pools": {"warehouse": 2})"),
       "/tasks/0/pool/warehouse", "3}", "more than the pool \"warehouse\" has, 2"},
  });
  ParseOptions settings = options();
  settings.known_pools = {{"default", {}}, {"gpu", 2}};
  CHECK(parse_job(task_with(R"("pool": "gpu")"), settings).ok);
  const ParseResult wide = parse_job(task_with(R"("pool": {"gpu": 3})"), settings);
  REQUIRE_FALSE(wide.ok);
  CHECK_THAT(wide.diagnostics[0].message, Catch::Contains("more than the pool \"gpu\" has, 2"));
}

TEST_CASE("each pairs the items of mapped tasks") {
  const JobSpec job = valid_job(tasks_of(R"(
    {"id": "last", "command": ["x", "{{ item }}"], "depends_on": [{"task": "mid", "each": true}]},
    {"id": "mid", "command": ["x"], "depends_on": ["root", {"task": "convert", "each": true}]},
    {"id": "convert", "command": ["x"], "map": {"items": [1]}},
    {"id": "root", "command": ["x"]})"));
  CHECK(job.tasks[0].mapped_over == TaskIndex(2));
  CHECK(job.tasks[1].mapped_over == TaskIndex(2));
  CHECK(job.tasks[1].is_mapped());
  CHECK(job.tasks[1].depends_on[1].each);
  check_all({
      {tasks_of(R"({"id": "p", "command": ["x"]},
                   {"id": "q", "command": ["x"], "depends_on": [{"task": "p", "each": true}]})"),
       "/tasks/1/depends_on", "[{\"task\"", "the task \"p\" is not mapped"},
      {tasks_of(R"({"id": "p", "command": ["x"], "map": {"items": [1]}},
                   {"id": "q", "command": ["x"], "map" : {"items": [1]},
                    "depends_on": [{"task": "p", "each": true}]})"),
       "/tasks/1/map", "\"map\" :", "no \"map\" of its own"},
      {tasks_of(R"({"id": "p", "command": ["x"], "map": {"items": [1]}},
                   {"id": "r", "command": ["x"], "map": {"items": [1]}},
                   {"id": "q", "command": ["x"], "depends_on": [{"task": "p", "each": true},
                    {"task": "r", "each": true}]})"),
       "/tasks/2/depends_on", "[{\"task\"", "\"each\" pairs the same items"},
      {tasks_of(R"({"id": "p", "command": ["x"], "map": {"items": [1]}},
                   {"id": "q", "command": ["x"], "depends_on": ["p", {"each": true, "task": "p"}]})"),
       "/tasks/1/depends_on/1/task", "\"p\"}", "listed twice"},
  });
}

TEST_CASE("of a task that it is paired with a task names the item") {
  const auto chain = [](const std::string& of_upload) {
    return tasks_of(R"({"id": "fetch", "command": ["x"], "output": "text", "map": {"items": [1]}},
      {"id": "convert", "command": ["x", "{{ tasks.fetch.output }}"], "output": "text",
       "depends_on": [{"task": "fetch", "each": true}]},
      {"id": "upload", "command": ["x"], )" +
                    of_upload + "}");
  };
  const std::string after_convert = R"("depends_on": [{"task": "convert", "each": true}])";
  const JobSpec job = valid_job(chain(
      R"("env": {"A": "{{ tasks.fetch.output }} {{ tasks.convert.state }}"}, )" + after_convert));
  CHECK(job.tasks[1].pairs_used == std::vector{TaskIndex{0}});
  CHECK(job.tasks[2].pairs_used == std::vector{TaskIndex{0}, TaskIndex{1}});
  const JobSpec whole =
      valid_job(chain(R"("env": {"A": "{{ tasks.fetch.counts.failed }}"}, "depends_on": ["fetch",
               {"task": "convert", "each": true}])"));
  CHECK(whole.tasks[2].pairs_used.empty());
  check_all({
      {chain(R"("when": "tasks.convert.state == 'succeeded'", )" + after_convert), "/tasks/2/when",
       "tasks.convert", "judged once for the whole task, and tasks.convert is the item"},
      {chain(R"("env": {"A": "{{ tasks.fetch.counts.failed }}"}, )" + after_convert),
       "/tasks/2/env/A", "tasks.fetch.counts", "is the item that this one is paired with"},
  });
}

TEST_CASE("a scheduled job needs a default for each parameter") {
  check_error(job_with(R"("timeout": "1h", "schedule": {"cron": "@daily"},
                          "params": {"day": {"type": "string"}})"),
              "/params/day", "\"day\"", "needs a \"default\"");
  valid_job(job_with(R"("params": {"day": {"type": "string"}})"));
}

// ---- Expressions and templates

TEST_CASE("a template that does not compile is an error at its byte") {
  const auto errors = errors_of(tasks_of("\n{\"id\": \"a\", \"command\": [\"é{{ 1 + }}\"]}"));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].line == 2);
  CHECK(errors[0].pointer == "/tasks/0/command/0");
  CHECK_THAT(errors[0].message, Catch::Contains("in this template: "));
  for (const char* keys :
       {R"("env": {"A": "{{ 1 + }}"})", R"("working_dir": "{{ 1 + }}")", R"("stdin": "{{ 1 + }}")",
        R"("stdin": ["{{ 1 + }}"])", R"("map": {"items": [], "key": "{{ 1 + }}"})",
        R"("map": {"items": "{{ 1 + }}"})", R"("map": {"items": {"file": "{{ 1 + }}"}})",
        R"("when": "1 +")"}) {
    CAPTURE(keys);
    CHECK(errors_of(task_with(keys)).size() == 1);
  }
  for (const char* keys :
       {R"("env": {"A": "{{ 1 + }}"})", R"("working_dir": "{{ 1 + }}")",
        R"("defaults": {"env": {"A": "{{ 1 + }}"}})",
        R"("defaults": {"operator": "o", "with": {}, "working_dir": "{{ 1 + }}"})",
        R"("on_exit": [{"command": ["{{ 1 + }}"]}])",
        R"("on_exit": [{"operator": "http", "with": {"a": ["{{ 1 + }}"]}}])"}) {
    CAPTURE(keys);
    CHECK(errors_of(job_with(keys)).size() == 1);
  }
}

TEST_CASE("an expression stands bare in when") {
  check_error(task_with(R"("when": "{{ true }}")"), "/tasks/0/when", "\"{{", "without {{ }}");
}

TEST_CASE("what a template names must exist") {
  const std::string params = R"("params": {"region": {"default": "jp"}},
                                "secrets": {"TOKEN": {"env": "T"}})";
  const auto wrong = [&](const char* keys, const char* pointer, const char* place,
                         const char* message) {
    check_error(task_with(keys, params), pointer, place, message);
  };
  wrong(R"("env": {"A": "{{ params.regoin }}"})", "/tasks/0/env/A", "params.regoin",
        "the parameter \"regoin\" is not declared in \"params\"; did you mean \"region\"?");
  wrong(R"("env": {"A": "{{ regoin }}"})", "/tasks/0/env/A", "regoin",
        "there is no name \"regoin\"");
  wrong(R"("env": {"A": "{{ region }}"})", "/tasks/0/env/A", "region }}",
        "the parameter is params.region");
  wrong(R"("env": {"A": "{{ a }}"})", "/tasks/0/env/A", "a }}", "the task is tasks.a");
  wrong(R"("env": {"A": "{{ param.region }}"})", "/tasks/0/env/A", "param.region",
        "did you mean \"params\"?");
  wrong(R"("env": {"A": "{{ run.dat }}"})", "/tasks/0/env/A", "run.dat", "did you mean \"date\"?");
  wrong(R"("env": {"A": "{{ run.state }}"})", "/tasks/0/env/A", "run.state", "known to hooks only");
  wrong(R"("env": {"A": "{{ run.interval.begin }}"})", "/tasks/0/env/A", "run.interval",
        "\"start\" and \"end\"");
  wrong(R"("env": {"A": "{{ task.name }}"})", "/tasks/0/env/A", "task.name",
        "task has no \"name\"");
  wrong(R"("env": {"A": "{{ item }}"})", "/tasks/0/env/A", "item }}", "in mapped tasks only");
  wrong(R"("env": {"A": "{{ index }}"})", "/tasks/0/env/A", "index }}", "in mapped tasks only");
  wrong(R"("env": {"A": "{{ task.key }}"})", "/tasks/0/env/A", "task.key", "in mapped tasks only");
  wrong(R"("working_dir": "{{ env.NOPE }}")", "/tasks/0/working_dir", "env.NOPE",
        "is not in \"env\" of the task or the job");
  wrong(R"("env": {"A": "{{ secrets.TOKNE }}"})", "/tasks/0/env/A", "secrets.TOKNE",
        "did you mean \"TOKEN\"?");
  wrong(R"("env": {"A": "{{ tasks[params.region] }}"})", "/tasks/0/env/A", "tasks[",
        "say which task");
  wrong(R"("when": "item == 1")", "/tasks/0/when", "item ==", "judged once for the whole task");
  wrong(R"("map": {"items": [1]}, "when": "index == 1")", "/tasks/0/when",
        "index ==", "judged once for the whole task");
  wrong(R"("map": {"items": "{{ item }}"})", "/tasks/0/map/items", "item }}", "gives the items");
  wrong(R"("when": "task.attempt == 1")", "/tasks/0/when", "task.attempt",
        "no attempt has started");
  valid_job(task_with(R"("map": {"items": [1], "key": "{{ item }}-{{ index }}"},
                         "env": {"A": "{{ item }}{{ index }}{{ task.key }}{{ task.attempt }}",
                                 "B": "{{ run.interval.start }}{{ run.date }}{{ params.region }}"},
                         "working_dir": "{{ env.A }}", "stdin": "{{ json(params) }}",
                         "when": "run.trigger == 'manual' && size(env) > 0")",
                      params));
}

TEST_CASE("names bound by a macro are no references") {
  valid_job(task_with(R"_("when": "[1, 2].exists(x, x == 2)")_"));
}

TEST_CASE("secrets may stand in env and with only, and a task gets those it names") {
  const std::string secrets =
      R"("secrets": {"A": {"env": "A"}, "B": {"env": "B"}, "C": {"env": "C"}})";
  const auto wrong = [&](const std::string& tasks, const char* pointer, const char* place,
                         const char* message) {
    check_error(tasks_of(tasks, secrets), pointer, place, message);
  };
  wrong(R"({"id": "t", "command": ["x", "{{ secrets.A }}"]})", "/tasks/0/command/1", "secrets.A",
        "would show in ps");
  wrong(R"({"id": "t", "command": ["x"], "stdin": "{{ secrets.A }}"})", "/tasks/0/stdin",
        "secrets.A", "in \"env\" and \"with\" only");
  wrong(R"({"id": "t", "command": ["x"], "working_dir": "{{ secrets.A }}"})",
        "/tasks/0/working_dir", "secrets.A", "in \"env\" and \"with\" only");
  wrong(R"({"id": "t", "command": ["x"], "when": "secrets.A == ''"})", "/tasks/0/when", "secrets.A",
        "in \"env\" and \"with\" only");
  wrong(R"({"id": "t", "command": ["x"], "env": {"E": "{{ json(secrets) }}"}})", "/tasks/0/env/E",
        "secrets)", "say which secret");
  const JobSpec job = valid_job(tasks_of(
      R"({"id": "t", "command": ["x"], "env": {"E": "{{ secrets.B }}{{ secrets.A }}{{ secrets.B }}"}},
         {"id": "u", "operator": "http", "with": {"h": {"deep": ["Bearer {{ secrets.C }}"]}}},
         {"id": "v", "command": ["x"]})",
      secrets));
  CHECK(job.tasks[0].secrets == std::vector<std::string>{"A", "B"});
  CHECK(job.tasks[1].secrets == std::vector<std::string>{"C"});
  CHECK(job.tasks[2].secrets.empty());
}

TEST_CASE("a template may name the tasks before it, near or far, and no others") {
  const JobSpec job = valid_job(tasks_of(R"(
    {"id": "c", "command": ["x", "{{ tasks.a.output }}", "{{ tasks['b-1'].state }}"],
     "depends_on": ["b-1"], "when": "tasks.a.state == 'succeeded'"},
    {"id": "b-1", "command": ["x"], "depends_on": ["a"]},
    {"id": "a", "command": ["x"], "output": "json"})"));
  CHECK(ids_of(job, job.tasks[0].outputs_used) == std::vector<std::string>{"b-1", "a"});
  CHECK(job.tasks[1].outputs_used.empty());
  check_all({
      {tasks_of(R"({"id": "p", "command": ["x"]},
                   {"id": "q", "command": ["x", "{{ tasks.p.state }}"]})"),
       "/tasks/1/command/1", "tasks.p.state", "add \"p\" to \"depends_on\" of \"q\""},
      {tasks_of(R"({"id": "p", "command": ["x", "{{ tasks.q.state }}"]},
                   {"id": "q", "command": ["x"], "depends_on": ["p"]})"),
       "/tasks/0/command/1", "tasks.q.state", "is not known to be final here"},
      {task_with(R"("env": {"A": "{{ tasks.a.state }}"})"), "/tasks/0/env/A", "tasks.a.state",
       "cannot use its own result"},
      {task_with(R"("env": {"A": "{{ tasks.zzz.state }}"})"), "/tasks/0/env/A", "tasks.zzz",
       "there is no task \"zzz\""},
      {tasks_of(R"({"id": "p", "command": ["x"]},
                   {"id": "q", "command": ["x", "{{ tasks.p.result }}"], "depends_on": ["p"]})"),
       "/tasks/1/command/1", "tasks.p.result", "tasks.p has no \"result\""},
      {tasks_of(R"({"id": "p", "command": ["x"]},
                   {"id": "q", "command": ["x"], "map": {"items": "{{ tasks.p.output }}"},
                    "depends_on": ["p"]})"),
       "/tasks/1/map/items", "tasks.p.output", "the task \"p\" keeps no output"},
  });
}

TEST_CASE("ancestors are right in every graph of five tasks") {
  // Each bit is one edge i -> j with i < j; the closure is the oracle.
  for (unsigned edges = 0; edges < 1024; edges += 7) {
    bool before[5][5] = {};
    std::string tasks;
    unsigned bit = 0;
    for (int j = 0; j < 5; ++j) {
      std::string upstream;
      for (int i = 0; i < j; ++i, ++bit) {
        if ((edges >> bit & 1U) == 0) continue;
        upstream += (upstream.empty() ? "\"t" : ",\"t") + std::to_string(i) + "\"";
        before[i][j] = true;
        for (int k = 0; k < i; ++k) before[k][j] = before[k][j] || before[k][i];
      }
      std::string uses;
      for (int i = 0; i < 5; ++i) uses += ",\"{{ tasks.t" + std::to_string(i) + ".state }}\"";
      tasks += (j ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(j) + "\",\"command\":[\"x\"" +
               uses + "],\"depends_on\":[" + upstream + "]}";
    }
    std::size_t wrong = 0;
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j < 5; ++j) wrong += before[i][j] ? 0 : 1;
    }
    CAPTURE(edges);
    CHECK(errors_of(tasks_of(tasks)).size() == wrong);
  }
}

TEST_CASE("hooks see how the run ended and every task") {
  const JobSpec job = valid_job(job_with(R"("on_failure": [{"command":
      ["x", "{{ run.state }} {{ run.reason }} {{ json(run.failed) }} {{ tasks.a.state }}"],
      "when": "run.state == 'failed'"}])"));
  CHECK(job.hooks[0].task.outputs_used == std::vector<TaskIndex>{TaskIndex(0)});
}

// ---- Warnings

TEST_CASE("warnings do not make a job invalid") {
  const auto warning = [](const std::string& text, const char* message) {
    const ParseResult result = parse(text);
    INFO(all_messages(result));
    CHECK(result.ok);
    const auto warnings = of_severity(result, Diagnostic::Severity::warning);
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0].message, Catch::Contains(message));
  };
  warning(job_with(R"("schedule": {"cron": "@daily"})"), "no \"timeout\"");
  warning(task_with(R"("env": {"API_TOKEN": "abc"})"), "holds a literal");
  warning(task_with(R"("env": {"db_password": "abc"})"), "holds a literal");
  warning(job_with(R"("env": {"MY_SECRET_1": "abc"})"), "holds a literal");
  warning(tasks_of(R"({"id": "a", "script": "echo {{ params.x }}"})"), "plain text in a script");
  warning(task_with(R"("shell": "sh")"), "a command has none");
  warning(task_with(R"("env": {"PAWL_RUN_ID": "x"})"), "may be set by pawl");
  warning(task_with(R"("retry": {"on": ["signal"], "exit_codes": [3]})"), "has no effect");
  warning(task_with(R"("map": {"items": ["{{ x }}"]})"), "items of a list are data");
  CHECK(warnings_of(task_with(R"("env": {"API_TOKEN": "{{ secrets.T }}", "E_SECRET": ""})",
                              R"("secrets": {"T": {"env": "T"}})"))
            .empty());
}

TEST_CASE("a warning about the job's env is given once, not per task") {
  CHECK(warnings_of(tasks_of(R"({"id": "a", "command": ["x"]}, {"id": "b", "command": ["x"]})",
                             R"("env": {"TOKEN": "x"})"))
            .size() == 1);
}

// ---- All of it

TEST_CASE("all errors of a file come at once, in its order, then the warnings") {
  const ParseResult result = parse(R"({
    "name": "a b",
    "nmae": 1,
    "nmae": 2,
    "timeout": 5,
    "tasks": [
      {"id": "a", "script": "{{", "depends_on": ["b"]},
      {"id": "c", "command": ["{{ params.x }}"]}
    ]})");
  CHECK_FALSE(result.ok);
  std::vector<std::pair<int, std::string>> places;
  for (const Diagnostic& d : result.diagnostics) places.emplace_back(d.line, d.pointer);
  CHECK(places == std::vector<std::pair<int, std::string>>{{2, "/name"},
                                                           {3, "/nmae"},
                                                           {4, "/nmae"},
                                                           {4, "/nmae"},
                                                           {5, "/timeout"},
                                                           {7, "/tasks/0/depends_on/0"},
                                                           {8, "/tasks/1/command/0"},
                                                           {7, "/tasks/0/script"}});
  CHECK(result.diagnostics.back().severity == Diagnostic::Severity::warning);
}

TEST_CASE("errors without end are bounded, and the last says so") {
  std::string tasks;
  for (int i = 0; i < 5'000; ++i) tasks += (i ? ",{\"zz" : "{\"zz") + std::to_string(i) + "\":1}";
  const auto errors = errors_of(tasks_of(tasks));
  REQUIRE(errors.size() == limits::kErrorsPerFileMax + 1);
  CHECK(errors.back().message == "further errors are not shown");
}

TEST_CASE("a diagnostic is one line that editors can jump to") {
  CHECK(format_diagnostic("jobs/a.json", only_error(job_with(R"("timeout": 30)"))) ==
        "jobs/a.json:1:71: error: expected a duration such as \"90s\", \"5m\" or \"1h30m\", found "
        "the number 30: a bare number has no unit, write \"30s\" (at /timeout)");
}

TEST_CASE("more tasks than the limit are refused") {
  std::string tasks;
  for (std::size_t i = 0; i <= limits::kTasksPerJobMax; ++i) {
    tasks += (i ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(i) + "\",\"command\":[\"x\"]}";
  }
  const auto errors = errors_of(tasks_of(tasks));
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0].message, Catch::Contains("at most 100000 are allowed"));
}

TEST_CASE("a JSON object without tasks is no job file, anything else is") {
  CHECK(is_foreign_json("{}"));
  CHECK(is_foreign_json(R"({"name": "x"})"));
  CHECK_FALSE(is_foreign_json(R"({"tasks": 1})"));
  CHECK_FALSE(is_foreign_json("[]"));
  CHECK_FALSE(is_foreign_json("{"));
  CHECK_FALSE(is_foreign_json(""));
}

// ---- Canonical text

TEST_CASE("the canonical text is the same for files that mean the same") {
  const std::string one = R"({"name": "j", "comment": "c", "x-a": 1, "$schema": "s",
    "params": {"p": {"type": "integer", "default": 1}}, "labels": {"comment": "kept"},
    "tasks": [{"command": ["x"], "id": "a", "comment": "c", "retry": {"x-b": 1, "delay": "1s"}}]})";
  const std::string two = R"({"tasks":[{"id":"a","retry":{"delay":"1s"},"command":["x"]}],
    "labels":{"comment":"kept"},"params":{"p":{"default":1,"type":"integer"}},"name":"j"})";
  CHECK(canonical_job_text(one) == canonical_job_text(two));
  CHECK(canonical_job_text(one) ==
        R"({"labels":{"comment":"kept"},"name":"j","params":{"p":{"default":1,"type":"integer"}},)"
        R"("tasks":[{"command":["x"],"id":"a","retry":{"delay":"1s"}}]})");
  CHECK(canonical_job_text(canonical_job_text(one)) == canonical_job_text(one));
  CHECK(valid_job(canonical_job_text(one)).tasks[0].retry.delay == 1s);
  CHECK(canonical_job_text("{").empty());
}

TEST_CASE("the canonical text keeps data that looks like a comment") {
  const std::string text = tasks_of(
      R"({"id": "a", "operator": "http", "with": {"comment": 1, "x-y": 2},
          "map": {"items": [{"comment": 1}]}})");
  const Json canonical = Json::parse(canonical_job_text(text));
  CHECK(canonical["tasks"][0]["with"] == Json::parse(R"({"comment": 1, "x-y": 2})"));
  CHECK(canonical["tasks"][0]["map"]["items"] == Json::parse(R"([{"comment": 1}])"));
}

TEST_CASE("limits are of programs: an operator's own are refused, those of defaults pass it by") {
  const auto wrong = parse_job(
      tasks_of(R"({"id": "a", "operator": "http", "resources": {"memory": "1GiB"}})"), {});
  REQUIRE(wrong.diagnostics.size() == 1);
  CHECK_THAT(wrong.diagnostics[0].message, Catch::Contains("limits programs"));
  CHECK(wrong.diagnostics[0].pointer == "/tasks/0/resources");
  const JobSpec job = valid_job(R"({"name": "j", "defaults": {"resources": {"memory": "1GiB"}},
      "tasks": [{"id": "a", "operator": "http"}, {"id": "b", "command": ["x"]}]})");
  CHECK(job.tasks[0].resources.memory_bytes == 0);
  CHECK(job.tasks[1].resources.memory_bytes == 1u << 30);
}

TEST_CASE("a nice that programs cannot have here is an error at its place, once") {
  ParseOptions here = options();
  here.may_have_nice = [](int nice) { return nice >= 0; };
  CHECK(parse_job(task_with(R"("resources": {"nice": 0})"), here).ok);
  const ParseResult own = parse_job(task_with(R"("resources": {"nice": -5})"), here);
  REQUIRE(own.diagnostics.size() == 1);
  CHECK(own.diagnostics[0].pointer == "/tasks/0/resources/nice");
  CHECK_THAT(own.diagnostics[0].message,
             Catch::Contains("\"nice\" -5") && Catch::Contains("LimitNICE="));
  const ParseResult all = parse_job(R"({"name": "j", "defaults": {"resources": {"nice": -5}},
      "tasks": [{"id": "a", "command": ["x"]}, {"id": "b", "command": ["x"]}]})",
                                    here);
  REQUIRE(all.diagnostics.size() == 1);
  CHECK(all.diagnostics[0].pointer == "/defaults/resources/nice");
  CHECK(parse(task_with(R"("resources": {"nice": -5})")).ok);  // what was accepted once
}
