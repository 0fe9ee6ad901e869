#include "storage/sqlite_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "storage/migrate.h"
#include "storage/retention.h"
#include "storage/sqlite_store_statements.h"
#include "storage/version_task.h"

namespace pawl {
namespace {

/// An id of which 0 means none.
template <typename Any>
std::optional<Any> id_or_none(Any id) {
  return id.value == 0 ? std::nullopt : std::optional<Any>(id);
}

/// A time of which 0 means none.
std::optional<WallTime> time_or_none(WallTime time) {
  return time.ms == 0 ? std::nullopt : std::optional<WallTime>(time);
}

/// The attempt that becomes the first one of its task with this row.
std::optional<AttemptId> first_attempt_of(const TaskRow& row) {
  return row.attempts == 1 ? id_or_none(row.live_attempt) : std::nullopt;
}

template <typename Enum>
Word word_of(Enum value) {
  return {to_string(value)};
}

std::optional<Word> outcome_of(const RunRow& row) {
  if (!row.outcome) return std::nullopt;
  return word_of(*row.outcome);
}

/// A column that only runs have that were called.
template <typename Get>
auto of_caller(const RunRow& row, Get get) -> std::optional<decltype(get(*row.caller))> {
  if (!row.caller) return std::nullopt;
  return get(*row.caller);
}

/// SQLite would make it as the umask says, and its log and index like it.
void make_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path, Options options) {
  if (options.vfs.empty()) make_private(path);
  auto database = Database::open(path, {DatabaseOptions::Mode::create, options.vfs, false});
  if (!database) return std::move(database).error();
  if (auto done = migrate(**database); !done) return std::move(done).error();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(*database)));
}

SqliteStore::SqliteStore(std::unique_ptr<Database> database)
    : database_(std::move(database)), statements_(std::make_unique<Statements>(*database_)) {}

SqliteStore::~SqliteStore() = default;

// Transactions -----------------------------------------------------------------------------------

Result<void> SqliteStore::apply(std::span<const Mutation> batch) {
  return transact([&] { return put_all(batch); });
}

Result<void> SqliteStore::apply_group(std::span<const Mutations> batches) {
  return transact([&] {
    return std::all_of(batches.begin(), batches.end(),
                       [&](const Mutations& batch) { return put_all(batch); });
  });
}

Result<void> SqliteStore::transact(const std::function<bool()>& body) {
  is_disk_full_ = false;
  differs_.clear();
  last_counts_.clear();
  last_mapped_.clear();
  highest_run_ = highest_attempt_ = highest_version_ = 0;
  if (!statements_->begin.run()) return fail(false);
  if (!body() || !put_last()) return fail(false);
  if (!statements_->commit.run()) return fail(true);
  return {};
}

/// Ends the transaction that failed. Out of room, nothing of it is in the log as a commit, so it
/// may be tried again; after any other failure of COMMIT it may or may not be there.
Result<void> SqliteStore::fail(bool while_committing) {
  is_disk_full_ = differs_.empty() && database_->is_full();
  Error error = differs_.empty()
                    ? database_->error(while_committing ? "committing" : "writing to the store")
                    : Error{ErrorKind::storage,
                            "the store and the scheduler's memory differ: " + differs_ +
                                ". Start pawl again: it reads what is there, and report this"};
  database_->rollback();
  if (!is_disk_full_ && !failure_) failure_ = error;
  return error;
}

Result<void> SqliteStore::checkpoint() { return copy_log_back(false); }

Result<void> SqliteStore::empty_log() { return copy_log_back(true); }

Result<void> SqliteStore::copy_log_back(bool truncate) {
  auto done = database_->checkpoint(truncate);
  is_disk_full_ = !done && database_->is_full();
  return done;
}

bool SqliteStore::put_all(std::span<const Mutation> batch) {
  for (const Mutation& mutation : batch) {
    if (!std::visit([this](const auto& m) { return put(m); }, mutation)) return false;
  }
  return true;
}

bool SqliteStore::put_last() {
  for (const auto& [run, counts] : last_counts_) {
    if (!write_counts(*counts)) return false;
  }
  for (const auto& [place, row] : last_mapped_) {
    if (!write_mapped(*row)) return false;
  }
  struct Raise {
    const char* name;
    std::int64_t value;
  };
  for (const Raise& raise : {Raise{"run", highest_run_}, Raise{"attempt", highest_attempt_},
                             Raise{"version", highest_version_}}) {
    if (raise.value == 0) continue;
    if (!statements_->raise_counter.bind(raise.value, Word{raise.name}).run()) return false;
  }
  return true;
}

