#include "storage/rows_sql.h"

#include <charconv>
#include <iterator>

namespace pawl {

std::optional<TimerKind> timer_kind_from(std::string_view word) {
  for (std::size_t i = 0; i < std::size(kTimerKindWords); ++i) {
    if (kTimerKindWords[i] == word) return static_cast<TimerKind>(i);
  }
  return std::nullopt;
}

std::optional<Trigger> trigger_from(std::string_view word) {
  return detail::from_word<Trigger>(kTriggerWords, word);
}

std::optional<Repeat> repeat_from(std::string_view word) {
  return detail::from_word<Repeat>(kRepeatWords, word);
}

std::optional<DropReason> drop_reason_from(std::string_view word) {
  return detail::from_word<DropReason>(kDropReasonWords, word);
}

TaskKey read_task_key(RowReader& reader) {
  TaskKey key;
  key.run = reader.id<RunId>();
  key.task = reader.id<TaskIndex>();
  key.item = reader.id<ItemIndex>();
  return key;
}

Counts read_counts(RowReader& reader) {
  Counts counts{};
  for (auto& count : counts) count = reader.integer();
  return counts;
}

namespace {

std::optional<Caller> read_caller(RowReader& reader, RunId parent) {
  const std::optional<int> task = reader.small_or_none();
  Caller caller;
  caller.key = {parent, TaskIndex{static_cast<std::uint32_t>(task.value_or(0))},
                reader.id<ItemIndex>()};
  caller.attempt = reader.small();
  caller.work = reader.small();
  if (!task) return std::nullopt;
  return caller;
}

}  // namespace

RunRow read_run(RowReader& reader) {
  RunRow row;
  row.id = reader.id<RunId>();
  row.name = reader.text();
  row.job = reader.text();
  row.version = reader.id<VersionId>();
  row.state = reader.word(run_state_from);
  row.reason = reader.word(reason_from);
  row.trigger = reader.word(trigger_from);
  row.scheduled_for = reader.time_or_none();
  row.logical_time = reader.time();
  row.interval_start = reader.time_or_none();
  row.interval_end = reader.time_or_none();
  row.start_at = reader.time_or_none();
  row.request_id = reader.text();
  row.params = reader.text();
  row.default_slots = reader.integer();
  row.priority_class = reader.integer();
  row.max_active = reader.integer();
  if (auto parent = reader.id<RunId>(); parent.value != 0) row.parent = parent;
  row.caller = read_caller(reader, row.parent.value_or(RunId{}));
  row.ancestors = reader.text();
  row.created_at = reader.time();
  row.started_at = reader.time_or_none();
  row.ended_at = reader.time_or_none();
  row.resumes = reader.small();
  row.cancel_requested = reader.flag();
  row.outcome = reader.word_or_none(run_state_from);
  row.outcome_reason = reader.word(reason_from);
  row.dismissed = reader.flag();
  row.counts = read_counts(reader);
  return row;
}

TaskRow read_task(RowReader& reader) {
  TaskRow row;
  row.key = read_task_key(reader);
  row.state = reader.word(task_state_from);
  row.reason = reader.word(reason_from);
  row.detail = reader.small();
  row.attempts = reader.small();
  row.counted = reader.small();
  row.interrupted_at = reader.time_or_none();
  row.interrupted_before = reader.time_or_none();
  row.work = reader.small();
  row.live_attempt = reader.id<AttemptId>();
  row.queued_at = reader.time_or_none();
  row.started_at = reader.time_or_none();
  row.ended_at = reader.time_or_none();
  row.error = reader.text();
  row.dismissed = reader.small();
  return row;
}

MappedRow read_mapped(RowReader& reader) {
  MappedRow row;
  row.run = reader.id<RunId>();
  row.task = reader.id<TaskIndex>();
  row.items = reader.integer();
  row.complete = reader.flag();
  row.next_fresh = reader.integer();
  row.low_water = reader.integer();
  row.rest_state = reader.word(task_state_from);
  row.rest_reason = reader.word(reason_from);
  row.counts = read_counts(reader);
  row.retries = reader.integer();
  row.repeat = reader.word(repeat_from);
  row.repeat_next = reader.integer();
  row.source = reader.text();
  row.is_paired = reader.flag();
  return row;
}

AttemptRow read_attempt(RowReader& reader) {
  AttemptRow row;
  row.id = reader.id<AttemptId>();
  row.key = read_task_key(reader);
  row.number = reader.small();
  row.state = reader.word(attempt_state_from);
  row.reason = reader.word(reason_from);
  row.exit_code = reader.small_or_none();
  row.signal = reader.small_or_none();
  row.worker = reader.id<WorkerId>();
  row.slot = reader.small();
  row.started_at = reader.time();
  row.ended_at = reader.time_or_none();
  row.cpu_us = reader.integer();
  row.peak_memory_bytes = reader.integer();
  row.log_bytes = reader.integer();
  row.stays = reader.small();
  row.handle = reader.text();
  row.state_text = reader.text();
  row.failure.error_class = reader.text();
  row.failure.message = reader.text();
  row.failure.trace = reader.text();
  row.memory_bound_bytes = reader.integer();
  return row;
}

JobVersionRow read_version(RowReader& reader) {
  JobVersionRow row;
  row.id = reader.id<VersionId>();
  row.job = reader.text();
  row.hash = reader.text();
  row.body = reader.text();
  row.folder = reader.text();
  row.created_at = reader.time();
  return row;
}

namespace {

std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<std::vector<RateRow::Starts>> starts_from(std::string_view text) {
  std::vector<RateRow::Starts> starts;
  while (!text.empty()) {
    const auto age = take_number(text);
    if (!age || *age < 0 || !text.starts_with(':')) return std::nullopt;
    text.remove_prefix(1);
    const auto count = take_number(text);
    if (!count || *count < 1) return std::nullopt;
    starts.push_back({Duration(*age), *count});
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return starts;
}

}  // namespace

std::string text_of_starts(const std::vector<RateRow::Starts>& starts) {
  std::string text;
  for (const RateRow::Starts& some : starts) {
    if (!text.empty()) text += ' ';
    text += std::to_string(some.age.count()) + ':' + std::to_string(some.count);
  }
  return text;
}

RateRow read_rate(RowReader& reader, std::int64_t boot) {
  RateRow row;
  row.key.job = reader.text();
  row.key.pool = reader.text();
  row.key.task = reader.text();
  row.at = MonoTime{reader.integer()};
  row.at_wall = reader.time();
  row.per = Duration(reader.integer());
  row.starts = reader.word(starts_from);
  row.same_boot = reader.integer() == boot;
  return row;
}

JobRow read_job(RowReader& reader) {
  JobRow row;
  row.name = reader.text();
  row.version = reader.id<VersionId>();
  row.file = reader.text();
  row.quarantined = reader.text();
  row.removed = reader.flag();
  row.first_loaded_at = reader.time_or_none();
  row.paused = reader.flag();
  row.pause_note = reader.text();
  row.paused_by = reader.text();
  row.paused_at = reader.time_or_none();
  row.next_fire_at = reader.time_or_none();
  row.decided_through = reader.time_or_none();
  row.failures = reader.small();
  return row;
}

DroppedRow read_dropped(RowReader& reader) {
  DroppedRow row;
  row.job = reader.text();
  row.reason = reader.word(drop_reason_from);
  row.first = reader.time();
  row.last = reader.time();
  row.count = reader.integer();
  row.at = reader.time();
  return row;
}

}  // namespace pawl
