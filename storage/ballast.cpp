#include "storage/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace pawl {

bool Ballast::ensure() {
  if (path_.empty()) return true;
  struct stat info {};
  if (stat(path_.c_str(), &info) == 0 && info.st_size == kBytes) return true;
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  struct statvfs disk {};
  const bool has_room =
      fstatvfs(fd, &disk) == 0 &&
      static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize >= 2 * std::uint64_t{kBytes};
  const bool made = has_room && posix_fallocate(fd, 0, kBytes) == 0;
  close(fd);
  if (!made) unlink(path_.c_str());
  return made;
}

bool Ballast::release() { return !path_.empty() && unlink(path_.c_str()) == 0; }

}  // namespace pawl
