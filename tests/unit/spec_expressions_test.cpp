// Expressions and templates in a job: what they may name, and where.

#include "scheduler/spec/parse.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;

namespace {

std::vector<std::string> ids_of(const JobSpec& job, const std::vector<TaskIndex>& tasks) {
  std::vector<std::string> out;
  for (const TaskIndex t : tasks) out.push_back(job.tasks[t.value].id);
  return out;
}

}  // namespace

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
  wrong(R"("when": "task.id == 'a'")", "/tasks/0/when", "task.id", "no attempt has started");
  wrong(R"("env": {"A": "x"}, "when": "env.A == 'x'")", "/tasks/0/when", "env.A",
        "no attempt has started");
  wrong(R"("env": {"A": "x"}, "map": {"items": [1], "key": "{{ env.A }}{{ index }}"})",
        "/tasks/0/map/key", "env.A", "no attempt has started");
  valid_job(task_with(R"("map": {"items": [1], "key": "{{ item }}-{{ index }}"},
                         "env": {"A": "{{ item }}{{ index }}{{ task.key }}{{ task.attempt }}",
                                 "B": "{{ run.interval.start }}{{ run.date }}{{ params.region }}"},
                         "working_dir": "{{ env.A }}", "stdin": "{{ json(params) }}",
                         "when": "run.trigger == 'manual'")",
                      params));
}

TEST_CASE("names bound by a macro are no references") {
  valid_job(task_with(R"_("when": "[1, 2].exists(x, x == 2)")_"));
}

TEST_CASE("a variable may be made of others, but not of itself") {
  valid_job(task_with(R"("env": {"A": "{{ env.Z }}", "B": "{{ env.A }}", "Z": "z"})"));
  check_error(task_with(R"("env": {"A": "{{ env.A }}:more"})"), "/tasks/0/env/A", "env.A",
              "cannot be made of itself");
  check_error(task_with(R"("env": {"A": "{{ env.B }}", "B": "{{ env.C }}", "C": "{{ env.A }}"})"),
              "/tasks/0/env/A", "env.B", "\"A\" and \"B\" are made of one another");
}

TEST_CASE("a variable that holds a secret is named nowhere, or it would be stars") {
  const std::string secrets = R"("secrets": {"A": {"env": "A"}}, "env": {"T": "{{ secrets.A }}"})";
  for (const auto& [keys, pointer] :
       {std::pair{R"("stdin": "{{ env.T }}")", "/tasks/0/stdin"},
        std::pair{R"("env": {"B": "{{ env.T }}"})", "/tasks/0/env/B"},
        std::pair{R"("working_dir": "{{ env.T }}")", "/tasks/0/working_dir"}}) {
    check_error(task_with(keys, secrets), pointer, "env.T", "holds a secret");
  }
  valid_job(task_with(R"("env": {"T": "plain", "B": "{{ env.T }}"})", secrets));
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
