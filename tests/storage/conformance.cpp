#include "conformance.h"

#include <catch2/catch.hpp>

#include "support.h"

namespace pawl::test {

void commit(Store& store, const Mutations& batch) {
  auto done = store.apply(batch);
  INFO((done ? "" : done.error().message));
  REQUIRE(done);
}

RunSnapshot load(Store& store, std::int64_t run, LoadOptions options) {
  auto snapshot = store.load_run(RunId{run}, options);
  INFO((snapshot ? "" : snapshot.error().message));
  REQUIRE(snapshot);
  REQUIRE(snapshot->has_value());
  return std::move(**snapshot);
}

void refuse(Store& store, const Mutations& batch) {
  auto done = store.apply(batch);
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::storage);
  CHECK(done.error().message.find("differ") != std::string::npos);
  CHECK_FALSE(store.is_disk_full());
}

std::vector<std::int64_t> open_runs(Store& store) {
  std::vector<std::int64_t> ids;
  must(store.load_open_runs([&](RunSnapshot&& s) { ids.push_back(s.run.id.value); },
                            [](RunId, const std::string& why) { FAIL(why); }));
  return ids;
}

void store_guards_changes(const OpenStore& open) {
  auto store = open();
  const TaskRow task = running(1, 0, -1, 1);
  commit(*store, {mutation::InsertRun{run_row(1)}});
  commit(*store, start_of(task));
  const std::string before = text(load(*store, 1));

  SECTION("a run in another state than expected is refused") {
    RunRow run = run_row(1);
    run.state = RunState::failed;
    refuse(*store, {mutation::UpdateRun{RunState::queued, run}});
  }
  SECTION("a task in another state than expected is refused") {
    refuse(*store,
           {mutation::UpdateTask{TaskState::queued, AttemptId{1}, ended(task, TaskState::failed)}});
  }
  SECTION("a task with another live attempt than expected is refused") {
    refuse(*store, {mutation::UpdateTask{TaskState::running, AttemptId{2},
                                         ended(task, TaskState::failed)}});
    refuse(*store,
           {mutation::UpdateTask{TaskState::running, AttemptId{}, ended(task, TaskState::failed)}});
  }
  SECTION("a task without a row is refused") {
    refuse(*store, {mutation::UpdateTask{TaskState::running, AttemptId{1}, task_row(1, 1)}});
  }
  SECTION("an attempt in another state than expected is refused") {
    refuse(*store, {mutation::UpdateAttempt{AttemptState::running, attempt_row(1, task.key)}});
    refuse(*store, {mutation::UpdateAttempt{AttemptState::starting, attempt_row(2, task.key)}});
  }
  SECTION("an attempt that is not there cannot be taken back") {
    refuse(*store, {mutation::DeleteAttempt{attempt_row(2, task.key)}});
  }
  SECTION("an attempt that ended cannot be taken back") {
    commit(*store, end_of(task, TaskState::succeeded));
    refuse(*store, {mutation::DeleteAttempt{attempt_row(1, task.key)}});
    return;
  }
  SECTION("rows cannot come twice") {
    refuse(*store, {mutation::InsertRun{run_row(1)}});
    refuse(*store, {mutation::InsertTask{task}});
    refuse(*store, {mutation::InsertAttempt{attempt_row(1, task.key)}});
  }
  SECTION("a second run of one scheduled time is refused, without a time there may be many") {
    RunRow first = run_row(2);
    first.scheduled_for = at(60);
    RunRow second = run_row(3);
    second.scheduled_for = at(60);
    commit(*store, {mutation::InsertRun{first}});
    refuse(*store, {mutation::InsertRun{second}});
    second.job = "other";
    commit(*store, {mutation::InsertRun{second}, mutation::InsertRun{run_row(4)},
                    mutation::InsertRun{run_row(5)}});
  }
  SECTION("a second run of one request is refused") {
    RunRow first = run_row(2);
    first.request_id = "a";
    RunRow second = run_row(3);
    second.request_id = "a";
    commit(*store, {mutation::InsertRun{first}});
    refuse(*store, {mutation::InsertRun{second}});
  }
  SECTION("a refused change takes its whole group with it") {
    const std::vector<Mutations> group = {
        {mutation::InsertRun{run_row(2)}},
        {mutation::UpdateTask{TaskState::queued, AttemptId{1}, ended(task, TaskState::failed)}}};
    CHECK_FALSE(store->apply_group(group));
    CHECK_FALSE(must(store->load_run(RunId{2}, {})));
  }
  SECTION("the store is of use after a refusal") {
    refuse(*store, {mutation::InsertTask{task}});
    commit(*store, {mutation::InsertRun{run_row(2)}});
  }
  CHECK(text(load(*store, 1)) == before);
}

