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
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

constexpr mode_t kMode = 0700;

Error system_error(const std::string& what, int error) {
  return {ErrorKind::storage, what + ": " + std::strerror(error)};
}

bool is_dot(std::string_view name) { return name == "." || name == ".."; }

}  // namespace

ScratchPool::ScratchPool(std::string folder)
    : folder_(std::move(folder)), trash_(folder_ + "/trash") {}

ScratchPool::~ScratchPool() = default;

Result<Scratch> ScratchPool::make() {
  if (!is_made_) {
    if (!make_folders_of(trash_ + "/x")) return system_error("cannot make " + trash_, errno);
    is_made_ = true;
  }
  while (true) {
    std::uint32_t number = ++last_number_;
    std::string path = folder_ + "/" + std::to_string(number);
    if (::mkdir(path.c_str(), kMode) == 0) return Scratch{number, path, path + ".out"};
    // A name that is taken is passed by: it is not ours.
    if (errno != EEXIST) return system_error("cannot make PAWL_SCRATCH " + path, errno);
  }
}

Result<Scratch> ScratchPool::take() {
  if (free_.empty()) return make();
  std::uint32_t number = free_.back();
  free_.pop_back();
  std::string path = folder_ + "/" + std::to_string(number);
  return Scratch{number, path, path + ".out"};
}

bool ScratchPool::is_untouched(const std::string& path) const {
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!folder || fstat(folder.get(), &info) != 0) return false;
  if ((info.st_mode & 07777) != kMode || info.st_uid != geteuid()) return false;
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

void ScratchPool::throw_away(const std::string& path) {
  std::string place = trash_ + "/" + std::to_string(++last_rubbish_);
  ::chmod(path.c_str(), kMode);
  if (::rename(path.c_str(), place.c_str()) == 0) rubbish_.push_back(std::move(place));
}

void ScratchPool::give_back(const Scratch& scratch, bool output_declared) {
  if (output_declared && ::unlink(scratch.output_path.c_str()) != 0 && errno != ENOENT) {
    throw_away(scratch.output_path);  // the task made a folder of it
  }
  if (is_untouched(scratch.path)) {
    free_.push_back(scratch.number);
  } else {
    throw_away(scratch.path);
  }
}

/// Removes files; folders in it become rubbish of their own, so depth costs nothing. Returns how
/// many entries it touched.
std::size_t ScratchPool::empty_folder(const std::string& path, std::size_t entries_max,
                                      bool& is_empty) {
  is_empty = false;
  ::chmod(path.c_str(), kMode);
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
  if (dir == nullptr) {
    is_empty = true;  // gone, or not to be had: nothing more can be done about it
    return 1;
  }
  std::size_t touched = 0;
  while (touched < entries_max) {
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      is_empty = true;
      return touched;
    }
    if (is_dot(entry->d_name)) continue;
    ++touched;
    std::string inner = path + "/" + entry->d_name;
    if (::unlink(inner.c_str()) != 0 && (errno == EISDIR || errno == EPERM)) throw_away(inner);
  }
  return touched;
}

bool ScratchPool::clean(std::size_t entries_max) {
  while (entries_max > 0 && !rubbish_.empty()) {
    std::string path = std::move(rubbish_.back());
    rubbish_.pop_back();
    bool is_empty = false;
    std::size_t touched = empty_folder(path, entries_max, is_empty);
    entries_max -= std::min(entries_max, touched + 1);
    if (is_empty) {
      ::rmdir(path.c_str());
    } else {
      rubbish_.push_back(std::move(path));
    }
  }
  return !rubbish_.empty();
}

void ScratchPool::remove_all(std::size_t entries_max) {
  clean(entries_max);
  for (std::uint32_t number : free_) {
    ::rmdir((folder_ + "/" + std::to_string(number)).c_str());
  }
  free_.clear();
  ::rmdir(trash_.c_str());
  ::rmdir(folder_.c_str());
}

}  // namespace pawl
