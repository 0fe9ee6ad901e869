#include "scheduler/loop/fd.h"

#include <unistd.h>

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

}  // namespace pawl
