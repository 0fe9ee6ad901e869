#include "plugins/worker/journal_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "plugins/worker/frames.h"
#include "plugins/worker/wire.h"
#include "scheduler/base/check.h"
#include "scheduler/base/cut.h"
#include "scheduler/base/limits.h"

namespace pawl {
namespace {

using journal::Kind;
using journal::record_bytes;
using journal::system_error;

/// Set aside for an end without output: its fields, a message and a trace cut to fit.
constexpr std::size_t kEndBytes = 1024;
/// The same with an inline output of the largest size.
constexpr std::size_t kEndWithOutputBytes = kEndBytes + limits::kJournalInlineBytesMax;
/// The largest record: an end with everything at its limit. At most this is left unused at the end
/// of a segment.
constexpr std::size_t kRecordBytesMax = kEndWithOutputBytes + 4 * limits::kErrorMessageBytesMax;
constexpr std::size_t kSpawnedBytes = 64;

void shorten(std::string& text, std::size_t bytes_max) {
  text.resize(cut_utf8(text, bytes_max).size());
}

/// Keeps where a trace begins and where it ends, which is what broke, by whole lines where it has
/// them.
void shorten_middle(std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  constexpr std::string_view kGap = "\n…\n";
  std::string head = text.substr(0, bytes_max / 4);
  shorten(head, head.rfind('\n') == std::string::npos ? head.size() - 1 : head.rfind('\n'));
  std::size_t tail = text.size() - (bytes_max - head.size() - kGap.size());
  if (const std::size_t line = text.find('\n', tail);
      line != std::string::npos && line + 1 < text.size()) {
    tail = line + 1;
  } else {
    while (tail < text.size() && continues_character(text[tail])) ++tail;
  }
  text.replace(0, tail, head.append(kGap));
}

/// Cuts what is for people only, then the output or the state, until the end fits what is set aside
/// at least.
void make_small(AttemptEnd& end) {
  end.trace.clear();
  shorten(end.error_class, 64);
  shorten(end.message, 256);
  if (end.outcome == Outcome::deferred && !end.state.empty()) {
    end.state.clear();
    end.outcome = Outcome::failed;
    end.reason = Reason::error;
    end.message = "its state was lost: no space left for the worker's journal";
  }
  if (end.output.value.empty() && end.output.file.size() <= 256) return;
  end.output = {};
  if (end.outcome != Outcome::succeeded) return;
  end.outcome = Outcome::failed;
  end.reason = Reason::output;
  end.message = "the output was lost: no space left for the worker's journal";
}

}  // namespace

Result<JournalWriter> JournalWriter::open(const std::string& folder) {
  JournalWriter writer(folder);
  auto numbers = journal::list_segments(folder);
  if (!numbers) return numbers.error();
  if (!numbers->empty()) writer.last_number_ = numbers->back();
  return writer;
}

std::string JournalWriter::path(std::uint32_t number) const {
  return journal::segment_path(folder_, number);
}

std::size_t JournalWriter::free_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = current_; i < segments_.size(); ++i) {
    std::size_t left = limits::kJournalSegmentBytes - segments_[i].used;
    // The last record's worth of a segment may go unused because the next record is longer.
    bytes += left > kRecordBytesMax ? left - kRecordBytesMax : 0;
  }
  return bytes;
}

