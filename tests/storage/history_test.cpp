// What happened, asked for by name: runs, tasks, items, outputs, events, jobs.

#include "storage/history.h"

#include <catch2/catch.hpp>

#include "filled_history.h"

namespace pawl::test {

TEST_CASE("runs are found by name, by any unambiguous part and as the latest") {
  FilledHistory f(10, 12);
  History& h = *f.history;
  CHECK(must(h.find_run(run_row(3).name)).id.value == 3);
  CHECK(must(h.find_run("run7x")).id.value == 7);
  CHECK(must(h.find_run("@latest")).id.value == 12);
  std::int64_t last_dump = 0;
  for (const auto& run : f.told.runs) {
    if (run.job == "dump") last_dump = run.id.value;
  }
  CHECK(must(h.find_run("dump@latest")).id.value == last_dump);
  CHECK(h.find_run("none@latest").error().kind == ErrorKind::not_found);
  CHECK(h.find_run("zzz").error().kind == ErrorKind::not_found);
  CHECK(h.find_run("").error().kind == ErrorKind::not_found);
  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  must(f.store->apply(Mutations{mutation::SetJob{job}}));
  CHECK(h.find_run("sales").error().message.find("sales@latest") != std::string::npos);
  CHECK(h.find_run("sale@latest").error().message.find("mean sales@latest?") != std::string::npos);
  const Error several = h.find_run("run1").error();
  CHECK(several.kind == ErrorKind::invalid);
  CHECK(several.message.find(run_row(1).name) != std::string::npos);
  CHECK(several.message.find(run_row(12).name) != std::string::npos);
}

TEST_CASE("tasks and items are found by name, number and key") {
  FilledHistory f(11, 3);
  History& h = *f.history;
  auto resolve = [&](const char* name) { return h.resolve(must(parse_object_name(name))); };
  CHECK(must(resolve("run2x")).task == std::nullopt);
  CHECK(must(resolve("run2x/query")).key() == TaskKey{RunId{2}, TaskIndex{1}, kWhole});
  CHECK(must(resolve("run2x/query:7")).key() == TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{7}});
  CHECK(must(resolve("run2x/query:key=k8#2")).key() ==
        TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{8}});
  CHECK(must(resolve("run2x/query:key=k8#2")).attempt == 2);
  CHECK(must(resolve("run2x/hook:on_failure:0")).key() == TaskKey{RunId{2}, TaskIndex{3}, kWhole});
  CHECK(resolve("run2x/qery").error().message.find("/query") != std::string::npos);
  CHECK(resolve("run2x/query:10").error().message.find("10 items") != std::string::npos);
  CHECK(resolve("run2x/query:key=k10").error().kind == ErrorKind::not_found);
  CHECK(resolve("run2x/list:0").error().message.find("no items") != std::string::npos);
  CHECK(must(h.item(RunId{2}, TaskIndex{1}, 6))->payload == "{\"n\":6}");
  CHECK_FALSE(must(h.item(RunId{2}, TaskIndex{1}, 10)));
  CHECK_FALSE(must(h.item(RunId{2}, TaskIndex{0}, 0)));
  Selector s;
  s.names = {must(parse_object_name("run2x/query:0")), must(parse_object_name("run3x/list"))};
  for (const auto& view : all_pages(h.tasks(s), 10)) {
    CHECK((view.row.key == TaskKey{RunId{2}, TaskIndex{1}, ItemIndex{0}} ||
           view.row.key == TaskKey{RunId{3}, TaskIndex{0}, kWhole}));
  }
  s.names = {must(parse_object_name("nowhere"))};
  CHECK(h.tasks(s).next(1).error().kind == ErrorKind::not_found);
}

TEST_CASE("items of a paired task are those of the task it is paired with") {
  Folder folder;
  auto store = open_store(folder.store());
  JobVersionRow version = version_row();
  version.body =
      R"({"tasks":[{"id":"a","map":{"items":[1]}},{"id":"b","depends_on":[{"task":"a","each":true}]}]})";
  must(store->apply(Mutations{mutation::InsertVersion{version}, mutation::InsertRun{run_row(1)},
                              mutation::InsertItems{chunk_row(1, 0, 0, 3)},
                              mutation::SetMapped{mapped_row(1, 1, 3, 0)}}));
  auto history = must(History::open(folder.store(), {{}, true}));
  CHECK(must(history->item(RunId{1}, TaskIndex{1}, 2))->key == "k2");
  CHECK(must(history->item_by_key(RunId{1}, TaskIndex{1}, "k1")) == 1);
}

