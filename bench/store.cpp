// What the store costs, on this machine: the start and the end of a task beside bare SQLite in the
// same run, a million items accepted, a restart with a million unfinished items, and history over a
// million finished tasks.
//
//   bench_store [FOLDER]     FOLDER: where the stores are made (default: a new one in $TMPDIR)

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "scheduler/core/item_chunk.h"
#include "storage/history.h"
#include "storage/sqlite_store.h"

namespace pawl {
namespace {

constexpr int kRounds = 5;
constexpr WallTime kNow{1'790'000'000'000};

double seconds(const std::function<void()>& work) {
  const auto from = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double median_of(int rounds, const std::function<double()>& measure) {
  std::vector<double> values;
  for (int i = 0; i < rounds; ++i) values.push_back(measure());
  return median(std::move(values));
}

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "bench_store: %s\n", why.c_str());
  std::exit(1);
}

void row(const std::string& what, const std::string& measured, const std::string& must) {
  std::printf("%-58s | %18s | %s\n", what.c_str(), measured.c_str(), must.c_str());
  std::fflush(stdout);
}

std::string number(double value, const char* unit, int digits = 0) {
  char text[64];
  if (value >= 10'000 && digits == 0) {
    std::snprintf(text, sizeof text, "%lld,%03lld %s", static_cast<long long>(value) / 1000,
                  static_cast<long long>(value) % 1000, unit);
  } else {
    std::snprintf(text, sizeof text, "%.*f %s", digits, value, unit);
  }
  return text;
}

class Place {
 public:
  explicit Place(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// The path of a store that does not exist yet.
  std::string fresh() {
    remove(last_);
    last_ = (folder_ / ("store" + std::to_string(++count_) + ".db")).string();
    return last_;
  }
  ~Place() { remove(last_); }

 private:
  static void remove(const std::string& path) {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  }
  std::filesystem::path folder_;
  std::string last_;
  int count_ = 0;
};

std::unique_ptr<SqliteStore> open_store(const std::string& path) {
  auto store = SqliteStore::open(path);
  if (!store) die(store.error().message);
  if (auto counters = (*store)->begin_epoch("boot"); !counters) die(counters.error().message);
  return std::move(*store);
}

void must_apply(Store& store, const Mutations& batch) {
  if (auto done = store.apply(batch); !done) die(done.error().message);
}

RunRow run_row(std::int64_t id) {
  RunRow run;
  run.id = RunId{id};
  run.name = "20261120-225801-" + std::to_string(100'000 + id);
  run.job = "bench";
  run.version = VersionId{1};
  run.state = RunState::running;
  run.logical_time = run.created_at = kNow;
  return run;
}

Mutations first_rows() {
  JobVersionRow version;
  version.id = VersionId{1};
  version.job = "bench";
  version.hash = "0";
  version.body = R"({"name":"bench","tasks":[{"id":"list","command":["true"]},
    {"id":"query","command":["true"],"map":{"items":"{{ tasks.list.output }}"}}]})";
  version.folder = "/";
  version.created_at = kNow;
  return {mutation::InsertVersion{version}, mutation::InsertRun{run_row(1)}};
}

TaskRow task_row(std::int64_t item, std::int64_t attempt) {
  TaskRow task;
  task.key = {RunId{1}, TaskIndex{1}, ItemIndex{item}};
  task.state = TaskState::running;
  task.attempts = task.counted = 1;
  task.live_attempt = AttemptId{attempt};
  task.queued_at = task.started_at = kNow;
  return task;
}

AttemptRow attempt_row(std::int64_t item, std::int64_t attempt) {
  AttemptRow row;
  row.id = AttemptId{attempt};
  row.key = {RunId{1}, TaskIndex{1}, ItemIndex{item}};
  row.number = 1;
  row.worker = WorkerId{2};
  row.started_at = kNow;
  return row;
}

