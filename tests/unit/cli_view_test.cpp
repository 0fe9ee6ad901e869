#include <catch2/catch.hpp>

#include "cli/view.h"

namespace pawl {
namespace {

TaskView failed_item() {
  TaskView task;
  task.row.key = {RunId{1}, TaskIndex{0}, ItemIndex{17}};
  task.row.state = TaskState::failed;
  task.run = "20261120-225801-7k3f9q";
  task.task = "query";
  task.item = R"({"id":17})";
  return task;
}

}  // namespace

TEST_CASE("of an entry only what the format shows is made") {
  const TaskView task = failed_item();
  const ListShape shape = failed_shape();
  for (const auto& make : {task_entry, failed_entry}) {
    const Entry name = make(task, "/home", {}, Format::name);
    CHECK(name.name == "20261120-225801-7k3f9q/query:17");
    CHECK(name.object.empty());
    CHECK(name.cells.empty());
    const Entry object = make(task, "/home", {}, Format::csv);
    CHECK(object.object["index"] == 17);
    CHECK(object.cells.empty());
    const Entry row = make(task, "/home", {}, Format::wide);
    CHECK(row.object.empty());
    CHECK(row.cells.size() == shape.columns.size());
  }
}

TEST_CASE("what a person decided is told without the error of the attempt before it") {
  TaskView task = failed_item();
  task.last.emplace().failure.message = "cannot reach warehouse 17";
  CHECK(task.error() == "cannot reach warehouse 17");
  task.row.state = TaskState::succeeded;
  task.row.reason = Reason::marked;
  CHECK(task.error().empty());
}

TEST_CASE("an attempt that ended without a word was a try where nothing came after it") {
  TaskView task = failed_item();
  task.max_attempts = 3;
  task.row.attempts = 2;
  task.row.counted = 1;
  AttemptRow& last = task.last.emplace();
  for (const AttemptState silent : {AttemptState::lost, AttemptState::interrupted}) {
    last.state = silent;
    for (const TaskState end : {TaskState::failed, TaskState::cancelled}) {
      task.row.state = end;
      CHECK(tries_of(task) == 2);
    }
    task.row.state = TaskState::queued;
    CHECK(tries_of(task) == 1);
  }
  // Resumed once: what was before that is not told.
  task.row.state = TaskState::failed;
  last.state = AttemptState::failed;
  CHECK(tries_of(task) == 1);
  task.row.state = TaskState::held;
  CHECK(tries_of(task) == 2);
}

}  // namespace pawl