bool JournalWriter::add_segment() {
  std::uint32_t number = last_number_ + 1;
  Fd file(::open(path(number).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!file) return false;
  int error = posix_fallocate(file.get(), 0, limits::kJournalSegmentBytes);
  if (error != 0) {
    ::unlink(path(number).c_str());
    errno = error;
    return false;
  }
  last_number_ = number;
  segments_.push_back({number, std::move(file), 0, 0});
  return true;
}

bool JournalWriter::make_room(std::size_t bytes) {
  while (free_bytes() < bytes) {
    if (!add_segment()) return false;
  }
  return true;
}

JournalWriter::Segment& JournalWriter::segment_for(std::size_t bytes) {
  while (limits::kJournalSegmentBytes - segments_[current_].used < bytes &&
         current_ + 1 < segments_.size()) {
    ++current_;
  }
  return segments_[current_];
}

bool JournalWriter::fits(std::size_t bytes) {
  return !segments_.empty() && limits::kJournalSegmentBytes - segment_for(bytes).used >= bytes;
}

void JournalWriter::append(JournalEntry& entry, Kind kind, std::string_view payload) {
  std::size_t bytes = record_bytes(payload.size());
  Segment& segment = segment_for(bytes);
  if (pending_.empty() || pending_.back().segment != segment.number) {
    pending_.push_back({segment.number, segment.used, {}});
  }
  journal::append_record(pending_.back().bytes, kind, payload, segment.number);
  segment.used += bytes;
  const std::uint32_t last = entry.later_.empty() ? entry.first_segment_ : entry.later_.back();
  if (last == segment.number) return;
  if (last == 0) {
    entry.first_segment_ = segment.number;
  } else {
    entry.later_.push_back(segment.number);
  }
  ++segment.attempts;
}

Result<void> JournalWriter::begin(AttemptId attempt, JournalEntry& entry, WallTime now,
                                  bool has_output, bool is_suspect) {
  payload_.clear();
  wire::Writer out(payload_);
  out.integers(attempt.value, now.ms);
  out.flag(is_suspect);
  std::size_t record = record_bytes(payload_.size());
  std::size_t reserve = kSpawnedBytes + (has_output ? kEndWithOutputBytes : kEndBytes);
  if (!make_room(reserved_ + record + reserve)) {
    return system_error("cannot make a journal segment in " + folder_, errno);
  }
  append(entry, Kind::begin, payload_);
  entry.reserved_ = reserve;
  reserved_ += reserve;
  return {};
}

void JournalWriter::spawned(AttemptId attempt, JournalEntry& entry, const Spawned& process) {
  payload_.clear();
  wire::Writer out(payload_);
  out.integer(attempt.value);
  out.integer(static_cast<std::int32_t>(process.pid));
  out.integer(process.ticks_min);
  out.integer(process.ticks_max);
  PAWL_CHECK(entry.reserved_ > kSpawnedBytes);
  append(entry, Kind::spawned, payload_);
  entry.reserved_ -= kSpawnedBytes;
  reserved_ -= kSpawnedBytes;
}

Result<void> JournalWriter::handle(AttemptId attempt, JournalEntry& entry,
                                   const std::string& handle) {
  payload_.clear();
  wire::Writer out(payload_);
  out.integer(attempt.value);
  out.text(handle);
  if (!make_room(reserved_ + record_bytes(payload_.size()))) {
    return system_error("cannot make a journal segment in " + folder_, errno);
  }
  append(entry, Kind::handle, payload_);
  return {};
}

void JournalWriter::end(JournalEntry& entry, AttemptEnd& end) {
  PAWL_CHECK(end.output.value.size() <= limits::kJournalInlineBytesMax);
  shorten(end.message, limits::kErrorMessageBytesMax);
  shorten_middle(end.trace, 2 * limits::kErrorMessageBytesMax);
  shorten(end.error_class, 128);
  const std::size_t own = entry.reserved_;
  payload_.clear();
  append_attempt_end(payload_, end);
  std::size_t bytes = record_bytes(payload_.size());
  // What the others have set aside stays theirs.
  if (bytes > own && !make_room(reserved_ - own + bytes)) {
    AttemptEnd small = end;
    if (own < kEndWithOutputBytes) {
      make_small(small);
    } else {
      small.trace.clear();
      shorten(small.message, 256);
    }
    end = std::move(small);
    payload_.clear();
    append_attempt_end(payload_, end);
  }
  bytes = record_bytes(payload_.size());
  if (own == 0 && !fits(bytes)) return;  // never begun: nothing to prove
  append(entry, Kind::end, payload_);
  entry.reserved_ = 0;
  reserved_ -= own;
}

void JournalWriter::forget(const JournalEntry& entry) {
  reserved_ -= entry.reserved_;
  const auto& later = entry.later_;
  for (Segment& segment : segments_) {
    const bool is_later = std::binary_search(later.begin(), later.end(), segment.number);
    if (segment.number == entry.first_segment_ || is_later) --segment.attempts;
  }
  remove_unneeded();
}

void JournalWriter::remove_unneeded() {
  if (current_ == 0) return;
  const std::uint32_t current_number = segments_[current_].number;
  auto is_unneeded = [&](const Segment& segment) {
    if (segment.attempts > 0 || segment.number >= current_number) return false;
    return std::none_of(pending_.begin(), pending_.end(),
                        [&](const Pending& p) { return p.segment == segment.number; });
  };
  for (const Segment& segment : segments_) {
    if (is_unneeded(segment)) ::unlink(path(segment.number).c_str());
  }
  std::erase_if(segments_, is_unneeded);
  current_ = 0;
  while (segments_[current_].number != current_number) ++current_;
}

Result<void> JournalWriter::flush() {
  while (!pending_.empty()) {
    Pending& next = pending_.front();
    auto segment = std::find_if(segments_.begin(), segments_.end(),
                                [&](const Segment& s) { return s.number == next.segment; });
    PAWL_CHECK(segment != segments_.end());
    while (!next.bytes.empty()) {
      ssize_t written = ::pwrite(segment->file.get(), next.bytes.data(), next.bytes.size(),
                                 static_cast<off_t>(next.offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return system_error(path(next.segment), written < 0 ? errno : EIO);
      next.offset += static_cast<std::size_t>(written);
      next.bytes.erase(0, static_cast<std::size_t>(written));
    }
    pending_.erase(pending_.begin());
  }
  return {};
}

}  // namespace pawl