void end(TaskRow& task, TaskState state) {
  task.state = state;
  task.live_attempt = AttemptId{};
  task.ended_at = kNow + Duration(1'500);
  if (state == TaskState::failed) {
    task.reason = Reason::exit;
    task.detail = 5;
  }
}

void end(AttemptRow& attempt, AttemptState state) {
  attempt.state = state;
  attempt.ended_at = kNow + Duration(1'500);
  attempt.exit_code = state == AttemptState::failed ? 5 : 0;
  attempt.cpu_us = 1'234;
  attempt.peak_memory_bytes = 5'000'000;
  if (state == AttemptState::failed) {
    attempt.reason = Reason::exit;
    attempt.failure.message = "cannot reach warehouse " + std::to_string(attempt.key.item.value);
  }
}

Counts counts_of(std::int64_t succeeded) {
  Counts counts{};
  counts[static_cast<std::size_t>(TaskState::succeeded)] = succeeded;
  return counts;
}

/// Starts and ends the items [first, first + count) in two batches, every `failing`-th fails.
void start_and_end(Store& store, std::int64_t first, std::int64_t count, std::int64_t failing = 0) {
  Mutations starts;
  Mutations ends;
  starts.reserve(static_cast<std::size_t>(2 * count));
  ends.reserve(static_cast<std::size_t>(2 * count));
  for (std::int64_t item = first; item < first + count; ++item) {
    const bool fails = failing != 0 && item % failing == 0;
    TaskRow task = task_row(item, item + 1);
    AttemptRow attempt = attempt_row(item, item + 1);
    starts.emplace_back(mutation::InsertTask{task});
    starts.emplace_back(mutation::InsertAttempt{attempt});
    end(task, fails ? TaskState::failed : TaskState::succeeded);
    end(attempt, fails ? AttemptState::failed : AttemptState::succeeded);
    ends.emplace_back(
        mutation::UpdateTask{TaskState::running, AttemptId{item + 1}, std::move(task)});
    ends.emplace_back(mutation::UpdateAttempt{AttemptState::starting, std::move(attempt)});
    ends.emplace_back(mutation::SetRunCounts{RunId{1}, counts_of(item)});
  }
  must_apply(store, starts);
  must_apply(store, ends);
  if (store.wal_pages() > 8'000) (void)store.checkpoint();
}

double store_tasks_per_second(Place& place, std::int64_t tasks, std::int64_t batch) {
  auto store = open_store(place.fresh());
  must_apply(*store, first_rows());
  const double took = seconds([&] {
    for (std::int64_t first = 0; first < tasks; first += batch) start_and_end(*store, first, batch);
  });
  return static_cast<double>(tasks) / took;
}

// Bare SQLite: the same rows, the same pragmas, statements written for nothing else. --------------

void exec(sqlite3* db, const char* sql) {
  char* text = nullptr;
  if (sqlite3_exec(db, sql, nullptr, nullptr, &text) != SQLITE_OK) die(text);
}

sqlite3_stmt* prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    die(sqlite3_errmsg(db));
  }
  return statement;
}

void step(sqlite3* db, sqlite3_stmt* statement) {
  if (sqlite3_step(statement) != SQLITE_DONE) die(sqlite3_errmsg(db));
  sqlite3_reset(statement);
}

double bare_tasks_per_second(Place& place, std::int64_t tasks, std::int64_t batch) {
  sqlite3* db = nullptr;
  const std::string path = place.fresh();
  open_store(path).reset();  // the schema
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      0) {
    die(sqlite3_errmsg(db));
  }
  exec(db,
       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
       "PRAGMA cell_size_check=ON; PRAGMA secure_delete=OFF; PRAGMA cache_size=-65536");
  sqlite3_stmt* begin = prepare(db, "BEGIN IMMEDIATE");
  sqlite3_stmt* commit = prepare(db, "COMMIT");
  sqlite3_stmt* insert_task =
      prepare(db,
              "INSERT INTO task (run, task, item, state, detail, attempts, counted, work, "
              "live_attempt, first_attempt, queued_at, started_at, dismissed) "
              "VALUES (1, 1, ?1, 'running', 0, 1, 1, 0, ?2, ?2, ?3, ?3, 0)");
  sqlite3_stmt* insert_attempt = prepare(
      db,
      "INSERT INTO attempt (id, run, task, item, number, state, worker, slot, started_at, cpu_us, "
      "peak_memory_bytes, log_bytes, stays) "
      "VALUES (?2, 1, 1, ?1, 1, 'starting', 2, 0, ?3, 0, 0, 0, 0)");
  sqlite3_stmt* update_task = prepare(
      db,
      "UPDATE task SET state = 'succeeded', live_attempt = NULL, ended_at = ?3 WHERE run = 1 AND "
      "task = 1 AND item = ?1 AND state = 'running' AND live_attempt = ?2");
  sqlite3_stmt* update_attempt = prepare(
      db,
      "UPDATE attempt SET state = 'succeeded', ended_at = ?3, exit_code = 0, cpu_us = 1234, "
      "peak_memory_bytes = 5000000 WHERE id = ?2 AND ?1 >= 0 AND state = 'starting'");
  auto put = [&](sqlite3_stmt* statement, std::int64_t item, std::int64_t time) {
    sqlite3_bind_int64(statement, 1, item);
    sqlite3_bind_int64(statement, 2, item + 1);
    sqlite3_bind_int64(statement, 3, time);
    step(db, statement);
  };
  std::int64_t pages = 0;
  sqlite3_wal_hook(
      db,
      [](void* to, sqlite3*, const char*, int n) {
        *static_cast<std::int64_t*>(to) = n;
        return SQLITE_OK;
      },
      &pages);
  const double took = seconds([&] {
    for (std::int64_t first = 0; first < tasks; first += batch) {
      step(db, begin);
      for (std::int64_t item = first; item < first + batch; ++item) {
        put(insert_task, item, kNow.ms);
        put(insert_attempt, item, kNow.ms);
      }
      step(db, commit);
      step(db, begin);
      for (std::int64_t item = first; item < first + batch; ++item) {
        put(update_task, item, kNow.ms + 1'500);
        put(update_attempt, item, kNow.ms + 1'500);
      }
      step(db, commit);
      if (pages > 8'000)
        sqlite3_wal_checkpoint_v2(db, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    }
  });
  for (sqlite3_stmt* statement :
       {begin, commit, insert_task, insert_attempt, update_task, update_attempt}) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(db);
  return static_cast<double>(tasks) / took;
}

double commit_milliseconds(Place& place) {
  auto store = open_store(place.fresh());
  must_apply(*store, first_rows());
  std::vector<double> took;
  for (std::int64_t item = 0; item < 200; ++item) {
    Mutations one = {mutation::InsertTask{task_row(item, item + 1)}};
    took.push_back(seconds([&] { must_apply(*store, one); }) * 1e3);
  }
  return median(std::move(took));
}

// Items ------------------------------------------------------------------------------------------

MappedRow mapped_row(std::int64_t items, std::int64_t next_fresh) {
  MappedRow mapped;
  mapped.run = RunId{1};
  mapped.task = TaskIndex{1};
  mapped.items = items;
  mapped.complete = true;
  mapped.next_fresh = next_fresh;
  mapped.counts[static_cast<std::size_t>(TaskState::queued)] = items;
  return mapped;
}

void accept_items(Store& store, std::int64_t items) {
  must_apply(store, first_rows());
  ItemChunkWriter chunk;
  for (std::int64_t first = 0; first < items; first += 1'000) {
    for (std::int64_t item = first; item < first + 1'000; ++item) {
      chunk.add("", "{\"id\":" + std::to_string(item) + ",\"region\":\"jp\",\"table\":\"orders\"}");
    }
    Mutations batch;
    batch.emplace_back(mutation::InsertItems{{RunId{1}, TaskIndex{1}, first, 1'000, chunk.take()}});
    batch.emplace_back(mutation::SetMapped{mapped_row(first + 1'000, 0)});
    must_apply(store, batch);
    if (store.wal_pages() > 8'000) (void)store.checkpoint();
  }
}

void whole(Store& store) {
  TaskRow task = task_row(-1, 0);
  task.attempts = task.counted = 0;
  must_apply(store, {mutation::InsertTask{task}});
}

double restart_seconds(const std::string& path) {
  return median_of(kRounds, [&] {
    return seconds([&] {
      auto store = open_store(path);
      std::size_t runs = 0;
      auto done = store->load_open_runs([&](RunSnapshot&&) { ++runs; },
                                        [](RunId, const std::string& why) { die(why); });
      if (!done || runs != 1) die("the open run was not loaded");
    });
  });
}

void measure_items(Place& place, std::int64_t items) {
  std::string path;
  const double took = median_of(kRounds, [&] {
    path = place.fresh();
    auto store = open_store(path);
    return seconds([&] { accept_items(*store, items); });
  });
  row("1,000,000 items accepted", number(took, "s", 2), "<= 2.5 s (1.0)");
  {
    auto store = open_store(path);
    whole(*store);
  }
  row("restart, 1,000,000 items that never started", number(restart_seconds(path) * 1e3, "ms", 1),
      "as an empty one");
  {
    auto store = open_store(path);
    for (std::int64_t first = 0; first < items; first += 2'000) {
      Mutations batch;
      for (std::int64_t item = first; item < first + 2'000; ++item) {
        TaskRow task = task_row(item, 0);
        task.state = TaskState::retrying;
        task.reason = Reason::exit;
        batch.emplace_back(mutation::InsertTask{std::move(task)});
        TimerRow timer;
        timer.key = {RunId{1}, TaskIndex{1}, ItemIndex{item}};
        timer.due_wall = kNow;
        batch.emplace_back(mutation::SetTimer{timer});
      }
      must_apply(*store, batch);
      if (store->wal_pages() > 8'000) (void)store->checkpoint();
    }
    must_apply(*store, {mutation::SetMapped{mapped_row(items, items)}});
  }
  row("restart, 1,000,000 items that wait for their retry", number(restart_seconds(path), "s", 2),
      "<= 5 s (2)");
}

// History ----------------------------------------------------------------------------------------

void measure_history(Place& place, std::int64_t tasks) {
  const std::string path = place.fresh();
  {
    auto store = open_store(path);
    must_apply(*store, first_rows());
    for (std::int64_t first = 0; first < tasks; first += 1'000)
      start_and_end(*store, first, 1'000, 1'000);
    RunRow run = run_row(1);
    run.state = RunState::failed;
    run.ended_at = kNow + Duration(2'000);
    must_apply(*store, {mutation::UpdateRun{RunState::running, run}});
  }
  row("open and restart over 1,000,000 finished tasks",
      number(median_of(kRounds,
                       [&] {
                         return seconds([&] {
                           auto store = open_store(path);
                           auto done = store->load_open_runs([](RunSnapshot&&) {},
                                                             [](RunId, const std::string&) {});
                           if (!done) die(done.error().message);
                         });
                       }) *
                 1e3,
             "ms", 1),
      "<= 100 ms (as an empty one)");
  row("`failed`: open, first 50 of 1,000 in 1,000,000",
      number(median_of(kRounds,
                       [&] {
                         return seconds([&] {
                           auto history = History::open(path);
                           if (!history) die(history.error().message);
                           auto pager = (*history)->failed({});
                           auto page = pager.next(50);
                           if (!page || page->size() != 50) die("`failed` did not find 50");
                         });
                       }) *
                 1e3,
             "ms", 1),
      "<= 100 ms (20)");
  row("`failed --by error` over 1,000",
      number(median_of(kRounds,
                       [&] {
                         return seconds([&] {
                           auto history = History::open(path);
                           if (!history) die(history.error().message);
                           auto groups = (*history)->failed_groups({}, FailedBy::error);
                           if (!groups || groups->groups.size() != 1)
                             die("`failed --by error` did not find one group");
                         });
                       }) *
                 1e3,
             "ms", 1),
      "<= 500 ms (100)");
}

int run(const std::filesystem::path& folder) {
  Place place(folder);
  row("what", "measured", "must (aim)");
  row("one commit alone (FULL)", number(commit_milliseconds(place), "ms", 2), "of the disk");
  std::vector<double> bare;
  std::vector<double> store;
  for (int round = 0; round < kRounds; ++round) {
    bare.push_back(bare_tasks_per_second(place, 200'000, 1'000));
    store.push_back(store_tasks_per_second(place, 200'000, 1'000));
  }
  row("bare SQLite: start and end of a task, batches of 1,000", number(median(bare), "tasks/s"),
      "");
  row("Store: the same", number(median(store), "tasks/s"), ">= 150,000 (200,000)");
  row("Store beside bare SQLite", number(100 * median(store) / median(bare), "%"), "");
  measure_items(place, 1'000'000);
  measure_history(place, 1'000'000);
  return 0;
}

}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  std::error_code error;
  if (argc > 1) return pawl::run(argv[1]);
  std::string pattern = (std::filesystem::temp_directory_path() / "bench-store-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return 1;
  const int code = pawl::run(pattern);
  std::filesystem::remove_all(pattern, error);
  return code;
}
