#include "plugins/worker/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "plugins/worker/frames.h"
#include "plugins/worker/journal_format.h"
#include "plugins/worker/wire.h"
#include "scheduler/base/limits.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// Ranges of damage that are named; nobody reads more.
constexpr std::size_t kDamageNotesMax = 100;

/// Where the first good record at or after `offset` begins.
std::optional<std::size_t> next_good(std::string_view bytes, std::size_t offset,
                                     std::uint32_t segment) {
  for (; offset + journal::kHeaderBytes <= bytes.size(); offset += journal::kAlignment) {
    // Zeros are most of a segment: cheap to pass.
    if (bytes[offset + 4] == 0) continue;
    if (journal::record_at(bytes, offset, segment)) return offset;
  }
  return std::nullopt;
}

class Collector {
 public:
  /// False when the payload of a verified record is not what its kind says.
  bool take(const journal::Record& record) {
    switch (record.kind) {
      case journal::Kind::begin: return take_begin(record.payload);
      case journal::Kind::spawned: return take_spawned(record.payload);
      case journal::Kind::end: return take_end(record.payload);
      case journal::Kind::handle: return take_handle(record.payload);
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
    const bool is_suspect = in.flag();
    if (!in.done()) return false;
    JournalAttempt& attempt = of(id);
    attempt.begun_at = at;
    attempt.is_suspect = is_suspect;
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
  if (!file) return journal::system_error(path, errno);
  std::string bytes(limits::kJournalSegmentBytes, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    ssize_t got =
        ::pread(file.get(), bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return journal::system_error(path, errno);
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
    while (offset + journal::kHeaderBytes <= bytes.size()) {
      auto record = journal::record_at(bytes, offset, segment);
      if (!record) {
        auto good = next_good(bytes, offset + journal::kAlignment, segment);
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
  auto numbers = journal::list_segments(folder);
  if (!numbers) return numbers.error();
  JournalContents contents;
  SegmentReader reader(contents);
  for (std::uint32_t number : *numbers) {
    std::string path = journal::segment_path(folder, number);
    auto bytes = read_segment(path);
    if (!bytes) return bytes.error();
    reader.read(*bytes, number, path);
  }
  contents.attempts = std::move(reader).attempts();
  return contents;
}

}  // namespace pawl
