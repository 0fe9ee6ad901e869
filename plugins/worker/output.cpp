#include "plugins/worker/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <xxhash.h>

#include "plugins/worker/log_file.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/json_text.h"

namespace pawl {
namespace {

constexpr std::size_t kReadBytes = 256u << 10;
constexpr std::size_t kLineBytesMax = limits::kItemBytesMax;
/// Of line ends and blanks around a value, which do not count.
constexpr std::size_t kAroundBytesMax = 4u << 10;
constexpr const char* kSpoolTooLarge = "the output is larger than 16 GiB";

std::string system_text(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

OutputResult wrong(std::string message) { return {{}, std::move(message)}; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

/// A mark is no JSON (RFC 8259, 8.1), but who reads leniently passes over it: it would be in the
/// middle of what is made of several outputs.
std::optional<std::string> output_error(std::string_view text) {
  if (text.starts_with(kByteOrderMark))
    return "it begins with a byte order mark, which JSON does not have: write UTF-8 without one";
  return json_error(text);
}

/// Judges JSON lines as they pass.
class LineCheck {
 public:
  /// False once something is wrong.
  bool feed(std::string_view bytes) {
    while (!bytes.empty() && error_.empty()) {
      std::size_t end = bytes.find('\n');
      open_.append(bytes.substr(0, end));
      if (open_.size() > kLineBytesMax) fail("it is longer than 1 MiB");
      if (end == std::string_view::npos) break;
      close_line();
      bytes.remove_prefix(end + 1);
    }
    return error_.empty();
  }
  bool finish() {
    close_line();
    return error_.empty();
  }
  const std::string& error() const { return error_; }

 private:
  void close_line() {
    if (!error_.empty()) return;
    if (!trimmed(open_).empty()) {
      if (auto why = output_error(open_)) fail(*why);
    }
    ++line_;
    open_.clear();
  }
  void fail(const std::string& why) {
    if (error_.empty()) error_ = "line " + std::to_string(line_) + " of the output: " + why;
  }

  std::string open_;
  std::string error_;
  std::uint64_t line_ = 1;
};

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { XXH3_64bits_reset(state_); }
  ~Hash() { XXH3_freeState(state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  void feed(std::string_view bytes) { XXH3_64bits_update(state_, bytes.data(), bytes.size()); }
  std::uint64_t value() const { return XXH3_64bits_digest(state_); }

 private:
  XXH3_state_t* state_;
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// Syncs a file and the folder that names it. Empty, or what failed.
std::string sync(int file, const std::string& path) {
  if (fsync(file) != 0) return system_text("cannot sync " + path, errno);
  std::string folder = path.substr(0, path.rfind('/'));
  Fd folder_fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_fd || fsync(folder_fd.get()) != 0) return system_text("cannot sync " + folder, errno);
  return {};
}

Fd make_file(const std::string& path) {
  constexpr int kFlags = O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  Fd file(::open(path.c_str(), kFlags, 0600));
  if (!file && errno == ENOENT && make_folders_of(path)) {
    file.reset(::open(path.c_str(), kFlags, 0600));
  }
  return file;
}

std::string relative_to_home(const std::string& path, const std::string& home) {
  if (path.size() > home.size() + 1 && path.starts_with(home) && path[home.size()] == '/') {
    return path.substr(home.size() + 1);
  }
  return path;
}

/// A regular file that the program wrote. FIFOs, devices and links are refused without blocking.
Fd open_written(const std::string& path, std::string& error) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!file) {
    error = errno == ENOENT  ? "the program wrote no file $PAWL_OUTPUT"
            : errno == ELOOP ? "$PAWL_OUTPUT is a symbolic link, and only a file is read: write "
                               "into it, or move yours there"
                             : system_text("$PAWL_OUTPUT", errno);
  } else if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    error = "$PAWL_OUTPUT is not a regular file";
    file.reset();
  }
  return file;
}

/// Calls `each` with the bytes of `file` up to its end, or until it returns false; empty, or what
/// failed.
template <typename Each>
std::string read_through(int file, Each each) {
  std::vector<char> buffer(kReadBytes);
  std::uint64_t total = 0;
  while (true) {
    ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_text("cannot read the output", errno);
    if (got == 0) return {};
    total += static_cast<std::uint64_t>(got);
    if (total > limits::kOutputSpoolBytesMax) return kSpoolTooLarge;
    if (!each(std::string_view(buffer.data(), static_cast<std::size_t>(got)))) return {};
  }
}

std::string too_large_text() {
  return "the output is larger than 1 MiB: declare \"output\": \"jsonl\", or write it to a file of "
         "your own";
}

/// What counts of a value.
std::string_view without_ends(OutputFormat format, std::string_view value) {
  return format == OutputFormat::text ? value.substr(0, value.find_last_not_of('\n') + 1)
                                      : trimmed(value);
}

/// A text or JSON value: judged, then inline or in a file.
OutputResult keep_value(const OutputSource& source, std::string value) {
  std::string_view place = source.written_file.empty() ? source.place : "$PAWL_OUTPUT";
  value = std::string(without_ends(source.format, value));
  if (value.size() > limits::kOutputValueBytesMax) return wrong(too_large_text());
  if (source.format == OutputFormat::text) {
    if (!is_utf8(value)) return wrong(std::string(place) + " is not UTF-8");
  } else {
    if (value.empty()) return wrong(std::string(place) + " is empty, and JSON was declared");
    if (auto why = output_error(value)) return wrong(std::string(place) + ": " + *why);
  }
  AttemptOutput output;
  output.format = source.format;
  output.bytes = value.size();
  if (value.size() <= limits::kJournalInlineBytesMax) {
    output.value = std::move(value);
    return {std::move(output), {}};
  }
  Fd file = make_file(source.spool_file);
  if (!file || !write_all(file.get(), value)) {
    return wrong(system_text("cannot keep the output in " + source.spool_file, errno));
  }
  if (std::string error = sync(file.get(), source.spool_file); !error.empty()) return wrong(error);
  output.file = relative_to_home(source.spool_file, source.home);
  output.checksum = XXH3_64bits(value.data(), value.size());
  return {std::move(output), {}};
}

OutputResult finish_value(const OutputSource& source) {
  if (source.written_file.empty()) {
    return source.too_large ? wrong(too_large_text()) : keep_value(source, source.value);
  }
  std::string error;
  std::string value;
  Fd file = open_written(source.written_file, error);
  if (!file) return wrong(error);
  error = read_through(file.get(), [&](std::string_view bytes) {
    value.append(bytes);
    return value.size() <= limits::kOutputValueBytesMax + kAroundBytesMax;
  });
  if (!error.empty()) return wrong(error);
  // Of a larger one the rest was not read: hiding must not make it fit.
  if (without_ends(source.format, value).size() > limits::kOutputValueBytesMax)
    return wrong(too_large_text());
  return keep_value(source, source.mask ? source.mask->hide(value) : value);
}

/// Brings what the program wrote to where outputs are kept, with secrets hidden.
std::string copy_written(const OutputSource& source) {
  std::string error;
  Fd in = open_written(source.written_file, error);
  if (!in) return error;
  Fd out = make_file(source.spool_file);
  if (!out) return system_text("cannot keep the output in " + source.spool_file, errno);
  const Mask none({});
  MaskStream masked(source.mask ? *source.mask : none);
  bool written = true;
  error = read_through(in.get(), [&](std::string_view bytes) {
    written = write_all(out.get(), masked.feed(bytes));
    return written;
  });
  if (!error.empty()) return error;
  if (!written || !write_all(out.get(), masked.finish())) {
    return system_text("cannot keep the output in " + source.spool_file, errno);
  }
  return {};
}

OutputResult finish_lines(const OutputSource& source) {
  // Programs spool theirs; this is what an operator gave back in one piece.
  if (source.too_large) {
    return wrong(
        "the output is larger than the 1 MiB that an operator may give back: let it write "
        "a file of its own");
  }
  if (!source.spool_error.empty()) return wrong(source.spool_error);
  if (!source.written_file.empty()) {
    if (std::string error = copy_written(source); !error.empty()) return wrong(error);
  }
  Fd file(::open(source.spool_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) file = make_file(source.spool_file);  // nothing was written
  if (!file) return wrong(system_text(source.spool_file, errno));
  Hash hash;
  LineCheck lines;
  AttemptOutput output;
  std::string error = read_through(file.get(), [&](std::string_view bytes) {
    hash.feed(bytes);
    output.bytes += bytes.size();
    return lines.feed(bytes);
  });
  if (error.empty() && !lines.finish()) error = lines.error();
  if (error.empty()) error = sync(file.get(), source.spool_file);
  if (!error.empty()) return wrong(error);
  output.format = source.format;
  output.file = relative_to_home(source.spool_file, source.home);
  output.checksum = hash.value();
  return {std::move(output), {}};
}

}  // namespace

OutputResult finish_output(const OutputSource& source) {
  switch (source.format) {
    case OutputFormat::none: return {};
    case OutputFormat::text:
    case OutputFormat::json: return finish_value(source);
    case OutputFormat::jsonl: return finish_lines(source);
  }
  return {};
}

bool is_slow(const OutputSource& source) {
  if (source.format == OutputFormat::none) return false;
  return source.format == OutputFormat::jsonl || !source.written_file.empty() ||
         source.value.size() > limits::kJournalInlineBytesMax;
}

// Collecting -------------------------------------------------------------------------------------

void OutputCollector::feed(std::string_view bytes) {
  if (source_.format == OutputFormat::none || !source_.written_file.empty()) return;
  if (source_.format == OutputFormat::jsonl) return spool(bytes);
  if (source_.value.size() + bytes.size() > limits::kOutputValueBytesMax + kAroundBytesMax) {
    source_.too_large = true;
    source_.value.clear();
    source_.value.shrink_to_fit();
  }
  if (!source_.too_large) source_.value.append(bytes);
}

void OutputCollector::spool(std::string_view bytes) {
  if (!source_.spool_error.empty()) return;
  if (!spool_) spool_ = make_file(source_.spool_file);
  if (spooled_bytes_ + bytes.size() > limits::kOutputSpoolBytesMax) {
    source_.spool_error = kSpoolTooLarge;
  } else if (!spool_ || !write_all(spool_.get(), bytes)) {
    source_.spool_error = system_text("cannot keep the output in " + source_.spool_file, errno);
  }
  spooled_bytes_ += bytes.size();
}

OutputSource OutputCollector::take() {
  spool_.reset();
  return std::exchange(source_, {});
}

}  // namespace pawl