void store_counts_on(const OpenStore& open) {
  auto store = open();
  auto counters = must(store->begin_epoch("boot"));
  CHECK(counters.epoch.value == 1);
  CHECK(counters.run.value == 0);
  CHECK(must(store->next_worker(WorkerId{})).value == 1);
  CHECK(must(store->next_worker(WorkerId{})).value == 2);
  // A folder with a higher one lies there.
  CHECK(must(store->next_worker(WorkerId{7})).value == 8);
  CHECK(must(store->next_worker(WorkerId{7})).value == 9);
  const TaskRow task = running(4, 0, -1, 70);
  commit(*store, {mutation::InsertVersion{version_row(6)}, mutation::InsertRun{run_row(4)}});
  commit(*store, start_of(task));
  SECTION("after a start they continue behind the highest given out") {}
  SECTION("a number whose attempt never started is not given out again") {
    TaskRow back = task;
    back.state = TaskState::queued;
    back.attempts = back.counted = 0;
    back.live_attempt = AttemptId{};
    commit(*store, {mutation::UpdateTask{TaskState::running, AttemptId{70}, back},
                    mutation::DeleteAttempt{attempt_row(70, task.key)}});
    CHECK(load(*store, 4).live_attempts.empty());
  }
  store.reset();
  store = open();
  counters = must(store->begin_epoch("boot"));
  CHECK(counters.epoch.value == 2);
  CHECK(counters.run.value == 4);
  CHECK(counters.attempt.value == 70);
  CHECK(counters.version.value == 6);
  CHECK(counters.worker.value == 9);
}

void store_names_its_home(const OpenStore& open) {
  auto store = open();
  const HomeId id = must(store->home_id());
  CHECK(id.text.size() == 16);
  CHECK(id.text.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(id.after == RunId{});
  commit(*store, {mutation::InsertRun{run_row(1)}});
  store.reset();
  store = open();
  CHECK(must(store->home_id()).text == id.text);
  CHECK(must(store->home_id()).after == RunId{});
}

void store_commits_groups(const OpenStore& open) {
  auto store = open();
  const std::vector<Mutations> group = {
      {mutation::InsertRun{run_row(1)}},
      {},
      {mutation::InsertRun{run_row(2)}, mutation::SetRunCounts{RunId{1}, {5}}}};
  SECTION("several batches are one transaction, in order") {
    must(store->apply_group(group));
    CHECK(open_runs(*store) == std::vector<std::int64_t>{1, 2});
    CHECK(load(*store, 1).run.counts[0] == 5);
  }
  SECTION("an empty batch is fine") { commit(*store, {}); }
  SECTION("the log is copied back on demand") {
    must(store->apply_group(group));
    CHECK(store->wal_pages() > 0);
    must(store->checkpoint());
    CHECK(store->wal_pages() == 0);
    commit(*store, {mutation::InsertRun{run_row(3)}});
    CHECK(store->wal_pages() > 0);
    CHECK(open_runs(*store) == std::vector<std::int64_t>{1, 2, 3});
  }
  SECTION("outputs are replaced and cleared, events are added") {
    OutputRow output{{RunId{1}, TaskIndex{1}, ItemIndex{3}}, 1, "json", "{}", "", 2};
    commit(*store, {mutation::SetOutput{output}});
    output.attempt = 2;
    output.file = "outputs/x.jsonl";
    EventRow event{at(1),    "ana",    "pause",
                   "sales",  RunId{1}, TaskKey{RunId{1}, TaskIndex{1}, kWhole},
                   "holiday"};
    commit(*store, {mutation::SetOutput{output}, mutation::ClearOutputs{RunId{1}, TaskIndex{2}},
                    mutation::AddEvent{event}, mutation::ClearOutputs{RunId{1}, TaskIndex{1}}});
  }
}

}  // namespace pawl::test
