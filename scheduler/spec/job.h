#pragma once

// What a job file says, checked and with every default filled in. Immutable once made: a run is
// pinned to the version it was accepted with. Values that only workers or ingestion look into stay
// JSON text, so that nobody parses them on the way.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/reason.h"

namespace pawl {

enum class TriggerRule : std::uint8_t {
  all_success,
  all_failed,
  all_done,
  one_success,
  one_failed,
  one_done,
  none_failed,
  none_skipped,
  none_failed_min_one_success,
  all_skipped,
  all_done_min_one_success,
  always,
};
inline constexpr std::size_t kTriggerRuleCount = static_cast<std::size_t>(TriggerRule::always) + 1;
std::string_view to_string(TriggerRule rule);

enum class Backoff : std::uint8_t { exponential, linear, fixed };
enum class Jitter : std::uint8_t { equal, full, none };
enum class OnInterrupt : std::uint8_t { retry, fail, hold };
enum class OutputFormat : std::uint8_t { none, text, json, jsonl };
inline constexpr std::size_t kOutputFormatCount = static_cast<std::size_t>(OutputFormat::jsonl) + 1;
enum class ItemFormat : std::uint8_t { jsonl, json, csv, lines };
enum class CatchupPolicy : std::uint8_t { none, latest, all };
enum class Overlap : std::uint8_t { queue, skip, replace, allow };
std::string_view to_string(Backoff v);
std::string_view to_string(Jitter v);
std::string_view to_string(OnInterrupt v);
std::string_view to_string(OutputFormat v);
std::string_view to_string(ItemFormat v);
std::string_view to_string(CatchupPolicy v);
std::string_view to_string(Overlap v);

/// When a failed attempt is followed by another, and after how long.
struct RetryPolicy {
  std::int32_t max_attempts = 1;  ///< all attempts since the last resume
  Duration delay = std::chrono::seconds(10);
  Backoff backoff = Backoff::exponential;
  double multiplier = 2.0;
  Duration max_delay = std::chrono::hours(1);
  Jitter jitter = Jitter::equal;
  ReasonSet on = retried_by_default();         ///< with `not_on` already taken out
  std::optional<std::vector<int>> exit_codes;  ///< only these codes are retried (ascending)
  std::vector<int> not_exit_codes;             ///< these are not (ascending)
};

/// A limit of starts: at most `count` in any `per`.
struct Rate {
  std::int64_t count = 0;
  Duration per{};

  friend bool operator==(const Rate&, const Rate&) = default;
};

/// How many failures of a mapped task are forgiven: a count, or a share of all items.
struct Tolerance {
  bool is_percent = false;
  double value = 0;  ///< items, or percent 0 to 100

  /// Failures that `items` items may have; percent is rounded down.
  std::int64_t of(std::int64_t items) const;
};

/// The items of a mapped task and what is asked of them.
struct MapSpec {
  enum class Kind : std::uint8_t { inline_array, expression, file };
  Kind kind = Kind::inline_array;
  std::string
      items;  ///< JSON array text | the template, `{{ … }}` | path as written, a template too
  ItemFormat format = ItemFormat::jsonl;  ///< of a file
  std::string key;                        ///< template of an item's unique name; empty: none
  std::int64_t max_concurrent = 0;        ///< 0: no limit of its own
  Tolerance tolerated_failures;
  std::int64_t stop_after_failures = 0;  ///< 0: never
};

struct Dependency {
  TaskIndex task;
  bool each = false;  ///< item i waits for item i only
};

struct PoolUse {
  std::string pool;
  std::int64_t slots = 1;
};

struct Resources {
  std::uint64_t memory_bytes = 0;  ///< 0: no limit
  Duration cpu_time{};             ///< 0: no limit
  std::int64_t pids = 0;           ///< 0: no limit
  std::optional<int> nice;
};

/// The operator that the scheduler itself answers: it starts a run of another job and waits for it.
inline constexpr std::string_view kJobOperator = "job";

struct TaskSpec {
  std::string id;
  std::string operator_name = "process";  ///< `process` for `command` and `script`
  /// What the worker needs, as JSON text, templates not rendered. For `process`: an object with
  /// `command` (array) or `script` (text) and `shell` (array), and where set `stdin`,
  /// `skip_exit_codes`; for other operators: the value of `with`.
  std::string with;
  std::map<std::string, std::string> env;  ///< job's and task's merged; values are templates
  std::vector<std::string> pass_env;
  std::string working_dir;  ///< as written (a template), the job's if not set; may be empty
  std::vector<std::string> secrets;  ///< names this task uses in `env` or `with`, ascending
  std::vector<TaskIndex>
      outputs_used;  ///< tasks whose state, output or counts a template of it names
  /// Those of them whose item is meant, the one with the same index: this task is paired with them.
  std::vector<TaskIndex> pairs_used;

  std::vector<Dependency> depends_on;  ///< no duplicates, in the order written
  TriggerRule trigger_rule = TriggerRule::all_success;
  std::string when;  ///< an expression; empty: always
  bool allow_failure = false;
  std::optional<MapSpec> map;
  /// Mapped through an `each` dependency over the same items as that task.
  std::optional<TaskIndex> mapped_over;

