// What an attempt gets, exactly.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/definition.h"
#include "plugins/worker/operator_backend.h"
#include "plugins/worker/rendering.h"

namespace pawl {
namespace {

const std::map<std::string, std::string> kDefaults = {
    {"PATH", "/usr/bin:/bin"}, {"HOME", "/home/ana"}, {"USER", "ana"},   {"LOGNAME", "ana"},
    {"SHELL", "/bin/bash"},    {"LANG", "C.UTF-8"},   {"TMPDIR", "/tmp"}};

TaskDefinition definition() {
  TaskDefinition d;
  d.home = "/var/pawl";
  d.run = "20261120-225801-7k3f9q";
  d.job = "sales";
  d.task = "query";
  d.logical_time = "2026-11-20T17:00:00.000Z";
  d.date = "2026-11-21";
  d.with = R"({"command":["./query","--region","{{ params.region }}"]})";
  d.folder = "/srv/jobs";
  d.context = R"({"params":{"region":"jp","n":3},
                  "run":{"id":"20261120-225801-7k3f9q","logical_time":"2026-11-20T17:00:00.000Z",
                         "date":"2026-11-21"},
                  "tasks":{"list":{"state":"succeeded","output":[1,2]}}})";
  d.scheduler_env = {{"PATH", "/opt/bin:/usr/bin"}, {"TZ", "Asia/Tokyo"}};
  d.log_dir = "/var/pawl/logs/1/0";
  return d;
}

frame::AttemptStart whole() {
  frame::AttemptStart start;
  start.attempt = AttemptId(4711);
  start.number = 1;
  start.slot = 2;
  start.idempotency_key = "7k3f9q/query/0";
  return start;
}

frame::AttemptStart item(const std::string& payload) {
  frame::AttemptStart start = whole();
  start.item = ItemIndex(17);
  start.key = "orders-eu";
  start.payload = payload;
  return start;
}

AttemptSurroundings around() {
  AttemptSurroundings surroundings;
  surroundings.now = {MonoTime{5000}, WallTime{1'795'215'481'000}};
  surroundings.scratch = "/var/pawl/workers/3/scratch/1";
  return surroundings;
}

std::unique_ptr<const CompiledDefinition> compile(TaskDefinition d) {
  auto compiled = CompiledDefinition::compile(std::move(d), kDefaults);
  if (!compiled) FAIL(compiled.error().message);
  return std::move(*compiled);
}

Launch render(TaskDefinition d, const frame::AttemptStart& start,
              const AttemptSurroundings& surroundings = around()) {
  auto compiled = compile(std::move(d));
  auto launch = compiled->render(start, surroundings, "/scripts/1-query");
  if (!launch) FAIL(launch.error().message);
  return std::move(*launch);
}

/// The message of a rendering that fails.
std::string failure(TaskDefinition d, const frame::AttemptStart& start,
                    const AttemptSurroundings& surroundings = around()) {
  auto compiled = compile(std::move(d));
  auto launch = compiled->render(start, surroundings, "/scripts/1-query");
  if (launch) return "";
  CHECK(launch.error().kind == ErrorKind::invalid);
  return launch.error().message;
}

std::string variable(const Launch& launch, const std::string& name) {
  for (const std::string& entry : launch.env) {
    if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
  }
  return "(not set)";
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the first attempt of a task without items gets exactly these variables") {
  Launch launch = render(definition(), whole());
  CHECK(launch.env ==
        Texts{"HOME=/home/ana", "LANG=C.UTF-8", "LOGNAME=ana", "PATH=/opt/bin:/usr/bin",
              "PAWL_ATTEMPT=1", "PAWL_ATTEMPT_ID=4711", "PAWL_DATE=2026-11-21",
              "PAWL_HOME=/var/pawl", "PAWL_IDEMPOTENCY_KEY=7k3f9q/query/0", "PAWL_JOB=sales",
              "PAWL_LOGICAL_TIME=2026-11-20T17:00:00.000Z", "PAWL_RUN_ID=20261120-225801-7k3f9q",
              "PAWL_SCRATCH=/var/pawl/workers/3/scratch/1", "PAWL_SLOT=2", "PAWL_TASK_ID=query",
              "SHELL=/bin/bash", "TMPDIR=/tmp", "TZ=Asia/Tokyo", "USER=ana"});
  CHECK(launch.argv == Texts{"./query", "--region", "jp"});
  CHECK(launch.working_dir == "/srv/jobs");
  CHECK_FALSE(launch.input);
  CHECK_FALSE(launch.deadline);
}

