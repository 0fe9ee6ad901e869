#include "scheduler/loop/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace pawl {
namespace {

constexpr std::size_t kIdentityBytesMax = 256;

struct KnownFileSystem {
  std::uint32_t magic;
  std::string_view name;
};

/// From statfs(2) and linux/magic.h, and where it is in neither, from the file system's own source.
constexpr KnownFileSystem kNetworkFileSystems[] = {
    {0x00006969, "NFS"},    {0x0000517B, "SMB"},         {0xFE534D42, "SMB"},
    {0xFF534D42, "CIFS"},   {0x65735546, "FUSE"},        {0x01021997, "9P"},
    {0x00C36400, "Ceph"},   {0x5346414F, "AFS"},         {0x6B414653, "AFS"},
    {0x73757245, "Coda"},   {0x01161970, "GFS2"},        {0x7461636F, "OCFS2"},
    {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},        {0x19830326, "BeeGFS"},
    {0x0000564C, "NCP"},    {0x786F4256, "vboxsf"},      {0xAAD7AAEA, "PanFS"},
    {0x7C7C6673, "prl_fs"}, {0xBACBACBC, "VMware HGFS"},
};

Error unusable(const std::string& path, int code) {
  return Error{ErrorKind::home_unusable, "cannot lock " + path + ": " + std::strerror(code)};
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

Error unreadable(const std::string& path, int code) {
  return Error{ErrorKind::home_unusable, "cannot read " + path + ": " + std::strerror(code)};
}

/// To look at, not to hold. Nothing: there is no such file. Every other failure says nothing of who
/// holds it.
Result<std::optional<Fd>> open_to_look(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd) return std::optional(std::move(fd));
  if (errno == ENOENT || errno == ENOTDIR) return std::optional<Fd>();
  return unreadable(path, errno);
}

/// Nothing: it names no process.
Result<std::optional<ProcessIdentity>> read_identity(int fd, const std::string& path) {
  std::array<char, kIdentityBytesMax> buffer;
  const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (n < 0) return unreadable(path, errno);
  return parse_identity(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
}

bool write_identity(int fd) {
  const std::string text = format_identity(own_identity()) + "\n";
  if (::ftruncate(fd, 0) != 0) return false;
  return ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

}  // namespace

Result<FileLock> FileLock::try_take(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) return unusable(path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return unusable(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorKind::home_unusable, "cannot lock " + path + ": not a plain file"};
  }
  struct flock lock = whole_file();
  if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) return unusable(path, errno);
    const auto holder = read_identity(fd.get(), path);
    const std::string who = holder && *holder ? "process " + std::to_string((*holder)->pid)
                                              : std::string("another process");
    return Error{ErrorKind::locked, path + ": held by " + who};
  }
  if (!write_identity(fd.get())) {
    return Error{ErrorKind::home_unusable, "cannot write " + path + ": " + std::strerror(errno)};
  }
  return FileLock(std::move(fd));
}

Result<bool> FileLock::is_held(const std::string& path) {
  const auto fd = open_to_look(path);
  if (!fd) return fd.error();
  if (!*fd) return false;
  struct flock lock = whole_file();
  if (::fcntl((*fd)->get(), F_OFD_GETLK, &lock) != 0) return unreadable(path, errno);
  return lock.l_type != F_UNLCK;
}

Result<std::optional<ProcessIdentity>> FileLock::last_holder(const std::string& path) {
  const auto fd = open_to_look(path);
  if (!fd) return fd.error();
  if (!*fd) return std::optional<ProcessIdentity>();
  return read_identity((*fd)->get(), path);
}

Result<void> FileLock::kill_holder(const std::string& path) {
  const Error nobody{ErrorKind::not_found, path + ": nobody is known to hold it"};
  const auto named = last_holder(path);
  if (!named) return named.error();
  const std::optional<ProcessIdentity>& holder = *named;
  if (!holder) return nobody;
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, holder->pid, 0)));
  if (!process && errno != ESRCH) {
    return Error{ErrorKind::home_unusable, "cannot look at process " + std::to_string(holder->pid) +
                                               ": " + std::strerror(errno)};
  }
  // Behind the pidfd it cannot become another one any more: is it still that process, and has none
  // taken the lock since?
  const auto held = is_held(path);
  if (!held) return held.error();
  const auto named_again = last_holder(path);
  if (!named_again) return named_again.error();
  if (!process || !exists(*holder) || !*held || *named_again != holder) return nobody;
  if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0) {
    return Error{ErrorKind::failed, "cannot kill process " + std::to_string(holder->pid) + ": " +
                                        std::strerror(errno)};
  }
  return {};
}

Result<std::string_view> network_file_system(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) {
    return Error{errno == ENOENT ? ErrorKind::not_found : ErrorKind::home_unusable,
                 "cannot look at " + path + ": " + std::strerror(errno)};
  }
  const auto magic = static_cast<std::uint32_t>(info.f_type);
  for (const auto& known : kNetworkFileSystems) {
    if (known.magic == magic) return known.name;
  }
  return std::string_view();
}

}  // namespace pawl
