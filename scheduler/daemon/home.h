#pragma once

// The home: the folder that holds all state of one scheduler.

#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {

/// The absolute path of the home: `flag` (`--home`), else `PAWL_HOME`, else `$XDG_STATE_HOME/pawl`,
/// else `~/.local/state/pawl` of the environment or the password file. Makes nothing. Errors:
/// invalid (no such value is usable: empty, with NUL, no home folder known).
Result<std::string> resolve_home(std::string_view flag);

/// The machine that the home at this path belongs to, when that is not this one; else empty.
std::string other_machine_of(const std::string& home);

class Home {
 public:
  /// Opens the home for reading: it must exist and be a folder of ours. Makes nothing, locks
  /// nothing. Errors: not_found, home_unusable.
  static Result<Home> open(const std::string& path);

  /// Opens the home for a scheduler: makes it (0700) with its parts where they are missing, and
  /// checks that it is a folder of ours that nobody else may enter, can be written, is on a local
  /// file system, has room (on a full disk the ballast is given up), and belongs to this machine.
  /// Errors: home_unusable, storage (disk full).
  static Result<Home> open_or_create(const std::string& path);

  /// Whether `open_or_create` made it, or found it without a store: to be named to the user.
  bool is_new() const { return is_new_; }

  /// Takes the home's lock, waiting up to `wait` for a holder to let go. Blocks. Errors: locked
  /// (names the holder), home_unusable.
  Result<FileLock> lock(Duration wait) const;
  /// Whether somebody holds the lock now, as far as can be known: who cannot look takes it as held.
  bool locked() const;

  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/pawl.db"; }
  std::string socket() const { return path_ + "/sock"; }
  std::string lock_file() const { return path_ + "/lock"; }
  std::string ballast() const { return path_ + "/ballast"; }
  std::string workers() const { return path_ + "/workers"; }
  std::string logs() const { return path_ + "/logs"; }
  std::string outputs() const { return path_ + "/outputs"; }
  std::string scratch() const { return path_ + "/scratch"; }

 private:
  Home(std::string path, bool is_new) : path_(std::move(path)), is_new_(is_new) {}
  std::string path_;
  bool is_new_ = false;
};

}  // namespace pawl
