#include "plugins/worker/streams.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
/// What a pipe can hold at most by default (fs.pipe-max-size), and some: a straggler that goes on
/// writing must not keep us.
constexpr std::size_t kDrainBytesMax = 2u << 20;
constexpr std::size_t kLastWordsBytes = 4u << 10;
constexpr std::size_t kMessageBytesMax = 1u << 10;

/// One for all attempts: what is read is handed on before the next read.
char* read_buffer() {
  static const std::unique_ptr<char[]> kBuffer = std::make_unique<char[]>(kReadBytes);
  return kBuffer.get();
}

std::string_view trimmed(std::string_view text) {
  std::size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

/// `ValueError` of `ValueError: it is wrong` after a Python or Java stack.
std::string_view exception_class(std::string_view text, std::string_view last_line) {
  bool has_stack = text.find("Traceback (most recent call last)") != std::string_view::npos ||
                   text.find("\n\tat ") != std::string_view::npos;
  if (!has_stack) return {};
  std::size_t size = 0;
  while (size < last_line.size() && (isalnum(static_cast<unsigned char>(last_line[size])) != 0 ||
                                     last_line[size] == '_' || last_line[size] == '.')) {
    ++size;
  }
  bool is_class = size > 0 && (size == last_line.size() || last_line[size] == ':');
  return is_class ? last_line.substr(0, size) : std::string_view{};
}

}  // namespace

std::int64_t wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

AttemptStreams::AttemptStreams(std::string log_path, std::shared_ptr<const Mask> mask,
                               OutputSource output, std::uint64_t log_bytes_max)
    : mask_(std::move(mask)),
      pipes_{Pipe{{}, {}, MaskStream(*mask_), {}, -1}, Pipe{{}, {}, MaskStream(*mask_), {}, -1}},
      log_(std::move(log_path), log_bytes_max > 0 ? log_bytes_max : limits::kLogBytesMax),
      output_(std::move(output)) {}

AttemptStreams::~AttemptStreams() {
  for (Pipe& p : pipes_) p.close_ours();
}

bool AttemptStreams::open() {
  for (Pipe& p : pipes_) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    p.ours.reset(ends[0]);
    p.program.reset(ends[1]);
    // A program may read its own pipe, and so take what we were told is there. Its end stays as
    // programs expect it.
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return false;
  }
  return true;
}

int AttemptStreams::program_end(LogStream stream) const { return pipe(stream).program.get(); }

void AttemptStreams::close_program_ends() {
  for (Pipe& p : pipes_) p.program.reset();
}

void AttemptStreams::watch(int epoll, LogStream stream, std::uint64_t tag) {
  Pipe& p = pipe(stream);
  if (!p.ours || p.epoll >= 0) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  PAWL_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, p.ours.get(), &event) == 0);
  p.epoll = epoll;
}

void AttemptStreams::Pipe::close_ours() {
  if (ours && epoll >= 0) epoll_ctl(epoll, EPOLL_CTL_DEL, ours.get(), nullptr);
  ours.reset();
}

void AttemptStreams::take(LogStream stream, std::string_view bytes, std::int64_t now) {
  if (bytes.empty()) return;
  keep_last(pipe(stream).last, bytes);
  if (stream == LogStream::out) output_.feed(bytes);
  std::string records;
  lines_.feed(stream, bytes, now, records);
  log_.append(records, now);
}

std::size_t AttemptStreams::read(LogStream stream) {
  Pipe& p = pipe(stream);
  if (!p.ours) return 0;
  ssize_t got = ::read(p.ours.get(), read_buffer(), kReadBytes);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (got <= 0) {
    p.close_ours();
    return 0;
  }
  auto size = static_cast<std::size_t>(got);
  take(stream, p.masked.feed({read_buffer(), size}), wall_ns());
  return size;
}

void AttemptStreams::append(LogStream stream, std::string_view bytes) {
  take(stream, pipe(stream).masked.feed(bytes), wall_ns());
}

void AttemptStreams::drain() {
  for (std::size_t drained = 0; drained < kDrainBytesMax;) {
    std::array<pollfd, 2> ready{
        {{reading_end(LogStream::out), POLLIN, 0}, {reading_end(LogStream::err), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), 0) <= 0) return;
    std::size_t got = 0;
    for (LogStream stream : {LogStream::out, LogStream::err}) {
      if ((ready[static_cast<std::size_t>(stream)].revents & POLLIN) != 0) got += read(stream);
    }
    if (got == 0) return;
    drained += got;
  }
}

void AttemptStreams::finish() {
  drain();
  for (LogStream stream : {LogStream::out, LogStream::err}) {
    pipe(stream).close_ours();
    pipe(stream).program.reset();
    if (!mask_->empty()) take(stream, pipe(stream).masked.finish(), wall_ns());
  }
  std::int64_t now = wall_ns();
  std::string records;
  lines_.finish(now, records);
  log_.append(records, now);
  log_.close(now);
}

const std::string& AttemptStreams::last_words(LogStream stream) const { return pipe(stream).last; }

void keep_last(std::string& last, std::string_view bytes) {
  if (bytes.size() >= kLastWordsBytes) {
    last.assign(bytes.substr(bytes.size() - kLastWordsBytes));
    return;
  }
  last.append(bytes);
  if (last.size() > 2 * kLastWordsBytes) last.erase(0, last.size() - kLastWordsBytes);
}

LastWords explain_failure(std::string_view standard_error, std::string_view standard_output) {
  std::string_view text = trimmed(standard_error);
  if (text.empty()) text = trimmed(standard_output);
  if (text.size() > kLastWordsBytes) text.remove_prefix(text.size() - kLastWordsBytes);
  LastWords words;
  if (text.empty()) return words;
  std::size_t line_start = text.rfind('\n');
  std::string_view line = line_start == std::string_view::npos ? text : text.substr(line_start + 1);
  words.error_class = to_utf8(exception_class(text, line));
  words.message = to_utf8(line.substr(0, kMessageBytesMax));
  if (line.size() < text.size() || line.size() > kMessageBytesMax) words.trace = to_utf8(text);
  return words;
}

}  // namespace pawl
