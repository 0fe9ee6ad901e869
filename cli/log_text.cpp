#include "cli/log_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "scheduler/base/text.h"
#include "scheduler/loop/fd.h"

namespace pawl {

namespace {

constexpr std::size_t kLineBytesMax = 1u << 20;
// Logs of thousands of attempts may be read side by side, each as far as its first block.
constexpr std::size_t kBlockBytes = 16u << 10;

/// The first word of `text`, taken off it with the blank after it.
std::optional<std::string_view> take_word(std::string_view& text) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos || blank == 0) return std::nullopt;
  const std::string_view word = text.substr(0, blank);
  text.remove_prefix(blank + 1);
  return word;
}

}  // namespace

std::optional<LogRecord> parse_log_record(std::string_view line) {
  LogRecord record;
  const auto time = take_word(line);
  const auto stream = time ? take_word(line) : std::nullopt;
  if (!stream || time->size() < 20 || (*time)[4] != '-' || time->back() != 'Z') return std::nullopt;
  if (line.empty() || (line[0] != 'F' && line[0] != 'P')) return std::nullopt;
  if (line.size() > 1 && line[1] != ' ') return std::nullopt;
  record.time = *time;
  record.stream = *stream;
  record.partial = line[0] == 'P';
  record.text = line.size() > 1 ? line.substr(2) : std::string_view();
  return record;
}

struct LogReader::State {
  std::string path;
  off_t offset = 0;    ///< of what was not read yet
  ino_t file = 0;      ///< that was read last
  std::string buffer;  ///< read, not yet split
  std::size_t at = 0;  ///< of the first byte of `buffer` that was not handed out
  std::map<std::string, LogLine, std::less<>> open;  ///< lines that go on, by stream

  Error failure() const {
    return {ErrorKind::storage, fmt::format("{}: cannot be read: {}", path, std::strerror(errno))};
  }

  /// The file, for one look: who reads many logs has no descriptors for all of them. Nothing when
  /// there is no file (yet).
  Result<Fd> open_file(struct stat& facts) const {
    Fd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!descriptor) return errno == ENOENT ? Result<Fd>(Fd()) : failure();
    if (fstat(descriptor.get(), &facts) != 0) return failure();
    return descriptor;
  }

  /// Reads on. False: nothing is there now.
  Result<bool> fill() {
    struct stat facts {};
    const Result<Fd> descriptor = open_file(facts);
    if (!descriptor) return descriptor.error();
    if (!*descriptor) return false;
    // Rotated, or emptied.
    if (facts.st_ino != file || facts.st_size < offset) offset = 0;
    file = facts.st_ino;
    if (at > 0) {
      buffer.erase(0, at);
      at = 0;
    }
    std::array<char, kBlockBytes> block;
    for (;;) {
      const ssize_t count = ::pread(descriptor->get(), block.data(), block.size(), offset);
      if (count > 0) {
        buffer.append(block.data(), static_cast<std::size_t>(count));
        offset += count;
        return true;
      }
      if (count == 0) return false;
      if (errno != EINTR) return failure();
    }
  }

  /// Adds a record to its line; the line when that is whole.
  std::optional<LogLine> join(std::string_view text) {
    const auto record = parse_log_record(text);
    if (!record) return LogLine{"", "", std::string(text), true};
    const auto found = open.find(record->stream);
    if (found == open.end()) {
      LogLine line{std::string(record->time), std::string(record->stream),
                   std::string(record->text), !record->partial};
      if (!record->partial || line.text.size() >= kLineBytesMax) return line;
      open.emplace(line.stream, std::move(line));
      return std::nullopt;
    }
    found->second.text += record->text;
    found->second.ended = !record->partial;
    if (record->partial && found->second.text.size() < kLineBytesMax) return std::nullopt;
    LogLine line = std::move(found->second);
    open.erase(found);
    return line;
  }
};

LogReader::LogReader(std::string path) : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
}
LogReader::~LogReader() = default;
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;

Result<std::optional<LogLine>> LogReader::next() {
  State& state = *state_;
  for (;;) {
    const std::size_t end = state.buffer.find('\n', state.at);
    const bool endless =
        end == std::string::npos && state.buffer.size() - state.at >= kLineBytesMax;
    if (end == std::string::npos && !endless) {
      const Result<bool> more = state.fill();
      if (!more) return more.error();
      if (!*more) return std::optional<LogLine>();
      continue;
    }
    const std::size_t size = endless ? kLineBytesMax : end - state.at;
    const std::string_view text = std::string_view(state.buffer).substr(state.at, size);
    state.at += endless ? size : size + 1;
    if (auto line = state.join(text)) return line;
  }
}

Result<std::optional<LogLine>> LogReader::rest() {
  State& state = *state_;
  if (state.at < state.buffer.size()) {
    // The last record has no end: the worker died while it wrote.
    const std::string text = state.buffer.substr(state.at);
    state.at = state.buffer.size();
    if (auto line = state.join(text)) return line;
  }
  if (state.open.empty()) return std::optional<LogLine>();
  const auto first =
      std::min_element(state.open.begin(), state.open.end(),
                       [](const auto& a, const auto& b) { return a.second.time < b.second.time; });
  LogLine line = std::move(first->second);
  state.open.erase(first);
  return std::optional<LogLine>(std::move(line));
}

Result<void> LogReader::seek_tail(std::int64_t lines) {
  State& state = *state_;
  struct stat facts {};
  const Result<Fd> descriptor = state.open_file(facts);
  if (!descriptor) return descriptor.error();
  if (!*descriptor) return {};
  state.file = facts.st_ino;
  off_t from = facts.st_size;
  std::int64_t found = 0;
  std::array<char, kBlockBytes> block;
  while (from > 0) {
    const auto size = static_cast<std::size_t>(std::min<off_t>(from, kBlockBytes));
    from -= static_cast<off_t>(size);
    const ssize_t count = ::pread(descriptor->get(), block.data(), size, from);
    if (count < 0) return state.failure();
    for (ssize_t i = count; i-- > 0;) {
      if (block[static_cast<std::size_t>(i)] != '\n' || from + i + 1 == facts.st_size) continue;
      if (++found < lines) continue;
      state.offset = from + i + 1;
      return {};
    }
  }
  return {};
}

std::string log_text_for_terminal(std::string_view text) {
  std::string out;
  std::size_t plain = 0;  // of what was not copied yet
  const auto flush = [&](std::size_t end) {
    std::string_view part = text.substr(plain, end - plain);
    while (!part.empty()) {
      const std::size_t tab = std::min(part.find('\t'), part.size());
      out += escape_for_terminal(part.substr(0, tab));
      if (tab < part.size()) out += '\t';
      part.remove_prefix(std::min(tab + 1, part.size()));
    }
  };
  for (std::size_t at = 0; at + 2 < text.size();) {
    if (text[at] != '\x1b' || text[at + 1] != '[') {
      ++at;
      continue;
    }
    std::size_t end = at + 2;
    while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == ';')) ++end;
    if (end == text.size() || text[end] != 'm') {
      at = end;
      continue;
    }
    flush(at);
    out += text.substr(at, end + 1 - at);
    plain = at = end + 1;
  }
  flush(text.size());
  return out;
}

}  // namespace pawl
