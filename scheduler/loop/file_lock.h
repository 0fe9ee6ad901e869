#pragma once

// A file that one process at a time holds, and that says which. The lock is the kernel's (an open
// file description lock), so it ends with its process whatever becomes of that; the text in the
// file is for people and for identity checks, never proof.

#include <optional>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"

namespace pawl {

class FileLock {
 public:
  /// Takes the lock without waiting; the file is made (0600) when it is missing, and never removed.
  /// Errors: locked (the message names the holder), home_unusable (cannot be opened or written).
  /// Two FileLocks of one process exclude each other too.
  static Result<FileLock> try_take(const std::string& path);

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;
  /// Releases.
  ~FileLock() = default;

  /// Whether somebody holds it now. A missing file is held by nobody. Errors: home_unusable (it
  /// cannot be opened or asked, so nobody knows).
  static Result<bool> is_held(const std::string& path);

  /// Who wrote itself in last; nothing when the file is missing, or is there and names no process.
  /// Whether that process still holds it, `is_held` tells. Errors: home_unusable (as above).
  static Result<std::optional<ProcessIdentity>> last_holder(const std::string& path);

  /// SIGKILL to the process that holds it, once it is certain which that is. Errors: not_found
  /// (nobody holds it, or not who wrote itself in), home_unusable (nobody knows who does), failed
  /// (it may not be killed).
  static Result<void> kill_holder(const std::string& path);

  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// The kind of a file system on which locks and shared memory cannot be trusted (`NFS`, `FUSE` …);
/// empty when the one that holds `path` is local. Errors: not_found, home_unusable.
Result<std::string_view> network_file_system(const std::string& path);

}  // namespace pawl
