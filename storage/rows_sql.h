#pragma once

// The columns of the tables and the rows they make, for the store and for readers of history. Each
// list of columns goes with the `read_` function of its name, in the same order.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/rows.h"
#include "storage/row_reader.h"

namespace pawl {

inline constexpr std::string_view kTimerKindWords[] = {"retry", "deferral", "total", "queue",
                                                       "run"};
constexpr std::string_view to_string(TimerKind kind) {
  return kTimerKindWords[static_cast<std::size_t>(kind)];
}
std::optional<TimerKind> timer_kind_from(std::string_view word);
std::optional<Trigger> trigger_from(std::string_view word);
std::optional<Repeat> repeat_from(std::string_view word);
std::optional<DropReason> drop_reason_from(std::string_view word);

/// A run that has not ended: `state` is its column. The words of the index run_open.
#define PAWL_RUN_IS_OPEN(state) \
  "(" state " = 'queued' OR " state " = 'running' OR " state " = 'paused')"

// Tables are called by their aliases in these lists: r run, c run_counts, t task, m mapped,
// a attempt.

#define PAWL_RUN_COLUMNS                                                                   \
  "r.id, r.name, r.job, r.version, r.state, r.reason, r.\"trigger\", r.scheduled_for, "    \
  "r.logical_time, r.interval_start, r.interval_end, r.start_at, r.request_id, r.params, " \
  "r.default_slots, r.priority_class, r.max_active, r.parent, r.parent_task, "             \
  "r.parent_item, r.parent_attempt, r.parent_work, r.ancestors, r.created_at, "            \
  "r.started_at, r.ended_at, r.resumes, r.cancel_requested, r.outcome, r.outcome_reason, " \
  "r.dismissed, c.waiting, c.queued, c.running, c.retrying, c.deferred, "                  \
  "c.held, c.succeeded, c.failed, c.skipped, c.upstream_failed, c.cancelled"
RunRow read_run(RowReader& reader);

#define PAWL_TASK_COLUMNS                                                                         \
  "t.run, t.task, t.item, t.state, t.reason, t.detail, t.attempts, t.counted, t.interrupted_at, " \
  "t.interrupted_before, t.work, t.live_attempt, t.queued_at, t.started_at, t.ended_at, "         \
  "t.error, t.dismissed"
TaskRow read_task(RowReader& reader);

#define PAWL_MAPPED_COLUMNS                                                                      \
  "m.run, m.task, m.items, m.complete, m.next_fresh, m.low_water, m.rest_state, m.rest_reason, " \
  "m.waiting, m.queued, m.running, m.retrying, m.deferred, m.held, m.succeeded, m.failed, "      \
  "m.skipped, m.upstream_failed, m.cancelled, m.retries, m.repeat, "                             \
  "m.repeat_next, m.source, m.paired"
MappedRow read_mapped(RowReader& reader);

#define PAWL_ATTEMPT_COLUMNS                                                                    \
  "a.id, a.run, a.task, a.item, a.number, a.state, a.reason, a.exit_code, a.signal, a.worker, " \
  "a.slot, a.started_at, a.ended_at, a.cpu_us, a.peak_memory_bytes, a.log_bytes, a.stays, "     \
  "a.handle, a.state_text, a.error_class, a.error_message, a.error_trace, "                     \
  "a.memory_bound_bytes"
AttemptRow read_attempt(RowReader& reader);

/// Of a row of `output AS o`: it is a result. What failed since, or was marked, has none, though
/// its row stays, for a mark may take that back.
#define PAWL_IS_RESULT                                                       \
  "EXISTS (SELECT 1 FROM task AS t WHERE t.run = o.run AND t.task = o.task " \
  "AND t.item = o.item AND t.state = 'succeeded')"

#define PAWL_RATE_COLUMNS "job, pool, task, at, at_wall, per, starts, boot"
/// `boot`: the one that is now.
RateRow read_rate(RowReader& reader, std::int64_t boot);
/// `1200:5 0:1`, as the table has it.
std::string text_of_starts(const std::vector<RateRow::Starts>& starts);

#define PAWL_VERSION_COLUMNS "id, job, hash, body, folder, created_at"
JobVersionRow read_version(RowReader& reader);

#define PAWL_JOB_COLUMNS                                                             \
  "name, version, file, quarantined, removed, first_loaded_at, paused, pause_note, " \
  "paused_by, paused_at, next_fire_at, decided_through, failures"
JobRow read_job(RowReader& reader);

#define PAWL_DROPPED_COLUMNS "job, reason, first, last, count, at"
DroppedRow read_dropped(RowReader& reader);

TaskKey read_task_key(RowReader& reader);
Counts read_counts(RowReader& reader);

}  // namespace pawl
