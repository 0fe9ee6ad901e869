#include "storage/backup.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "storage/check.h"
#include "storage/history.h"
#include "support.h"

namespace pawl::test {
namespace {

std::vector<StoreFinding> findings(const std::string& path) {
  auto database = must(Database::open(path, {DatabaseOptions::Mode::read_only, {}, false}));
  return must(check_store(*database, {}));
}

std::string all_text(const std::vector<StoreFinding>& found) {
  std::string all;
  for (const auto& finding : found) all += finding.what + "\n";
  return all;
}

/// A run with a task that ended and a mapped one with live, retrying and fresh items; a queued run;
/// an ended run; a job.
void fill(SqliteStore& store) {
  must(store.begin_epoch("boot"));
  RunRow first = run_row(1);
  first.counts[static_cast<std::size_t>(TaskState::succeeded)] = 2;
  first.counts[static_cast<std::size_t>(TaskState::running)] = 1;
  first.counts[static_cast<std::size_t>(TaskState::retrying)] = 1;
  first.counts[static_cast<std::size_t>(TaskState::queued)] = 3;
  RunRow queued = run_row(2);
  queued.state = RunState::queued;
  RunRow done = run_row(3);
  done.state = RunState::succeeded;
  done.ended_at = at(50);
  JobRow job;
  job.name = "sales";
  job.version = VersionId{1};
  must(store.apply(Mutations{mutation::InsertVersion{version_row()}, mutation::InsertRun{first},
                             mutation::InsertRun{queued}, mutation::InsertRun{done},
                             mutation::SetJob{job}, mutation::InsertTask{task_row(1, 1)},
                             mutation::InsertItems{chunk_row(1, 1, 0, 6)}}));
  must(store.apply(start_of(running(1, 0, -1, 1))));
  must(store.apply(end_of(running(1, 0, -1, 1), TaskState::succeeded)));
  for (std::int64_t item = 0; item < 3; ++item)
    must(store.apply(start_of(running(1, 1, item, 2 + item))));
  must(store.apply(end_of(running(1, 1, 0, 2), TaskState::succeeded)));
  must(store.apply(end_of(running(1, 1, 1, 3), TaskState::retrying, Reason::exit)));
  MappedRow mapped = mapped_row(1, 1, 6, 3);
  mapped.low_water = 1;
  mapped.counts = {};
  mapped.counts[static_cast<std::size_t>(TaskState::succeeded)] = 1;
  mapped.counts[static_cast<std::size_t>(TaskState::retrying)] = 1;
  mapped.counts[static_cast<std::size_t>(TaskState::running)] = 1;
  mapped.counts[static_cast<std::size_t>(TaskState::queued)] = 3;
  TimerRow retry{
      {RunId{1}, TaskIndex{1}, ItemIndex{1}}, TimerKind::retry, {5}, at(60), Duration(5), true};
  TimerRow total{
      {RunId{1}, TaskIndex{1}, ItemIndex{2}}, TimerKind::total, {5}, at(60), Duration(5), true};
  must(store.apply(Mutations{mutation::SetMapped{mapped}, mutation::SetTimer{retry},
                             mutation::SetTimer{total}}));
}

RunSnapshot load(Store& store, std::int64_t run) {
  return std::move(*must(store.load_run(RunId{run}, {})));
}

}  // namespace

TEST_CASE("a backup of a living store is one whole file with one commit of it") {
  Folder folder;
  auto store = open_store(folder.store());
  fill(*store);
  const std::string before = dump(folder.store());
  int steps = 0;
  BackupOptions options;
  options.beside_writer = true;
  options.pages_per_step = 3;
  options.pause = [&] {
    ++steps;
    must(store->apply(Mutations{mutation::InsertRun{run_row(100 + steps)}}));
  };
  const auto report = must(backup_store(folder.store(), folder.path("copy"), options));
  CHECK(steps > 3);
  CHECK(report.runs == 3);
  CHECK(report.bytes > 0);
  CHECK(dump(folder.path("copy")) == before);
  struct stat info {};
  REQUIRE(stat(folder.path("copy").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(folder.names() ==
        std::vector<std::string>{"copy", "pawl.db", "pawl.db-shm", "pawl.db-wal"});
}

TEST_CASE("a backup is taken without a scheduler, overwrites nothing, and not itself") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  CHECK(backup_store(folder.store(), folder.path("copy"), {}).error().kind == ErrorKind::refused);
  CHECK(backup_store(folder.store(), folder.store(), {}).error().kind == ErrorKind::refused);
  CHECK(backup_store(folder.path("none"), folder.path("copy2"), {}).error().kind ==
        ErrorKind::not_found);
  CHECK_FALSE(backup_store(folder.store(), folder.path("no/such/folder"), {}));
  BackupOptions replace;
  replace.replace = true;
  must(backup_store(folder.store(), folder.path("copy"), replace));
}

TEST_CASE("a restored store starts with everything paused and what was alive held") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  const auto report =
      must(restore_store(folder.path("copy"), home.store(), {false, "ana", at(99), {}}));
  CHECK(report.runs == 3);
  CHECK(report.paused_runs == 2);
  CHECK(report.paused_jobs == 1);
  CHECK(report.interrupted_attempts == 1);
  CHECK(report.kept.empty());
  CHECK(all_text(findings(home.store())).empty());

  auto store = open_store(home.store());
  const auto counters = must(store->begin_epoch("boot"));
  CHECK(counters.attempt.value > 1'000'000);
  CHECK(counters.worker.value > 1'000'000);
  CHECK(counters.epoch.value > 1'000'000);
  const RunSnapshot first = load(*store, 1);
  CHECK(first.run.state == RunState::paused);
  CHECK(first.run.reason == Reason::restored);
  CHECK(first.run.counts[static_cast<std::size_t>(TaskState::held)] == 1);
  CHECK(first.run.counts[static_cast<std::size_t>(TaskState::running)] == 0);
  CHECK(first.live_attempts.empty());
  CHECK(first.mapped.at(0).row.counts[static_cast<std::size_t>(TaskState::held)] == 1);
  CHECK(first.mapped.at(0).states == std::vector<std::uint8_t>{3, 5});
  REQUIRE(first.timers.size() == 1);
  CHECK(first.timers[0].kind == TimerKind::retry);
  CHECK(load(*store, 2).run.state == RunState::paused);
  CHECK(load(*store, 3).run.state == RunState::succeeded);
  CHECK(must(store->jobs()).at(0).paused);
  store.reset();
  auto history = must(History::open(home.store()));
  auto attempts = must(history->attempts_of({RunId{1}, TaskIndex{1}, ItemIndex{2}}));
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0].row.state == AttemptState::interrupted);
  CHECK(attempts[0].row.reason == Reason::restored);
  CHECK(must(history->events({}).next(10)).at(0).actor == "ana");
}

