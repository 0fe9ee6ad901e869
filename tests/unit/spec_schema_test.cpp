// The generated JSON Schema against the parser: what one accepts the other accepts.

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#define VALIJSON_USE_EXCEPTIONS 1
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#pragma GCC diagnostic ignored "-Woverloaded-virtual"
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#pragma GCC diagnostic pop

#include "scheduler/spec/fields.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;

namespace {

namespace fs = std::filesystem;

const valijson::Schema& compiled_schema() {
  static const Json kText = Json::parse(job_schema());
  static const valijson::Schema* const kSchema = [] {
    auto* out = new valijson::Schema();
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(kText), *out);
    return out;
  }();
  return *kSchema;
}

bool fits(const Json& job) {
  valijson::Validator validator;
  return validator.validate(compiled_schema(), valijson::adapters::NlohmannJsonAdapter(job),
                            nullptr);
}

std::string read(const fs::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

extern const char* const kExample;  // shared with the test of robustness
const char* const kExample = R"json({
  "name": "nightly-aggregation",
  "schedule": {"cron": "0 2 * * *", "timezone": "Asia/Tokyo"},
  "params": {"region": {"type": "string", "enum": ["jp", "us"], "default": "jp"}},
  "pools": {"warehouse": 20},
  "defaults": {"retry": {"max_attempts": 4, "delay": "60s"}},
  "timeout": "2h",
  "tasks": [
    {"id": "list", "command": ["./list-queries", "{{ params.region }}"], "output": "json"},
    {"id": "query",
     "depends_on": ["list"],
     "map": {"items": "{{ tasks.list.output }}", "key": "{{ item.id }}", "tolerated_failures": "1%"},
     "operator": "http",
     "with": {"method": "POST", "url": "http://127.0.0.1:8080/query/{{ item.id }}"},
     "timeout": "5m", "pool": "warehouse"},
    {"id": "report", "depends_on": ["query"], "trigger_rule": "all_done",
     "env": {"FAILED": "{{ tasks.query.counts.failed }}"},
     "script": ["./report --failed \"$FAILED\"", "echo done"]}
  ],
  "on_failure": [{"operator": "http", "with": {"method": "POST", "url": "{{ secrets.ALERT_URL }}"}}],
  "secrets": {"ALERT_URL": {"env": "ALERT_URL"}}
})json";

TEST_CASE("the schema is JSON Schema 2020-12 with a sentence for every key") {
  const Json schema = Json::parse(job_schema());
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  for (const Field& field : kJobShape.fields) {
    const Json& property = schema["properties"][std::string(field.key)];
    CAPTURE(field.key);
    CHECK_FALSE(property["description"].get<std::string>().empty());
  }
  for (const char* name : {"task", "hook", "defaults", "retry", "map", "schedule"}) {
    CAPTURE(name);
    REQUIRE(schema["$defs"].contains(name));
    for (const auto& [key, property] : schema["$defs"][name]["properties"].items()) {
      CAPTURE(key);
      if (key != "comment") CHECK_FALSE(property["description"].get<std::string>().empty());
    }
  }
  CHECK(schema["required"] == Json({"name", "tasks"}));
  CHECK(schema["$defs"]["retry"]["properties"]["max_attempts"]["default"] == 1);
}

TEST_CASE("defaults named in the table are those the reader fills in") {
  const Json schema = Json::parse(job_schema());
  const Json& task = schema["$defs"]["task"]["properties"];
  const TaskSpec plain = valid_job(job_with("")).tasks[0];
  CHECK(task["trigger_rule"]["default"] == to_string(plain.trigger_rule));
  CHECK(task["kill_grace"]["default"] == "10s");
  CHECK(task["priority"]["default"] == plain.priority);
  CHECK(task["pool"]["default"] == plain.pools[0].pool);
  CHECK(task["output"]["default"] == to_string(plain.output));
  CHECK(schema["$defs"]["retry"]["properties"]["backoff"]["default"] ==
        to_string(plain.retry.backoff));
  CHECK(schema["$defs"]["retry"]["properties"]["jitter"]["default"] ==
        to_string(plain.retry.jitter));
}

TEST_CASE("the example of the job-file page is valid, by the parser and by the schema") {
  const JobSpec job = valid_job(kExample);
  CHECK(fits(Json::parse(kExample)));
  REQUIRE(job.tasks.size() == 3);
  CHECK(job.tasks[1].retry.max_attempts == 4);
  CHECK(job.tasks[1].retry.delay == std::chrono::seconds(60));
  CHECK(job.tasks[1].map->tolerated_failures.of(250) == 2);
  CHECK(job.tasks[1].pools[0].pool == "warehouse");
  CHECK(job.tasks[2].outputs_used == std::vector<TaskIndex>{TaskIndex(1)});
  CHECK(Json::parse(job.tasks[2].with)["script"] == "./report --failed \"$FAILED\"\necho done");
  CHECK(job.hooks[0].task.secrets == std::vector<std::string>{"ALERT_URL"});
  CHECK(parse(kExample).diagnostics.empty());
}

