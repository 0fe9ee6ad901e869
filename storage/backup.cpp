#include "storage/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "scheduler/base/text.h"
#include "storage/check.h"
#include "storage/migrate.h"
#include "storage/rows_sql.h"
#include "storage/statement.h"

namespace pawl {
namespace {

Error disk_error(const std::string& doing, const std::string& path) {
  return {ErrorKind::storage, doing + ": " + escape_for_terminal(path) + ": " +
                                  std::strerror(errno) + ". Choose another place"};
}

bool exists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

bool is_same_file(const std::string& a, const std::string& b) {
  struct stat first {};
  struct stat second {};
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

std::string folder_of(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool sync_path(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced;
}

/// A database file under construction, with a name of its own until it is whole.
class Draft {
 public:
  explicit Draft(std::string path) : path_(std::move(path)) {}
  ~Draft() { remove(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const std::string& path() const { return path_; }

  /// An empty file that only we can read. What an earlier try left is removed.
  bool make() const {
    remove();
    const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    close(fd);
    return true;
  }

  /// Gives it its name, durable on return. Its connection is closed.
  bool publish(const std::string& name) const {
    return sync_path(path_, O_RDONLY) && rename(path_.c_str(), name.c_str()) == 0 &&
           sync_path(folder_of(name), O_RDONLY | O_DIRECTORY);
  }

 private:
  void remove() const {
    for (const char* end : {"", "-journal", "-wal", "-shm"}) unlink((path_ + end).c_str());
  }
  std::string path_;
};

/// Refuses a copy that is not whole.
Result<void> verify(Database& database, const std::string& what) {
  auto findings = check_file(database, 3);
  if (!findings) return std::move(findings).error();
  if (findings->empty()) return {};
  return Error{ErrorKind::storage, what + " is damaged (" + findings->front().what +
                                       "). Use another backup, or pawl doctor on the home"};
}

/// Copies one commit of `from` into the draft, as a database in a single file.
Result<std::unique_ptr<Database>> copy(Database& from, const Draft& draft, int pages,
                                       const std::function<void()>& pause) {
  if (!draft.make()) return disk_error("copying the store", draft.path());
  auto to = Database::open(draft.path(), {DatabaseOptions::Mode::single_file, {}, false});
  if (!to) return to;
  if (auto done = from.copy_to(**to, pages, pause); !done) return std::move(done).error();
  if (auto done = (*to)->exec("PRAGMA journal_mode=DELETE"); !done) return std::move(done).error();
  return to;
}

}  // namespace

Result<BackupReport> backup_store(const std::string& path, const std::string& file,
                                  const BackupOptions& options) {
  if (is_same_file(path, file)) {
    return Error{ErrorKind::refused, "backup: " + escape_for_terminal(file) +
                                         " is the store itself. Choose another file"};
  }
  if (exists(file) && !options.replace) {
    return Error{ErrorKind::refused, "backup: " + escape_for_terminal(file) +
                                         " is there already. Choose another file, or --replace"};
  }
  auto from = Database::open(path, {DatabaseOptions::Mode::read_only, {}, options.beside_writer});
  if (!from) return std::move(from).error();
  // Also one of an older pawl: a copy before an upgrade is what a backup is for.
  if (auto fine = check_store(**from); !fine) return std::move(fine).error();
  const Draft draft(file + ".part");
  auto to = copy(**from, draft, options.pages_per_step, options.pause);
  if (!to) return std::move(to).error();
  if (auto whole = verify(**to, "the copy"); !whole) return std::move(whole).error();
  BackupReport report;
  auto runs = (*to)->integer("SELECT count(*) FROM run");
  if (!runs) return std::move(runs).error();
  report.runs = *runs;
  to->reset();
  struct stat info {};
  if (stat(draft.path().c_str(), &info) == 0) report.bytes = info.st_size;
  if (!draft.publish(file)) return disk_error("backup", file);
  return report;
}

// Restore ----------------------------------------------------------------------------------------

namespace {

// Numbers that the time after the backup may have used up.
constexpr std::int64_t kNumbersSkipped = 1'000'000'000;

Result<std::int64_t> runs_in(Database& database) {
  return database.integer("SELECT count(*) FROM run");
}

/// Nothing of the copy runs: what was open is paused, what was alive is held.
Result<void> settle(Database& database, const RestoreOptions& options, RestoreReport& report) {
  struct Step {
    const char* sql;
    std::int64_t RestoreReport::*count;
  };
  // ?1 is the time. In this order: `stopped` is what was alive, before it is changed.
  constexpr Step kSteps[] = {
      {"CREATE TEMP TABLE stopped AS SELECT run, task, item, state, live_attempt FROM task "
       "WHERE live_attempt IS NOT NULL",
       nullptr},
      {"CREATE INDEX temp.stopped_run ON stopped (run, task)", nullptr},
      {"UPDATE attempt SET state = 'interrupted', reason = 'restored', ended_at = ?1 "
       "WHERE id IN (SELECT live_attempt FROM stopped)",
       &RestoreReport::interrupted_attempts},
      {"UPDATE run_counts SET "
       "running = running - (SELECT count(*) FROM stopped AS s WHERE s.run = run_counts.run AND "
       "s.state = 'running'), "
       "deferred = deferred - (SELECT count(*) FROM stopped AS s WHERE s.run = run_counts.run AND "
       "s.state = 'deferred'), "
       "queued = queued - (SELECT count(*) FROM stopped AS s WHERE s.run = run_counts.run AND "
       "s.state = 'queued'), "
       "held = held + (SELECT count(*) FROM stopped AS s WHERE s.run = run_counts.run) "
       "WHERE run IN (SELECT run FROM stopped)",
       nullptr},
      {"UPDATE mapped SET "
       "running = running - (SELECT count(*) FROM stopped AS s WHERE s.run = mapped.run AND s.task "
       "= mapped.task AND s.state = 'running'), "
       "deferred = deferred - (SELECT count(*) FROM stopped AS s WHERE s.run = mapped.run AND "
       "s.task = mapped.task AND s.state = 'deferred'), "
       "queued = queued - (SELECT count(*) FROM stopped AS s WHERE s.run = mapped.run AND "
       "s.task = mapped.task AND s.state = 'queued'), "
       "held = held + (SELECT count(*) FROM stopped AS s WHERE s.run = mapped.run AND s.task = "
       "mapped.task) "
       "WHERE (run, task) IN (SELECT run, task FROM stopped)",
       nullptr},
      {"DELETE FROM timer WHERE (run, task, item) IN (SELECT run, task, item FROM stopped)",
       nullptr},
      {"UPDATE task SET state = 'held', reason = 'restored', live_attempt = NULL, ended_at = ?1, "
       "dismissed = 0 WHERE live_attempt IS NOT NULL",
       nullptr},
      {"DROP TABLE stopped", nullptr},
      {"UPDATE run SET state = 'paused', reason = 'restored' "
       "WHERE " PAWL_RUN_IS_OPEN("state"),
       &RestoreReport::paused_runs},
      {"UPDATE job SET paused = 1, pause_note = 'restored', paused_by = 'pawl', paused_at = ?1, "
       "next_fire_at = NULL WHERE removed = 0 AND paused = 0",
       nullptr},
  };
  for (const Step& step : kSteps) {
    Statement statement(database, step.sql);
    const bool has_time = std::string_view(step.sql).find("?1") != std::string_view::npos;
    if (has_time) statement.bind(options.now);
    if (!statement.run()) return database.error("restoring");
    if (step.count != nullptr) report.*step.count = database.changes();
  }
  // Also those that were paused in the copy: as with runs, one word lets all of them go on.
  auto paused = database.integer("SELECT count(*) FROM job WHERE removed = 0 AND paused = 1");
  if (!paused) return std::move(paused).error();
  report.paused_jobs = *paused;
  Statement skip(database, "UPDATE counter SET value = value + ?");
  if (!skip.bind(kNumbersSkipped).run()) return database.error("restoring");
  Statement event(database, "INSERT INTO event (at, actor, verb) VALUES (?, ?, 'restore')");
  const std::string actor = options.actor.empty() ? "pawl" : options.actor;
  if (!event.bind(options.now, actor).run()) return database.error("restoring");
  return {};
}

/// A name beside the store for what it is replaced by: whatever an earlier restore has kept there
/// stays.
std::string name_for_kept(const std::string& path) {
  const std::string first = path + ".replaced";
  std::string name = first;
  // A restore that was killed may have set this very store aside.
  for (int n = 2; exists(name) && !is_same_file(name, path); ++n)
    name = first + "-" + std::to_string(n);
  return name;
}

/// Empties the log of the store that is there and sets the store aside, as far as it can be read.
Result<std::string> set_aside(const std::string& path) {
  if (!exists(path)) return std::string();
  if (auto old = Database::open(path, {DatabaseOptions::Mode::read_write, {}, false})) {
    (void)(*old)->checkpoint(true);
  }
  const std::string kept = name_for_kept(path);
  if (link(path.c_str(), kept.c_str()) != 0 && errno != EEXIST)
    return disk_error("restoring", kept);
  // The old log must not be taken for one of the new store. If it could not be emptied, it goes
  // with the old store.
  for (const char* end : {"-wal", "-shm"}) {
    if (exists(path + end) && rename((path + end).c_str(), (kept + end).c_str()) != 0) {
      return disk_error("restoring", path + end);
    }
  }
  return kept;
}

Result<void> refuse_used(const std::string& path, bool replace) {
  if (replace || !exists(path)) return {};
  auto old = Database::open(path, {DatabaseOptions::Mode::read_write, {}, false});
  if (!old) return {};  // what cannot be opened is what a restore is for
  auto fine = check_schema(**old);
  if (!fine && fine.error().kind == ErrorKind::not_found) return {};
  if (!fine && fine.error().kind == ErrorKind::version) return fine;
  auto runs = runs_in(**old);
  if (!runs || *runs == 0) return {};
  return Error{ErrorKind::refused, "restoring: the home has " + std::to_string(*runs) +
                                       " runs already. Use another home, or --replace"};
}

/// What a living worker runs for the store that is there would go on beside what is restored.
Result<void> refuse_running(const std::string& path, const std::vector<WorkerId>& workers) {
  if (workers.empty() || !exists(path)) return {};
  const auto refused = [](WorkerId worker, const std::string& what) {
    const std::string number = std::to_string(worker.value);
    return Error{ErrorKind::refused,
                 "restoring: worker " + number + " is alive and " + what +
                     ", which would go on beside the restored store. Let it end with pawl serve "
                     "--drain, or end its process, which workers/" +
                     number + "/lock names"};
  };
  auto old = Database::open(path, {DatabaseOptions::Mode::read_write, {}, false});
  if (!old) return refused(workers.front(), "this store cannot tell what it runs");
  Statement live(**old,
                 "SELECT count(*) FROM attempt WHERE worker = ? AND state IN "
                 "('starting', 'running', 'stopping')");
  for (WorkerId worker : workers) {
    if (!live.bind(worker).step()) return refused(worker, "this store cannot tell what it runs");
    if (live.integer(0) > 0)
      return refused(worker,
                     "has live attempts of this store (" + std::to_string(live.integer(0)) + ")");
    live.reset();
  }
  return {};
}

}  // namespace

Result<RestoreReport> restore_store(const std::string& file, const std::string& path,
                                    const RestoreOptions& options) {
  if (is_same_file(path, file)) {
    return Error{ErrorKind::refused,
                 "restoring: " + escape_for_terminal(file) + " is the store itself. Name a backup"};
  }
  if (!exists(file)) {
    return Error{ErrorKind::not_found, "restoring: there is no file " + escape_for_terminal(file)};
  }
  if (auto free = refuse_used(path, options.replace); !free) return std::move(free).error();
  if (auto still = refuse_running(path, options.workers); !still) return std::move(still).error();
  const Draft draft(path + ".part");
  RestoreReport report;
  {
    auto from = Database::open(file, {DatabaseOptions::Mode::read_only, {}, false});
    if (!from) return std::move(from).error();
    if (auto whole = verify(**from, escape_for_terminal(file)); !whole)
      return std::move(whole).error();
    auto to = copy(**from, draft, -1, {});
    if (!to) return std::move(to).error();
    if (auto done = migrate(**to); !done) return std::move(done).error();
    if (auto done = (*to)->exec("BEGIN IMMEDIATE"); !done) return std::move(done).error();
    if (auto done = settle(**to, options, report); !done) return std::move(done).error();
    if (auto done = (*to)->exec("COMMIT"); !done) return std::move(done).error();
    auto runs = runs_in(**to);
    if (!runs) return std::move(runs).error();
    report.runs = *runs;
  }
  auto kept = set_aside(path);
  if (!kept) return std::move(kept).error();
  report.kept = *kept;
  if (!draft.publish(path)) return disk_error("restoring", path);
  return report;
}

}  // namespace pawl