TEST_CASE("a restored store is the home that was copied, and no other") {
  Folder folder;
  const HomeId id = must(open_store(folder.store())->home_id());
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  const HomeId other = must(open_store(home.store())->home_id());
  CHECK(other.text != id.text);
  must(restore_store(folder.path("copy"), home.store(), {false, "ana", at(99), {}}));
  CHECK(must(open_store(home.store())->home_id()).text == id.text);
}

TEST_CASE("a restore tells of all schedules that are paused, also of those that were") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  must(restore_store(folder.path("copy"), home.store(), {false, "ana", at(99), {}}));
  must(backup_store(home.store(), folder.path("copy of it"), {}));
  Folder second;
  const auto report =
      must(restore_store(folder.path("copy of it"), second.store(), {false, "ana", at(99), {}}));
  CHECK(report.paused_runs == 2);
  CHECK(report.paused_jobs == 1);
}

TEST_CASE("a restore refuses a home with runs unless told, and keeps what it replaced") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  must(open_store(home.store())->apply(Mutations{mutation::InsertRun{run_row(7, "mine")}}));
  CHECK(restore_store(folder.path("copy"), home.store(), {false, "", at(1), {}}).error().kind ==
        ErrorKind::refused);
  const auto report = must(restore_store(folder.path("copy"), home.store(), {true, "", at(1), {}}));
  CHECK(report.kept == home.store() + ".replaced");
  CHECK(must(must(History::open(home.store()))->find_run("run1x")).job == "sales");
  CHECK(must(must(History::open(report.kept))->find_run("run7x")).job == "mine");
}

TEST_CASE("a restore deletes nothing that an earlier one has kept") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  must(open_store(home.store())->apply(Mutations{mutation::InsertRun{run_row(7, "mine")}}));
  std::vector<std::string> kept;
  for (int i = 0; i < 3; ++i)
    kept.push_back(
        must(restore_store(folder.path("copy"), home.store(), {true, "", at(1), {}})).kept);
  const std::string first = home.store() + ".replaced";
  CHECK(kept == std::vector<std::string>{first, first + "-2", first + "-3"});
  CHECK(must(must(History::open(first))->find_run("run7x")).job == "mine");
  SECTION("one that was killed with the store set aside goes on with that") {
    const std::string last = first + "-4";
    std::filesystem::create_hard_link(home.store(), last);
    CHECK(must(restore_store(folder.path("copy"), home.store(), {true, "", at(1), {}})).kept ==
          last);
  }
}

