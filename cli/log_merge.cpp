#include "cli/log_merge.h"

#include <algorithm>

#include "scheduler/base/text.h"

namespace pawl {

namespace {

// A worker's first line may be a little earlier than the start that was recorded for it.
constexpr Duration kStartSlack = std::chrono::seconds(2);

/// Comparable with the times of records, which have more digits.
std::string time_text(WallTime time) {
  std::string text = format_utc(time);
  text.pop_back();  // Z
  return text;
}

}  // namespace

void LogMerge::add(LogSource source) {
  const auto later = [](const LogSource& a, const LogSource& b) {
    return a.started_at > b.started_at;
  };
  pending_.insert(std::upper_bound(pending_.begin(), pending_.end(), source, later), source);
}

void LogMerge::set_final(std::int64_t attempt_id) {
  for (LogSource& source : pending_) {
    if (source.attempt_id == attempt_id) source.is_final = true;
  }
  for (auto& open : open_) {
    if (open->source.attempt_id == attempt_id) open->source.is_final = true;
  }
}

std::vector<std::int64_t> LogMerge::growing() const {
  std::vector<std::int64_t> ids;
  for (const auto& open : open_) {
    if (!open->source.is_final) ids.push_back(open->source.attempt_id);
  }
  return ids;
}

Result<void> LogMerge::advance(Open& open) {
  open.has_head = false;
  // Asked before reading: what was written before the end is then surely seen.
  const bool was_final = open.source.is_final;
  Result<std::optional<LogLine>> line = open.reader.next();
  if (!line) return line.error();
  if (!*line && was_final) {
    line = open.reader.rest();
    if (!line) return line.error();
    open.is_done = !*line;
  }
  if (!*line) return {};
  open.head = **std::move(line);
  if (!open.head.time.empty()) open.time = open.head.time;
  open.has_head = true;
  return {};
}

/// Opens what may have lines before `until`; everything when that is empty.
Result<void> LogMerge::open_pending(const std::string& until) {
  while (!pending_.empty()) {
    const std::string earliest = time_text(pending_.back().started_at - kStartSlack);
    if (!until.empty() && earliest > until) return {};
    const std::string path = pending_.back().path;
    auto open = std::make_unique<Open>(
        Open{std::move(pending_.back()), LogReader(path), {}, {}, false, false});
    pending_.pop_back();
    open->time = earliest;
    if (Result<void> done = advance(*open); !done) return done;
    open_.push_back(std::move(open));
    // One at a time while nothing is known about its lines: they may all come before the next.
    if (until.empty()) return {};
  }
  return {};
}

Result<void> LogMerge::drain(const Sink& sink) {
  for (auto& open : open_) {
    if (open->has_head) continue;
    if (Result<void> done = advance(*open); !done) return done;
  }
  for (;;) {
    std::erase_if(open_, [](const auto& open) { return open->is_done; });
    const auto earliest = [&] {
      Open* first = nullptr;
      for (const auto& open : open_) {
        if (open->has_head && (first == nullptr || open->time < first->time)) first = open.get();
      }
      return first;
    };
    Open* next = earliest();
    if (next == nullptr) {
      if (pending_.empty()) return {};
      if (Result<void> done = open_pending(""); !done) return done;
      continue;
    }
    if (Result<void> done = open_pending(next->time); !done) return done;
    next = earliest();
    sink(next->source, next->head);
    if (Result<void> done = advance(*next); !done) return done;
  }
}

}  // namespace pawl
