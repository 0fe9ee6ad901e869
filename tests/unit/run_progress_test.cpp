#include "scheduler/daemon/run_progress.h"

#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/daemon/definitions.h"

namespace pawl::test {
namespace {

using nlohmann::json;
using S = TaskState;

std::vector<std::uint32_t> foremost(const std::vector<S>& states, std::size_t max) {
  std::vector<std::uint32_t> out;
  for (TaskIndex index : foremost_tasks(states, max)) out.push_back(index.value);
  return out;
}

/// `count` tasks t0, t1 … where each waits for all before it that are named in `waits_for`.
JobSpec job_of(std::size_t count, std::size_t waits_for) {
  json tasks = json::array();
  json upstreams = json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string id = "t" + std::to_string(i);
    tasks.push_back({{"id", id}, {"command", {"true"}}});
    if (i == waits_for) tasks.back()["depends_on"] = upstreams;
    upstreams.push_back(id);
  }
  const std::string text = json{{"name", "sales"}, {"tasks", tasks}}.dump();
  return parse_job(text, parse_options("/", nullptr, nullptr)).job;
}

json progress(const JobSpec& job, const RunStates& states) {
  RunRow run;
  run.name = "20261120-225801-7k3f9q";
  run.job = job.name;
  return progress_json(
      run, job, states,
      [&](TaskIndex task) {
        TaskView view;
        view.state = states.tasks[task.value];
        return view;
      },
      WallTime{1});
}

}  // namespace

TEST_CASE("what moves is told before what failed, that before what waits and what is done") {
  const std::vector<S> states = {S::succeeded, S::waiting, S::failed, S::queued,
                                 S::running,   S::held,    S::skipped};
  CHECK(foremost(states, 10) == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6});
  CHECK(foremost(states, 1) == std::vector<std::uint32_t>{4});
  CHECK(foremost(states, 3) == std::vector<std::uint32_t>{2, 4, 5});
  CHECK(foremost(states, 5) == std::vector<std::uint32_t>{1, 2, 3, 4, 5});
  CHECK(foremost(states, 0).empty());
}

TEST_CASE("of a run with very many tasks a bounded number is told, and the counts of all") {
  const JobSpec job = job_of(kProgressTasksMax + 100, kProgressTasksMax * 2);
  RunStates states;
  states.tasks.assign(job.node_count(), S::succeeded);
  states.tasks.back() = S::running;
  states.tasks[3] = S::failed;
  states.retries = 7;
  const json told = progress(job, states);
  CHECK(told["tasks"].size() == kProgressTasksMax);
  std::set<std::string> ids;
  for (const json& task : told["tasks"]) ids.insert(task["task"]);
  CHECK(ids.count("t3") == 1);
  CHECK(ids.count("t" + std::to_string(job.node_count() - 1)) == 1);
  CHECK(told["task_counts"]["succeeded"] == kProgressTasksMax + 98);
  CHECK(told["task_counts"]["failed"] == 1);
  CHECK(told["retries"] == 7);
}

TEST_CASE("of an ended run the retries of items and of tasks are told, and no resumes") {
  RunSnapshot ended;
  TaskRow task;
  task.key = {RunId{1}, TaskIndex{0}, kWhole};
  task.state = S::succeeded;
  task.attempts = 5;
  task.counted = 2;
  ended.tasks.push_back(task);
  MappedSnapshot mapped;
  mapped.row.task = TaskIndex{1};
  mapped.row.retries = 3;
  ended.mapped.push_back(mapped);
  CHECK(progress_json(ended, job_of(2, 0), WallTime{})["retries"] == 4);
}

TEST_CASE("of what a task waits for the first are named and all are counted") {
  const JobSpec job = job_of(51, 50);
  RunStates states;
  states.tasks.assign(job.node_count(), S::waiting);
  states.tasks[0] = S::succeeded;
  const json told = progress(job, states)["tasks"].back();
  CHECK(told["waiting_for"].size() == 10);
  CHECK(told["waiting_for"][0] == "t1");
  CHECK(told["waiting_for_count"] == 49);
}

}  // namespace pawl::test
