#include "scheduler/daemon/redefinition.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "scheduler/daemon/definitions.h"

namespace pawl::test {
namespace {

Definition definition(const std::string& tasks, const std::string& more = "") {
  const std::string text = R"({"name": "sales", "tasks": [)" + tasks + "]" + more + "}";
  ParseResult parsed = parse_job(text, parse_options("/", nullptr, nullptr));
  INFO(text);
  REQUIRE(parsed.ok);
  return {canonical_job_text(text), std::move(parsed.job)};
}

std::string task(const std::string& id, const std::string& program, const std::string& more = "") {
  return R"({"id": ")" + id + R"(", "command": [")" + program + R"("])" + more + "}";
}

RunSnapshot ended_with(std::initializer_list<TaskState> states) {
  RunSnapshot snapshot;
  snapshot.run.name = "20261120-225801-7k3f9q";
  snapshot.run.job = "sales";
  snapshot.run.params = "{}";
  for (const TaskState state : states) {
    TaskRow row;
    row.key.task = TaskIndex{static_cast<std::uint32_t>(snapshot.tasks.size())};
    row.key.item = kWhole;
    row.state = state;
    snapshot.tasks.push_back(row);
  }
  return snapshot;
}

std::string ids_of(const std::string& text) {
  std::string ids;
  const auto job = nlohmann::json::parse(text);
  for (const auto& one : job["tasks"]) ids += one["id"].get<std::string>() + " ";
  return ids;
}

std::string lines_of(const Redefinition& redefinition) {
  std::string text;
  for (const Redefinition::Line& line : redefinition.lines) {
    text += line.task + " " + std::string(to_string(line.change)) + " " + line.text + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("with the same definition nothing is different") {
  const Definition job = definition(task("a", "x") + "," + task("b", "y"));
  const auto same = redefine(job, job, ended_with({TaskState::succeeded, TaskState::failed}));
  REQUIRE(same);
  REQUIRE(same->is_same());
  REQUIRE(canonical_job_text(same->text) == job.text);
}

TEST_CASE("tasks keep their places when a run goes on with another definition") {
  const Definition before = definition(task("a", "x") + "," + task("b", "y"));
  const Definition after =
      definition(task("new", "z") + "," + task("b", "yy") + "," + task("a", "x"));
  const auto changed =
      redefine(before, after, ended_with({TaskState::succeeded, TaskState::failed}));
  REQUIRE(changed);
  REQUIRE(ids_of(changed->text) == "a b new ");
  REQUIRE(parse_job(changed->text, parse_options("/", nullptr, nullptr)).ok);
  REQUIRE(lines_of(*changed) ==
          "b changed command: [\"y\"] → [\"yy\"]\n"
          "new new it runs when its turn comes\n");
}

TEST_CASE("a task that is gone leaves a task that does nothing and fails nothing") {
  const Definition before = definition(task("a", "x") + "," + task("b", "y"));
  const Definition after = definition(task("b", "y"));
  const auto changed = redefine(before, after, ended_with({TaskState::failed, TaskState::failed}));
  REQUIRE(changed);
  REQUIRE(ids_of(changed->text) == "a b ");
  const ParseResult parsed = parse_job(changed->text, parse_options("/", nullptr, nullptr));
  REQUIRE(parsed.ok);
  REQUIRE(parsed.job.tasks[0].when == "false");
  REQUIRE(parsed.job.tasks[0].allow_failure);
  REQUIRE(lines_of(*changed) == "a gone it is skipped\n");
}

TEST_CASE("what succeeded stays, and it is said when its definition changed") {
  const Definition before = definition(task("a", "x"));
  const Definition after = definition(task("a", "y"));
  const auto changed = redefine(before, after, ended_with({TaskState::succeeded}));
  REQUIRE(lines_of(*changed) ==
          "a changed command: [\"x\"] → [\"y\"]\n"
          "a changed succeeded before, and stays\n");
}

TEST_CASE("what cannot be carried over is refused, with what would work") {
  const std::string map = R"(, "map": {"items": [1, 2]})";
  const Definition plain = definition(task("a", "x"));
  const Definition mapped = definition(task("a", "x", map));
  const Definition other = definition(task("b", "x"));
  const Definition with_param =
      definition(task("a", "x"), R"(, "params": {"region": {"type": "string"}})");
  const RunSnapshot failed = ended_with({TaskState::failed});
  auto message = [&](const Definition& before, const Definition& after) {
    const auto result = redefine(before, after, failed);
    REQUIRE_FALSE(result);
    REQUIRE(result.error().kind == ErrorKind::refused);
    return result.error().message;
  };
  REQUIRE(message(plain, mapped).find("task a was not mapped and is now") == 0);
  REQUIRE(message(mapped, plain).find("task a was mapped and is not any more") == 0);
  REQUIRE(message(mapped, other).find("pawl mark 20261120-225801-7k3f9q/a skipped") !=
          std::string::npos);
  REQUIRE(message(plain, with_param).find("parameter `region`") != std::string::npos);
}

}  // namespace pawl::test
