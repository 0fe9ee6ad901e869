// What SqliteStore reads back: runs as snapshots, versions, jobs.

#include "storage/rows_sql.h"
#include "storage/snapshot.h"
#include "storage/sqlite_store.h"

namespace pawl {

Result<void> SqliteStore::load_open_runs(const std::function<void(RunSnapshot&&)>& each,
                                         const std::function<void(RunId, std::string)>& bad) {
  std::vector<RunId> open;
  Statement ids(*database_,
                "SELECT id FROM run WHERE state IN ('queued', 'running', 'paused') ORDER BY id");
  while (ids.step()) open.push_back(RunId{ids.integer(0)});
  if (!ids.ok()) return database_->error("reading the open runs");
  ids.reset();

  SnapshotLoader loader(*database_, boot_);
  for (RunId run : open) {
    std::string why;
    auto snapshot = loader.load(run, {}, why);
    if (!snapshot) return std::move(snapshot).error();
    if (*snapshot) {
      each(std::move(**snapshot));
    } else {
      bad(run, why);
    }
  }
  return {};
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
  return run_where("r.name = ?", name);
}

Result<std::optional<RunRow>> SqliteStore::run_by_request(std::string_view request_id) {
  return run_where("r.request_id = ?", request_id);
}

Result<std::optional<RunRow>> SqliteStore::run_where(const char* condition,
                                                     std::string_view value) {
  const std::string sql =
      std::string("SELECT " PAWL_RUN_COLUMNS
                  " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id WHERE ") +
      condition;
  Statement query(*database_, sql);
  std::optional<RunRow> row;
  RowReader reader(query);
  if (query.bind(value).step()) row = read_run(reader);
  if (!query.ok()) return database_->error("looking for a run");
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

}  // namespace pawl
