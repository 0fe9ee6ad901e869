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
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return {};
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  return got <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(got));
}

}  // namespace pawl
