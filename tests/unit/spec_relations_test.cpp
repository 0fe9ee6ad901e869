// Errors between values: ids, dependencies, pools, pairs.

#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

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

TEST_CASE("a cycle hides no other, and no error elsewhere") {
  const auto errors = errors_of(tasks_of(
      R"({"id": "a", "command": ["x"], "depends_on": ["b"]},
         {"id": "b", "command": ["x"], "depends_on": ["a"]},
         {"id": "c", "command": ["x"], "depends_on": ["a", "d"]},
         {"id": "d", "command": ["x"], "depends_on": ["c"]},
         {"id": "behind", "command": ["{{ tasks.a.state }}", "{{ tasks.e.state }}"],
          "depends_on": ["d"]},
         {"id": "e", "command": ["x"]},
         {"id": "f", "command": ["{{ tasks.e.state }}", "{{ tasks.b.state }}"]},
         {"id": "g", "command": ["x"], "depends_on": [{"task": "e", "each": true}]})"));
  std::vector<std::string> told;
  for (const Diagnostic& error : errors) told.push_back(error.pointer + ": " + error.message);
  REQUIRE(told.size() == 5);
  CHECK(told[0] == "/tasks/0/depends_on: the tasks wait for each other in a cycle: a → b → a");
  CHECK(told[1] == "/tasks/2/depends_on: the tasks wait for each other in a cycle: c → d → c");
  CHECK_THAT(told[2], Catch::Contains("\"e\" is not known to be final here"));
  CHECK_THAT(told[3], Catch::Contains("\"b\" is not known to be final here"));
  CHECK(told[4] == "/tasks/7/depends_on: \"each\" pairs items, but the task \"e\" is not mapped");
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
