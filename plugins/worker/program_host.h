#pragma once

// What all warm programs of one host share: who starts them, who finds them dead, and who sees to
// it that nothing of them is left. One per process, as it reaps all children of the process.

#include <sys/resource.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugins/worker/launcher.h"
#include "plugins/worker/oom.h"
#include "plugins/worker/process_tree.h"
#include "plugins/worker/supervision.h"
#include "scheduler/base/ids.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

/// Processes of all programs together.
inline constexpr std::size_t kHostProcessesMax = 1'000;

class ProgramHost {
 public:
  /// Who started a process and hears of its end.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Whether it was sent SIGKILL by its owner.
    virtual bool has_killed(AttemptId process) const = 0;
    /// It (`exit.attempt`) has exited, and its group was killed.
    virtual void on_exit(const ProcessTree::Exit& exit) = 0;
    /// It has left nothing behind.
    virtual void on_gone(AttemptId process) = 0;
  };

  /// `name`: by which what its programs start is known when this process is dead (remains.h); the
  /// folder of a worker. `descriptors`: limit of open descriptors that programs get. The process
  /// must be a subreaper, and must ignore SIGPIPE.
  ProgramHost(Loop& loop, std::string name, const rlimit& descriptors);
  /// Waits a second for processes whose owners have gone, then kills them and all that they leave,
  /// until nothing has ended for a second, at the most for ten. All owners are gone.
  ~ProgramHost();
  ProgramHost(const ProgramHost&) = delete;
  ProgramHost& operator=(const ProgramHost&) = delete;

  Launcher& launcher() { return launcher_; }
  ProcessTree& tree() { return tree_; }
  /// A number for a process in `tree()`, which knows nothing but such processes.
  AttemptId next_process() { return AttemptId(++last_process_); }
  /// By which all that this process starts is known (process_table.h).
  std::uint64_t mark_of(AttemptId process) const;
  bool has_room() const { return owners_.size() < kHostProcessesMax; }
  std::size_t process_count() const { return owners_.size(); }

  /// It was started and is in `tree()`.
  void add(AttemptId process, Owner& owner);
  /// Its owner goes and has asked it to end.
  void abandon(AttemptId process);
  /// Some process has exited: looks soon.
  void schedule_reaping();

 private:
  void reap();
  void clear();

  Loop& loop_;
  std::string name_;
  Launcher launcher_;
  ProcessTree tree_;
  OomWatch oom_;
  std::int64_t last_process_ = 0;
  std::unordered_map<AttemptId, Owner*> owners_;  ///< null: abandoned
  std::vector<AttemptId> over_;                   ///< exited, not gone
  bool is_reaping_scheduled_ = false;
  Timer sweep_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
