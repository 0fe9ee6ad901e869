#pragma once

// Starts programs: clone(CLONE_VM | CLONE_VFORK) on a stack of its own, 27 µs where fork takes
// 17 ms beside a large resident set. The child leads a session and a group of its own and gets the
// signal dispositions, mask and descriptor limit of a login shell.

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/worker/rendering.h"
#include "scheduler/base/result.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// Descriptors of a program's standard streams, all above 2.
struct LaunchStreams {
  int input = -1;
  int output = -1;
  int error = -1;
};

/// What a program is to begin with.
struct LaunchLimits {
  std::optional<int> nice;
  int group_entrance = -1;  ///< a control group's `cgroup.procs`; -1: none
};

struct LaunchFailure {
  int error = 0;        ///< errno
  std::string message;  ///< for the user: what, why, what to try
};

class Launcher {
 public:
  /// What becomes of programs when the thread that started them ends.
  enum class Parting : std::uint8_t {
    none,
    with_parent,  ///< SIGKILL, unless a program has made itself deaf to it (a set-uid one)
  };
  /// `descriptors`: limit of open descriptors that programs get.
  explicit Launcher(const rlimit& descriptors, Parting parting = Parting::none);
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Starts it; the pid, which is also its session and group. `mark`: by which its processes are
  /// known (process_table.h). On failure -1 and `failure` says why, and no process is left. The
  /// caller waits for the kernel to execute the program, no longer.
  pid_t start(const Launch& launch, const LaunchStreams& streams, const LaunchLimits& limits,
              std::uint64_t mark, LaunchFailure& failure);

 private:
  rlimit descriptors_;
  rlimit locks_{};  ///< this process's
  Parting parting_;
  void* stack_;
};

/// Where a program is looked for, as execvp does: at its own path when it has a slash, else in the
/// folders of `path`, a value of PATH. What begins with no slash is meant from its working folder.
std::vector<std::string> program_candidates(const std::string& program, std::string_view path);

/// A descriptor from which a program reads `text` as its standard input. None, with `errno` set,
/// when it cannot be made.
Fd stdin_of(std::string_view text);

/// `ENOENT` of an errno; `error N` when it has no name here.
std::string errno_name(int error);

}  // namespace pawl
