#include "scheduler/spec/graph.h"
#include "scheduler/spec/plan.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;

namespace {

JobSpec diamond() {
  return valid_job(tasks_of(R"(
    {"id": "list", "command": ["x"], "output": "json"},
    {"id": "query", "command": ["x"], "depends_on": ["list"],
     "map": {"items": "{{ tasks.list.output }}"}},
    {"id": "check", "command": ["x"], "depends_on": ["list"], "when": "true"},
    {"id": "end", "command": ["x"], "depends_on": ["query", "check"], "trigger_rule": "all_done",
     "allow_failure": true})",
                            R"("on_failure": [{"command": ["x"]}])"));
}

const Json& task_of(const Json& plan, std::string_view id) {
  for (const Json& task : plan["tasks"]) {
    if (task["id"] == id) return task;
  }
  FAIL("no task " << id);
  return plan;
}

}  // namespace

TEST_CASE("the graph as text has a line per task, in topological order") {
  CHECK(render_graph(diamond(), GraphFormat::text) ==
        "list\n"
        "query  after list, mapped\n"
        "check  after list, when\n"
        "end    after query, check, all_done, may fail\n"
        "hook:on_failure:0  when the run failed\n");
}

TEST_CASE("states stand beside the tasks") {
  const std::vector<std::string> states = {"succeeded", "running", "waiting", ""};
  CHECK(render_graph(diamond(), GraphFormat::text, states) ==
        "list   succeeded\n"
        "query  running    after list, mapped\n"
        "check  waiting    after list, when\n"
        "end               after query, check, all_done, may fail\n"
        "hook:on_failure:0  when the run failed\n");
  CHECK_THAT(render_graph(diamond(), GraphFormat::dot, states),
             Catch::Contains(R"("query" [label="query\nrunning\nmapped"];)"));
  CHECK_THAT(render_graph(diamond(), GraphFormat::mermaid, states),
             Catch::Contains(R"(t1["query<br/>running<br/>mapped"])"));
}

TEST_CASE("the graph for Graphviz and Mermaid has every arrow") {
  CHECK(render_graph(diamond(), GraphFormat::dot) ==
        "digraph \"j\" {\n  rankdir=LR;\n  node [shape=box];\n"
        "  \"list\" [label=\"list\"];\n"
        "  \"query\" [label=\"query\\nmapped\"];\n  \"list\" -> \"query\";\n"
        "  \"check\" [label=\"check\\nwhen\"];\n  \"list\" -> \"check\";\n"
        "  \"end\" [label=\"end\\nall_done, may fail\"];\n"
        "  \"query\" -> \"end\";\n  \"check\" -> \"end\";\n}\n");
  CHECK(render_graph(diamond(), GraphFormat::mermaid) ==
        "flowchart LR\n  t0[\"list\"]\n  t1[\"query<br/>mapped\"]\n  t0 --> t1\n"
        "  t2[\"check<br/>when\"]\n  t0 --> t2\n  t3[\"end<br/>all_done, may fail\"]\n"
        "  t1 --> t3\n  t2 --> t3\n");
}

