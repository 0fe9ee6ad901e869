#include "storage/retention.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "storage/history_sql.h"
#include "storage/rows_sql.h"
#include "storage/statement.h"

namespace pawl {
namespace {

constexpr std::int64_t kDayMs = 24 * 3'600'000;
constexpr std::int64_t kRunsPerStep = 100;
constexpr std::int64_t kChunksPerStep = 16;  // of items: each may have megabytes

struct Table {
  const char* remove;  // ?1 run, ?2 rows at most
  std::int64_t divisor;
};

// The rows of a run, in an order in which what is left can still be found.
constexpr Table kTables[] = {
    {"DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE run = ?1 AND number > 1 LIMIT "
     "?2)",
     1},
    {"DELETE FROM output WHERE run = ?1 AND (task, item) IN "
     "(SELECT task, item FROM output WHERE run = ?1 LIMIT ?2)",
     1},
    {"DELETE FROM timer WHERE run = ?1 AND (task, item, kind) IN "
     "(SELECT task, item, kind FROM timer WHERE run = ?1 LIMIT ?2)",
     1},
    {"DELETE FROM event WHERE id IN (SELECT id FROM event WHERE run = ?1 LIMIT ?2)", 1},
    {"DELETE FROM item WHERE run = ?1 AND (task, first) IN "
     "(SELECT task, first FROM item WHERE run = ?1 LIMIT ?2)",
     0},
    {"DELETE FROM mapped WHERE run = ?1 AND task IN "
     "(SELECT task FROM mapped WHERE run = ?1 LIMIT ?2)",
     1},
};

constexpr const char* kFirstAttempts =
    "DELETE FROM attempt WHERE run = ?1 AND id IN "
    "(SELECT first_attempt FROM task WHERE run = ?1 ORDER BY task, item LIMIT ?2)";
constexpr const char* kTasks =
    "DELETE FROM task WHERE run = ?1 AND (task, item) IN "
    "(SELECT task, item FROM task WHERE run = ?1 ORDER BY task, item LIMIT ?2)";

constexpr const char* kHasRows =
    "EXISTS (SELECT 1 FROM task WHERE run = d.run) OR "
    "EXISTS (SELECT 1 FROM attempt WHERE run = d.run AND number > 1) OR "
    "EXISTS (SELECT 1 FROM output WHERE run = d.run) OR "
    "EXISTS (SELECT 1 FROM timer WHERE run = d.run) OR "
    "EXISTS (SELECT 1 FROM event WHERE run = d.run) OR "
    "EXISTS (SELECT 1 FROM item WHERE run = d.run) OR "
    "EXISTS (SELECT 1 FROM mapped WHERE run = d.run)";

class Pruner {
 public:
  Pruner(Database& database, const PruneRequest& request) : database_(database), request_(request) {
    if (request.with_rows) step_.with_rows = *request.with_rows;
  }

  /// False when the database failed.
  bool run() {
    if (!delete_rows()) return false;
    if (step_.rows > 0) {
      step_.more = true;
      return true;
    }
    if (!take_away()) return false;
    if (step_.runs > 0) {
      step_.more = true;
      return true;
    }
    return delete_old("event", "run IS NULL AND at < ?") && delete_old("dropped_fire", "at < ?") &&
           (step_.more || delete_versions());
  }

  /// Names of the runs that `run` would take away in all its steps; nothing when the database
  /// failed.
  std::optional<std::vector<std::string>> names() {
    std::vector<std::string> jobs;
    if (!read_jobs(jobs)) return std::nullopt;
    std::vector<std::string> names;
    for (const std::string& job : jobs) {
      std::vector<PrunedRun> runs;
      if (!choose(job, INT64_MAX, runs)) return std::nullopt;
      for (PrunedRun& run : runs) names.push_back(std::move(run.name));
    }
    return names;
  }

  PruneStep step() const { return step_; }

 private:
  /// Rows of a doomed run that has some.
  bool delete_rows() {
    if (!request_.with_rows && !find_rows()) return false;
    Statement has(database_, std::string("SELECT 1 FROM (SELECT ? AS run) AS d WHERE ") + kHasRows);
    std::vector<RunId>& runs = step_.with_rows;
    while (!runs.empty() && !has.bind(runs.back()).step()) {
      if (!has.ok()) return false;
      has.reset();
      runs.pop_back();
    }
    if (runs.empty()) return true;
    has.reset();
    const std::int64_t run = runs.back().value;
    std::int64_t left = request_.rows_max;
    for (const Table& table : kTables) {
      if (left <= 0) return true;
      const std::int64_t limit = table.divisor == 0 ? kChunksPerStep : left;
      if (!remove(table.remove, run, limit)) return false;
      left = request_.rows_max - step_.rows;
    }
    // The first attempts are found through the tasks, so both go in one transaction.
    if (left <= 1) return true;
    return remove(kFirstAttempts, run, left / 2) && remove(kTasks, run, left / 2);
  }

