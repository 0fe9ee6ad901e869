#include "storage/retention.h"

#include <catch2/catch.hpp>

#include "storage/check.h"
#include "storage/history.h"
#include "support.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kDay = 24 * 3'600;

/// A run that ended `days` ago, with a task of two attempts and a mapped one of twenty items.
void ended_run(SqliteStore& store, std::int64_t id, std::int64_t days, TaskState end,
               const std::string& job = "sales") {
  RunRow run = run_row(id, job);
  const WallTime when = at(-days * kDay);
  run.state = end == TaskState::failed ? RunState::failed : RunState::succeeded;
  run.ended_at = when;
  run.counts[static_cast<std::size_t>(end)] = 1;
  run.counts[static_cast<std::size_t>(TaskState::succeeded)] += 20;
  must(store.apply(
      Mutations{mutation::InsertRun{run}, mutation::InsertItems{chunk_row(id, 1, 0, 20)},
                mutation::AddEvent{{when, "ana", "trigger", job, RunId{id}, std::nullopt, ""}}}));
  TaskRow task = running(id, 0, -1, id * 100);
  must(store.apply(start_of(task)));
  must(store.apply(end_of(task, TaskState::retrying, Reason::exit, when)));
  TaskRow again = task;
  again.attempts = 2;
  again.live_attempt = AttemptId{id * 100 + 1};
  must(store.apply(Mutations{mutation::UpdateTask{TaskState::retrying, AttemptId{}, again},
                             mutation::InsertAttempt{attempt_row(id * 100 + 1, task.key, 2)}}));
  must(store.apply(
      end_of(again, end, end == TaskState::failed ? Reason::exit : Reason::none, when)));
  MappedRow mapped = mapped_row(id, 1, 20, 20);
  mapped.counts = {};
  mapped.counts[static_cast<std::size_t>(TaskState::succeeded)] = 20;
  Mutations batch = {
      mutation::InsertTask{ended(task_row(id, 1), TaskState::succeeded, Reason::none, when)},
      mutation::SetMapped{mapped}};
  must(store.apply(batch));
  for (std::int64_t item = 0; item < 20; ++item) {
    const TaskRow row = running(id, 1, item, id * 100 + 2 + item);
    must(store.apply(start_of(row)));
    must(store.apply(end_of(row, TaskState::succeeded, Reason::none, when)));
    must(store.apply(Mutations{mutation::SetOutput{{row.key, 1, "json", "{}", "", 2}}}));
  }
}

PruneRequest request(std::int64_t runs, std::int64_t days) {
  PruneRequest r;
  r.keep = {runs, days};
  r.now = at(0);
  r.rows_max = 7;
  return r;
}