TEST_CASE("outputs of what succeeded come in index order, events newest first") {
  Folder folder;
  auto store = open_store(folder.store());
  Mutations batch = {mutation::InsertRun{run_row(1)}};
  for (std::int64_t item : {5, 1, 2, 3, -1}) {
    TaskRow row = task_row(1, 1, item);
    // A result that a person has marked as wrong is none.
    row.state = item == 2 ? TaskState::failed : TaskState::succeeded;
    batch.emplace_back(mutation::InsertTask{row});
    batch.emplace_back(mutation::SetOutput{
        {{RunId{1}, TaskIndex{1}, ItemIndex{item}}, 1, "json", std::to_string(item), "", 1}});
  }
  for (int i = 1; i <= 5; ++i) {
    EventRow event{at(i),
                   "ana",
                   "pause",
                   i % 2 == 0 ? "sales" : "dump",
                   RunId{i == 3 ? 1 : 0},
                   std::nullopt,
                   std::to_string(i)};
    if (i == 3) event.task = TaskKey{RunId{1}, TaskIndex{1}, ItemIndex{5}};
    batch.emplace_back(mutation::AddEvent{event});
  }
  must(store->apply(batch));
  auto history = must(History::open(folder.store(), {{}, true}));
  std::string values;
  must(history->each_output(RunId{1}, TaskIndex{1}, [&](const OutputRow& row) {
    values += row.value;
    return row.value != "3";
  }));
  CHECK(values == "13");
  CHECK(must(history->output({RunId{1}, TaskIndex{1}, kWhole}))->value == "-1");
  CHECK_FALSE(must(history->output({RunId{1}, TaskIndex{1}, ItemIndex{2}})));
  CHECK_FALSE(must(history->output({RunId{1}, TaskIndex{2}, kWhole})));
  std::string order;
  for (const auto& event : all_pages(history->events({}), 2)) order += event.text;
  CHECK(order == "54321");
  Selector s;
  s.job = "dump";
  s.since = at(2);
  const auto events = all_pages(history->events(s), 2);
  REQUIRE(events.size() == 2);
  CHECK(events[1].task->item.value == 5);
}

TEST_CASE("jobs, versions, status and usual durations") {
  FilledHistory f(12);
  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  DroppedRow missed{"sales", DropReason::catchup, at(10), at(40), 4, at(50)};
  DroppedRow more = missed;
  more.first = more.last = more.at = at(60);
  more.count = 1;
  DroppedRow other = more;
  other.reason = DropReason::skip;
  must(f.store->apply(Mutations{
      mutation::SetJob{job}, mutation::PauseJob{"sales", true, "", "ana", at(1)},
      mutation::DropFires{missed}, mutation::DropFires{more}, mutation::DropFires{other}}));
  const auto jobs = must(f.history->jobs());
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].labels.at("team") == "data");
  CHECK(jobs[0].last_run->job == "sales");
  CHECK(must(f.history->job("sales"))->row.paused);
  CHECK(jobs[0].dropped == 6);
  const auto dropped = must(f.history->dropped("sales", 10));
  REQUIRE(dropped.size() == 2);  // the same reason goes into one row
  CHECK(dropped[0].reason == DropReason::skip);
  CHECK(dropped[1].count == 5);
  CHECK(dropped[1].first == at(10));
  CHECK(dropped[1].last == at(60));
  CHECK(must(f.history->dropped("dump", 10)).empty());
  CHECK_FALSE(must(f.history->job("none")));
  CHECK(must(f.history->version(VersionId{2}))->job == "dump");
  CHECK(must(f.history->versions("sales", 10)).size() == 1);
  const auto status = must(f.history->status());
  std::int64_t runs = 0;
  for (const auto& [state, count] : status.runs) runs += count;
  CHECK(runs == 30);
  CHECK(status.unresolved ==
        static_cast<std::int64_t>(all_pages(f.history->failed({}), 1'000).size()));
  CHECK(status.jobs == 1);
  CHECK(status.paused_jobs == 1);
  CHECK(status.store_bytes > 0);
  CHECK(status.wal_bytes > 0);
  CHECK(status.epoch.value == 1);
  const RunRow& last = f.told.runs.back();
  auto usual = must(f.history->usual_duration(last, TaskIndex{0}));
  if (usual) CHECK(usual->count() >= 10);
  CHECK_FALSE(must(f.history->usual_duration(f.told.runs.front(), TaskIndex{0})));
}

}  // namespace pawl::test
