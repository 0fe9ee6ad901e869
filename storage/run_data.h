#pragma once

// Items and outputs of runs, for whoever gets work ready for workers. Over a read-only connection
// of its own, in the process of the writer; one thread at a time.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/core/rows.h"

namespace pawl {

/// See effect::StartAttempt::has_past.
struct AttemptPast {
  std::string handle;
  std::string state_text;
  Reason previous_reason = Reason::none;  ///< why the attempt before it ended
};

/// A task or item that failed or is held.
struct FailedTask {
  std::string task;
  std::optional<std::int64_t> item;
  std::string key;
  std::string reason;  ///< `exit`, `timeout` …
  std::string error;   ///< the message
};

class RunData {
 public:
  /// Opens the store at `path` beside its writer, which must be open. Errors: as Database::open.
  static Result<std::unique_ptr<RunData>> open(const std::string& path);
  ~RunData();

  /// The chunk that holds this item; nothing when there is none. Errors: storage.
  Result<std::optional<ItemChunkRow>> chunk_with(RunId run, TaskIndex task, std::int64_t item);
  /// What an operator left with an open attempt for its next stay, or with the one before it (empty
  /// when nothing), and why the one before it ended. Errors: storage.
  Result<AttemptPast> attempt_past(AttemptId attempt);
  /// The first `limit` tasks and items of a run that failed or are held, of the tasks before
  /// `before`; a mapped task as a whole only when no item of it failed. Reads the rows of the run.
  /// Errors: storage.
  Result<std::vector<FailedTask>> failed(RunId run, TaskIndex before, int limit);
  /// The newest run that a task or item made by operator `job`; nothing when there is none. Errors:
  /// storage.
  Result<std::optional<RunRow>> newest_call(TaskKey key);
  /// The outputs of a run's unmapped tasks that succeeded, by id, in the order of the definition,
  /// until `each` says false. Errors: storage.
  Result<void> outputs_of_tasks(
      RunId run, const std::function<bool(std::string_view task, const OutputRow&)>& each);
  /// The output of a task or item that succeeded; nothing when there is none. Errors: storage.
  Result<std::optional<OutputRow>> output(TaskKey key);
  /// The outputs of a mapped task's items that succeeded, from `first` on, in index order, until
  /// `each` says false. A transaction is open meanwhile: `each` must not wait. Errors: storage.
  Result<void> outputs(RunId run, TaskIndex task, ItemIndex first,
                       const std::function<bool(const OutputRow&)>& each);

 private:
  struct Statements;
  RunData();
  std::unique_ptr<Statements> statements_;
};

}  // namespace pawl
