#pragma once

// The processes of a supervisor: the programs it started and what those leave behind. The worker is
// a subreaper, so every process that loses its parent becomes its child: whatever is left of an
// attempt has an ancestor among these children, and looking at them again after each death finds
// the whole tree, one level at a time.
//
// A stray belongs to the attempt whose session it is in, or whose signs it carries
// (process_table.h). One that left all of them behind belongs to some attempt that ran when it
// started: it is killed when none of those runs any more, and the last of them waits for it.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/worker/process_table.h"
#include "plugins/worker/supervision.h"
#include "scheduler/base/ids.h"

namespace pawl {

class ProcessTree {
 public:
  /// The number, as of `add`, whose signs a process carries.
  using Signs = std::function<std::optional<std::int64_t>(pid_t)>;
  explicit ProcessTree(Signs signs) : signs_(std::move(signs)) {}

  /// A program was started.
  void add(AttemptId attempt, const Spawned& process);

  /// A program has ended; its group has been killed.
  struct Exit {
    AttemptId attempt;
    ProgramExit exit;
    ResourceUse use;  ///< of all its life; a bound: not more than this process itself has had
  };
  /// Collects up to `count_max` dead children. True when there may be more.
  bool reap(std::size_t count_max, std::vector<Exit>& exits);
  /// How many it has collected so far, strays too.
  std::uint64_t reaped() const { return reaped_; }

  /// Signals the attempt's group; of a program that has ended, nothing.
  void signal(AttemptId attempt, int number) const;
  /// SIGKILL to the attempt's group and its known strays.
  void kill(AttemptId attempt);

  /// Kills strays of attempts that are over; tells which of `over` (attempts whose program has
  /// ended) have nothing left.
  std::vector<AttemptId> clear(const std::vector<AttemptId>& over);

  /// The processes of attempts, those that have ended and were not waited for included, as of one
  /// look at all there are.
  using Census = std::unordered_map<AttemptId, std::vector<ProcessStat>>;
  Census census();
  /// CPU time of processes of the attempt that ended as children of this one.
  std::int64_t cpu_of_strays(AttemptId attempt) const;

  /// The attempt has ended. `is_gone`: all its processes are. CPU time of its strays is returned.
  std::int64_t remove(AttemptId attempt, bool is_gone);

 private:
  struct Program {
    Spawned process;
    bool is_over = false;  ///< its leader has been reaped
    std::int64_t stray_cpu_us = 0;
  };
  struct Stray {
    std::optional<AttemptId> attempt;
    std::uint64_t start_ticks = 0;
  };

  Stray classify(pid_t pid) const;
  Stray& known_stray(pid_t pid);
  bool is_doomed(const Stray& stray) const;
  bool may_be_of(const Stray& stray, AttemptId attempt) const;
  void reap_leader(pid_t pid, AttemptId attempt, std::vector<Exit>& exits);
  void reap_stray(pid_t pid);

  Signs signs_;
  std::uint64_t reaped_ = 0;
  std::unordered_map<AttemptId, Program> programs_;
  std::unordered_map<pid_t, AttemptId> leaders_;   ///< not reaped
  std::unordered_map<pid_t, AttemptId> sessions_;  ///< of attempts in `programs_`
  std::unordered_map<pid_t, Stray> strays_;        ///< not reaped
};

}  // namespace pawl
