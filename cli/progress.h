#pragma once

// How far a run is, as the scheduler tells it (GET /v1/runs/NAME/follow), and the lines that show
// it to people.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"
#include "cli/when.h"
#include "scheduler/core/rows.h"
#include "scheduler/core/states.h"

namespace pawl {

struct TaskProgress {
  std::string task;
  TaskState state = TaskState::waiting;
  std::string reason;
  std::optional<int> exit_code;
  std::optional<int> signal;
  std::optional<Counts> counts;  ///< of a mapped task
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  std::vector<std::string> waiting_for;
  std::int64_t waiting_for_more = 0;  ///< upstreams beside those that are named
  double rate = 0;                    ///< items a second
  std::int64_t retrying = 0;          ///< items that wait for another attempt
  std::int64_t retries = 0;           ///< of a mapped task: attempts after the first, so far
  std::int64_t attempts = 0;          ///< of one that is not mapped

  friend bool operator==(const TaskProgress&, const TaskProgress&) = default;
};

struct RunProgress {
  std::int64_t version = 0;  ///< rises with every change
  std::string run;
  std::string job;
  RunState state = RunState::queued;
  std::string reason;
  std::optional<WallTime> created_at;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;
  Counts counts{};
  Counts task_counts{};  ///< wholes only, without hooks
  std::int64_t retries = 0;
  std::vector<TaskProgress> tasks;  ///< of a run with very many: those that matter most
  bool ended = false;
  bool dormant = false;  ///< of an earlier scheduler: nothing of it starts by itself
  std::int64_t scheduler_pid = 0;
};

/// Reads the answer. Errors: `failed` when it is not one.
Result<RunProgress> read_progress(const nlohmann::json& answer);

/// One line about a task.
struct ProgressLine {
  std::string task;
  std::string state;
  Style style = Style::plain;
  std::string detail;
};

ProgressLine progress_line(const TaskProgress& task, const Here& here);

/// The lines as they are printed: names and states in columns.
std::vector<std::string> format_lines(const Terminal& terminal,
                                      const std::vector<ProgressLine>& lines, int task_width);

/// Hooks are told of beside the run: they change nothing of its result.
bool is_hook(const TaskProgress& task);
/// Failed, or held.
bool is_bad(TaskState state);
/// How many tasks in this state are not among those listed.
std::int64_t unlisted(const RunProgress& run, TaskState state);

/// The first names, and how many others there are beside `more` that have none.
std::string joined_names(const std::vector<std::string>& names, std::int64_t more = 0);

/// Counts over states.
std::int64_t count_of(const Counts& counts, TaskState state);
std::int64_t total_of(const Counts& counts);
/// Items or tasks in a final state.
std::int64_t finished_of(const Counts& counts);

/// Colour of a state.
Style style_of(TaskState state);
Style style_of(RunState state);

/// `exit:3`, `signal:9`, or the word of the reason.
std::string reason_text(std::string_view reason, std::optional<int> exit_code,
                        std::optional<int> signal);

/// `7k3f9q` of `20261120-225801-7k3f9q`.
std::string_view short_name(std::string_view run);

}  // namespace pawl
