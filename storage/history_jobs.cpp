// Jobs, their versions, and the numbers of `pawl status`.

#include <sys/stat.h>

#include <algorithm>

#include "storage/history_sql.h"
#include "storage/rows_sql.h"

namespace pawl {
namespace {

constexpr std::int64_t kDurationsRead = 20;
constexpr std::size_t kDurationsNeeded = 3;

std::int64_t file_size(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_size) : 0;
}

}  // namespace

Result<JobView> History::job_view(JobRow row) {
  JobView view;
  Query last("SELECT " PAWL_RUN_COLUMNS
             " FROM run AS r LEFT JOIN run_counts AS c ON c.run = r.id ");
  last.add("WHERE r.job = ? ORDER BY r.id DESC LIMIT 1", row.name);
  Statement run = last.prepare(*database_);
  if (run.step()) {
    RowReader reader(run);
    view.last_run = read_run(reader);
  }
  if (!run.ok()) return error();
  Statement labels(*database_, "SELECT labels FROM job_version WHERE id = ?");
  if (labels.bind(row.version).step()) view.labels = labels_of(labels.text(0));
  if (!labels.ok()) return error();
  Statement dropped(*database_, "SELECT coalesce(sum(count), 0) FROM dropped_fire WHERE job = ?");
  if (dropped.bind(row.name).step()) view.dropped = dropped.integer(0);
  if (!dropped.ok()) return error();
  view.row = std::move(row);
  return view;
}

Result<std::vector<DroppedRow>> History::dropped(std::string_view job, std::size_t limit) {
  Statement query(*database_, "SELECT " PAWL_DROPPED_COLUMNS
                              " FROM dropped_fire WHERE job = ? ORDER BY id DESC LIMIT ?");
  query.bind(job, static_cast<std::int64_t>(limit));
  std::vector<DroppedRow> rows;
  while (query.step()) {
    RowReader reader(query);
    rows.push_back(read_dropped(reader));
  }
  if (!query.ok()) return error();
  return rows;
}

Result<std::vector<JobView>> History::jobs() {
  ReadTransaction transaction(*database_);
  // A file that never held a job and is gone has left nothing to tell of.
  Statement query(*database_, "SELECT " PAWL_JOB_COLUMNS
                              " FROM job WHERE removed = 0 OR version IS NOT NULL OR "
                              "quarantined IS NOT NULL ORDER BY name");
  std::vector<JobRow> rows;
  while (query.step()) {
    RowReader reader(query);
    rows.push_back(read_job(reader));
  }
  if (!query.ok()) return error();
  query.reset();
  std::vector<JobView> views;
  for (JobRow& row : rows) {
    auto view = job_view(std::move(row));
    if (!view) return std::move(view).error();
    views.push_back(std::move(*view));
  }
  return views;
}

Result<std::optional<JobView>> History::job(std::string_view name) {
  ReadTransaction transaction(*database_);
  Statement query(*database_, "SELECT " PAWL_JOB_COLUMNS " FROM job WHERE name = ?");
  std::optional<JobView> found;
  if (query.bind(name).step()) {
    RowReader reader(query);
    auto view = job_view(read_job(reader));
    if (!view) return std::move(view).error();
    found = std::move(*view);
  }
  if (!query.ok()) return error();
  return found;
}

Result<std::optional<JobVersionRow>> History::version(VersionId id) {
  Statement query(*database_, "SELECT " PAWL_VERSION_COLUMNS " FROM job_version WHERE id = ?");
  std::optional<JobVersionRow> row;
  if (query.bind(id).step()) {
    RowReader reader(query);
    row = read_version(reader);
  }
  if (!query.ok()) return error();
  return row;
}

Result<std::vector<JobVersionRow>> History::versions(std::string_view job, std::size_t limit) {
  Statement query(*database_,
                  "SELECT id, job, hash, '', folder, created_at FROM job_version WHERE job = ? "
                  "ORDER BY id DESC LIMIT ?");
  query.bind(job, static_cast<std::int64_t>(limit));
  std::vector<JobVersionRow> rows;
  while (query.step()) {
    RowReader reader(query);
    rows.push_back(read_version(reader));
  }
  if (!query.ok()) return error();
  return rows;
}

Result<StatusNumbers> History::status() {
  ReadTransaction transaction(*database_);
  StatusNumbers numbers;
  Statement runs(*database_, "SELECT state, count(*) FROM run GROUP BY state");
  while (runs.step()) {
    if (auto state = run_state_from(runs.text(0))) numbers.runs[*state] = runs.integer(1);
  }
  if (!runs.ok()) return error();

  Statement tasks(*database_,
                  "SELECT sum(c.waiting), sum(c.queued), sum(c.running), sum(c.retrying), "
                  "sum(c.deferred), sum(c.held), sum(c.succeeded), sum(c.failed), sum(c.skipped), "
                  "sum(c.upstream_failed), sum(c.cancelled) "
                  "FROM run AS r INDEXED BY run_open JOIN run_counts AS c ON c.run = r.id "
                  "WHERE " PAWL_RUN_IS_OPEN("r.state"));
  if (tasks.step()) {
    RowReader reader(tasks);
    numbers.open_tasks = read_counts(reader);
  }
  if (!tasks.ok()) return error();

  struct Number {
    std::int64_t& to;
    const char* sql;
  };
  std::int64_t pages = 0;
  std::int64_t free_pages = 0;
  std::int64_t page_size = 0;
  const Number parts[] = {
      {numbers.jobs, "SELECT count(*) FROM job WHERE removed = 0"},
      {numbers.paused_jobs, "SELECT count(*) FROM job WHERE removed = 0 AND paused <> 0"},
      {numbers.quarantined_jobs,
       "SELECT count(*) FROM job WHERE removed = 0 AND quarantined IS NOT NULL"},
      {numbers.doomed_runs, "SELECT count(*) FROM doomed"},
      {numbers.epoch.value, "SELECT value FROM counter WHERE name = 'epoch'"},
      {pages, "PRAGMA page_count"},
      {free_pages, "PRAGMA freelist_count"},
      {page_size, "PRAGMA page_size"},
  };
  for (const Number& part : parts) {
    auto value = database_->integer(part.sql);
    if (!value) return std::move(value).error();
    part.to = *value;
  }
  FailedSummary failed;
  std::set<RunId> failed_runs;
  if (auto counted = count_failed({}, failed, failed_runs); !counted) return counted.error();
  numbers.unresolved = failed.failed + failed.held;
  numbers.store_bytes = pages * page_size;
  numbers.free_bytes = free_pages * page_size;
  numbers.wal_bytes = file_size(database_->path() + "-wal");
  return numbers;
}

Result<std::optional<Duration>> History::usual_duration(const RunRow& run, TaskIndex task) {
  Statement query(*database_,
                  "SELECT t.ended_at - t.started_at FROM run AS r JOIN task AS t ON t.run = r.id "
                  "WHERE r.job = ? AND r.id < ? AND t.task = ? AND t.item = -1 AND "
                  "t.state = 'succeeded' AND t.started_at IS NOT NULL AND t.ended_at IS NOT NULL "
                  "ORDER BY r.id DESC LIMIT ?");
  query.bind(run.job, run.id, task, kDurationsRead);
  std::vector<std::int64_t> durations;
  while (query.step()) durations.push_back(query.integer(0));
  if (!query.ok()) return error();
  if (durations.size() < kDurationsNeeded) return std::optional<Duration>();
  auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  return std::optional<Duration>(Duration(*middle));
}

}  // namespace pawl
