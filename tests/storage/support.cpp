#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <sqlite3.h>

#include "scheduler/core/item_chunk.h"
#include "storage/rows_sql.h"

namespace pawl::test {

Folder::Folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "pawl-store-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

WallTime at(std::int64_t seconds) { return kStart + std::chrono::seconds(seconds); }

void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().message);
}

std::unique_ptr<SqliteStore> open_store(const std::string& path, const std::string& vfs) {
  return must(SqliteStore::open(path, {vfs}));
}

JobVersionRow version_row(std::int64_t id, const std::string& job) {
  JobVersionRow row;
  row.id = VersionId{id};
  row.job = job;
  row.hash = "hash" + std::to_string(id);
  row.body = R"({"name":")" + job + R"(","labels":{"team":"data"},
    "tasks":[{"id":"list","command":["x"]},
             {"id":"query","command":["x"],"map":{"items":[1]},"retry":{"max_attempts":3}},
             {"id":"report","command":["x"]}],
    "on_failure":[{"operator":"http"}]})";
  row.folder = "/jobs";
  row.created_at = kStart;
  return row;
}

RunRow run_row(std::int64_t id, const std::string& job) {
  RunRow row;
  row.id = RunId{id};
  row.name = "20260921-1353" + std::to_string(10 + id) + "-run" + std::to_string(id) + "x";
  row.job = job;
  row.version = VersionId{1};
  row.state = RunState::running;
  row.logical_time = row.created_at = at(id);
  return row;
}

TaskRow task_row(std::int64_t run, std::uint32_t task, std::int64_t item) {
  TaskRow row;
  row.key = {RunId{run}, TaskIndex{task}, ItemIndex{item}};
  row.state = TaskState::running;
  row.started_at = at(1);
  return row;
}

TaskRow running(std::int64_t run, std::uint32_t task, std::int64_t item, std::int64_t attempt) {
  TaskRow row = task_row(run, task, item);
  row.attempts = row.counted = 1;
  row.live_attempt = AttemptId{attempt};
  row.queued_at = at(0);
  return row;
}

AttemptRow attempt_row(std::int64_t id, TaskKey key, std::int32_t number) {
  AttemptRow row;
  row.id = AttemptId{id};
  row.key = key;
  row.number = number;
  row.worker = WorkerId{7};
  row.slot = 2;
  row.started_at = at(1);
  return row;
}

MappedRow mapped_row(std::int64_t run, std::uint32_t task, std::int64_t items,
                     std::int64_t next_fresh) {
  MappedRow row;
  row.run = RunId{run};
  row.task = TaskIndex{task};
  row.items = items;
  row.complete = true;
  row.next_fresh = next_fresh;
  row.counts[static_cast<std::size_t>(TaskState::queued)] = items;
  row.source = "line 17";
  return row;
}

TaskRow ended(TaskRow row, TaskState state, Reason reason, WallTime when) {
  row.state = state;
  row.reason = reason;
  row.detail = reason == Reason::exit ? 5 : 0;
  row.live_attempt = AttemptId{};
  row.ended_at = when;
  return row;
}

AttemptRow ended(AttemptRow row, AttemptState state, Reason reason, WallTime when) {
  row.state = state;
  row.reason = reason;
  row.exit_code = reason == Reason::exit ? 5 : 0;
  row.ended_at = when;
  row.cpu_us = 1'234;
  row.peak_memory_bytes = 5'000'000;
  row.memory_bound_bytes = 6'000'000;
  row.log_bytes = row.id.value % 3 == 0 ? 0 : 77;  // some are silent
  return row;
}

Mutations start_of(const TaskRow& task) {
  return {mutation::InsertTask{task},
          mutation::InsertAttempt{attempt_row(task.live_attempt.value, task.key, task.attempts)}};
}

Mutations end_of(const TaskRow& task, TaskState state, Reason reason, WallTime when,
                 const std::string& message) {
  const bool is_good = state == TaskState::succeeded;
  AttemptRow attempt =
      ended(attempt_row(task.live_attempt.value, task.key, task.attempts),
            is_good ? AttemptState::succeeded : AttemptState::failed, reason, when);
  attempt.failure.message = message;
  return {mutation::UpdateTask{task.state, task.live_attempt, ended(task, state, reason, when)},
          mutation::UpdateAttempt{AttemptState::starting, attempt}};
}

ItemChunkRow chunk_row(std::int64_t run, std::uint32_t task, std::int64_t first,
                       std::int64_t count) {
  ItemChunkWriter writer;
  for (std::int64_t i = first; i < first + count; ++i) {
    writer.add("k" + std::to_string(i), "{\"n\":" + std::to_string(i) + "}");
  }
  return {RunId{run}, TaskIndex{task}, first, count, writer.take()};
}

// Rows as text -----------------------------------------------------------------------------------

namespace {

std::string text(std::optional<WallTime> time) { return time ? std::to_string(time->ms) : "-"; }
std::string text(std::optional<int> value) { return value ? std::to_string(*value) : "-"; }
std::string text(const TaskKey& key) {
  return std::to_string(key.run.value) + "/" + std::to_string(key.task.value) + ":" +
         std::to_string(key.item.value);
}
std::string text(const Counts& counts) {
  std::string all;
  for (auto count : counts) all += std::to_string(count) + ",";
  return all;
}

template <typename... Parts>
std::string join(const Parts&... parts) {
  std::string all;
  auto add = [&](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      all += std::to_string(part);
    } else {
      all += part;
    }
    all += '|';
  };
  (add(parts), ...);
  return all;
}

}  // namespace