/// Runs a change that must meet exactly one row.
bool SqliteStore::run_one(Statement& statement, std::string_view what, TaskKey key) {
  if (!statement.run()) return false;
  if (database_->changes() == 1) return true;
  differs_ = std::string(what) + " of run " + std::to_string(key.run.value) + ", task " +
             std::to_string(key.task.value) + ", item " + std::to_string(key.item.value) +
             " is not in the state that was expected";
  return false;
}

bool SqliteStore::run_one(Statement& statement, std::string_view job) {
  if (!statement.run()) return false;
  if (database_->changes() == 1) return true;
  differs_ = "the schedule of job " + std::string(job) + " is not where it was expected";
  return false;
}

// Mutations --------------------------------------------------------------------------------------

bool SqliteStore::put(const mutation::InsertVersion& m) {
  const JobVersionRow& row = m.row;
  const VersionSummary summary = summarize_version(row.body);
  highest_version_ = std::max(highest_version_, row.id.value);
  if (!statements_->insert_version
           .bind(row.id, row.job, row.hash, row.created_at, row.folder, summary.labels, row.body)
           .run()) {
    return false;
  }
  std::int64_t place = 0;
  for (const VersionTask& task : summary.tasks) {
    if (!statements_->insert_version_task
             .bind(row.id, place++, task.id, task.max_attempts, task.mapped, task.source_task,
                   task.allow_failure)
             .run()) {
      return false;
    }
  }
  return true;
}

bool SqliteStore::put(const mutation::InsertRun& m) {
  const RunRow& row = m.row;
  highest_run_ = std::max(highest_run_, row.id.value);
  if (!statements_->insert_run
           .bind(row.id, row.name, row.job, row.version, word_of(row.state), word_of(row.reason),
                 word_of(row.trigger), row.scheduled_for, row.logical_time, row.interval_start,
                 row.interval_end, row.start_at, TextOrNull{row.request_id}, row.default_slots,
                 row.priority_class, row.max_active, row.parent,
                 of_caller(row, [](const Caller& c) { return c.key.task; }),
                 of_caller(row, [](const Caller& c) { return c.key.item; }),
                 of_caller(row, [](const Caller& c) { return c.attempt; }),
                 of_caller(row, [](const Caller& c) { return c.work; }), TextOrNull{row.ancestors},
                 row.created_at, row.started_at, row.ended_at, row.resumes, row.cancel_requested,
                 outcome_of(row), word_of(row.outcome_reason), row.dismissed, row.params)
           .run()) {
    return false;
  }
  const Counts& c = row.counts;
  return statements_->insert_counts
      .bind(row.id, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10])
      .run();
}

bool SqliteStore::put(const mutation::UpdateRun& m) {
  const RunRow& row = m.row;
  statements_->update_run.bind(
      row.version, word_of(row.state), word_of(row.reason), row.start_at, row.default_slots,
      row.priority_class, row.started_at, row.ended_at, row.resumes, row.cancel_requested,
      outcome_of(row), word_of(row.outcome_reason), row.dismissed, row.id, word_of(m.expected));
  return run_one(statements_->update_run, "the row", {row.id, {}, kWhole});
}

bool SqliteStore::put(const mutation::SetRunCounts& m) {
  last_counts_[m.run] = &m;
  return true;
}

bool SqliteStore::write_counts(const mutation::SetRunCounts& m) {
  const Counts& c = m.counts;
  statements_->set_counts.bind(c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10],
                               m.run);
  return run_one(statements_->set_counts, "the row of counts", {m.run, {}, kWhole});
}

bool SqliteStore::put(const mutation::InsertTask& m) {
  const TaskRow& row = m.row;
  return statements_->insert_task
      .bind(row.key.run, row.key.task, row.key.item, word_of(row.state), word_of(row.reason),
            row.detail, row.attempts, row.counted, row.interrupted_at, row.interrupted_before,
            row.work, id_or_none(row.live_attempt), first_attempt_of(row), row.queued_at,
            row.started_at, row.ended_at, row.dismissed, TextOrNull{row.error})
      .run();
}

bool SqliteStore::put(const mutation::UpdateTask& m) {
  const TaskRow& row = m.row;
  statements_->update_task.bind(word_of(row.state), word_of(row.reason), row.detail, row.attempts,
                                row.counted, row.interrupted_at, row.interrupted_before, row.work,
                                id_or_none(row.live_attempt), first_attempt_of(row), row.queued_at,
                                row.started_at, row.ended_at, row.dismissed, TextOrNull{row.error},
                                row.key.run, row.key.task, row.key.item, word_of(m.expected),
                                id_or_none(m.expected_attempt));
  return run_one(statements_->update_task, "the row", row.key);
}

bool SqliteStore::put(const mutation::DismissItems& m) {
  return statements_->dismiss_items.bind(m.run, m.task, m.first, m.end).run();
}

bool SqliteStore::put(const mutation::SetMapped& m) {
  last_mapped_[{m.row.run, m.row.task}] = &m.row;
  return true;
}

