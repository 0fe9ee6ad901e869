// A job file as a whole: what it says, its errors and warnings together, its canonical text.

#include "scheduler/base/limits.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

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
  warning(task_with(R"("retry": {"max_attempts": 2, "on": ["signal"], "exit_codes": [3]})"),
          "has no effect");
  warning(task_with(R"("retry": {"delay": "5s"})"), "nothing is tried again");
  warning(task_with(R"("map": {"items": {"file": "in/orders.csv"}})"), "say \"format\": \"csv\"");
  warning(job_with(R"("max_active_runs": 4)"), "it is for \"overlap\": \"allow\"");
  warning(job_with(R"("catchup": {"policy": "all"})"), "the job has no schedule");
  warning(job_with(R"("pause_after_failures": 3)"), "the job has no schedule");
  warning(task_with(R"("map": {"items": ["{{ x }}"]})"), "items of a list are data");
  CHECK(warnings_of(task_with(R"("env": {"API_TOKEN": "{{ secrets.T }}", "E_SECRET": ""})",
                              R"("secrets": {"T": {"env": "T"}})"))
            .empty());
}

TEST_CASE("an output that nobody keeps is told of where it is named") {
  const auto is_told = [](const std::string& upstream, const std::string& use) {
    const auto warnings = warnings_of(
        tasks_of(R"({"id": "a", )" + upstream +
                 R"(}, {"id": "b", "depends_on": ["a"], "command": ["x"], )" + use + "}"));
    for (const Diagnostic& one : warnings)
      CHECK_THAT(one.message, Catch::Contains("the task \"a\" keeps no output"));
    return warnings.size() == 1;
  };
  const std::string env = R"("env": {"V": "{{ tasks.a.output }}"})";
  CHECK(is_told(R"("command": ["x"])", env));
  CHECK(is_told(R"("command": ["x"])", R"("when": "tasks.a.output == 'x'")"));
  CHECK(is_told(R"("operator": "noop")", env));
  CHECK_FALSE(is_told(R"("command": ["x"], "output": "text")", env));
  CHECK_FALSE(is_told(R"("operator": "job", "with": {"job": "j2"})", env));
  CHECK_FALSE(is_told(R"("command": ["x"])", R"("env": {"V": "{{ tasks.a.state }}"})"));
}

TEST_CASE("defaults for retries are no promise that each task has them") {
  const char* const tasks = R"({"id": "a", "command": ["x"]},
      {"id": "b", "command": ["x"], "retry": {"max_attempts": 3}})";
  CHECK(warnings_of(tasks_of(tasks, R"("defaults": {"retry": {"delay": "5s"}})")).empty());
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

TEST_CASE("of errors without end in one value, too, the last says so") {
  OperatorCatalog operators;
  operators.add(
      {"http", "",
       Json::parse(R"({"type": "object", "properties": {"x": {}}, "additionalProperties": false})"),
       "http.so"});
  ParseOptions known = options();
  known.operators = &operators;
  std::string parameters;
  std::string numbers;
  std::string doubles;
  for (int i = 0; i < 150; ++i) {
    const std::string comma = i > 0 ? "," : "";
    parameters += comma + "\"p" + std::to_string(i) + "\": 1";
    numbers += comma + "123456789012345678901234567890";
    doubles += comma + R"({"a": 1, "a": 2})";
  }
  for (const std::string& with :
       {parameters, R"("x": [)" + numbers + "]", R"("x": [)" + doubles + "]"}) {
    const auto parsed =
        parse_job(tasks_of(R"({"id": "a", "operator": "http", "with": {)" + with + "}}"), known);
    const auto errors = of_severity(parsed, Diagnostic::Severity::error);
    REQUIRE(errors.size() == limits::kErrorsPerFileMax + 1);
    CHECK(errors.back().message == "further errors are not shown");
  }
}

TEST_CASE("an operator that is no name is one error, as nobody has looked for it") {
  const OperatorCatalog operators;
  ParseOptions known = options();
  known.operators = &operators;
  for (const char* name :
       {R"(["http"])", "5", R"({"name": "http"})", R"("")", R"("a b")", R"("bash")"}) {
    const auto parsed =
        parse_job(tasks_of(R"({"id": "a", "operator": )" + std::string(name) + "}"), known);
    INFO(all_messages(parsed));
    REQUIRE(of_severity(parsed, Diagnostic::Severity::error).size() == 1);
    CHECK(parsed.diagnostics[0].pointer == "/tasks/0/operator");
  }
}

TEST_CASE("an operator has no $PAWL_OUTPUT") {
  const auto wrong = parse_job(
      tasks_of(R"({"id": "a", "operator": "http", "output": {"format": "json", "from": "file"}})"),
      {});
  REQUIRE(wrong.diagnostics.size() == 1);
  CHECK(wrong.diagnostics[0].pointer == "/tasks/0/output/from");
  CHECK_THAT(wrong.diagnostics[0].message, Catch::Contains("what it gives back"));
  CHECK(parse_job(tasks_of(R"({"id": "a", "operator": "http",
                              "output": {"format": "json", "from": "stdout"}})"),
                  {})
            .diagnostics.empty());
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