TEST_CASE("every valid example fits the schema") {
  const fs::path folder = fs::path(PAWL_SOURCE_DIR) / "examples";
  REQUIRE(fs::exists(folder));
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const std::string text = read(entry.path());
    if (is_foreign_json(text)) continue;
    ParseOptions plain = options();
    plain.zone = nullptr;
    const ParseResult result = parse_job(text, plain);
    INFO(entry.path().string());
    INFO(all_messages(result));
    CHECK(result.ok);
    CHECK(fits(Json::parse(text)));
  }
}

TEST_CASE("what the structural check refuses the schema refuses, and what it takes it takes") {
  const std::array<std::pair<const char*, bool>, 36> cases = {{
      {R"("timeout": "90s")", true},
      {R"("timeout": 90)", false},
      {R"("timeout": "")", false},
      {R"("timeout": "1h30m")", true},
      {R"("timeout": "30m1h")", false},
      {R"("zzz": 1)", false},
      {R"("x-zzz": 1)", true},
      {R"("comment": ["a"])", true},
      {R"("$schema": "a")", true},
      {R"("format": 1)", true},
      {R"("format": 2)", false},
      {R"("description": ["a", "b"])", true},
      {R"("description": [1])", false},
      {R"("labels": {"a": "b", "x-c": 1})", true},
      {R"("labels": {"a b": "b"})", false},
      {R"("env": {"A": "b", "x-c": 1})", true},
      {R"("env": {"A-B": "b"})", false},
      {R"("overlap": "skip")", true},
      {R"("overlap": "Skip")", false},
      {R"("catchup": {"policy": "none", "comment": "c"})", true},
      {R"("catchup": {"policy": "nine"})", false},
      {R"("queue_limit": -1)", false},
      {R"("pools": {"w": 2, "comment": "c", "g": {"slots": 1}})", true},
      {R"("pools": {"w": 0})", false},
      {R"("pools": {"g": {}})", false},
      {R"("secrets": {"A": {"env": "B"}, "comment": "c"})", true},
      {R"("secrets": {"A": "B"})", false},
      {R"("schedule": {"cron": "@daily", "except": ["2026-12-25"]}, "timeout": "1h")", true},
      {R"("schedule": [{"every": "5m"}], "timeout": "1h")", true},
      {R"("schedule": "0 2 * * *")", false},
      {R"("schedule": {"every": 5})", false},
      {R"("on_exit": [{"script": ["a"], "timeout": "1m"}])", true},
      {R"("on_exit": {"script": "a"})", false},
      {R"("defaults": {"retry": {"max_attempts": 3}, "timeout": null})", true},
      {R"("defaults": {"id": "x"})", false},
      {R"("params": {"p": {"type": "string"}, "comment": "c"})", true},
  }};
  for (const auto& [keys, valid] : cases) {
    const std::string text = job_with(keys);
    CAPTURE(text);
    CHECK(parse(text).ok == valid);
    CHECK(fits(Json::parse(text)) == valid);
  }
  const std::array<std::pair<const char*, bool>, 30> of_tasks = {{
      {R"("retry": {"max_attempts": 3, "on": ["exit"]})", true},
      {R"("retry": {"max_attempts": 0})", false},
      {R"("retry": {"on": ["lost"]})", false},
      {R"("retry": null, "timeout": null, "env": {"A": null}, "pool": null)", true},
      {R"("retry": {"delay": null})", true},
      {R"("retries": 3)", false},
      {R"("map": {"items": [1, {"a": 2}]})", true},
      {R"("map": {"items": {"file": "a", "format": "csv"}})", true},
      {R"("map": {"items": {"file": "a", "format": "xml"}})", false},
      {R"("map": {})", false},
      {R"("map": {"items": [], "tolerated_failures": "1.5%"})", true},
      {R"("map": {"items": [], "tolerated_failures": 3})", true},
      {R"("map": {"items": [], "tolerated_failures": "3"})", false},
      {R"("pool": "default")", true},
      {R"("pool": {"default": 1})", true},
      {R"("pool": {"default": 0})", false},
      {R"("output": "jsonl")", true},
      {R"("output": {"format": "json", "from": "file"})", true},
      {R"("output": {"from": "file"})", false},
      {R"("trigger_rule": "always")", true},
      {R"("trigger_rule": "never")", false},
      {R"("rate_limit": {"count": 5, "per": "1s"})", true},
      {R"("resources": {"memory": "512MiB", "nice": -5})", true},
      {R"("resources": {"memory": 512})", false},
      {R"("resources": {"nice": 25})", false},
      {R"("when": "true")", true},
      {R"("when": true)", false},
      {R"("skip_exit_codes": [3])", true},
      {R"("skip_exit_codes": [])", false},
      {R"("depends_on": "b")", false},
  }};
  for (const auto& [keys, valid] : of_tasks) {
    const std::string text = task_with(keys);
    CAPTURE(text);
    CHECK(parse(text).ok == valid);
    CHECK(fits(Json::parse(text)) == valid);
  }
}
