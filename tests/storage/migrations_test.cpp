// Stores that an older pawl wrote: for each version of the schema one that its migrations made and
// that holds what it wrote, with the columns that there were. Today's code finds all of it.

#include <catch2/catch.hpp>

#include "storage/history.h"
#include "storage/migrate.h"
#include "storage/statement.h"
#include "support.h"

namespace pawl::test {
namespace {

/// What a pawl writes from version `since` of the schema on: rows of tables that are as they were.
struct Written {
  int since = 1;
  const char* sql = nullptr;
};

constexpr Written kWritten[] = {
    {1, R"sql(
UPDATE counter SET value = 41 WHERE name = 'attempt';
UPDATE counter SET value = 7 WHERE name = 'epoch';
UPDATE counter SET value = 12 WHERE name = 'run';
UPDATE counter SET value = 3 WHERE name = 'version';
UPDATE counter SET value = 6 WHERE name = 'worker';
INSERT INTO boot (id, boot_id) VALUES (1, 'the-boot-before');

INSERT INTO job (name, version, file, quarantined, removed, first_loaded_at, paused, pause_note,
  paused_by, paused_at, next_fire_at, decided_through, failures) VALUES
  ('bad', 1, NULL, NULL, 0, 1790000000000, 0, NULL, NULL, NULL, NULL, NULL, 0),
  ('sales', 3, 'sales.json', NULL, 0, 1790000000000, 0, NULL, NULL, NULL, 1790003600000,
   1790000000000, 2),
  ('slow', 2, 'slow.json', 'line 3: no such field', 0, 1790000000000, 1, 'too slow', 'ana',
   1790000000500, NULL, NULL, 0);
INSERT INTO job_version (id, job, hash, created_at, folder, labels, body) VALUES
  (1, 'bad', '04e7c729', 1790000000000, '/jobs', '{}',
   '{"name":"bad","tasks":[{"id":"a","script":"exit 7"},{"command":["true"],"depends_on":["a"],"id":"b"}]}'),
  (2, 'slow', '3f246ebf', 1790000000000, '/jobs', '{}',
   '{"name":"slow","tasks":[{"command":["sleep","100"],"id":"nap"}],"timeout":"1s"}'),
  (3, 'sales', 'f98d4112', 1790000000000, '/jobs', '{"team":"data"}',
   '{"labels":{"team":"data"},"name":"sales","on_failure":[{"command":["echo","x"]}],"tasks":[{"command":["echo","[1,2,3,4,5]"],"id":"list","output":"json"},{"command":["query"],"depends_on":["list"],"id":"query","map":{"items":"{{ tasks.list.output }}","key":"k{{ item }}"},"retry":{"max_attempts":2}},{"command":["true"],"depends_on":["query"],"id":"report"}]}');
INSERT INTO version_task (version, task, id, max_attempts, allow_failure, mapped, source_task)
  VALUES (1, 0, 'a', 1, 0, 0, NULL), (1, 1, 'b', 1, 0, 0, NULL), (2, 0, 'nap', 1, 0, 0, NULL),
  (3, 0, 'list', 1, 0, 0, NULL), (3, 1, 'query', 2, 0, 1, NULL), (3, 2, 'report', 1, 0, 0, NULL),
  (3, 3, 'hook:on_failure:0', 1, 0, 0, NULL);
INSERT INTO dropped_fire (id, job, reason, first, last, count, at)
  VALUES (1, 'sales', 'limit', 1789990000000, 1789999000000, 4, 1790000000000);

INSERT INTO run (id, name, job, version, state, reason, "trigger", scheduled_for, logical_time,
  interval_start, interval_end, start_at, request_id, default_slots, priority_class, max_active,
  parent, parent_task, parent_item, parent_attempt, parent_work, ancestors, created_at, started_at,
  ended_at, resumes, cancel_requested, outcome, outcome_reason, params) VALUES
  (1, '20260921-135320-aaaaa1', 'bad', 1, 'failed', NULL, 'manual', NULL, 1790000001000, NULL,
   NULL, NULL, 'cli-1', 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 1790000001000, 1790000001000,
   1790000001500, 0, 0, NULL, NULL, '{}'),
  (2, '20260921-135320-aaaaa2', 'slow', 2, 'failed', 'run_timeout', 'manual', NULL, 1790000002000,
   NULL, NULL, NULL, 'cli-2', 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 1790000002000,
   1790000002000, 1790000003000, 0, 0, NULL, NULL, '{}'),
  (3, '20260921-135320-aaaaa3', 'sales', 3, 'running', NULL, 'schedule', 1790000000000,
   1790000000000, 1789996400000, 1790000000000, NULL, NULL, 4, 0, 0, NULL, NULL, NULL, NULL, NULL,
   NULL, 1790000003000, 1790000003000, NULL, 1, 0, NULL, NULL, '{"region":"jp"}'),
  (4, '20260921-135320-aaaaa4', 'sales', 3, 'queued', NULL, 'backfill', 1789000000000,
   1789000000000, NULL, NULL, 1790009000000, 'back-1:1', 0, 1, 2, NULL, NULL, NULL, NULL, NULL,
   NULL, 1790000004000, NULL, NULL, 0, 0, NULL, NULL, '{}'),
  (5, '20260921-135320-aaaaa5', 'bad', 1, 'paused', NULL, 'rerun', NULL, 1790000001000, NULL, NULL,
   NULL, NULL, 0, 0, 0, 1, NULL, NULL, NULL, NULL, NULL, 1790000005000, 1790000005000, NULL, 0, 0,
   NULL, NULL, '{}'),
  (6, '20260921-135320-aaaaa6', 'bad', 1, 'running', 'hooks', 'job', NULL, 1790000003000, NULL,
   NULL, NULL, NULL, 0, 0, 0, 3, 1, 3, 1, 0, 'sales', 1790000006000, 1790000006000, NULL, 0, 0,
   'failed', NULL, '{}'),
  (7, '20260921-135320-aaaaa7', 'slow', 2, 'succeeded', NULL, 'catchup', 1789999000000,
   1789999000000, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL,
   1790000000100, 1790000000100, 1790000000900, 0, 0, NULL, NULL, '{}'),
  (8, '20260921-135320-aaaaa8', 'bad', 1, 'failed', NULL, 'manual', NULL, 1790000000200, NULL,
   NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 1790000000200, 1790000000200,
   1790000000300, 0, 0, NULL, NULL, '{}');
INSERT INTO run_counts (run, waiting, queued, running, retrying, deferred, held, succeeded, failed,
  skipped, upstream_failed, cancelled) VALUES
  (1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0), (2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  (3, 1, 1, 1, 0, 0, 0, 2, 2, 0, 0, 0), (4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  (5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0), (6, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
  (7, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), (8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0);

INSERT INTO task (run, task, item, state, reason, detail, attempts, counted, interrupted_at,
  interrupted_before, work, live_attempt, first_attempt, queued_at, started_at, ended_at, dismissed,
  error) VALUES
  (1, 0, -1, 'failed', 'exit', 7, 1, 1, NULL, NULL, 0, NULL, 1, 1790000001000, 1790000001000,
   1790000001500, 0, NULL),
  (1, 1, -1, 'upstream_failed', 'upstream', 0, 0, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL,
   1790000001500, 0, NULL),
  (2, 0, -1, 'cancelled', 'run_timeout', 0, 1, 1, NULL, NULL, 0, NULL, 2, 1790000002000,
   1790000002000, 1790000003000, 0, NULL),
  (3, 0, -1, 'succeeded', NULL, 0, 1, 1, NULL, NULL, 0, NULL, 3, 1790000003000, 1790000003000,
   1790000003100, 0, NULL),
  (3, 1, -1, 'running', NULL, 0, 0, 0, NULL, NULL, 0, NULL, NULL, 1790000003200, 1790000003200,
   NULL, 0, NULL),
  (3, 1, 0, 'succeeded', NULL, 0, 1, 1, NULL, NULL, 0, NULL, 4, 1790000003200, 1790000003200,
   1790000003300, 0, NULL),
  (3, 1, 1, 'failed', 'exit', 5, 2, 2, NULL, NULL, 0, NULL, 5, 1790000003200, 1790000003200,
   1790000003400, 0, NULL),
  (3, 1, 2, 'failed', 'template', 0, 1, 1, NULL, NULL, 0, NULL, 6, 1790000003200, 1790000003200,
   1790000003350, 0, 'no such key'),
  (3, 1, 3, 'running', NULL, 0, 1, 1, NULL, NULL, 0, 7, 7, 1790000003200, 1790000003200, NULL, 0,
   NULL),
  (5, 0, -1, 'retrying', 'exit', 7, 1, 1, NULL, NULL, 0, NULL, 9, 1790000005000, 1790000005000,
   NULL, 0, NULL),
  (6, 0, -1, 'held', 'lost', 3, 3, 1, 1790000006400, 1790000006300, 0, NULL, 10, 1790000006000,
   1790000006000, 1790000006500, 0, NULL),
  (7, 0, -1, 'succeeded', NULL, 0, 1, 1, NULL, NULL, 0, NULL, 13, 1790000000100, 1790000000100,
   1790000000900, 0, NULL),
  (8, 0, -1, 'failed', 'exit', 7, 1, 1, NULL, NULL, 0, NULL, 14, 1790000000200, 1790000000200,
   1790000000300, 1, NULL),
  (8, 1, -1, 'upstream_failed', 'upstream', 0, 0, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL,
   1790000000300, 0, NULL);
INSERT INTO mapped (run, task, items, complete, next_fresh, low_water, rest_state, rest_reason,
  waiting, queued, running, retrying, deferred, held, succeeded, failed, skipped, upstream_failed,
  cancelled, retries, repeat, repeat_next, source, paired)
  VALUES (3, 1, 5, 1, 4, 3, 'queued', NULL, 0, 1, 1, 0, 0, 0, 1, 2, 0, 0, 0, 1, 'none', 0, '', 0);
INSERT INTO item (run, task, first, count, bytes)
  VALUES (3, 1, 0, 5, X'026b310131026b320132026b330133026b340134026b350135');

INSERT INTO attempt (id, run, task, item, number, state, reason, exit_code, signal, worker, slot,
  started_at, ended_at, cpu_us, peak_memory_bytes, log_bytes, stays, handle, state_text, error_class,
  error_message, error_trace) VALUES
  (1, 1, 0, -1, 1, 'failed', 'exit', 7, NULL, 1, 0, 1790000001000, 1790000001500, 1687, 4096, 43, 0,
   NULL, NULL, NULL, 'no', NULL),
  (2, 2, 0, -1, 1, 'cancelled', 'run_timeout', NULL, 15, 3, 0, 1790000002000, 1790000003000, 1083,
   0, 0, 0, NULL, NULL, NULL, NULL, NULL),
  (3, 3, 0, -1, 1, 'succeeded', NULL, 0, NULL, 5, 0, 1790000003000, 1790000003100, 1026, 0, 50, 0,
   NULL, NULL, NULL, NULL, NULL),
  (4, 3, 1, 0, 1, 'succeeded', NULL, 0, NULL, 5, 0, 1790000003200, 1790000003300, 1431, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (5, 3, 1, 1, 1, 'failed', 'exit', 5, NULL, 6, 1, 1790000003200, 1790000003300, 1645, 0, 0, 0,
   NULL, NULL, 'Busy', 'try again', 'at line 1'),
  (6, 3, 1, 2, 1, 'failed', 'template', NULL, NULL, 0, 0, 1790000003200, 1790000003350, 0, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (7, 3, 1, 3, 1, 'running', NULL, NULL, NULL, 6, 3, 1790000003200, NULL, 0, 0, 0, 1, 'query-77',
   '{"at":4}', NULL, NULL, NULL),
  (8, 3, 1, 1, 2, 'failed', 'exit', 5, NULL, 5, 0, 1790000003350, 1790000003400, 1757, 0, 0, 0,
   NULL, NULL, NULL, 'exit code 5', NULL),
  (9, 5, 0, -1, 1, 'failed', 'exit', 7, NULL, 5, 0, 1790000005000, 1790000005100, 900, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (10, 6, 0, -1, 1, 'lost', 'lost', NULL, NULL, 5, 0, 1790000006000, 1790000006300, 0, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (11, 6, 0, -1, 2, 'lost', 'lost', NULL, NULL, 5, 0, 1790000006310, 1790000006400, 0, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (12, 6, 0, -1, 3, 'lost', 'lost', NULL, NULL, 5, 0, 1790000006410, 1790000006500, 0, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (13, 7, 0, -1, 1, 'succeeded', NULL, 0, NULL, 1, 0, 1790000000100, 1790000000900, 900, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL),
  (14, 8, 0, -1, 1, 'failed', 'exit', 7, NULL, 1, 0, 1790000000200, 1790000000300, 900, 0, 0, 0,
   NULL, NULL, NULL, NULL, NULL);
INSERT INTO output (run, task, item, attempt, format, bytes, file, value)
  VALUES (3, 0, -1, 1, 'json', 11, NULL, '[1,2,3,4,5]');
INSERT INTO timer (run, task, item, kind, due, due_wall, delay, boot)
  VALUES (5, 0, -1, 'retry', 86400000, 1790000065000, 60000, 1);
INSERT INTO rate (job, pool, task, at, at_wall, per, starts, boot)
  VALUES ('sales', '', 'query', 86400000, 1790000003300, 60000, '90:1 0:3', 1);
INSERT INTO event (id, at, actor, verb, job, run, task, item, text) VALUES
  (1, 1790000001000, 'ana', 'manual', 'bad', 1, NULL, NULL, NULL),
  (2, 1790000003000, 'ana', 'resume', 'sales', 3, 1, 2, 'as told'),
  (3, 1790000008000, 'ana', 'dismiss', 'bad', 8, 0, -1, NULL);
INSERT INTO doomed (run, name) VALUES (11, '20260920-135320-aaaaab');
)sql"},
    // Somebody has seen that this one failed by itself.
    {3, R"sql(
INSERT INTO run (id, name, job, version, state, reason, "trigger", logical_time, default_slots,
  priority_class, max_active, created_at, started_at, ended_at, resumes, cancel_requested, params,
  dismissed) VALUES
  (9, '20260921-135320-aaaaa9', 'slow', 2, 'failed', 'run_timeout', 'manual', 1790000009000, 0, 0,
   0, 1790000009000, 1790000009000, 1790000010000, 0, 0, '{}', 1);
INSERT INTO run_counts (run, waiting, queued, running, retrying, deferred, held, succeeded, failed,
  skipped, upstream_failed, cancelled) VALUES (9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
)sql"},
};

/// The schema of that version, as a pawl of its time made it.
std::unique_ptr<Database> make_schema(const std::string& path, int version) {
  auto database = must(Database::open(path, {}));
  must(database->exec("BEGIN"));
  for (const Migration& migration : migrations()) {
    if (migration.number <= version) must(database->exec(migration.sql));
  }
  must(database->exec(("PRAGMA application_id = " + std::to_string(kApplicationId) +
                       "; PRAGMA user_version = " + std::to_string(version))
                          .c_str()));
  must(database->exec("COMMIT"));
  return database;
}

/// A store of that version with all that a pawl of its time wrote.
void make_store(const std::string& path, int version) {
  auto database = make_schema(path, version);
  for (const Written& rows : kWritten) {
    if (rows.since <= version) must(database->exec(rows.sql));
  }
}

template <typename Pager>
auto all_of(Pager pager) {
  return must(pager.next(1000));
}

/// What `pawl failed` lists: `RUN` or `RUN/TASK:ITEM`, and why.
std::vector<std::string> failed_of(History& history) {
  std::vector<std::string> lines;
  for (const TaskView& view : all_of(history.failed({}))) {
    std::string line = view.run.substr(view.run.size() - 6);
    if (!view.is_run()) line += "/" + view.task;
    if (!view.key.empty()) line += ":" + view.key;
    lines.push_back(line + " " + std::string(to_string(view.row.reason)));
  }
  return lines;
}

const std::vector<std::string> kFailed = {"aaaaa6/a lost", "aaaaa3/query:k2 exit",
                                          "aaaaa3/query:k3 template", "aaaaa2 run_timeout",
                                          "aaaaa1/a exit"};

std::vector<std::string> open_runs_of(SqliteStore& store) {
  std::vector<std::string> names;
  must(store.load_open_runs(
      [&](RunSnapshot&& snapshot) {
        names.push_back(snapshot.run.name.substr(16) + " " +
                        std::string(to_string(snapshot.run.state)));
      },
      [](RunId, const std::string& why) { FAIL(why); }));
  return names;
}

/// One by one, as text: what no list above shows.
std::string details_of(SqliteStore& store) {
  std::string all;
  for (std::int64_t run = 1; run <= 12; ++run) {
    const auto found = must(store.load_run(RunId{run}, {true, true, true}));
    if (found) all += text(*found);
  }
  for (const RateRow& row : must(store.rates())) all += text(row) + "\n";
  for (const JobRow& row : must(store.jobs())) all += text(row) + "\n";
  return all;
}

}  // namespace

TEST_CASE("a store of every older schema is read once a scheduler has brought it up to date") {
  const int version = GENERATE(range(1, schema_version()));
  INFO("of version " << version);
  Folder folder;
  make_store(folder.store(), version);
  const auto error = History::open(folder.store()).error();
  CHECK(error.kind == ErrorKind::version);
  CHECK_THAT(error.message, Catch::Contains("Start pawl serve once"));

  auto store = open_store(folder.store());
  CHECK(open_runs_of(*store) == std::vector<std::string>{"aaaaa3 running", "aaaaa4 queued",
                                                         "aaaaa5 paused", "aaaaa6 running"});
  auto history = must(History::open(folder.store()));
  CHECK(failed_of(*history) == kFailed);
  CHECK(must(history->status()).unresolved == static_cast<std::int64_t>(kFailed.size()));
  const std::size_t runs = version < 3 ? 8 : 9;
  CHECK(all_of(history->runs({})).size() == runs);
  CHECK(all_of(history->attempts({})).size() == 14);
  CHECK(all_of(history->events({})).size() == 3);
  CHECK(must(history->item_by_key(RunId{3}, TaskIndex{1}, "k5")) == 4);
  CHECK(must(history->output({RunId{3}, TaskIndex{0}, kWhole}))->value == "[1,2,3,4,5]");
  CHECK(must(history->attempt(AttemptId{7}))->row.handle == "query-77");
  CHECK(must(history->dropped("sales", 10)).at(0).count == 4);
  CHECK(must(history->version(VersionId{3}))->hash == "f98d4112");
  const auto retry = must(store->load_run(RunId{5}, {}))->timers.at(0);
  CHECK(retry.due_wall == WallTime{1'790'000'065'000});
  CHECK(must(store->pruned(10)).at(0).run == RunId{11});
  CHECK(integrity(folder.store()) == "ok|\n");
}

TEST_CASE("what an older schema held is what today's holds of the same rows") {
  const int version = GENERATE(range(1, schema_version()));
  INFO("of version " << version);
  Folder old;
  make_store(old.store(), version);
  Folder today;
  {
    auto database = make_schema(today.store(), schema_version());
    for (const Written& rows : kWritten) {
      if (rows.since <= version) must(database->exec(rows.sql));
    }
  }
  auto migrated = open_store(old.store());
  CHECK(details_of(*migrated) == details_of(*open_store(today.store())));
  CHECK(dump(old.store()) == dump(today.store()));
}

TEST_CASE("a store of every older schema goes on where it was") {
  const int version = GENERATE(range(1, schema_version()));
  INFO("of version " << version);
  Folder folder;
  make_store(folder.store(), version);
  auto store = open_store(folder.store());
  const StoreCounters counters = must(store->begin_epoch("this-boot"));
  CHECK(counters.run == RunId{12});
  CHECK(counters.attempt == AttemptId{41});
  CHECK(counters.version == VersionId{3});
  CHECK(counters.worker == WorkerId{6});
  CHECK(counters.epoch == Epoch{8});
  // Keys of work that began before homes had an id stay as they are.
  CHECK(must(store->home_id()).after == RunId{version < 4 ? 12 : 0});
  CHECK(must(store->next_worker(WorkerId{0})) == WorkerId{7});

  // The attempt that was running fails; another run begins.
  const auto before = *must(store->load_run(RunId{3}, {}));
  TaskRow task = before.mapped.at(0).open_items.at(0);
  REQUIRE(before.live_attempts.size() == 1);
  AttemptRow attempt = before.live_attempts.at(0);
  must(store->apply(
      Mutations{mutation::UpdateTask{task.state, task.live_attempt,
                                     ended(task, TaskState::failed, Reason::exit, at(9))},
                mutation::UpdateAttempt{attempt.state,
                                        ended(attempt, AttemptState::failed, Reason::exit, at(9))},
                mutation::InsertRun{run_row(13)}, mutation::InsertTask{running(13, 0, -1, 42)},
                mutation::InsertAttempt{attempt_row(42, {RunId{13}, TaskIndex{0}, kWhole})}}));
  auto history = must(History::open(folder.store()));
  std::vector<std::string> failed = kFailed;
  failed.insert(failed.begin(), "aaaaa3/query:k4 exit");
  CHECK(failed_of(*history) == failed);
  CHECK(must(store->load_run(RunId{13}, {}))->live_attempts.size() == 1);
  // What goes by retention takes its rows along, whoever wrote them.
  PruneRequest all;
  all.ended_before = at(86'400);
  all.now = at(86'400);
  while (must(store->prune(all)).more) {
  }
  CHECK(open_runs_of(*store).size() == 5);
  CHECK(must(store->load_run(RunId{7}, {})) == std::nullopt);
  CHECK(integrity(folder.store()) == "ok|\n");
}

TEST_CASE("from every older schema a kill at any statement leaves what was there") {
  const int version = GENERATE(range(1, schema_version()));
  INFO("of version " << version);
  Folder whole;
  make_store(whole.store(), version);
  const std::string rows = dump(whole.store());
  int statements = 0;
  must(migrate(*must(Database::open(whole.store(), {})), [&](int) { ++statements; }));
  REQUIRE(statements > 0);
  for (int kill_at = 0; kill_at < statements; ++kill_at) {
    Folder folder;
    make_store(folder.store(), version);
    const int code = in_child([&] {
      auto database = must(Database::open(folder.store(), {}));
      int seen = 0;
      must(migrate(*database, [&](int) {
        if (seen++ == kill_at) _exit(17);
      }));
    });
    REQUIRE(code == 17);
    {
      auto database = must(Database::open(folder.store(), {}));
      CHECK(must(database->integer("PRAGMA user_version")) == version);
    }
    CHECK(dump(folder.store()) == rows);
    open_store(folder.store()).reset();
    CHECK(dump(folder.store()) == dump(whole.store()));
  }
}

TEST_CASE("a write of a run's state makes no table of its own") {
  Folder folder;
  auto database = make_schema(folder.store(), schema_version());
  for (const char* sql : {"EXPLAIN UPDATE run SET state = 'running' WHERE id = 1",
                          "EXPLAIN UPDATE task SET state = 'failed' WHERE run = 1"}) {
    INFO(sql);
    Statement steps(*database, sql);
    int count = 0;
    for (; steps.step(); ++count) CHECK(steps.text(1) != "OpenEphemeral");
    REQUIRE(steps.ok());
    CHECK(count > 10);
  }
}

}  // namespace pawl::test
