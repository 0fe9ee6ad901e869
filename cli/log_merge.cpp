#include "cli/log_merge.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "cli/view.h"
#include "plugins/worker/definition.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

// A worker's first line may be a little earlier than the start that was recorded for it.
constexpr Duration kStartSlack = std::chrono::milliseconds(200);

/// Comparable with the times of records, which have more digits.
std::string time_text(WallTime time) {
  std::string text = format_utc(time);
  text.pop_back();  // Z
  return text;
}

}  // namespace

std::string LogSource::name() const {
  std::string text = task_name(folder->task, item);
  if (number > 1) text += "#" + std::to_string(number);
  return text;
}

std::string LogSource::path() const { return log_path(folder->path, item, number); }

struct LogMerge::Later {
  bool operator()(const std::unique_ptr<Open>& a, const std::unique_ptr<Open>& b) const {
    return std::tie(a->time, a->place) > std::tie(b->time, b->place);
  }
};

void LogMerge::add(const LogSource& source) { pending_.push_back(source); }

bool LogMerge::is_growing() const {
  return std::any_of(quiet_.begin(), quiet_.end(),
                     [](const auto& open) { return !open->source.is_final; });
}

Result<void> LogMerge::settle(const std::function<Result<bool>(AttemptId)>& is_final) {
  for (auto& open : quiet_) {
    if (open->source.is_final) continue;
    const Result<bool> answer = is_final(open->source.attempt);
    if (!answer) return answer.error();
    open->source.is_final = *answer;
  }
  return {};
}

/// Reads its next line and puts it where it belongs then; gone when it is over.
Result<void> LogMerge::advance(std::unique_ptr<Open> open) {
  Result<std::optional<LogLine>> line = open->reader.next();
  if (!line) return line.error();
  if (!*line && open->source.is_final) {
    line = open->reader.rest();
    if (!line) return line.error();
    if (!*line) return {};
  }
  if (!*line) {
    quiet_.push_back(std::move(open));
    return {};
  }
  open->head = **std::move(line);
  if (!open->head.time.empty()) open->time = open->head.time;
  heads_.push_back(std::move(open));
  std::push_heap(heads_.begin(), heads_.end(), Later());
  return {};
}

void LogMerge::note_next_start() {
  next_start_ = pending_.empty() ? "" : time_text(pending_.back().started_at - kStartSlack);
}

Result<void> LogMerge::open_next() {
  auto open = std::make_unique<Open>(
      Open{pending_.back(), LogReader(pending_.back().path()), {}, next_start_, opened_++});
  pending_.pop_back();
  note_next_start();
  return advance(std::move(open));
}

std::unique_ptr<LogMerge::Open> LogMerge::take_first() {
  std::pop_heap(heads_.begin(), heads_.end(), Later());
  std::unique_ptr<Open> first = std::move(heads_.back());
  heads_.pop_back();
  return first;
}

Result<void> LogMerge::drain(const Sink& sink) {
  // Those that began at the same time stay in the order in which they were added.
  std::reverse(pending_.begin(), pending_.end());
  std::stable_sort(pending_.begin(), pending_.end(), [](const LogSource& a, const LogSource& b) {
    return a.started_at > b.started_at;
  });
  note_next_start();
  for (auto& open : std::exchange(quiet_, {})) {
    if (Result<void> done = advance(std::move(open)); !done) return done;
  }
  for (;;) {
    // One that may begin before the earliest line that is known.
    if (!pending_.empty() && (heads_.empty() || next_start_ <= heads_.front()->time)) {
      if (Result<void> done = open_next(); !done) return done;
      continue;
    }
    if (heads_.empty()) return {};
    std::unique_ptr<Open> first = take_first();
    sink(first->source, first->head);
    if (Result<void> done = advance(std::move(first)); !done) return done;
  }
}

}  // namespace pawl