bool SqliteStore::write_mapped(const MappedRow& row) {
  const Counts& c = row.counts;
  return statements_->set_mapped
      .bind(row.run, row.task, row.items, row.complete, row.next_fresh, row.low_water,
            word_of(row.rest_state), word_of(row.rest_reason), c[0], c[1], c[2], c[3], c[4], c[5],
            c[6], c[7], c[8], c[9], c[10], row.retries, word_of(row.repeat), row.repeat_next,
            row.source, row.is_paired)
      .run();
}

bool SqliteStore::put(const mutation::InsertItems& m) {
  const ItemChunkRow& row = m.row;
  return statements_->insert_items.bind(row.run, row.task, row.first, row.count, Blob{row.bytes})
      .run();
}

bool SqliteStore::put(const mutation::DeleteItems& m) {
  return statements_->delete_items.bind(m.run, m.task).run();
}

bool SqliteStore::put(const mutation::InsertAttempt& m) {
  const AttemptRow& row = m.row;
  highest_attempt_ = std::max(highest_attempt_, row.id.value);
  const bool inserted =
      statements_->insert_attempt
          .bind(row.id, row.key.run, row.key.task, row.key.item, row.number, word_of(row.state),
                word_of(row.reason), row.exit_code, row.signal, id_or_none(row.worker), row.slot,
                row.started_at, row.ended_at, row.cpu_us, row.peak_memory_bytes, row.log_bytes,
                row.stays, TextOrNull{row.handle}, TextOrNull{row.state_text},
                TextOrNull{row.failure.error_class}, TextOrNull{row.failure.message},
                TextOrNull{row.failure.trace}, row.memory_bound_bytes)
          .run();
  if (!inserted || !m.inherits_handle) return inserted;
  return statements_->inherit_handle
      .bind(row.id, row.key.run, row.key.task, row.key.item, row.number)
      .run();
}

bool SqliteStore::put(const mutation::UpdateAttempt& m) {
  const AttemptRow& row = m.row;
  statements_->update_attempt.bind(
      word_of(row.state), word_of(row.reason), row.exit_code, row.signal, id_or_none(row.worker),
      row.slot, time_or_none(row.started_at), row.ended_at, row.cpu_us, row.peak_memory_bytes,
      row.log_bytes, row.stays, TextOrNull{row.state_text}, TextOrNull{row.failure.error_class},
      TextOrNull{row.failure.message}, TextOrNull{row.failure.trace}, row.id, word_of(m.expected),
      row.memory_bound_bytes);
  return run_one(statements_->update_attempt, "the attempt", row.key);
}

bool SqliteStore::put(const mutation::MoveAttempt& m) {
  statements_->move_attempt.bind(word_of(m.state), word_of(m.reason), id_or_none(m.worker), m.slot,
                                 m.ended_at, m.id, word_of(m.expected));
  return run_one(statements_->move_attempt, "the attempt", m.key);
}

bool SqliteStore::put(const mutation::SetHandle& m) {
  statements_->set_handle.bind(TextOrNull{m.handle}, m.id);
  return run_one(statements_->set_handle, "the attempt", m.key);
}

bool SqliteStore::put(const mutation::DeleteAttempt& m) {
  statements_->delete_attempt.bind(m.row.id);
  return run_one(statements_->delete_attempt, "the attempt", m.row.key);
}

bool SqliteStore::put(const mutation::SetOutput& m) {
  const OutputRow& row = m.row;
  const bool has_file = !row.file.empty();
  return statements_->set_output
      .bind(row.key.run, row.key.task, row.key.item, row.attempt, row.format, row.bytes,
            TextOrNull{row.file},
            has_file ? std::nullopt : std::optional<std::string_view>(row.value))
      .run();
}

bool SqliteStore::put(const mutation::ClearOutputs& m) {
  return statements_->clear_outputs.bind(m.run, m.task).run();
}

bool SqliteStore::put(const mutation::SetTimer& m) {
  const TimerRow& row = m.row;
  return statements_->set_timer
      .bind(row.key.run, row.key.task, row.key.item, word_of(row.kind), row.due.ms, row.due_wall,
            row.delay.count(), boot_)
      .run();
}

bool SqliteStore::put(const mutation::ClearTimer& m) {
  return statements_->clear_timer.bind(m.key.run, m.key.task, m.key.item, word_of(m.kind)).run();
}

bool SqliteStore::put(const mutation::SetRate& m) {
  const RateRow& row = m.row;
  if (row.starts.empty())
    return statements_->clear_rate.bind(row.key.job, row.key.pool, row.key.task).run();
  const std::string starts = text_of_starts(row.starts);
  return statements_->set_rate
      .bind(row.key.job, row.key.pool, row.key.task, row.at.ms, row.at_wall, row.per.count(),
            starts, boot_)
      .run();
}