  /// Of all that are doomed: many of them may have nothing left but files.
  bool find_rows() {
    Statement all(database_, std::string("SELECT d.run FROM doomed AS d WHERE ") + kHasRows +
                                 " ORDER BY d.run DESC");
    while (all.step()) step_.with_rows.push_back(RunId{all.integer(0)});
    return all.ok();
  }

  bool remove(const char* sql, std::int64_t run, std::int64_t limit) {
    Statement statement(database_, sql);
    if (!statement.bind(run, limit).run()) return false;
    step_.rows += database_.changes();
    return true;
  }

  bool read_jobs(std::vector<std::string>& jobs) {
    Statement names(database_, "SELECT DISTINCT job FROM run ORDER BY job");
    while (names.step()) jobs.emplace_back(names.text(0));
    return names.ok();
  }

  bool take_away() {
    std::vector<std::string> jobs;
    if (!read_jobs(jobs)) return false;
    Statement doom(database_, "INSERT INTO doomed SELECT id, name FROM run WHERE id = ?");
    Statement remove_run(database_, "DELETE FROM run WHERE id = ?");
    Statement remove_counts(database_, "DELETE FROM run_counts WHERE run = ?");
    for (const std::string& job : jobs) {
      std::vector<PrunedRun> runs;
      if (!choose(job, kRunsPerStep - step_.runs, runs)) return false;
      for (const auto& [run, name] : runs) {
        if (!doom.bind(run).run() || !remove_run.bind(run).run() ||
            !remove_counts.bind(run).run()) {
          return false;
        }
        ++step_.runs;
        step_.with_rows.push_back(run);
      }
      if (step_.runs >= kRunsPerStep) break;
    }
    return true;
  }

  /// At most `limit` ended runs of a job, oldest first, that nothing keeps.
  bool choose(const std::string& job, std::int64_t limit, std::vector<PrunedRun>& chosen) {
    auto own = request_.jobs.find(job);
    const Retention keep = own == request_.jobs.end() ? request_.keep : own->second;
    std::int64_t oldest_kept = 0;  // by number: ids up to this one are too many
    if (keep.runs > 0 && !request_.ended_before) {
      Statement rank(database_,
                     "SELECT id FROM run WHERE job = ? ORDER BY id DESC LIMIT 1 OFFSET ?");
      if (rank.bind(job, keep.runs).step()) oldest_kept = rank.integer(0);
      if (!rank.ok()) return false;
    }
    const std::int64_t kept_since =
        keep.days > 0 ? request_.now.ms - keep.days * kDayMs : INT64_MIN;
    const std::int64_t cut = request_.ended_before ? request_.ended_before->ms : kept_since;
    const std::int64_t unresolved_cut = request_.now.ms - request_.unresolved_days * kDayMs;
    Statement old(database_,
                  "SELECT id, ended_at, name FROM run WHERE job = ? AND "
                  "state IN ('succeeded', 'failed', 'cancelled') AND "
                  "(id <= ? OR ended_at < ?) AND "
                  // Whoever waits for a run of its own has yet to be told how that ended.
                  "(parent_task IS NULL OR NOT EXISTS (SELECT 1 FROM run AS p "
                  "WHERE p.id = run.parent AND " PAWL_RUN_IS_OPEN("p.state") ")) "
                  "ORDER BY id");
    old.bind(job, oldest_kept, cut);
    while (old.step()) {
      const std::int64_t run = old.integer(0);
      const bool is_recent = old.integer(1) >= unresolved_cut;
      if (request_.only && !request_.only->contains(old.text(2))) continue;
      if (std::find(request_.busy.begin(), request_.busy.end(), RunId{run}) !=
          request_.busy.end()) {
        continue;
      }
      bool keeps = false;
      if (is_recent && !has_unresolved(run, keeps)) return false;
      if (keeps) continue;
      chosen.push_back({RunId{run}, std::string(old.text(2))});
      if (static_cast<std::int64_t>(chosen.size()) >= limit) return true;
    }
    return old.ok();
  }