std::string text(const RunRow& r) {
  return join(r.id.value, r.name, r.job, r.version.value, to_string(r.state), to_string(r.reason),
              to_string(r.trigger), text(r.scheduled_for), r.logical_time.ms,
              text(r.interval_start), text(r.interval_end), text(r.start_at), r.request_id,
              r.params, r.default_slots, r.priority_class, r.max_active,
              r.parent ? r.parent->value : 0, r.caller ? text(r.caller->key) : "",
              r.caller ? r.caller->attempt : 0, r.caller ? r.caller->work : 0, r.ancestors,
              r.created_at.ms, text(r.started_at), text(r.ended_at), r.resumes, r.cancel_requested,
              r.outcome ? to_string(*r.outcome) : "", to_string(r.outcome_reason), r.dismissed,
              text(r.counts));
}

std::string text(const TaskRow& t) {
  return join(text(t.key), to_string(t.state), to_string(t.reason), t.detail, t.attempts, t.counted,
              text(t.interrupted_at), text(t.interrupted_before), t.work, t.live_attempt.value,
              text(t.queued_at), text(t.started_at), text(t.ended_at), t.error, t.dismissed);
}

std::string text(const MappedRow& m) {
  return join(m.run.value, m.task.value, m.items, m.complete, m.next_fresh, m.low_water,
              to_string(m.rest_state), to_string(m.rest_reason), text(m.counts), m.retries,
              to_string(m.repeat), m.repeat_next, m.source);
}

std::string text(const AttemptRow& a) {
  return join(a.id.value, text(a.key), a.number, to_string(a.state), to_string(a.reason),
              text(a.exit_code), text(a.signal), a.worker.value, a.slot, a.started_at.ms,
              text(a.ended_at), a.cpu_us, a.peak_memory_bytes, a.memory_bound_bytes, a.log_bytes,
              a.stays, a.handle, a.state_text, a.failure.error_class, a.failure.message,
              a.failure.trace);
}

std::string text(const TimerRow& t) {
  return join(text(t.key), to_string(t.kind), t.due.ms, t.due_wall.ms, t.delay.count(),
              t.same_boot);
}

std::string text(const RateRow& r) {
  std::string starts;
  for (const auto& some : r.starts)
    starts += std::to_string(some.age.count()) + ":" + std::to_string(some.count) + " ";
  return join(r.key.job, r.key.pool, r.key.task, r.at.ms, r.at_wall.ms, r.per.count(), starts,
              r.same_boot);
}

std::string text(const JobRow& j) {
  return join(j.name, j.version.value, j.file, j.quarantined, j.removed, text(j.first_loaded_at),
              j.paused, j.pause_note, j.paused_by, text(j.paused_at), text(j.next_fire_at),
              text(j.decided_through), j.failures);
}

std::string text(const JobVersionRow& v) {
  return join(v.id.value, v.job, v.hash, v.body, v.folder, v.created_at.ms);
}

std::string text(const OutputRow& o) {
  return join(text(o.key), o.attempt, o.format, o.value, o.file, o.bytes);
}

std::string text(const RunSnapshot& s) {
  std::string all = text(s.run) + "\n";
  for (const auto& task : s.tasks) all += "task " + text(task) + "\n";
  for (const auto& mapped : s.mapped) {
    all += "mapped " + text(mapped.row) + " states";
    for (auto state : mapped.states)
      all += " " + std::string(to_string(static_cast<TaskState>(state)));
    all += "\n";
    if (mapped.to_dismiss > 0) all += "  to dismiss " + std::to_string(mapped.to_dismiss) + "\n";
    for (const auto& item : mapped.open_items) all += "  open " + text(item) + "\n";
    for (const auto& item : mapped.final_items) all += "  final " + text(item) + "\n";
  }
  for (const auto& attempt : s.live_attempts) all += "attempt " + text(attempt) + "\n";
  for (const auto& timer : s.timers) all += "timer " + text(timer) + "\n";
  return all;
}

// The file ---------------------------------------------------------------------------------------

namespace {

std::string query(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  std::string all;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    char* error = nullptr;
    sqlite3_exec(
        db, sql.c_str(),
        [](void* to, int n, char** values, char**) {
          for (int i = 0; i < n; ++i)
            *static_cast<std::string*>(to) +=
                std::string(values[i] != nullptr ? values[i] : "-") + "|";
          *static_cast<std::string*>(to) += "\n";
          return 0;
        },
        &all, &error);
    if (error != nullptr) all += std::string("error: ") + error;
    sqlite3_free(error);
  } else {
    all = std::string("error: ") + sqlite3_errmsg(db);
  }
  sqlite3_close(db);
  return all;
}

}  // namespace

std::string dump(const std::string& path) {
  std::string all;
  for (const char* table : {"job", "job_version", "version_task", "run", "run_counts", "task",
                            "mapped", "attempt", "output", "timer", "rate", "event"}) {
    all += std::string(table) + "\n" + query(path, std::string("SELECT * FROM ") + table);
  }
  all += query(path, "SELECT run, task, first, count, hex(bytes) FROM item");
  return all +
         query(path, "SELECT name, value FROM counter WHERE name IN ('run', 'attempt', 'version')");
}

std::string integrity(const std::string& path) { return query(path, "PRAGMA integrity_check"); }

int in_child(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    try {
      body();
    } catch (...) {
      _exit(99);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace pawl::test