TEST_CASE("an item's attempt also gets its index, key and value") {
  Launch launch = render(definition(), item(R"({"id":17})"));
  CHECK(variable(launch, "PAWL_MAP_INDEX") == "17");
  CHECK(variable(launch, "PAWL_MAP_KEY") == "orders-eu");
  CHECK(variable(launch, "PAWL_ITEM") == R"({"id":17})");
  CHECK(variable(render(definition(), item("\"a text\\n\"")), "PAWL_ITEM") == "a text\n");
  CHECK(variable(render(definition(), item("17")), "PAWL_ITEM") == "17");
}

TEST_CASE("a retry gets the reason before it, and a time-out its instant") {
  auto start = whole();
  start.number = 3;
  start.previous_reason = Reason::timeout;
  auto d = definition();
  d.timeout = std::chrono::minutes(5);
  Launch launch = render(d, start);
  CHECK(variable(launch, "PAWL_ATTEMPT") == "3");
  CHECK(variable(launch, "PAWL_PREVIOUS_REASON") == "timeout");
  CHECK(variable(launch, "PAWL_DEADLINE") == "2026-11-20T23:03:01.000Z");
  start.total_remaining = std::chrono::seconds(60);
  CHECK(variable(render(d, start), "PAWL_DEADLINE") == "2026-11-20T22:59:01.000Z");
  start.run_remaining = std::chrono::seconds(59);
  CHECK(variable(render(d, start), "PAWL_DEADLINE") == "2026-11-20T22:59:00.000Z");
  d.timeout = Duration(0);
  start.total_remaining = Duration(0);
  CHECK(variable(render(d, start), "PAWL_DEADLINE") == "2026-11-20T22:59:00.000Z");
}

TEST_CASE("PAWL_OUTPUT is there when the output comes from a file") {
  auto surroundings = around();
  CHECK(variable(render(definition(), whole(), surroundings), "PAWL_OUTPUT") == "(not set)");
  surroundings.output_file = "/var/pawl/workers/3/scratch/1.out";
  CHECK(variable(render(definition(), whole(), surroundings), "PAWL_OUTPUT") ==
        "/var/pawl/workers/3/scratch/1.out");
}

TEST_CASE("pass_env takes what is set, env comes after it, and PAWL_ names are pawl's own") {
  auto d = definition();
  d.pass_env = {"AWS_REGION", "NOT_SET"};
  d.scheduler_env["AWS_REGION"] = "ap-northeast-1";
  d.scheduler_env["NOT_ASKED"] = "x";
  d.env = {{"TZ", "UTC"}, {"PAWL_TASK_ID", "mine"}, {"N", "{{ params.n + 1 }}"}};
  Launch launch = render(d, whole());
  CHECK(variable(launch, "AWS_REGION") == "ap-northeast-1");
  CHECK(variable(launch, "NOT_SET") == "(not set)");
  CHECK(variable(launch, "NOT_ASKED") == "(not set)");
  CHECK(variable(launch, "TZ") == "UTC");
  CHECK(variable(launch, "N") == "4");
}

TEST_CASE("templates see params, run, task, item, index, tasks and env") {
  auto d = definition();
  d.env = {{"A", "a-{{ params.region }}"}};
  d.with = R"({"command":["x","{{ env.A }}","{{ run.date }}","{{ task.id }}#{{ task.attempt }}",
               "{{ item.id }}","{{ index }}","{{ tasks.list.output[1] }}","{{ task.key }}"]})";
  CHECK(render(d, item(R"({"id":17})")).argv ==
        Texts{"x", "a-jp", "2026-11-21", "query#1", "17", "17", "2", "orders-eu"});
}

TEST_CASE("a variable may be made of one that comes after it in the alphabet") {
  auto d = definition();
  d.env = {{"A", "{{ env.M }}!"}, {"M", "{{ env.Z }}-m"}, {"Z", "z"}};
  d.with = R"({"command":["x"]})";
  const Launch launch = render(d, whole());
  CHECK(variable(launch, "A") == "z-m!");
  CHECK(variable(launch, "M") == "z-m");
}

TEST_CASE("a script is handed over as a file, and braces in it are plain text") {
  auto d = definition();
  d.with = R"({"script":"echo {{ x }}","shell":["/bin/sh","-e"]})";
  auto compiled = compile(d);
  CHECK(compiled->script() == "echo {{ x }}");
  CHECK(render(d, whole()).argv == Texts{"/bin/sh", "-e", "/scripts/1-query"});
  d.with = R"({"script":"true"})";
  CHECK(render(d, whole()).argv == Texts{"/bin/bash", "-eo", "pipefail", "/scripts/1-query"});
}

