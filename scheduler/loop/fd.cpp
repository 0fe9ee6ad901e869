#include "scheduler/loop/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace pawl {

void Fd::reset(int fd) {
  if (fd_ >= 0 && fd_ != fd) {
    const int kept = errno;
    ::close(fd_);
    errno = kept;
  }
  fd_ = fd;
}

std::string read_small_file(const std::string& path) {
  return read_small_file(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)));
}

std::string read_small_file(const Fd& file) {
  std::array<char, 4096> buffer;
  const ssize_t got = file ? ::pread(file.get(), buffer.data(), buffer.size(), 0) : 0;
  return got <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(got));
}

}  // namespace pawl
