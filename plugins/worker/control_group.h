#pragma once

// Control groups (cgroup v2), where a folder of them is ours to divide: one group for each attempt
// that has limits, below one for its worker.
//
//   <parent>/pawl-<home's hash>-<worker>/<attempt>
//
// There the kernel keeps the limits of memory and processes itself, counts CPU time exactly, and
// ends everything that an attempt left behind, whatever it did to hide. What a folder's controllers
// do not cover (`memory`, `pids`) is left to whoever looks at the processes (resource_watch.h).

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/plan.h"

namespace pawl {

/// The folder of this process's own group; nothing without a unified hierarchy.
std::optional<std::string> own_control_group();

/// The folder that attempts may have their groups in: `setting` when it names one; with `auto` the
/// group above ours when systemd delegated it (Delegate=yes with DelegateSubgroup=). Nothing: none.
/// The own group is never divided: with processes in it a restart of the service would fail.
std::optional<std::string> find_control_groups(std::string_view setting);

/// Whether attempts can have their groups in `parent`: it is a folder of control groups, groups in
/// it may have processes, and programs of ours may be moved there, for which the kernel asks for
/// the right to write where both places meet. Errors: refused, with why not.
Result<void> check_control_groups(const std::string& parent);

/// The group of one attempt.
class ControlGroup {
 public:
  /// True when the kernel itself keeps that limit.
  bool keeps_memory() const { return keeps_memory_; }
  bool keeps_pids() const { return keeps_pids_; }
  /// Writing `0` to it moves the writer into the group.
  int entrance() const { return entrance_.get(); }

  // What the kernel counts; 0 where it does not.
  std::int64_t cpu_us() const;
  std::int64_t peak_memory_bytes() const;
  std::int64_t oom_kills() const;         ///< of its processes, for whatever memory was short
  std::int64_t memory_shortages() const;  ///< times that its own limit left no room
  std::int64_t refused_forks() const;

  std::vector<pid_t> processes() const;
  bool is_empty() const;
  /// SIGKILL to all that is in it.
  void kill() const;
  const std::string& folder() const { return folder_; }

 private:
  friend class ControlGroups;
  std::string folder_;
  Fd entrance_;
  bool keeps_memory_ = false;
  bool keeps_pids_ = false;
};

/// The groups of a worker.
class ControlGroups {
 public:
  /// Makes the worker's group in `parent`, which has passed check_control_groups, and notes it in
  /// `worker_folder`, so that whoever finds the worker dead can end what is in it. Errors: refused,
  /// with what the kernel said.
  static Result<std::unique_ptr<ControlGroups>> open(const std::string& parent,
                                                     const std::string& home, WorkerId worker,
                                                     const std::string& worker_folder);
  ControlGroups(const ControlGroups&) = delete;
  ControlGroups& operator=(const ControlGroups&) = delete;
  /// Removes what is empty.
  ~ControlGroups();

  /// A group with these limits. Errors: refused.
  Result<ControlGroup> make(AttemptId attempt, const Resources& limits);
  /// Its attempt has ended. What cannot be removed yet is tried again by the next call.
  void remove(ControlGroup&& group);

  bool has_memory() const { return has_memory_; }
  bool has_pids() const { return has_pids_; }

 private:
  ControlGroups() = default;
  void sweep();

  std::string folder_;
  bool has_memory_ = false;
  bool has_pids_ = false;
  std::vector<std::string> leftover_;
};

/// Kills all that is in the groups of a dead worker and removes them, within `patience`. Those of a
/// home that this one is a copy of are left alone, and those of a worker that moved with its home
/// are found by other signs (remains.h). Blocks.
void remove_control_groups(const std::string& worker_folder, const std::string& home,
                           WorkerId worker, Duration patience);

/// Which limits the kernel keeps with groups in `parent` (nothing: no groups).
KernelLimits kernel_limits(const std::optional<std::string>& parent);

/// Which limits the kernel keeps for the worker of that folder; nothing when it has no groups, or
/// has ended.
std::optional<KernelLimits> kernel_limits_of_worker(const std::string& worker_folder);

/// By which means limits are kept, for people.
std::string describe_limits(const std::optional<std::string>& parent);

}  // namespace pawl
