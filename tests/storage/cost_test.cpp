// What a start and a task cost the store does not grow with what it remembers: counted in the steps
// of SQLite's machine, which are the same at each run.

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "support.h"

namespace pawl::test {
namespace {

/// Ended runs of the job, each with three tasks and their attempts, one of them failed, and an
/// event.
void add_history(SqliteStore& store, std::int64_t runs) {
  const std::string numbers =
      "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n "
      "WHERE i + 1 < 1000 + " +
      std::to_string(runs) + ") ";
  for (const std::string& insert :
       {std::string(
            R"(INSERT INTO run (id, name, job, version, state, "trigger", logical_time,
            scheduled_for, request_id, default_slots, priority_class, max_active, created_at,
            started_at, ended_at, resumes, cancel_requested, params)
            SELECT i, 'run-' || i, 'sales', 1, iif(i % 7, 'succeeded', 'failed'), 'schedule', i, i,
              'request-' || i, 0, 0, 0, i, i, i, 0, 0, '{}' FROM n)"),
        std::string("INSERT INTO run_counts SELECT i,0,0,0,0,0,0,3,0,0,0,0 FROM n"),
        std::string(R"(INSERT INTO task SELECT i, task, -1, iif(i % 7, 'succeeded', 'failed'), NULL,
            0, 1, 1, NULL, NULL, 0, NULL, 10 * i + task, i, i, i, 0, NULL
            FROM n, (SELECT 0 AS task UNION SELECT 1 UNION SELECT 2))"),
        std::string(R"(INSERT INTO attempt SELECT 10 * i + task, i, task, -1, 1, 'succeeded', NULL,
            0, NULL, 1, 0, i, i, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0
            FROM n, (SELECT 0 AS task UNION SELECT 1 UNION SELECT 2))"),
        std::string("INSERT INTO event SELECT i, i, 'ana', 'manual', 'sales', i, NULL, NULL, NULL "
                    "FROM n")}) {
    const std::size_t at = insert.find("SELECT");
    must(store.database().exec((insert.substr(0, at) + numbers + insert.substr(at)).c_str()));
  }
}

/// Counts the steps of statements while it lives.
class Steps {
 public:
  explicit Steps(SqliteStore& store) : database_(store.database().handle()) {
    sqlite3_progress_handler(
        database_, 1, [](void* count) { return ++*static_cast<std::int64_t*>(count), 0; }, &count_);
  }
  ~Steps() { sqlite3_progress_handler(database_, 0, nullptr, nullptr); }
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  std::int64_t count() const { return count_; }

 private:
  sqlite3* database_;
  std::int64_t count_ = 0;
};

struct Cost {
  std::int64_t start = 0;  ///< of a scheduler: counters, open runs, rates, jobs
  std::int64_t run = 0;    ///< it is accepted, its tasks start and end, and it ends
  std::int64_t looks = 0;  ///< by name, by request, at a definition, at one run
};

Cost cost_beside(std::int64_t old_runs) {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(Mutations{mutation::InsertVersion{version_row()}}));
  add_history(*store, old_runs);
  must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
  Cost cost;
  {
    const Steps steps(*store);
    must(store->begin_epoch("boot"));
    must(store->load_open_runs([](RunSnapshot&&) {}, [](RunId, const std::string&) {}));
    must(store->rates());
    must(store->jobs());
    cost.start = steps.count();
  }
  {
    const Steps steps(*store);
    must(store->apply(Mutations{mutation::InsertRun{run_row(2)}}));
    for (std::uint32_t task = 0; task < 3; ++task) {
      const TaskRow row = running(2, task, -1, 1 + task);
      must(store->apply(start_of(row)));
      must(store->apply(
          end_of(row, task == 2 ? TaskState::failed : TaskState::succeeded, Reason::exit)));
    }
    RunRow run = run_row(2);
    run.state = RunState::failed;
    run.ended_at = at(20);
    must(store->apply(Mutations{mutation::UpdateRun{RunState::running, run},
                                mutation::SetRunCounts{run.id, {0, 0, 0, 0, 0, 0, 2, 1}}}));
    cost.run = steps.count();
  }
  {
    const Steps steps(*store);
    must(store->run_by_name(run_row(2).name));
    must(store->run_by_request("no-such-request"));
    must(store->version(VersionId{1}));
    must(store->load_run(RunId{2}, {true, true, true}));
    must(store->fires_with_run("sales", at(0)));
    cost.looks = steps.count();
  }
  return cost;
}

}  // namespace

TEST_CASE(
    "a start, a run and a look cost the store the same beside ten old runs and ten thousand") {
  const Cost few = cost_beside(10);
  const Cost many = cost_beside(10'000);
  CHECK(few.start > 0);
  CHECK(many.start == few.start);
  CHECK(few.run > 0);
  CHECK(many.run == few.run);
  CHECK(few.looks > 0);
  CHECK(many.looks == few.looks);
}

TEST_CASE("a step of pruning does not look again at what has only files left") {
  const auto cost = [](int count) {
    Folder folder;
    auto store = open_store(folder.store());
    for (int run = 1; run <= count; ++run) {
      const std::string id = std::to_string(run);
      must(store->database().exec(
          ("INSERT INTO doomed VALUES (" + id + ", 'run-" + id + "')").c_str()));
    }
    PruneRequest request;
    request.now = at(0);
    request.with_rows = must(store->prune(request)).with_rows;
    const Steps steps(*store);
    CHECK_FALSE(must(store->prune(request)).more);
    return steps.count();
  };
  CHECK(cost(300) == cost(3));
}

}  // namespace pawl::test