TEST_CASE("standard input is a template that may give lists and objects") {
  auto d = definition();
  d.with = R"({"command":["cat"],"stdin":"{{ item }}"})";
  CHECK(render(d, item(R"({"id":17})")).input == R"({"id":17})");
  d.with = R"({"command":["cat"],"stdin":"n={{ params.n }}\n"})";
  CHECK(render(d, whole()).input == "n=3\n");
}

TEST_CASE("the working folder starts at the job file's") {
  auto d = definition();
  d.working_dir = "sub/{{ params.region }}";
  CHECK(render(d, whole()).working_dir == "/srv/jobs/sub/jp");
  d.working_dir = "/data";
  CHECK(render(d, whole()).working_dir == "/data");
}

TEST_CASE("secrets come in through env and cannot get from there into the command") {
  auto d = definition();
  d.secrets = {{"TOKEN", {false, "TOKEN"}}};
  d.env = {{"A", "{{ secrets.TOKEN }}"}};
  d.with = R"({"command":["x","{{ env.A }}"]})";
  auto surroundings = around();
  surroundings.secrets = {{"TOKEN", "hunter2-hunter2"}};
  Launch launch = render(d, whole(), surroundings);
  CHECK(variable(launch, "A") == "hunter2-hunter2");
  CHECK(launch.argv == Texts{"x", "***"});
}

TEST_CASE("what cannot be rendered says where and why") {
  auto d = definition();
  d.with = R"({"command":["x","{{ params.missing }}"]})";
  CHECK(failure(d, whole()).find("command[1]: ") == 0);
  d.with = R"({"command":["x","{{ tasks.list.output }}"]})";
  CHECK(failure(d, whole()).find("command[1]: ") == 0);
  d = definition();
  d.env = {{"A", "{{ item.id }}"}};
  CHECK(failure(d, whole()).find("env.A: ") == 0);
  d = definition();
  d.working_dir = "{{ params.missing }}";
  CHECK(failure(d, whole()).find("working_dir: ") == 0);
}

TEST_CASE("NUL and what is over 128 KiB never reach the kernel") {
  auto d = definition();
  d.with = R"({"command":["x","{{ item }}"]})";
  CHECK(failure(d, item(R"("a\u0000b")")).find("holds a NUL byte") != std::string::npos);
  std::string big = "\"" + std::string(128 * 1024, 'x') + "\"";
  CHECK(failure(d, item(big)).find("command[1] has 131072 bytes") == 0);
  CHECK(failure(definition(), item(big)) ==
        "the item cannot be the variable PAWL_ITEM, for it has 131072 bytes and the system takes "
        "at most 128 KiB: hand it over with \"stdin\": \"{{ item }}\"");
  CHECK(failure(definition(), item(R"("a\u0000b")")).find("holds a NUL byte") != std::string::npos);
}

TEST_CASE("an item that standard input brings need not fit into a variable") {
  auto d = definition();
  d.with = R"({"command":["x"],"stdin":"{{ item }}"})";
  for (const std::string& value : {std::string(128 * 1024, 'x'), std::string("a\0b", 3)}) {
    const Launch launch = render(d, item(Json(value).dump()));
    CHECK(launch.input == value);
    for (const std::string& entry : launch.env) CHECK_FALSE(entry.starts_with("PAWL_ITEM="));
  }
  CHECK(variable(render(d, item("17")), "PAWL_ITEM") == "17");
}

TEST_CASE("of an operator's environment only what does not fit is left out") {
  auto d = definition();
  d.operator_name = "http";
  d.with = "{}";
  const auto compiled = CompiledDefinition::compile(d, kDefaults);
  REQUIRE(compiled.ok());
  // With its name it is too long for the kernel, alone it is not.
  const auto request = (*compiled)->render_request(
      item(Json(std::string(limits::kArgumentBytesMax - 3, 'x')).dump()), AttemptSurroundings{});
  REQUIRE(request.ok());
  const auto environment = (*compiled)->environment(*request);
  const auto has = [&](const std::string& name) {
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& entry) { return entry.starts_with(name + "="); });
  };
  CHECK_FALSE(has("PAWL_ITEM"));
  for (const char* name : {"PATH", "PAWL_ATTEMPT", "PAWL_MAP_INDEX", "PAWL_SLOT", "PAWL_TASK_ID"})
    CHECK(has(name));
}

