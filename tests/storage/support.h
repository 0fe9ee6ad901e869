#pragma once

// What the tests of the store share: folders that go away, rows, and rows as text to compare.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/core/mutation.h"
#include "storage/sqlite_store.h"

namespace pawl::test {

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string store() const { return path("pawl.db"); }
  std::vector<std::string> names() const;

 private:
  std::filesystem::path path_;
};

inline constexpr WallTime kStart{1'790'000'000'000};
WallTime at(std::int64_t seconds);

/// Ends the test when it is an error.
template <typename T>
T must(Result<T> result);
void must(Result<void> result);

std::unique_ptr<SqliteStore> open_store(const std::string& path, const std::string& vfs = {});

/// A definition with the tasks `list`, `query` (mapped, 3 attempts), `report`, and a failure hook.
JobVersionRow version_row(std::int64_t id = 1, const std::string& job = "sales");
RunRow run_row(std::int64_t id, const std::string& job = "sales");
TaskRow task_row(std::int64_t run, std::uint32_t task, std::int64_t item = -1);
/// A task that runs its first attempt.
TaskRow running(std::int64_t run, std::uint32_t task, std::int64_t item, std::int64_t attempt);
AttemptRow attempt_row(std::int64_t id, TaskKey key, std::int32_t number = 1);
MappedRow mapped_row(std::int64_t run, std::uint32_t task, std::int64_t items,
                     std::int64_t next_fresh);

TaskRow ended(TaskRow row, TaskState state, Reason reason = Reason::none, WallTime when = at(10));
AttemptRow ended(AttemptRow row, AttemptState state, Reason reason = Reason::none,
                 WallTime when = at(10));

/// The start and the end of a first attempt, one batch each.
Mutations start_of(const TaskRow& task);
Mutations end_of(const TaskRow& task, TaskState state, Reason reason = Reason::none,
                 WallTime when = at(10), const std::string& message = {});

/// Items first … first + count - 1 with keys `k0`, `k1`, … and payloads `{"n":0}`, …
ItemChunkRow chunk_row(std::int64_t run, std::uint32_t task, std::int64_t first,
                       std::int64_t count);

std::string text(const RunRow& row);
std::string text(const TaskRow& row);
std::string text(const MappedRow& row);
std::string text(const AttemptRow& row);
std::string text(const TimerRow& row);
std::string text(const RateRow& row);
std::string text(const JobRow& row);
std::string text(const JobVersionRow& row);
std::string text(const OutputRow& row);
std::string text(const RunSnapshot& snapshot);

/// Everything in the store, as text: for "all or nothing".
std::string dump(const std::string& path);
/// What `PRAGMA integrity_check` says.
std::string integrity(const std::string& path);

/// Runs `body` in a child process that ends by `_exit`, and returns its exit code, or minus the
/// signal that killed it.
int in_child(const std::function<void()>& body);

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

}  // namespace pawl::test
