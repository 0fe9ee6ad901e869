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
  Statement ids(*database_,
                "SELECT id, name FROM run WHERE " PAWL_RUN_IS_OPEN("state") " ORDER BY id");
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
  return read_rows(*database_, query, "reading the rates",
                   [this](RowReader& reader) { return read_rate(reader, boot_); });
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
  return read_row(*database_, query.bind(value), "looking for a run", read_run);
}

Result<std::optional<JobVersionRow>> SqliteStore::version(VersionId id) {
  Statement query(*database_, "SELECT " PAWL_VERSION_COLUMNS " FROM job_version WHERE id = ?");
  return read_row(*database_, query.bind(id), "reading a job's definition", read_version);
}

Result<std::optional<JobVersionRow>> SqliteStore::version_by_hash(std::string_view job,
                                                                  std::string_view hash) {
  Statement query(*database_,
                  "SELECT " PAWL_VERSION_COLUMNS " FROM job_version WHERE job = ? AND hash = ?");
  return read_row(*database_, query.bind(job, hash), "reading a job's definition", read_version);
}

Result<std::vector<JobRow>> SqliteStore::jobs() {
  Statement query(*database_, "SELECT " PAWL_JOB_COLUMNS " FROM job ORDER BY name");
  return read_rows(*database_, query, "reading the jobs", read_job);
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
                  "SELECT logical_time, state FROM run INDEXED BY run_fire WHERE job = ? AND "
                  "(scheduled_for IS NOT NULL OR \"trigger\" = 'backfill' OR "
                  "\"trigger\" = 'rerun') AND "
                  "logical_time >= ? AND logical_time < ? ORDER BY id");
  query.bind(job, from, to);
  return read_rows(*database_, query, "reading the runs of a schedule", [](RowReader& reader) {
    const WallTime fire = reader.time();
    return FireRun{fire, reader.word(run_state_from)};
  });
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
