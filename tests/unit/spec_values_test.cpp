// Errors of single keys and values.

#include <array>

#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

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
  const std::array<Foreign, 32> of_tasks = {{{"retries", "pawl counts all attempts"},
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
                                             {"bash", "it is \"script\""},
                                             {"user", "the user of the scheduler"},
                                             {"mem", "it is \"resources\""},
                                             {"url", "stand in \"with\""},
                                             {"on_failure", "hooks belong to the job"}}};
  for (const Foreign& foreign : of_tasks) {
    const std::string quoted = "\"" + std::string(foreign.key) + "\"";
    check_error(tasks_of("{\"command\": [\"true\"], " + quoted + ": 1, \"id\": \"a\"}"),
                "/tasks/0/" + std::string(foreign.key), quoted + ": 1", foreign.hint);
  }
  const std::array<Foreign, 18> of_jobs = {{{"dag_id", "it is \"name\""},
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
                                            {"tz", "it stands in \"schedule\""},
                                            {"hooks", "they are \"on_success\""},
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
      {R"({"name": "j", "tasks": {"a": {}}})", "/tasks", "{\"a\"", "a task has its name within"},
      {job_with("\"on_failure\": \"echo\""), "/on_failure", "\"echo\"", "write [{…}]"},
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
    CHECK_THAT(errors[0].message, Catch::Contains("the word is reserved"));
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