TEST_CASE("a restore is refused beside a worker that still runs tasks of the store") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  const WorkerId busy =
      must(must(History::open(folder.store()))->attempts({}).next(1)).at(0).row.worker;
  RestoreOptions options{true, "", at(1), {WorkerId{busy.value + 1}, busy}};
  const auto error = restore_store(folder.path("copy"), folder.store(), options).error();
  CHECK(error.kind == ErrorKind::refused);
  CHECK_THAT(error.message, Catch::Contains("worker " + std::to_string(busy.value) + " is alive"));
  options.workers.pop_back();  // the other one has nothing to do
  must(restore_store(folder.path("copy"), folder.store(), options));
}

TEST_CASE("an empty home and a damaged one take a backup") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  SECTION("empty") { open_store(home.store()).reset(); }
  SECTION("damaged") { std::ofstream(home.store()) << std::string(5'000, 'z'); }
  must(restore_store(folder.path("copy"), home.store(), {false, "", at(1), {}}));
  CHECK(must(must(History::open(home.store()))->find_run("run1x")).job == "sales");
}

TEST_CASE("a damaged backup, a foreign one and none are refused and change nothing") {
  Folder folder;
  fill(*open_store(folder.store()));
  must(backup_store(folder.store(), folder.path("copy"), {}));
  Folder home;
  CHECK(restore_store(folder.path("none"), home.store(), {false, "", at(1), {}}).error().kind ==
        ErrorKind::not_found);
  std::ofstream(folder.path("text")) << "this is no backup";
  CHECK(restore_store(folder.path("text"), home.store(), {false, "", at(1), {}}).error().kind ==
        ErrorKind::storage);
  {
    std::fstream file(folder.path("copy"), std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 1; page < 30; ++page) {
      file.seekp(page * 4096 + 3);
      file << "garbage garbage";
    }
  }
  const auto damaged = restore_store(folder.path("copy"), home.store(), {false, "", at(1), {}});
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().message.find("damaged") != std::string::npos);
  CHECK(home.names().empty());
}

TEST_CASE("a store that is as it should be has no findings") {
  Folder folder;
  fill(*open_store(folder.store()));
  CHECK(all_text(findings(folder.store())).empty());
}

TEST_CASE("items of a paired task that wait have no row, and that is as it should be") {
  Folder folder;
  {
    auto store = open_store(folder.store());
    fill(*store);
    must(store->database().exec(
        "UPDATE mapped SET paired = 1, next_fresh = items, waiting = 2, queued = 1"));
  }
  CHECK(all_text(findings(folder.store())).empty());
}

TEST_CASE("each thing that cannot be is found and named") {
  struct Case {
    const char* damage;
    const char* finding;
  };
  for (const Case& c : {
           Case{"DELETE FROM run WHERE id = 1", "has no run"},
           Case{"DELETE FROM run_counts WHERE run = 1", "has no counts"},
           Case{"DELETE FROM job_version", "has no definition"},
           Case{"DELETE FROM task WHERE run = 1 AND task = 0", "belongs to no task"},
           Case{"DELETE FROM attempt WHERE id = 1", "attempts and has other rows"},
           Case{"DELETE FROM attempt WHERE id = 4", "as live, which is not"},
           Case{"UPDATE attempt SET state = 'running' WHERE id = 1", "its task does not name it"},
           Case{"UPDATE attempt SET state = 'failed' WHERE id = 4", "as live, which is not"},
           Case{"UPDATE task SET state = 'failed', ended_at = 1 WHERE live_attempt = 4",
                "and has a live attempt"},
           Case{"UPDATE task SET attempts = 3 WHERE task = 0", "had 3 attempts"},
           Case{"UPDATE task SET ended_at = NULL WHERE task = 0", "did not end"},
           Case{"UPDATE run SET state = 'failed' WHERE id = 1", "and its task"},
           Case{"UPDATE mapped SET queued = 9", "counts other items than it has"},
           Case{"UPDATE mapped SET succeeded = 2, retrying = 0", "counts succeeded items wrongly"},
           Case{"UPDATE run_counts SET succeeded = 0 WHERE run = 1",
                "counts succeeded tasks wrongly"},
           Case{"DELETE FROM task WHERE item = 0", "items that started"},
           Case{"UPDATE task SET state = 'sleeping' WHERE task = 0", "unknown state sleeping"},
           Case{"UPDATE attempt SET reason = 'why not' WHERE id = 3", "unknown reason why not"},
           Case{"INSERT INTO timer VALUES (77, 0, -1, 'retry', 0, 0, 0, 1)", "a timer (retry)"},
           Case{"INSERT INTO output VALUES (1, 2, -1, 1, 'json', 2, NULL, '{}')",
                "an output of task 2"},
       }) {
    Folder folder;
    {
      auto store = open_store(folder.store());
      fill(*store);
      must(store->database().exec(c.damage));
    }
    INFO(c.damage);
    CHECK(all_text(findings(folder.store())).find(c.finding) != std::string::npos);
  }
}

}  // namespace pawl::test
