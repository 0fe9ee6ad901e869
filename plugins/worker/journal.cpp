#include "plugins/worker/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include <xxhash.h>

#include "plugins/worker/frames.h"
#include "plugins/worker/wire.h"
#include "scheduler/base/limits.h"

namespace pawl {
namespace {

enum class Kind : std::uint8_t { begin = 1, spawned = 2, end = 3, handle = 4 };

constexpr std::string_view kPrefix = "journal.";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kAlignment = 8;
/// Set aside for an end without output: its fields, a message and a trace cut to fit.
constexpr std::size_t kEndBytes = 1024;
/// The same with an inline output of the largest size.
constexpr std::size_t kEndWithOutputBytes = kEndBytes + limits::kJournalInlineBytesMax;
/// The largest record: an end with everything at its limit. At most this is left unused at the end
/// of a segment.
constexpr std::size_t kRecordBytesMax = kEndWithOutputBytes + 4 * limits::kErrorMessageBytesMax;
constexpr std::size_t kSpawnedBytes = 64;
/// Ranges of damage that are named; nobody reads more.
constexpr std::size_t kDamageNotesMax = 100;

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::uint64_t checksum(std::uint32_t size, std::uint8_t kind, std::string_view payload,
                       std::uint32_t segment) {
  std::uint64_t head = std::uint64_t{size} << 8 | kind;
  std::uint64_t seed = XXH3_64bits_withSeed(&head, sizeof(head), segment);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
}

void append_record(std::string& to, Kind kind, std::string_view payload, std::uint32_t segment) {
  wire::Writer out(to);
  auto size = static_cast<std::uint32_t>(payload.size());
  constexpr std::uint8_t kZero = 0;
  out.integers(size, static_cast<std::uint8_t>(kind), kZero, kZero, kZero,
               checksum(size, static_cast<std::uint8_t>(kind), payload, segment));
  to.append(payload);
  const std::size_t bytes = kHeaderBytes + payload.size();
  to.append(padded(bytes) - bytes, '\0');
}

Error system_error(const std::string& what, int error) {
  return {ErrorKind::storage, what + ": " + std::strerror(error)};
}

/// The number in `journal.00000012`; nothing for any other name.
std::optional<std::uint32_t> segment_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::uint32_t number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

Result<std::vector<std::uint32_t>> list_segments(const std::string& folder) {
  std::vector<std::uint32_t> numbers;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return numbers;
    return system_error(folder, errno);
  }
  while (const dirent* entry = readdir(dir.get())) {
    if (auto number = segment_number(entry->d_name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string segment_path(const std::string& folder, std::uint32_t number) {
  std::string digits = std::to_string(number);
  return folder + "/" + std::string(kPrefix) +
         std::string(8 - std::min<std::size_t>(8, digits.size()), '0') + digits;
}

void shorten(std::string& text, std::size_t bytes_max) {
  if (text.size() > bytes_max) text.resize(bytes_max);
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

// Writing ----------------------------------------------------------------------------------------

Result<JournalWriter> JournalWriter::open(const std::string& folder) {
  JournalWriter writer(folder);
  auto numbers = list_segments(folder);
  if (!numbers) return numbers.error();
  if (!numbers->empty()) writer.last_number_ = numbers->back();
  return writer;
}

std::string JournalWriter::path(std::uint32_t number) const {
  return segment_path(folder_, number);
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

JournalWriter::Open& JournalWriter::append(AttemptId attempt, std::uint8_t kind,
                                           std::string_view payload) {
  std::size_t bytes = padded(kHeaderBytes + payload.size());
  Segment& segment = segment_for(bytes);
  if (pending_.empty() || pending_.back().segment != segment.number) {
    pending_.push_back({segment.number, segment.used, {}});
  }
  append_record(pending_.back().bytes, static_cast<Kind>(kind), payload, segment.number);
  segment.used += bytes;
  Open& open = open_[attempt];
  const std::uint32_t last = open.later.empty() ? open.first_segment : open.later.back();
  if (last == segment.number) return open;
  if (last == 0) {
    open.first_segment = segment.number;
  } else {
    open.later.push_back(segment.number);
  }
  ++segment.attempts;
  return open;
}

Result<void> JournalWriter::begin(AttemptId attempt, WallTime now, bool has_output) {
  payload_.clear();
  wire::Writer(payload_).integers(attempt.value, now.ms);
  std::size_t record = padded(kHeaderBytes + payload_.size());
  std::size_t reserve = kSpawnedBytes + (has_output ? kEndWithOutputBytes : kEndBytes);
  if (!make_room(reserved_ + record + reserve)) {
    return system_error("cannot make a journal segment in " + folder_, errno);
  }
  append(attempt, static_cast<std::uint8_t>(Kind::begin), payload_).reserved = reserve;
  reserved_ += reserve;
  return {};
}

void JournalWriter::spawned(AttemptId attempt, const Spawned& process) {
  payload_.clear();
  wire::Writer out(payload_);
  out.integer(attempt.value);
  out.integer(static_cast<std::int32_t>(process.pid));
  out.integer(process.ticks_min);
  out.integer(process.ticks_max);
  Open& open = open_[attempt];
  PAWL_CHECK(open.reserved > kSpawnedBytes);
  append(attempt, static_cast<std::uint8_t>(Kind::spawned), payload_);
  open.reserved -= kSpawnedBytes;
  reserved_ -= kSpawnedBytes;
}

Result<void> JournalWriter::handle(AttemptId attempt, const std::string& handle) {
  payload_.clear();
  wire::Writer out(payload_);
  out.integer(attempt.value);
  out.text(handle);
  if (!make_room(reserved_ + padded(kHeaderBytes + payload_.size()))) {
    return system_error("cannot make a journal segment in " + folder_, errno);
  }
  append(attempt, static_cast<std::uint8_t>(Kind::handle), payload_);
  return {};
}

void JournalWriter::end(AttemptEnd& end) {
  PAWL_CHECK(end.output.value.size() <= limits::kJournalInlineBytesMax);
  shorten(end.message, limits::kErrorMessageBytesMax);
  shorten(end.trace, 2 * limits::kErrorMessageBytesMax);
  shorten(end.error_class, 128);
  auto open = open_.find(end.attempt);
  std::size_t own = open == open_.end() ? 0 : open->second.reserved;
  payload_.clear();
  append_attempt_end(payload_, end);
  std::size_t bytes = padded(kHeaderBytes + payload_.size());
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
  bytes = padded(kHeaderBytes + payload_.size());
  if (own == 0 && !fits(bytes)) return;  // never begun: nothing to prove
  append(end.attempt, static_cast<std::uint8_t>(Kind::end), payload_).reserved = 0;
  reserved_ -= own;
}

void JournalWriter::forget(AttemptId attempt) {
  auto open = open_.find(attempt);
  if (open == open_.end()) return;
  reserved_ -= open->second.reserved;
  const Open& its = open->second;
  for (Segment& segment : segments_) {
    const bool is_later = std::binary_search(its.later.begin(), its.later.end(), segment.number);
    if (segment.number == its.first_segment || is_later) --segment.attempts;
  }
  open_.erase(open);
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

// Reading ----------------------------------------------------------------------------------------

namespace {

struct Record {
  Kind kind = Kind::begin;
  std::string_view payload;
  std::size_t bytes = 0;  ///< with header and padding
};

/// The good record at `offset`, if there is one.
std::optional<Record> record_at(std::string_view bytes, std::size_t offset, std::uint32_t segment) {
  if (bytes.size() - offset < kHeaderBytes) return std::nullopt;
  wire::Reader in(bytes.substr(offset, kHeaderBytes));
  auto size = in.integer<std::uint32_t>();
  auto kind = in.integer<std::uint8_t>();
  for (int i = 0; i < 3; ++i) {
    if (in.integer<std::uint8_t>() != 0) return std::nullopt;
  }
  auto sum = in.integer<std::uint64_t>();
  if (kind < static_cast<std::uint8_t>(Kind::begin) ||
      kind > static_cast<std::uint8_t>(Kind::handle)) {
    return std::nullopt;
  }
  if (size > bytes.size() - offset - kHeaderBytes) return std::nullopt;
  std::string_view payload = bytes.substr(offset + kHeaderBytes, size);
  if (checksum(size, kind, payload, segment) != sum) return std::nullopt;
  return Record{static_cast<Kind>(kind), payload, padded(kHeaderBytes + size)};
}

/// Where the first good record at or after `offset` begins.
std::optional<std::size_t> next_good(std::string_view bytes, std::size_t offset,
                                     std::uint32_t segment) {
  for (; offset + kHeaderBytes <= bytes.size(); offset += kAlignment) {
    // Zeros are most of a segment: cheap to pass.
    if (bytes[offset + 4] == 0) continue;
    if (record_at(bytes, offset, segment)) return offset;
  }
  return std::nullopt;
}

class Collector {
 public:
  /// False when the payload of a verified record is not what its kind says.
  bool take(const Record& record) {
    switch (record.kind) {
      case Kind::begin: return take_begin(record.payload);
      case Kind::spawned: return take_spawned(record.payload);
      case Kind::end: return take_end(record.payload);
      case Kind::handle: return take_handle(record.payload);
    }
    return false;
  }

  std::vector<JournalAttempt> attempts() && {
    std::vector<JournalAttempt> all;
    all.reserve(attempts_.size());
    for (auto& [id, attempt] : attempts_) all.push_back(std::move(attempt));
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
    return all;
  }

 private:
  JournalAttempt& of(AttemptId id) {
    JournalAttempt& attempt = attempts_[id];
    attempt.attempt = id;
    return attempt;
  }
  bool take_begin(std::string_view payload) {
    wire::Reader in(payload);
    AttemptId id(in.integer<std::int64_t>());
    WallTime at{in.integer<std::int64_t>()};
    if (!in.done()) return false;
    JournalAttempt& attempt = of(id);
    attempt.begun_at = at;
    if (attempt.end && attempt.end->outcome == Outcome::deferred) {
      attempt.end.reset();
      attempt.spawned.reset();
    }
    return true;
  }
  bool take_spawned(std::string_view payload) {
    wire::Reader in(payload);
    AttemptId id(in.integer<std::int64_t>());
    Spawned process;
    process.pid = in.integer<std::int32_t>();
    process.ticks_min = in.integer<std::uint64_t>();
    process.ticks_max = in.integer<std::uint64_t>();
    if (!in.done()) return false;
    of(id).spawned = process;
    return true;
  }
  bool take_handle(std::string_view payload) {
    wire::Reader in(payload);
    AttemptId id(in.integer<std::int64_t>());
    std::string handle(in.text());
    if (!in.done()) return false;
    of(id).handle = std::move(handle);
    return true;
  }
  bool take_end(std::string_view payload) {
    auto end = decode_attempt_end(payload);
    if (!end) return false;
    JournalAttempt& attempt = of(end->attempt);
    if (attempt.begun_at == WallTime{}) attempt.begun_at = end->started_at;
    attempt.end = std::move(end);
    return true;
  }

  std::unordered_map<AttemptId, JournalAttempt> attempts_;
};

Result<std::string> read_segment(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return system_error(path, errno);
  std::string bytes(limits::kJournalSegmentBytes, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    ssize_t got =
        ::pread(file.get(), bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

/// Reads segments in order; knows a torn end from damage by what comes after it.
class SegmentReader {
 public:
  explicit SegmentReader(JournalContents& contents) : contents_(contents) {}

  void read(std::string_view bytes, std::uint32_t segment, const std::string& path) {
    std::size_t offset = 0;
    while (offset + kHeaderBytes <= bytes.size()) {
      auto record = record_at(bytes, offset, segment);
      if (!record) {
        auto good = next_good(bytes, offset + kAlignment, segment);
        if (!good) break;
        damaged(path, offset, *good);
        offset = *good;
        continue;
      }
      if (torn_) damaged(torn_->path, torn_->from, torn_->to);
      torn_.reset();
      if (!collector_.take(*record)) damaged(path, offset, offset + record->bytes);
      offset += record->bytes;
    }
    std::string_view rest = bytes.substr(std::min(offset, bytes.size()));
    bool is_unused = rest.find_first_not_of('\0') == std::string_view::npos;
    if (!is_unused && !torn_) torn_ = Range{path, offset, bytes.size()};
  }

  std::vector<JournalAttempt> attempts() && { return std::move(collector_).attempts(); }

 private:
  struct Range {
    std::string path;
    std::size_t from = 0;
    std::size_t to = 0;
  };
  void damaged(const std::string& path, std::size_t from, std::size_t to) {
    contents_.damaged = true;
    if (contents_.damage.size() == kDamageNotesMax) return;
    contents_.damage.push_back(path + ": bytes " + std::to_string(from) + " to " +
                               std::to_string(to));
  }

  JournalContents& contents_;
  Collector collector_;
  std::optional<Range> torn_;  ///< an end that does not verify, with nothing good after it so far
};

}  // namespace

const JournalAttempt* JournalContents::find(AttemptId attempt) const {
  auto at = std::lower_bound(attempts.begin(), attempts.end(), attempt,
                             [](const JournalAttempt& a, AttemptId id) { return a.attempt < id; });
  return at == attempts.end() || at->attempt != attempt ? nullptr : &*at;
}

Result<JournalContents> read_journal(const std::string& folder) {
  auto numbers = list_segments(folder);
  if (!numbers) return numbers.error();
  JournalContents contents;
  SegmentReader reader(contents);
  for (std::uint32_t number : *numbers) {
    std::string path = segment_path(folder, number);
    auto bytes = read_segment(path);
    if (!bytes) return bytes.error();
    reader.read(*bytes, number, path);
  }
  contents.attempts = std::move(reader).attempts();
  return contents;
}

}  // namespace pawl
