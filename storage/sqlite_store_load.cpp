// What SqliteStore reads back: runs as snapshots, versions, jobs.

#include <string>
#include <utility>
#include <vector>

#include "storage/rows_sql.h"
#include "storage/snapshot.h"
#include "storage/sqlite_store.h"
#include "storage/sqlite_store_statements.h"
#include "storage/statement.h"

namespace pawl {

Result<void> SqliteStore::load_open_runs(const std::function<void(RunSnapshot&&)>& each,
                                         const std::function<void(RunId, std::string)>& bad) {
  std::vector<std::pair<RunId, std::string>> open;
  Statement ids(
      *database_,
      "SELECT id, name FROM run WHERE state IN ('queued', 'running', 'paused') ORDER BY id");
  while (ids.step()) open.emplace_back(RunId{ids.integer(0)}, ids.text(1));
  if (!ids.ok()) return database_->error("reading the open runs");
  ids.reset();

  SnapshotLoader loader(*database_, boot_);
  for (const auto& [run, name] : open) {
    std::string why;
    auto snapshot = loader.load(run, {}, why);
    if (!snapshot) return std::move(snapshot).error();
    if (*snapshot) {
      each(std::move(**snapshot));
    } else {
      bad(run, "run " + name + ": " + why);
    }
  }
  return {};
}

Result<std::vector<RateRow>> SqliteStore::rates() {
  Statement query(*database_, "SELECT " PAWL_RATE_COLUMNS " FROM rate ORDER BY job, pool, task");
  std::vector<RateRow> rows;
  while (query.step()) {
    RowReader reader(query);
    rows.push_back(read_rate(reader, boot_));
    if (!reader.good()) return Error{ErrorKind::storage, "reading the rates: " + reader.bad()};
  }
  if (!query.ok()) return database_->error("reading the rates");
  return rows;
}

Result<std::optional<RunSnapshot>> SqliteStore::load_run(RunId run, LoadOptions options) {
  SnapshotLoader loader(*database_, boot_);
  std::string why;
  auto snapshot = loader.load(run, options, why);
  if (snapshot && !*snapshot && !why.empty()) {
    return Error{ErrorKind::storage, "reading run " + std::to_string(run.value) + ": " + why +
                                         ". pawl doctor says more"};
  }
  return snapshot;
}

Result<std::optional<RunRow>> SqliteStore::run_by_name(std::string_view name) {
  return find_run(statements_->run_by_name, name);
}

Result<std::optional<RunRow>> SqliteStore::run_by_request(std::string_view request_id) {
  return find_run(statements_->run_by_request, request_id);
}

Result<std::optional<RunRow>> SqliteStore::find_run(Statement& query, std::string_view value) {
  std::optional<RunRow> row;
  RowReader reader(query);
  if (query.bind(value).step()) row = read_run(reader);
  const bool is_read = query.ok();
  query.reset();  // in the midst of its rows it would hold the write-ahead log
  if (!is_read) return database_->error("looking for a run");
  if (!reader.good()) return Error{ErrorKind::storage, "looking for a run: " + reader.bad()};
  return row;
}

Result<std::optional<JobVersionRow>> SqliteStore::version(VersionId id) {
  Statement query(*database_, "SELECT " PAWL_VERSION_COLUMNS " FROM job_version WHERE id = ?");
  std::optional<JobVersionRow> row;
  RowReader reader(query);
  if (query.bind(id).step()) row = read_version(reader);
  if (!query.ok()) return database_->error("reading a job's definition");
  return row;
}

Result<std::optional<JobVersionRow>> SqliteStore::version_by_hash(std::string_view job,
                                                                  std::string_view hash) {
  Statement query(*database_,
                  "SELECT " PAWL_VERSION_COLUMNS " FROM job_version WHERE job = ? AND hash = ?");
  std::optional<JobVersionRow> row;
  RowReader reader(query);
  if (query.bind(job, hash).step()) row = read_version(reader);
  if (!query.ok()) return database_->error("reading a job's definition");
  return row;
}

Result<std::vector<JobRow>> SqliteStore::jobs() {
  Statement query(*database_, "SELECT " PAWL_JOB_COLUMNS " FROM job ORDER BY name");
  std::vector<JobRow> rows;
  while (query.step()) {
    RowReader reader(query);
    rows.push_back(read_job(reader));
  }
  if (!query.ok()) return database_->error("reading the jobs");
  return rows;
}

Result<std::vector<WallTime>> SqliteStore::fires_with_run(std::string_view job, WallTime after) {
  Statement query(*database_,
                  "SELECT scheduled_for FROM run INDEXED BY run_scheduled "
                  "WHERE job = ? AND scheduled_for > ? ORDER BY scheduled_for");
  query.bind(job, after);
  std::vector<WallTime> fires;
  while (query.step()) fires.push_back({query.integer(0)});
  if (!query.ok()) return database_->error("reading the runs of a schedule");
  return fires;
}

Result<std::vector<FireRun>> SqliteStore::runs_of_fires(std::string_view job, WallTime from,
                                                        WallTime to) {
  Statement query(*database_,
                  "SELECT logical_time, state FROM run WHERE job = ? AND "
                  "(scheduled_for IS NOT NULL OR \"trigger\" IN ('backfill', 'rerun')) AND "
                  "logical_time >= ? AND logical_time < ? ORDER BY id");
  query.bind(job, from, to);
  std::vector<FireRun> runs;
  while (query.step()) {
    RowReader reader(query);
    const WallTime fire = reader.time();
    runs.push_back({fire, reader.word(run_state_from)});
  }
  if (!query.ok()) return database_->error("reading the runs of a schedule");
  return runs;
}

Result<std::vector<std::string>> SqliteStore::runs_of_request(std::string_view prefix) {
  // Whatever begins with `PREFIX:` lies between that and `PREFIX;`.
  const std::string first = std::string(prefix) + ":";
  const std::string last = std::string(prefix) + ";";
  Statement query(*database_,
                  "SELECT name FROM run INDEXED BY run_request WHERE request_id IS NOT NULL AND "
                  "request_id >= ? AND request_id < ? ORDER BY id");
  query.bind(first, last);
  std::vector<std::string> names;
  while (query.step()) names.emplace_back(query.text(0));
  if (!query.ok()) return database_->error("looking for runs");
  return names;
}

}  // namespace pawl