/// Prunes to the end, in steps; `each` is called after every one.
int prune_all(SqliteStore& store, PruneRequest r, const std::function<void()>& each = {}) {
  for (int steps = 1;; ++steps) {
    const PruneStep step = must(store.prune(r));
    r.with_rows = step.with_rows;
    CHECK(step.rows <= r.rows_max + 2);
    if (each) each();
    if (!step.more) return steps;
    REQUIRE(steps < 10'000);
  }
}

std::vector<std::int64_t> runs_of(const std::string& path) {
  auto history = must(History::open(path, {{}, true}));
  std::vector<std::int64_t> ids;
  auto pager = history->runs({});
  for (const auto& view : must(pager.next(1'000))) ids.push_back(view.row.id.value);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::int64_t rows_of(SqliteStore& store, std::int64_t run) {
  std::int64_t rows = 0;
  for (const char* table :
       {"task", "attempt", "output", "item", "mapped", "timer", "event", "run_counts"}) {
    rows += must(store.database().integer(
        (std::string("SELECT count(*) FROM ") + table + " WHERE run = " + std::to_string(run))
            .c_str()));
  }
  return rows;
}

std::vector<std::int64_t> pruned(SqliteStore& store) {
  std::vector<std::int64_t> ids;
  for (const auto& run : must(store.pruned(100))) ids.push_back(run.run.value);
  return ids;
}

}  // namespace

TEST_CASE("the newest runs of each job stay, older ones go") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
  for (std::int64_t id = 1; id <= 6; ++id)
    ended_run(*store, id, 1, TaskState::succeeded, id % 2 == 0 ? "even" : "odd");
  auto r = request(2, 0);
  r.jobs["even"] = {1, 0};
  CHECK(prune_all(*store, r) > 10);
  CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{3, 5, 6});
  for (std::int64_t id : {1, 2, 4}) CHECK(rows_of(*store, id) == 0);
  CHECK(rows_of(*store, 5) > 40);
}

TEST_CASE("runs go by age, open ones never, unresolved failures stay 90 days") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
  ended_run(*store, 1, 100, TaskState::failed);
  ended_run(*store, 2, 40, TaskState::failed);
  ended_run(*store, 3, 40, TaskState::succeeded);
  ended_run(*store, 4, 20, TaskState::succeeded);
  RunRow open = run_row(5);
  open.created_at = at(-200 * kDay);
  must(store->apply(Mutations{mutation::InsertRun{open}}));
  SECTION("as they are") {
    prune_all(*store, request(0, 30));
    CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{2, 4, 5});
  }
  SECTION("a dismissed failure keeps nothing") {
    must(store->database().exec("UPDATE task SET dismissed = 1 WHERE run = 2"));
    prune_all(*store, request(0, 30));
    CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{4, 5});
  }
  SECTION("a run that its time-out ended is a failure without a failed task") {
    RunRow timed_out = run_row(6);
    timed_out.state = RunState::failed;
    timed_out.reason = Reason::run_timeout;
    timed_out.ended_at = at(-40 * kDay);
    RunRow seen = timed_out;
    seen.id = RunId{7};
    seen.name += "-seen";
    seen.dismissed = true;
    must(store->apply(Mutations{mutation::InsertRun{timed_out}, mutation::InsertRun{seen}}));
    prune_all(*store, request(0, 30));
    CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{2, 4, 5, 6});
  }
  SECTION("a run that somebody works with stays") {
    auto r = request(0, 30);
    r.busy = {RunId{3}};
    prune_all(*store, r);
    CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{2, 3, 4, 5});
  }
  SECTION("of all that ended before a moment, whatever is kept, unresolved ones stay 90 days") {
    auto r = request(1'000, 1'000);
    r.jobs["sales"] = {1'000, 1'000};
    r.ended_before = at(-20 * kDay);
    prune_all(*store, r);
    CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{2, 4, 5});
  }
  SECTION("what is counted beforehand is what goes") {
    CHECK(must(prunable(store->database(), request(0, 30))).size() == 2);
    auto r = request(0, 0);
    CHECK(must(prunable(store->database(), r)).size() == 0);
    r.ended_before = at(0);
    CHECK(must(prunable(store->database(), r)).size() == 3);
    CHECK(runs_of(folder.store()).size() == 5);
  }
  SECTION("of what would go only what was agreed to goes") {
    auto r = request(0, 0);
    r.ended_before = at(0);
    const auto names = must(prunable(store->database(), r));
    r.only = {names.front(), run_row(2).name, "no-such-run"};
    prune_all(*store, r);
    CHECK(runs_of(folder.store()).size() == 4);
    CHECK(must(prunable(store->database(), r)).empty());
  }
  SECTION("without limits nothing goes") {
    prune_all(*store, request(0, 0));
    CHECK(runs_of(folder.store()).size() == 5);
  }
}

TEST_CASE("a run that a task called stays until its caller has ended") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
  RunRow caller = run_row(1, "top");
  must(store->apply(Mutations{mutation::InsertRun{caller}}));
  for (std::int64_t id = 2; id <= 4; ++id) {
    RunRow called = run_row(id, "load");
    called.state = RunState::succeeded;
    called.ended_at = at(0);
    if (id < 4) {
      called.parent = caller.id;
      called.caller = Caller{{caller.id, TaskIndex{0}, ItemIndex{id}}, 1, 0};
    }
    must(store->apply(Mutations{mutation::InsertRun{called}}));
  }
  prune_all(*store, request(1, 0));
  CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{1, 2, 3, 4});
  const RunState before = std::exchange(caller.state, RunState::succeeded);
  caller.ended_at = at(0);
  must(store->apply(Mutations{mutation::UpdateRun{before, caller}}));
  prune_all(*store, request(1, 0));
  CHECK(runs_of(folder.store()) == std::vector<std::int64_t>{1, 4});
}