bool SqliteStore::put(const mutation::SetJob& m) {
  const JobRow& row = m.row;
  return statements_->set_job
      .bind(row.name, id_or_none(row.version), TextOrNull{row.file}, TextOrNull{row.quarantined},
            row.removed, row.first_loaded_at)
      .run();
}

bool SqliteStore::put(const mutation::PauseJob& m) {
  statements_->pause_job.bind(m.job, m.paused, TextOrNull{m.note}, TextOrNull{m.actor},
                              m.paused ? std::optional(m.at) : std::nullopt, m.at);
  return run_one(statements_->pause_job, m.job);
}

bool SqliteStore::put(const mutation::SetSchedule& m) {
  statements_->set_schedule.bind(m.decided_through, m.next_fire_at, m.failures, m.job, m.expected);
  return run_one(statements_->set_schedule, m.job);
}

bool SqliteStore::put(const mutation::DropFires& m) {
  const DroppedRow& row = m.row;
  const auto reason = word_of(row.reason);
  if (!statements_->extend_dropped.bind(row.job, reason, row.first, row.last, row.count, row.at)
           .run()) {
    return false;
  }
  if (database_->changes() > 0) return true;
  return statements_->add_dropped.bind(row.job, reason, row.first, row.last, row.count, row.at)
      .run();
}

bool SqliteStore::put(const mutation::AddEvent& m) {
  const EventRow& row = m.row;
  std::optional<TaskIndex> task;
  std::optional<ItemIndex> item;
  if (row.task) {
    task = row.task->task;
    item = row.task->item;
  }
  return statements_->add_event
      .bind(row.at, row.actor, row.verb, TextOrNull{row.job}, id_or_none(row.run), task, item,
            TextOrNull{row.text})
      .run();
}

// Counters ---------------------------------------------------------------------------------------

Result<StoreCounters> SqliteStore::begin_epoch(std::string_view boot_id) {
  Statement raise(*database_, "UPDATE counter SET value = value + 1 WHERE name = 'epoch'");
  Statement add_boot(*database_, "INSERT INTO boot (boot_id) VALUES (?) ON CONFLICT DO NOTHING");
  auto done = transact([&] { return raise.run() && add_boot.bind(boot_id).run(); });
  if (!done) return std::move(done).error();

  Statement boot(*database_, "SELECT id FROM boot WHERE boot_id = ?");
  if (boot.bind(boot_id).step()) boot_ = boot.integer(0);
  if (!boot.ok()) return database_->error("reading the store");
  boot.reset();

  StoreCounters counters;
  Statement values(*database_, "SELECT name, value FROM counter");
  while (values.step()) {
    const std::string_view name = values.text(0);
    const std::int64_t value = values.integer(1);
    if (name == "run") counters.run = RunId{value};
    if (name == "attempt") counters.attempt = AttemptId{value};
    if (name == "version") counters.version = VersionId{value};
    if (name == "worker") counters.worker = WorkerId{value};
    if (name == "epoch") counters.epoch = Epoch{value};
  }
  if (!values.ok()) return database_->error("reading the store");
  return counters;
}

Result<HomeId> SqliteStore::home_id() {
  Statement query(*database_,
                  "SELECT id.value, CAST(after.value AS INTEGER) FROM setting AS id, setting AS "
                  "after WHERE id.name = 'home_id' AND after.name = 'home_id_after'");
  if (query.step()) return HomeId{std::string(query.text(0)), RunId{query.integer(1)}};
  if (!query.ok()) return database_->error("reading the store");
  return Error{ErrorKind::storage,
               "reading the store: " + database_->path() +
                   " has lost the id of its home (table setting). Restore a backup"};
}

Result<WorkerId> SqliteStore::next_worker(WorkerId above) {
  Statement raise(*database_, "UPDATE counter SET value = max(value, ?) + 1 WHERE name = 'worker'");
  raise.bind(above.value);
  if (auto done = transact([&] { return raise.run(); }); !done) return std::move(done).error();
  auto value = database_->integer("SELECT value FROM counter WHERE name = 'worker'");
  if (!value) return std::move(value).error();
  return WorkerId{*value};
}

// Retention --------------------------------------------------------------------------------------

Result<PruneStep> SqliteStore::prune(const PruneRequest& request) {
  PruneStep step;
  auto done = transact([&] {
    auto pruned = prune_step(*database_, request);
    if (pruned) step = *pruned;
    return pruned.ok();
  });
  if (!done) return std::move(done).error();
  return step;
}

Result<std::vector<PrunedRun>> SqliteStore::pruned(std::size_t limit) {
  return pruned_runs(*database_, limit);
}

Result<void> SqliteStore::prune_done(std::span<const RunId> runs) {
  return transact([&] { return forget_pruned(*database_, runs).ok(); });
}

}  // namespace pawl