  /// Whether `pawl failed` tells of the run or of a task of it.
  bool has_unresolved(std::int64_t run, bool& found) {
    found = false;
    Statement counts(database_,
                     "SELECT " PAWL_RUN_IS_UNRESOLVED
                     " FROM run AS r JOIN run_counts AS c ON c.run = r.id "
                     "WHERE r.id = ? AND (r.state = 'failed' OR c.failed > 0 OR c.held > 0)");
    if (!counts.bind(run).step()) return counts.ok();
    found = counts.integer(0) != 0;
    if (found) return true;
    Statement rows(database_, "SELECT 1 FROM task AS t WHERE t.run = ? AND " PAWL_TASK_IS_UNRESOLVED
                              " AND NOT " PAWL_TASK_IS_FORGIVEN " LIMIT 1");
    found = rows.bind(run).step();
    return rows.ok();
  }

  /// Rows of no run that are older than events are kept.
  bool delete_old(const std::string& table, const std::string& condition) {
    Statement statement(database_, "DELETE FROM " + table + " WHERE id IN (SELECT id FROM " +
                                       table + " WHERE " + condition + " ORDER BY id LIMIT ?)");
    const std::int64_t cut = request_.now.ms - request_.event_days * kDayMs;
    if (!statement.bind(cut, request_.rows_max).run()) return false;
    step_.rows += database_.changes();
    step_.more = step_.more || database_.changes() == request_.rows_max;
    return true;
  }

  /// Definitions that no run and no job names any more, those of one after the other.
  bool delete_versions() {
    if (!request_.versions_in_use) return true;
    std::map<std::string, std::vector<std::int64_t>> old;
    Statement query(database_,
                    "SELECT v.job, v.id FROM job_version AS v WHERE NOT EXISTS "
                    "(SELECT 1 FROM job AS j WHERE j.name = v.job AND j.version = v.id)");
    while (query.step()) {
      const auto& used = *request_.versions_in_use;
      const VersionId id{query.integer(1)};
      if (!std::binary_search(used.begin(), used.end(), id))
        old[std::string(query.text(0))].push_back(id.value);
    }
    if (!query.ok()) return false;
    query.reset();
    for (const auto& [job, versions] : old) {
      if (!delete_versions_of(job, versions)) return false;
      if (step_.more) return true;
    }
    return true;
  }

  /// Of a job those of `versions` that no run of it has: a look at each run, not one for each
  /// version.
  bool delete_versions_of(const std::string& job, const std::vector<std::int64_t>& versions) {
    std::set<std::int64_t> unused(versions.begin(), versions.end());
    Statement runs(database_, "SELECT version FROM run WHERE job = ?");
    runs.bind(job);
    while (!unused.empty() && runs.step()) unused.erase(runs.integer(0));
    if (!runs.ok()) return false;
    runs.reset();
    // Each with its names in one step: a definition that is found must have them.
    Statement count(database_, "SELECT count(*) + 1 FROM version_task WHERE version = ?");
    Statement names(database_, "DELETE FROM version_task WHERE version = ?");
    Statement version(database_, "DELETE FROM job_version WHERE id = ?");
    for (std::int64_t id : unused) {
      if (!count.bind(id).step()) return false;
      const std::int64_t rows = count.integer(0);
      count.reset();
      step_.more = step_.rows > 0 && step_.rows + rows > request_.rows_max;
      if (step_.more) return true;
      if (!names.bind(id).run() || !version.bind(id).run()) return false;
      step_.rows += rows;
    }
    return true;
  }

  Database& database_;
  const PruneRequest& request_;
  PruneStep step_;
};

}  // namespace

Result<PruneStep> prune_step(Database& database, const PruneRequest& request) {
  Pruner pruner(database, request);
  if (!pruner.run()) return database.error("pruning");
  return pruner.step();
}

Result<std::vector<std::string>> prunable(Database& database, const PruneRequest& request) {
  auto names = Pruner(database, request).names();
  if (!names) return database.error("reading what retention takes away");
  return *std::move(names);
}

Result<std::vector<PrunedRun>> pruned_runs(Database& database, std::size_t limit) {
  Statement query(database, std::string("SELECT d.run, d.name FROM doomed AS d WHERE NOT (") +
                                kHasRows + ") ORDER BY d.run LIMIT ?");
  query.bind(static_cast<std::int64_t>(limit));
  std::vector<PrunedRun> runs;
  while (query.step()) runs.push_back({RunId{query.integer(0)}, std::string(query.text(1))});
  if (!query.ok()) return database.error("pruning");
  return runs;
}

Result<void> forget_pruned(Database& database, std::span<const RunId> runs) {
  Statement remove(database, "DELETE FROM doomed WHERE run = ?");
  for (RunId run : runs) {
    if (!remove.bind(run).run()) return database.error("pruning");
  }
  return {};
}

}  // namespace pawl
