#include "scheduler/daemon/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/request.h"
#include "scheduler/daemon/trusted_file.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

constexpr std::size_t kBlockBytes = 64u << 10;

Error unreadable(const std::string& path, const std::string& why) {
  return {ErrorKind::storage, escape_for_terminal(path) + ": " + why};
}

Error failed(const std::string& path) {
  return unreadable(path, std::string("cannot be read: ") + std::strerror(errno));
}

Result<Fd> open_output(const std::string& path) {
  // Not blocking: a FIFO in its place must not hang whoever reads.
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return failed(path);
  if (!S_ISREG(info.st_mode)) return unreadable(path, "is not a regular file");
  return file;
}

/// Puts the lines of a file, as they come in pieces, into an array.
class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& write) : write_(write) {
    write_("[");
  }
  void feed(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!in_line_) {
        bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
        if (bytes.empty()) return;
        if (has_any_) write_(",");
        in_line_ = has_any_ = true;
      }
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      write_(bytes.substr(0, end));
      in_line_ = end == bytes.size();
      bytes.remove_prefix(end);
    }
  }
  void finish() { write_("]"); }

 private:
  const std::function<void(std::string_view)>& write_;
  bool in_line_ = false;
  bool has_any_ = false;
};

}  // namespace

bool is_value(const OutputRow& row) { return row.file.empty() || row.format != "jsonl"; }

std::size_t bytes_of(const OutputRow& row) {
  return row.file.empty() ? row.value.size() : static_cast<std::size_t>(row.bytes);
}

std::string path_of_output(const std::string& home, const OutputRow& row) {
  return row.file.starts_with('/') ? row.file : home + "/" + row.file;
}

Result<std::string> read_output_file(const std::string& home, const OutputRow& row) {
  const std::string path = path_of_output(home, row);
  const Result<Fd> file = open_output(path);
  if (!file) return file.error();
  auto text =
      read_whole(file->get(), static_cast<std::size_t>(row.bytes), limits::kOutputValueBytesMax);
  if (!text) return unreadable(path, text.error().message);
  return text;
}

Result<void> output_file_as_json(const std::string& home, const OutputRow& row,
                                 const std::function<void(std::string_view)>& write) {
  if (row.format != "jsonl") {
    auto text = read_output_file(home, row);
    if (!text) return text.error();
    if (row.format == "text") {
      write(dump(*text));
      return {};
    }
    // Within a string a line break is never bare.
    std::replace(text->begin(), text->end(), '\n', ' ');
    std::replace(text->begin(), text->end(), '\r', ' ');
    write(*text);
    return {};
  }
  const std::string path = path_of_output(home, row);
  const Result<Fd> file = open_output(path);
  if (!file) return file.error();
  Lines lines(write);
  std::array<char, kBlockBytes> block;
  for (;;) {
    const ssize_t count = ::read(file->get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path);
    if (count == 0) break;
    std::replace(block.data(), block.data() + count, '\r', ' ');
    lines.feed({block.data(), static_cast<std::size_t>(count)});
  }
  lines.finish();
  return {};
}

}  // namespace pawl