TEST_CASE("the plan has the tasks in order with everything filled in") {
  const JobSpec job = valid_job(R"({
    "name": "j", "timeout": "2h",
    "params": {"region": {"type": "string", "default": "jp"}},
    "secrets": {"S": {"env": "S"}},
    "env": {"WHERE": "{{ params.region }}"},
    "tasks": [
      {"id": "late", "command": ["x", "{{ tasks.early.output }}"], "depends_on": ["early"]},
      {"id": "early", "command": ["list", "{{ params.region }}", "{{ env.WHERE }}", "a b", "it's"],
       "output": "text", "retry": {"max_attempts": 4, "delay": "1500ms", "jitter": "none"},
       "env": {"TOKEN": "Bearer {{ secrets.S }}", "DAY": "{{ run.date }}"}},
      {"id": "script", "script": ["echo", "done"], "timeout": "5m", "priority": 7},
      {"id": "far", "operator": "http", "with": {"url": "{{ params.region }}"},
       "map": {"items": [1, 2], "tolerated_failures": "1%"}}]})");
  const Json plan = plan_json(job, *resolve_params(job, "{}"));
  CHECK(plan["job"] == "j");
  CHECK(plan["timeout"] == "2h");
  CHECK(plan["params"] == Json({{"region", "jp"}}));
  std::string order;
  for (const Json& task : plan["tasks"]) order += task["id"].get<std::string>() + " ";
  CHECK(order == "early late script far ");
  const Json& early = task_of(plan, "early");
  CHECK(early["level"] == 0);
  CHECK(early["operator"] == "process");
  CHECK(early["command"] == Json({"list", "jp", "jp", "a b", "it's"}));
  CHECK(early["retry_delays_seconds"] == Json({1.5, 3, 6}));
  CHECK(early["env"]["TOKEN"] == "Bearer ***");
  CHECK(early["env"]["DAY"] == "{{ run.date }}");
  CHECK(early["depends_on"] == Json::array());
  CHECK(early["trigger_rule"] == "all_success");
  CHECK(early["on_interrupt"] == "retry");
  CHECK(early["timeout"].is_null());
  CHECK(early["kill_grace"] == "10s");
  const Json& late = task_of(plan, "late");
  CHECK(late["level"] == 1);
  CHECK(late["depends_on"] == Json({"early"}));
  CHECK_FALSE(late.contains("command"));
  CHECK(late["command_template"] == Json({"x", "{{ tasks.early.output }}"}));
  CHECK(late["retry_delays_seconds"] == Json::array());
  CHECK(task_of(plan, "script")["script"] == "echo\ndone");
  CHECK(task_of(plan, "script")["timeout"] == "5m");
  CHECK(task_of(plan, "script")["priority"] == 7);
  CHECK(task_of(plan, "far")["map"]["count"] == 2);
  CHECK(task_of(plan, "far")["map"]["tolerated_failures"] == "1%");
  CHECK(task_of(plan, "far")["with"]["url"] == "{{ params.region }}");
  const std::string text = plan_text(plan);
  CHECK_THAT(text, Catch::Contains("j: 4 tasks, timeout 2h"));
  CHECK_THAT(text, Catch::Contains("list jp jp 'a b' 'it'\\''s'"));
  CHECK_THAT(text, Catch::Contains("4, waits of 1.5, 3, 6 s before jitter (none)"));
  CHECK_THAT(text, Catch::Contains("operator      http {\"url\":\"{{ params.region }}\"}"));
}

TEST_CASE("the plan says who keeps each limit on this machine") {
  const JobSpec job = valid_job(
      task_with(R"("resources": {"memory": "512MiB", "cpu_time": "10m", "pids": 100, "nice": 5})"));
  const Json looking = plan_json(job, "{}");
  CHECK(looking["tasks"][0]["resources"]["kept_by"] ==
        Json({{"memory", "looks"}, {"cpu_time", "looks"}, {"pids", "looks"}, {"nice", "system"}}));
  CHECK_THAT(plan_text(looking),
             Catch::Contains("limits        memory 512.0 MiB, cpu_time 10m, pids 100 (kept by "
                             "looking at the processes); nice 5"));
  const Json groups = plan_json(job, "{}", {}, {.memory = true, .pids = true});
  CHECK(groups["tasks"][0]["resources"]["kept_by"]["memory"] == "control group");
  CHECK_THAT(plan_text(groups),
             Catch::Contains("memory 512.0 MiB, pids 100 (kept by the kernel, in a control group); "
                             "cpu_time 10m (kept by looking at the processes); nice 5"));
}

TEST_CASE("the plan has hooks and warnings") {
  const std::string text = job_with(R"("on_exit": [{"script": "x {{"}])");
  const ParseResult result = parse(text);
  REQUIRE(result.ok);
  const Json plan = plan_json(result.job, "{}", result.diagnostics);
  CHECK(plan["hooks"][0]["id"] == "hook:on_exit:0");
  CHECK(plan["hooks"][0]["timeout"] == "5m");
  REQUIRE(plan["warnings"].size() == 1);
  CHECK(plan["warnings"][0]["pointer"] == "/on_exit/0/script");
  CHECK_THAT(plan_text(plan), Catch::Contains("warning: `{{` is plain text"));
}