TEST_CASE("doubled braces are braces, whether an expression stands beside them or not") {
  auto d = definition();
  d.operator_name = "http";
  d.context = R"({"params": {}})";
  for (const auto& [with, rendered] :
       {std::pair(R"({"body": "a {{{{ x }}"})", "a {{ x }}"),
        std::pair(R"({"body": "a {{{{ x }} {{ 1 }}"})", "a {{ x }} 1")}) {
    d.with = with;
    const auto compiled = CompiledDefinition::compile(d, kDefaults);
    REQUIRE(compiled.ok());
    const auto request = (*compiled)->render_request(whole(), AttemptSurroundings{});
    REQUIRE(request.ok());
    CHECK(Json::parse(request->parameters) == Json({{"body", rendered}}));
  }
}

TEST_CASE(
    "an operator is asked with its parameters rendered, and told its surroundings when it asks") {
  auto d = definition();
  d.operator_name = "http";
  d.env = {{"REGION", "{{ params.region }}"}};
  d.context = R"({"params": {"region": "jp"}})";
  d.with = R"({"url": "http://h/{{ params.region }}/{{ item }}", "n": "{{ item }}"})";
  auto compiled = CompiledDefinition::compile(d, kDefaults);
  REQUIRE(compiled.ok());
  CHECK_FALSE((*compiled)->has_literal_parameters());
  frame::AttemptStart start = item("7");
  start.handle = "job-1";
  auto request = (*compiled)->render_request(start, AttemptSurroundings{});
  REQUIRE(request.ok());
  CHECK(Json::parse(request->parameters) == Json({{"url", "http://h/jp/7"}, {"n", 7}}));
  CHECK(request->handle == "job-1");
  const auto environment = (*compiled)->environment(*request);
  const auto has = [&](const char* entry) {
    return std::find(environment.begin(), environment.end(), entry) != environment.end();
  };
  CHECK(has("REGION=jp"));
  CHECK(has("PAWL_ITEM=7"));

  d.with = R"({"url": "http://h/"})";
  compiled = CompiledDefinition::compile(d, kDefaults);
  REQUIRE(compiled.ok());
  CHECK((*compiled)->has_literal_parameters());
}

TEST_CASE("one variable is what all of them have under that name") {
  TaskDefinition d = definition();
  d.operator_name = "http";
  d.with = "{}";
  d.scheduler_env["http_proxy"] = "http://proxy";
  d.pass_env = {"http_proxy"};
  d.env = {{"REGION", "{{ params.region }}"}, {"TZ", "UTC"}, {"BROKEN", "{{ item }}"}};
  auto compiled = CompiledDefinition::compile(d, kDefaults);
  REQUIRE(compiled);
  auto request = (*compiled)->render_request(item(R"("a\u0000b")"), around());
  REQUIRE(request);
  CHECK_FALSE(request->variable("HOME"));
  request->definition = std::move(*compiled);
  CHECK(request->variable("REGION") == "jp");
  CHECK(request->variable("TZ") == "UTC");
  CHECK(request->variable("http_proxy") == "http://proxy");
  CHECK(request->variable("HOME") == "/home/ana");
  CHECK_FALSE(request->variable("BROKEN"));  // no program could have it
  CHECK_FALSE(request->variable("HOM"));
  CHECK_FALSE(request->variable("ZZZ"));
  for (const std::string& entry : request->environment()) {
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (!name.starts_with("PAWL_")) CHECK(request->variable(name) == entry.substr(equals + 1));
  }
}

TEST_CASE("an attempt sees the items that its own is paired with beside what its task was told") {
  auto d = definition();
  d.context = R"({"params": {"region": "jp"}, "tasks": {"list": {"output": "all"}}})";
  d.env = {{"SEEN", "{{ tasks.list.output }} {{ tasks.fetch.output }}"}};
  frame::AttemptStart start = item("7");
  start.tasks = R"({"fetch": {"state": "succeeded", "output": "seven"}})";
  const Launch launch = render(d, start);
  CHECK(std::find(launch.env.begin(), launch.env.end(), "SEEN=all seven") != launch.env.end());
}

TEST_CASE("an attempt that names an output that is left out fails with what it was told of it") {
  TaskDefinition d = definition();
  d.context =
      Json{{"tasks", {{"list", {{"state", "succeeded"}}}, {"one", {{"state", "succeeded"}}}}},
           {kOutputsLeftOut, {{"list", "too much"}}}}
          .dump();
  frame::AttemptStart start = item("1");
  start.tasks = R"({"pair": {"state": "succeeded", "output": 3}})";
  d.with = R"({"command":["./query","{{ default(tasks.list.output, 5) }}"]})";
  CHECK(failure(d, start) == "command[1]: too much");
  CHECK(failure(d, whole()) == "command[1]: too much");
  d.with = R"({"command":["./query","{{ default(tasks.one.output, 5) }}{{ tasks.pair.output }}"]})";
  CHECK(render(d, start).argv[1] == "53");
}

TEST_CASE("what does not start programs is refused when it is defined") {
  auto d = definition();
  d.with = "{}";
  CHECK_FALSE(CompiledDefinition::compile(d, kDefaults).ok());
  d.with = R"({"command":["{{ "]})";
  auto wrong = CompiledDefinition::compile(d, kDefaults);
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.error().kind == ErrorKind::invalid);
}

TEST_CASE("a definition that is sent is the definition that arrives") {
  TaskDefinition d = definition();
  d.env = {{"A", "b"}};
  d.pass_env = {"X", "Y"};
  d.working_dir = "w";
  d.secrets = {{"S", {true, "/run/s"}}, {"T", {false, "T_ENV"}}};
  d.timeout = Duration(5);
  d.stall_timeout = Duration(6);
  d.kill_grace = Duration(0);
  d.resources = {512u << 20, std::chrono::seconds(90), 40, -5};
  d.output = OutputFormat::jsonl;
  d.output_from_file = true;
  d.scheduler_env = {{"HOME", "/home/\xff"}};
  d.secret_env = {{"T_ENV", std::string("a\0b", 3)}};
  d.log_bytes_max = 7;
  auto back = decode_definition(encode_definition(d));
  REQUIRE(back.ok());
  CHECK(encode_definition(*back) == encode_definition(d));
  CHECK(back->home == d.home);
  CHECK(back->run == d.run);
  CHECK(back->job == d.job);
  CHECK(back->task == d.task);
  CHECK(back->logical_time == d.logical_time);
  CHECK(back->date == "2026-11-21");
  CHECK(back->operator_name == d.operator_name);
  CHECK(back->with == d.with);
  CHECK(back->working_dir == "w");
  CHECK(back->folder == d.folder);
  CHECK(back->context == d.context);
  CHECK(back->log_dir == d.log_dir);
  CHECK(back->env == d.env);
  CHECK(back->pass_env == d.pass_env);
  CHECK(back->scheduler_env == d.scheduler_env);
  CHECK(back->secret_env == d.secret_env);
  CHECK(back->secrets.at("S").from_file);
  CHECK(back->secrets.at("T").name == "T_ENV");
  CHECK_FALSE(back->secrets.at("T").from_file);
  CHECK(back->timeout == Duration(5));
  CHECK(back->stall_timeout == Duration(6));
  CHECK(back->kill_grace == Duration(0));
  CHECK(back->resources.memory_bytes == 512u << 20);
  CHECK(back->resources.cpu_time == std::chrono::seconds(90));
  CHECK(back->resources.pids == 40);
  CHECK(back->resources.nice == -5);
  CHECK(back->output == OutputFormat::jsonl);
  CHECK(back->output_from_file);
  CHECK(back->log_bytes_max == 7);
}

TEST_CASE("a definition that is cut, longer or out of its bounds is refused") {
  const std::string whole = encode_definition(definition());
  REQUIRE(decode_definition(whole).ok());
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(decode_definition(std::string_view(whole).substr(0, size)).ok());
  CHECK_FALSE(decode_definition(whole + '\0').ok());
  const auto is_refused = [](auto change) {
    TaskDefinition d = definition();
    change(d);
    const auto decoded = decode_definition(encode_definition(d));
    return !decoded && decoded.error().kind == ErrorKind::invalid;
  };
  CHECK(is_refused([](TaskDefinition& d) { d.timeout = Duration(-1); }));
  CHECK(is_refused([](TaskDefinition& d) { d.resources.nice = 50; }));
  CHECK(is_refused([](TaskDefinition& d) { d.resources.pids = -1; }));
  CHECK(is_refused([](TaskDefinition& d) { d.output = OutputFormat(9); }));
}

TEST_CASE("a log is named by item and number") {
  CHECK(log_path("/l", kWhole, 2) == "/l/2.log");
  CHECK(log_path("/l", ItemIndex(17), 2) == "/l/17.2.log");
  CHECK(output_path("/l", ItemIndex(0), 1) == "/l/0.1.out");
}

}  // namespace pawl
