#include <fstream>

#include <catch2/catch.hpp>

#include "conformance.h"
#include "storage/statement.h"
#include "support.h"

namespace pawl::test {

namespace {

void over_sqlite(void (*conformance)(const OpenStore&)) {
  Folder folder;
  conformance([&] { return open_store(folder.store()); });
}

}  // namespace

TEST_CASE("a store over SQLite gives runs and tasks back with every column") {
  over_sqlite(store_keeps_runs);
}

TEST_CASE("a store over SQLite gives attempts back with every column") {
  over_sqlite(store_keeps_attempts);
}

TEST_CASE("a store over SQLite gives versions, jobs, schedules, rates and timers back") {
  over_sqlite(store_keeps_jobs);
}

TEST_CASE("a store over SQLite refuses a change that expects what is not there") {
  over_sqlite(store_guards_changes);
}

TEST_CASE("a store over SQLite gives no number out twice") { over_sqlite(store_counts_on); }

TEST_CASE("a store over SQLite names its home") { over_sqlite(store_names_its_home); }

TEST_CASE("a store over SQLite commits a group of batches as one") {
  over_sqlite(store_commits_groups);
}

TEST_CASE("a store over SQLite loads of a run what was asked for") {
  over_sqlite(store_gives_snapshots);
}

TEST_CASE("what was committed is there after the process was killed") {
  Folder folder;
  const int code = in_child([&] {
    auto store = open_store(folder.store());
    for (std::int64_t run = 1; run <= 20; ++run)
      must(store->apply(Mutations{mutation::InsertRun{run_row(run)}}));
    _exit(17);  // no destructor, no checkpoint
  });
  REQUIRE(code == 17);
  auto store = open_store(folder.store());
  int runs = 0;
  must(store->load_open_runs([&](RunSnapshot&&) { ++runs; }, [](RunId, const std::string&) {}));
  CHECK(runs == 20);
  store.reset();
  CHECK(integrity(folder.store()) == "ok|\n");
}

TEST_CASE("words in the database are those of the command line") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(
      Mutations{mutation::InsertVersion{version_row()}, mutation::InsertRun{run_row(1)}}));
  must(store->apply(start_of(running(1, 1, 3, 1))));
  must(store->apply(end_of(running(1, 1, 3, 1), TaskState::upstream_failed, Reason::template_)));
  Database& db = store->database();
  Statement query(db, "SELECT task, item, state, reason FROM tasks");
  REQUIRE(query.step());
  CHECK(query.text(0) == "query");
  CHECK(query.integer(1) == 3);
  CHECK(query.text(2) == "upstream_failed");
  CHECK(query.text(3) == "template");
  Statement attempts(db, "SELECT run, task, state, started FROM attempts");
  REQUIRE(attempts.step());
  CHECK(attempts.text(0) == run_row(1).name);
  CHECK(attempts.text(1) == "query");
  Statement none(db, "SELECT count(*) FROM runs WHERE reason IS NULL");
  REQUIRE(none.step());
  CHECK(none.integer(0) == 1);
}

TEST_CASE("first attempts are found through their task, also after one that never started") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
  const TaskRow first = running(1, 0, -1, 1);
  must(store->apply(start_of(first)));
  TaskRow back = first;
  back.state = TaskState::queued;
  back.attempts = back.counted = 0;
  back.live_attempt = AttemptId{};
  must(store->apply(Mutations{mutation::DeleteAttempt{attempt_row(1, first.key)},
                              mutation::UpdateTask{TaskState::running, AttemptId{1}, back}}));
  const TaskRow again = running(1, 0, -1, 2);
  must(store->apply(Mutations{mutation::UpdateTask{TaskState::queued, AttemptId{}, again},
                              mutation::InsertAttempt{attempt_row(2, first.key)}}));
  must(store->apply(end_of(again, TaskState::retrying, Reason::exit)));
  TaskRow second = again;
  second.attempts = 2;
  second.live_attempt = AttemptId{3};
  must(store->apply(Mutations{mutation::UpdateTask{TaskState::retrying, AttemptId{}, second},
                              mutation::InsertAttempt{attempt_row(3, first.key, 2)}}));
  CHECK(must(store->database().integer("SELECT first_attempt FROM task")) == 2);
  CHECK(must(store->database().integer("SELECT count(*) FROM attempt")) == 2);
}

TEST_CASE("a store that another program writes is waited for and then refused by name") {
  Folder folder;
  auto store = open_store(folder.store());
  auto other = must(Database::open(folder.store(), {DatabaseOptions::Mode::read_write, {}, false}));
  must(other->exec("BEGIN IMMEDIATE"));
  must(store->database().exec("PRAGMA busy_timeout=20"));
  auto done = store->apply(Mutations{mutation::InsertRun{run_row(1)}});
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::locked);
  CHECK(done.error().message.find("another program") != std::string::npos);
  other->rollback();
  must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
}

TEST_CASE("a word in the store that is none is an error wherever it is read") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->begin_epoch("boot"));
  RunRow fire = run_row(1);
  fire.scheduled_for = fire.logical_time = at(100);
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}, mutation::InsertRun{fire}}));
  must(store->database().exec("UPDATE run SET state = 'sleeping'"));
  const auto refused = [](const auto& read) {
    REQUIRE_FALSE(read);
    CHECK(read.error().kind == ErrorKind::storage);
    CHECK_THAT(read.error().message, Catch::Contains("'sleeping' cannot be read"));
  };
  refused(store->runs_of_fires("sales", at(0), at(200)));
  refused(store->run_by_name(fire.name));
  must(store->database().exec("UPDATE run SET state = 'running', outcome = 'sleeping'"));
  refused(store->run_by_name(fire.name));
  must(store->database().exec("UPDATE run SET outcome = NULL"));
  CHECK(must(store->run_by_name(fire.name))->id == fire.id);

  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  must(store->apply(Mutations{mutation::SetJob{job}}));
  must(store->database().exec("UPDATE job SET failures = 1 << 40"));
  const auto jobs = store->jobs();
  REQUIRE_FALSE(jobs);
  CHECK_THAT(jobs.error().message, Catch::Contains("reading the jobs: '1099511627776'"));
}

TEST_CASE("a copy into a database that another program holds waits for it and then ends") {
  Folder folder;
  must(open_store(folder.store())->begin_epoch("boot"));
  auto from = must(Database::open(folder.store(), {DatabaseOptions::Mode::read_only, {}, false}));
  constexpr auto kCopy = DatabaseOptions::Mode::single_file;
  std::ofstream(folder.path("copy")).close();
  auto to = must(Database::open(folder.path("copy"), {kCopy, {}, false}));
  auto other = must(Database::open(folder.path("copy"), {kCopy, {}, false}));
  must(other->exec("BEGIN EXCLUSIVE"));
  must(to->exec("PRAGMA busy_timeout=20"));
  const auto done = from->copy_to(*to, 1, {});
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::locked);
  other->rollback();
  must(from->copy_to(*to, 1, {}));
}

}  // namespace pawl::test