TEST_CASE("no step shows half a run, and a kill after any of them only delays") {
  Folder folder;
  std::string path = folder.store();
  {
    auto store = open_store(path);
    must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
    for (std::int64_t id = 1; id <= 3; ++id) ended_run(*store, id, 50, TaskState::failed);
    must(store->database().exec("UPDATE task SET dismissed = 1"));
  }
  auto look = [&] {
    auto history = must(History::open(path, {{}, true}));
    auto pager = history->tasks({});
    std::map<std::int64_t, int> rows;
    for (const auto& view : must(pager.next(10'000))) ++rows[view.row.key.run.value];
    const auto runs = runs_of(path);
    CHECK(rows.size() == runs.size());
    for (const auto& [run, count] : rows) CHECK(count == 22);
    auto failed = history->failed({}, true);
    CHECK(must(failed.next(100)).empty());
    auto checked = must(check_store(history->database(), {}));
    for (const auto& finding : checked) UNSCOPED_INFO(finding.what);
    CHECK(checked.empty());
  };
  int steps = 0;
  for (bool more = true; more; ++steps) {
    auto store = open_store(path);  // as after a kill: nothing is remembered but what is stored
    more = must(store->prune(request(1, 0))).more;
    look();
    REQUIRE(steps < 1'000);
  }
  CHECK(steps > 20);
  auto store = open_store(path);
  CHECK(runs_of(path) == std::vector<std::int64_t>{3});
  SECTION("the files of a run are asked for until they are said to be deleted") {
    CHECK(pruned(*store) == std::vector<std::int64_t>{1, 2});
    CHECK(must(store->pruned(1)).at(0).name == run_row(1).name);
    const RunId one[] = {RunId{1}};
    must(store->prune_done(one));
    CHECK(pruned(*store) == std::vector<std::int64_t>{2});
  }
}

TEST_CASE("definitions that nothing names go, those in use stay") {
  Folder folder;
  auto store = open_store(folder.store());
  for (std::int64_t id = 1; id <= 4; ++id)
    must(store->apply(Mutations{mutation::InsertVersion{version_row(id)}}));
  JobRow job;
  job.name = "sales";
  job.version = VersionId{3};
  must(store->apply(Mutations{mutation::SetJob{job}, mutation::InsertRun{run_row(1)}}));
  auto r = request(0, 0);
  prune_all(*store, r);
  // Without a word on what is in use, nothing goes.
  CHECK(must(store->version(VersionId{2})).has_value());
  r.versions_in_use = {VersionId{4}};
  prune_all(*store, r);
  CHECK(must(store->version(VersionId{1})).has_value());
  CHECK_FALSE(must(store->version(VersionId{2})).has_value());
  CHECK(must(store->version(VersionId{3})).has_value());
  CHECK(must(store->version(VersionId{4})).has_value());
  must(store->apply(Mutations{mutation::InsertVersion{version_row(5)}}));
}

TEST_CASE("definitions go with their names, some in each step") {
  Folder folder;
  auto store = open_store(folder.store());
  constexpr std::int64_t kVersions = 20;
  for (std::int64_t id = 1; id <= kVersions; ++id)
    must(store->apply(Mutations{mutation::InsertVersion{version_row(id)}}));
  RunRow run = run_row(1);
  run.version = VersionId{9};
  must(store->apply(Mutations{mutation::InsertRun{run}}));
  auto r = request(0, 0);
  r.versions_in_use.emplace();
  const auto left = [&] {
    return must(store->database().integer("SELECT count(*) FROM job_version"));
  };
  std::int64_t before = kVersions;
  const int steps = prune_all(*store, r, [&] {
    CHECK(before - left() <= 1);
    before = left();
    CHECK(must(store->database().integer("SELECT count(DISTINCT version) FROM version_task")) ==
          before);
  });
  CHECK(steps >= kVersions - 1);
  CHECK(left() == 1);
  CHECK(must(store->version(VersionId{9})).has_value());
}

TEST_CASE("events of no run go after their time") {
  Folder folder;
  auto store = open_store(folder.store());
  for (std::int64_t days : {1, 89, 91, 200}) {
    must(store->apply(Mutations{mutation::AddEvent{
        {at(-days * kDay), "ana", "pause", "sales", RunId{}, std::nullopt, ""}}}));
  }
  prune_all(*store, request(0, 0));
  CHECK(must(store->database().integer("SELECT count(*) FROM event")) == 2);
}

}  // namespace pawl::test