  RetryPolicy retry;
  Duration timeout{};  ///< 0: none; so for the next three
  Duration total_timeout{};
  Duration queue_timeout{};
  Duration stall_timeout{};
  Duration kill_grace = std::chrono::seconds(10);
  std::vector<PoolUse> pools = {{"default", 1}};  ///< none when it calls a job
  std::int64_t priority = 0;
  std::optional<Rate> rate_limit;
  Resources resources;
  OnInterrupt on_interrupt = OnInterrupt::hold;
  OutputFormat output = OutputFormat::none;
  bool output_from_file = false;  ///< from `$PAWL_OUTPUT` instead of standard output

  bool is_mapped() const { return map.has_value() || mapped_over.has_value(); }
  /// Its attempts wait for runs of another job, and hold no slots meanwhile.
  bool calls_job() const { return operator_name == kJobOperator; }
};

struct PoolSpec {
  std::int64_t slots = 0;
  std::optional<Rate> rate = {};

  friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

struct ParamSpec {
  std::string schema;                        ///< JSON Schema of the value, as JSON text
  std::optional<std::string> default_value;  ///< as JSON text
};

struct SecretSource {
  bool from_file = false;
  std::string name;  ///< of the variable, or the path

  friend bool operator==(const SecretSource&, const SecretSource&) = default;
};

struct ScheduleSpec {
  enum class Kind : std::uint8_t { cron, every, at };
  Kind kind = Kind::cron;
  std::string cron;  ///< checked; kind cron
  Duration every{};  ///< kind every
  std::string at;    ///< as written, checked; kind at
  std::string timezone = "UTC";
  std::string start;  ///< as written, checked; empty: none
  std::string end;
  Duration jitter{};
  std::vector<std::string> except_dates;  ///< `YYYY-MM-DD`
  std::string except_file;
};

struct Catchup {
  CatchupPolicy policy = CatchupPolicy::latest;
  std::int64_t limit = 100;
  Duration window = std::chrono::hours(24 * 7);
};

enum class HookKind : std::uint8_t { on_success, on_failure, on_exit };
std::string_view to_string(HookKind v);

struct HookSpec {
  HookKind kind = HookKind::on_exit;
  std::int32_t place = 0;  ///< within its kind, from 0
  TaskSpec task;           ///< `task.id` is `hook:on_failure:0`
};

struct JobSpec {
  std::string name;
  std::string description;
  std::map<std::string, std::string> labels;
  std::vector<ScheduleSpec> schedules;
  Catchup catchup;
  Overlap overlap = Overlap::queue;
  std::int64_t queue_limit = 10;
  std::int64_t max_active_runs = 16;
  std::int64_t pause_after_failures = 0;  ///< scheduled runs in a row; 0: never
  std::map<std::string, ParamSpec> params;
  std::map<std::string, SecretSource> secrets;
  std::map<std::string, PoolSpec> pools;
  Duration timeout{};  ///< of the run; 0: none
  bool fail_fast = false;
  std::optional<std::int64_t> retention_runs;
  std::optional<std::int64_t> retention_days;
  std::vector<TaskSpec> tasks;  ///< in the order of the file
  std::vector<HookSpec> hooks;
  std::string folder;  ///< absolute folder of the job file; relative paths start here

  /// Tasks and hooks in one numbering: hooks follow the tasks.
  std::size_t node_count() const { return tasks.size() + hooks.size(); }
  bool is_hook(TaskIndex index) const { return index.value >= tasks.size(); }
  const TaskSpec& node(TaskIndex index) const {
    return is_hook(index) ? hooks[index.value - tasks.size()].task : tasks[index.value];
  }
  /// Failures of items that a mapped task forgives. One that is paired forgives what that task
  /// forgives whose items it has.
  Tolerance tolerance_of(TaskIndex index) const {
    const TaskSpec& task = node(index);
    const auto& map = task.mapped_over ? node(*task.mapped_over).map : task.map;
    return map ? map->tolerated_failures : Tolerance{};
  }
};

/// Delay after the n-th counted attempt (n from 1), before jitter, `max_delay` applied. Total:
/// attempt 50,000 gives the cap.
Duration retry_delay(const RetryPolicy& policy, std::int64_t attempt);

/// `retry_delay` with jitter: full draws from [0, delay], equal from [delay/2, delay], by
/// `random`, a uniform 64-bit value.
Duration jittered_retry_delay(const RetryPolicy& policy, std::int64_t attempt,
                              std::uint64_t random);

/// The tasks in topological order; ties keep the order of the file. The job has no cycle.
std::vector<TaskIndex> topological_order(const JobSpec& job);

/// The same for a graph that may have cycles: what is in or behind one is left out.
std::vector<TaskIndex> partial_topological_order(const JobSpec& job);

/// Levels of the graph, by task: 0 for roots, else one more than the deepest upstream.
std::vector<std::int32_t> levels(const JobSpec& job);

}  // namespace pawl
