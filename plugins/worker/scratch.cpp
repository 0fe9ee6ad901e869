#include "plugins/worker/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "plugins/worker/log_file.h"

namespace pawl {
namespace {

constexpr mode_t kMode = 0700;
/// Nothing in this file may follow a link. A task can put one to any folder of the machine in place
/// of its own, and what is emptied here would be that folder. So folders are opened with this,
/// entries are named relative to the opened folder, and only what was moved into the trash is
/// emptied.
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Error system_error(const std::string& what, int error) {
  return {ErrorKind::storage, what + ": " + std::strerror(error)};
}

bool is_dot(std::string_view name) { return name == "." || name == ".."; }

bool is_on(int folder, dev_t device) {
  struct stat info {};
  return fstat(folder, &info) == 0 && info.st_dev == device;
}

}  // namespace

ScratchPool::ScratchPool(std::string folder, std::function<void(const std::string&)> on_left)
    : path_(std::move(folder)), on_left_(std::move(on_left)) {}

ScratchPool::~ScratchPool() = default;

Result<void> ScratchPool::open() {
  if (trash_) return {};
  const std::string trash = path_ + "/trash";
  if (!make_folders_of(trash + "/x")) return system_error("cannot make " + trash, errno);
  folder_.reset(::open(path_.c_str(), kOpenFolder));
  trash_.reset(::openat(folder_.get(), "trash", kOpenFolder));
  struct stat info {};
  if (!folder_ || !trash_ || fstat(trash_.get(), &info) != 0) {
    trash_.reset();
    return system_error("cannot open " + trash, errno);
  }
  device_ = info.st_dev;
  owner_ = info.st_uid;
  return {};
}

Scratch ScratchPool::scratch(std::uint32_t number) const {
  std::string path = path_ + "/" + std::to_string(number);
  return {number, path, path + ".out"};
}

Result<Scratch> ScratchPool::take() {
  if (auto opened = open(); !opened) return opened.error();
  if (!free_.empty()) {
    std::uint32_t number = free_.back();
    free_.pop_back();
    return scratch(number);
  }
  while (true) {
    std::uint32_t number = ++last_number_;
    if (::mkdirat(folder_.get(), std::to_string(number).c_str(), kMode) == 0) {
      return scratch(number);
    }
    // A name that is taken is passed by: it is not ours.
    if (errno != EEXIST) {
      return system_error("cannot make PAWL_SCRATCH " + scratch(number).path, errno);
    }
  }
}

bool ScratchPool::is_untouched(const char* name) const {
  Fd folder(::openat(folder_.get(), name, kOpenFolder));
  struct stat info {};
  if (!folder || fstat(folder.get(), &info) != 0) return false;
  if ((info.st_mode & 07777) != kMode || info.st_uid != owner_) return false;
  alignas(dirent64) char buffer[512];
  ssize_t bytes = getdents64(folder.get(), buffer, sizeof(buffer));
  if (bytes < 0) return false;
  for (ssize_t at = 0; at < bytes;) {
    const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
    if (!is_dot(entry->d_name)) return false;
    at += entry->d_reclen;
  }
  return true;
}

/// What is not a folder is unlinked where it stands, a link as the link it is; a folder is moved
/// into the trash. Returns 0, or why it stays.
int ScratchPool::throw_away(int parent, const char* name) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
  const int error = errno;
  Fd folder(::openat(parent, name, kOpenFolder | O_PATH));
  if (!folder) return error;
  // A mount of another device is not ours to empty.
  if (!is_on(folder.get(), device_)) return EBUSY;
  // Moving a folder to another parent writes its `..`: it must be writable.
  const std::string self = "/proc/self/fd/" + std::to_string(folder.get());
  ::chmod(self.c_str(), kMode);
  std::string place = std::to_string(++last_rubbish_);
  if (::renameat(parent, name, trash_.get(), place.c_str()) != 0) return errno;
  rubbish_.push_back(std::move(place));
  return 0;
}

void ScratchPool::leave(int error) {
  const auto on_left = std::exchange(on_left_, {});
  if (on_left) {
    on_left("what tasks left in " + path_ + " cannot all be removed and stays there (" +
            std::strerror(error) + "); this is said once");
  }
}

void ScratchPool::give_back(const Scratch& scratch, bool output_declared) {
  const std::string name = std::to_string(scratch.number);
  if (output_declared) {
    if (const int error = throw_away(folder_.get(), (name + ".out").c_str())) leave(error);
  }
  if (is_untouched(name.c_str())) {
    free_.push_back(scratch.number);
  } else if (const int error = throw_away(folder_.get(), name.c_str())) {
    leave(error);
  }
}

/// Removes files of a folder in the trash; folders in it become rubbish of their own, so depth
/// costs nothing. One that is gone, or not to be had, is done too: there is no more to do about it.
ScratchPool::Emptied ScratchPool::empty_folder(const std::string& name, std::size_t entries_max) {
  Emptied out;
  Fd folder(::openat(trash_.get(), name.c_str(), kOpenFolder));
  if (!folder || !is_on(folder.get(), device_)) return out;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(folder.get()), closedir);
  if (dir == nullptr) return out;
  folder.release();  // `dir` closes it
  while (const dirent* entry = readdir(dir.get())) {
    if (is_dot(entry->d_name)) continue;
    if (out.tried == entries_max) {
      out.is_done = false;
      break;
    }
    ++out.tried;
    if (const int error = throw_away(dirfd(dir.get()), entry->d_name)) {
      out.error = error;
    } else {
      ++out.removed;
    }
  }
  return out;
}

bool ScratchPool::clean(std::size_t entries_max) {
  for (std::size_t left = entries_max; left > 0 && !rubbish_.empty();) {
    std::string name = std::move(rubbish_.back());
    rubbish_.pop_back();
    const Emptied emptied = empty_folder(name, left);
    // Those that stay come first again: where a whole step removes none, no other one would either.
    const bool is_stuck = emptied.removed == 0 && left == entries_max;
    left -= std::min(left, emptied.tried + 1);
    if (!emptied.is_done && !is_stuck) {
      rubbish_.push_back(std::move(name));
    } else if (emptied.error != 0) {
      leave(emptied.error);
    } else if (::unlinkat(trash_.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      leave(errno);
    }
  }
  return !rubbish_.empty();
}

void ScratchPool::remove_all(std::size_t entries_max) {
  if (!trash_) return;
  clean(entries_max);
  for (std::uint32_t number : free_) {
    ::unlinkat(folder_.get(), std::to_string(number).c_str(), AT_REMOVEDIR);
  }
  free_.clear();
  ::unlinkat(folder_.get(), "trash", AT_REMOVEDIR);
  ::rmdir(path_.c_str());
}

}  // namespace pawl
