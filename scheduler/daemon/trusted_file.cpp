#include "scheduler/daemon/trusted_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "not a file";
}

std::string larger_than(std::size_t bytes_max) {
  return "larger than " + std::to_string(bytes_max >> 20) + " MiB";
}

Error cannot_be_read(int error) {
  return {ErrorKind::invalid, std::string("cannot be read: ") + std::strerror(error)};
}

}  // namespace

std::string objection(const struct stat& info, std::size_t bytes_max) {
  if (!S_ISREG(info.st_mode)) return std::string(kind_of(info.st_mode)) + ", not a file";
  if (info.st_size > static_cast<off_t>(bytes_max)) return larger_than(bytes_max);
  if ((info.st_mode & 022) != 0) return "others may write it. Try chmod go-w";
  if (info.st_uid != ::geteuid() && info.st_uid != 0) return "it belongs to another user";
  return {};
}

Result<std::string> read_whole(int fd, std::size_t size_hint, std::size_t bytes_max) {
  std::string text;
  text.reserve(size_hint);
  std::array<char, kReadBytes> buffer;
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_be_read(errno);
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > bytes_max) return Error{ErrorKind::invalid, larger_than(bytes_max)};
  }
}

Result<std::string> read_trusted_file(const std::string& path, std::size_t bytes_max) {
  // Not blocking: a FIFO without a writer must not hang whoever reads.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const bool is_missing = !fd && (errno == ENOENT || errno == ENOTDIR);
  if (is_missing) return Error{ErrorKind::not_found, "there is no such file"};
  if (!fd) return cannot_be_read(errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return cannot_be_read(errno);
  if (std::string why = objection(info, bytes_max); !why.empty())
    return Error{ErrorKind::invalid, std::move(why)};
  return read_whole(fd.get(), static_cast<std::size_t>(info.st_size), bytes_max);
}

}  // namespace pawl