TEST_CASE("an operator that gives no output is not asked for one that is JSON") {
  OperatorCatalog operators;
  operators.add({"sleep", "", Json::parse(R"({"x-pawl-output": false})"), "basic.so"});
  operators.add({"noop", "", Json::parse(R"({"x-pawl-output": "output"})"), "basic.so"});
  ParseOptions known = options();
  known.operators = &operators;
  const auto said = [&](std::string_view keys) -> std::string {
    const std::string text = tasks_of(R"({"id": "a", )" + std::string(keys) + "}");
    const auto errors = of_severity(parse_job(text, known), Diagnostic::Severity::error);
    if (errors.empty()) return {};
    CHECK(errors.front().pointer == "/tasks/0/output");
    return errors.front().message;
  };
  CHECK(said(R"("operator": "sleep", "with": {"for": "1s"}, "output": "json")") ==
        "operator \"sleep\" gives no output, which is no JSON: leave \"output\" out");
  CHECK(said(R"("operator": "sleep", "with": {"for": "1s"}, "output": "text")").empty());
  CHECK(said(R"("operator": "sleep", "with": {"for": "1s"})").empty());
  CHECK(said(R"("operator": "noop", "output": {"format": "json"})") ==
        "operator \"noop\" gives no output without its parameter \"output\", which is no JSON: "
        "give it \"output\" in \"with\", or leave \"output\" out");
  CHECK(said(R"("operator": "noop", "with": {"output": null}, "output": "json")").empty());
}

TEST_CASE("items of one task do not write the same file") {
  OperatorCatalog operators;
  operators.add(
      {"http", "",
       Json::parse(R"({"properties": {"save_to": {"type": "string", "x-pawl-writes": true}}})"),
       "http.so"});
  ParseOptions known = options();
  known.operators = &operators;
  const auto said = [&](std::string_view save_to, std::string_view keys = "") -> std::string {
    const std::string text = tasks_of(
        R"({"id": "a", "operator": "http", "map": {"items": [1, 2]}, "with": {"save_to": ")" +
        std::string(save_to) + "\"}" + std::string(keys) + "}");
    const auto errors = of_severity(parse_job(text, known), Diagnostic::Severity::error);
    if (errors.empty()) return {};
    CHECK(errors.front().pointer == "/tasks/0/with/save_to");
    return errors.front().message;
  };
  CHECK(said("out/day.json") ==
        "all items of this task write the same file: name the item in it, such as "
        "\"{{ index }}-day.json\"");
  CHECK_FALSE(said("out/{{ run.date }}.json").empty());
  CHECK_FALSE(said("/out/day.json", R"(, "working_dir": "/in/{{ item }}")").empty());
  CHECK(said("out/{{ index }}.json").empty());
  CHECK(said("{{ task.key }}").empty());
  CHECK(said("{{ env.FILE }}", R"(, "env": {"FILE": "{{ item }}"})").empty());
  CHECK(said("day.json", R"(, "working_dir": "/in/{{ item }}")").empty());
  const std::string one = tasks_of(R"({"id": "a", "operator": "http", "with": {"save_to": "f"}})");
  CHECK(of_severity(parse_job(one, known), Diagnostic::Severity::error).empty());
}

TEST_CASE("a time-out that does not bound a sensor is warned of, with what does") {
  OperatorCatalog operators;
  operators.add(
      {"wait_file", "",
       Json::parse(R"({"type": "object", "properties": {"timeout": {"type": "string"}}})"),
       "basic.so"});
  operators.add({"http", "", Json::parse(R"({"type": "object"})"), "http.so"});
  ParseOptions known = options();
  known.operators = &operators;
  const auto warned = [&](std::string_view keys, std::string_view job_keys = "") {
    const std::string text = tasks_of(R"({"id": "a", )" + std::string(keys) + "}", job_keys);
    const auto warnings = of_severity(parse_job(text, known), Diagnostic::Severity::warning);
    for (const Diagnostic& warning : warnings) {
      CHECK(warning.pointer == "/tasks/0/timeout");
      CHECK_THAT(warning.message,
                 Catch::Contains("in \"with\"") && Catch::Contains("\"total_timeout\""));
    }
    return !warnings.empty();
  };
  CHECK(warned(R"("operator": "wait_file", "timeout": "2s")"));
  CHECK_FALSE(warned(R"("operator": "wait_file", "timeout": "2s", "with": {"timeout": "1h"})"));
  CHECK_FALSE(warned(R"("operator": "wait_file", "timeout": "2s", "total_timeout": "1h")"));
  CHECK_FALSE(warned(R"("operator": "wait_file")"));
  CHECK_FALSE(warned(R"("operator": "http", "timeout": "2s")"));
  // That of the defaults is meant for others.
  CHECK_FALSE(warned(R"("operator": "wait_file")", R"("defaults": {"timeout": "2s"})"));
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
