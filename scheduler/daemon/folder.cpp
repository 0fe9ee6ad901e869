#include "scheduler/daemon/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "scheduler/loop/file_lock.h"

namespace pawl {
namespace {

/// Why a folder may not be served; empty when it may.
std::string objection_to_folder(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return std::strerror(errno);
  if (!S_ISDIR(info.st_mode)) return "not a folder";
  if ((info.st_mode & 022) != 0) return "others may write it. Try chmod go-w";
  if (info.st_uid != ::geteuid() && info.st_uid != 0) return "it belongs to another user";
  return {};
}

}  // namespace

bool is_job_file_name(std::string_view name) {
  return name.size() > 5 && name.ends_with(".json") && !name.starts_with('.');
}

Result<OpenFolder> open_folder(const std::string& folder) {
  const auto failed = [&folder](ErrorKind kind, const std::string& why) {
    return Error{kind, "cannot serve folder " + folder + ": " + why};
  };
  char* real = ::realpath(folder.c_str(), nullptr);
  if (real == nullptr) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    return failed(missing ? ErrorKind::not_found : ErrorKind::invalid, std::strerror(errno));
  }
  OpenFolder opened{.path = real, .fd = {}, .local = true};
  std::free(real);
  opened.fd.reset(::open(opened.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!opened.fd) return failed(ErrorKind::invalid, std::strerror(errno));
  if (const std::string why = objection_to_folder(opened.fd.get()); !why.empty()) {
    return failed(ErrorKind::invalid, why);
  }
  // A lock on the folder itself: it needs no right to write, and goes with the process. File
  // systems without such locks are served without one.
  if (::flock(opened.fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return failed(ErrorKind::locked, "another home serves it");
  }
  const auto network = network_file_system(opened.path);
  opened.local = network && network->empty();
  return opened;
}

FolderListing list_folder(int folder_fd) {
  FolderListing listing;
  listing.why = objection_to_folder(folder_fd);
  if (!listing.why.empty()) return listing;
  const int own = ::openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = own < 0 ? nullptr : ::fdopendir(own);
  if (dir == nullptr) {
    listing.why = std::string("cannot be listed: ") + std::strerror(errno);
    if (own >= 0) ::close(own);
    return listing;
  }
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): own DIR
    if (!is_job_file_name(entry->d_name)) continue;
    if (listing.names.size() == kJobFilesPerFolderMax) {
      listing.too_many = true;
      break;
    }
    listing.names.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

}  // namespace pawl
