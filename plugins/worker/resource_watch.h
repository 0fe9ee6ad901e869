#pragma once

// Keeps the limits of attempts (`resources`): memory, CPU time, processes of all that belongs to
// one. The kernel keeps what it can in a control group (control_group.h); the rest is looked at ten
// times a second, and what is over its limit is to be ended. So without control groups a limit is
// passed for a moment before it holds.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugins/worker/control_group.h"
#include "plugins/worker/process_tree.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/reason.h"

namespace pawl {

/// What the processes of an attempt use together, now.
struct ProcessUsage {
  std::int64_t memory_bytes = 0;
  std::int64_t cpu_us = 0;
  std::int64_t pids = 0;  ///< processes and their threads, as the kernel counts for `pids.max`
};

/// A limit that was reached: `oom`, `cpu_time` or `pids`, and the sentence for people.
struct LimitHit {
  AttemptId attempt;
  Reason reason = Reason::none;
  std::string message;
};

/// The first limit that is passed; the worse for the machine comes first.
std::optional<LimitHit> over_limit(const Resources& limits, const ProcessUsage& usage);

/// What the kernel did to keep the limits of a group; nothing: nothing.
std::optional<LimitHit> enforced_limit(const ControlGroup& group, const Resources& limits);

class ResourceWatch {
 public:
  /// `groups`: null where there are none.
  ResourceWatch(ProcessTree& tree, std::unique_ptr<ControlGroups> groups);

  /// An attempt is about to start. Without limits nothing is kept. Errors: refused.
  Result<void> add(AttemptId attempt, const Resources& limits);
  /// What its program writes `0` to before it is executed; -1: nothing.
  int entrance(AttemptId attempt) const;

  /// Looks at all that needs it. What has reached a limit is told every time.
  std::vector<LimitHit> look();
  /// When to look again; nothing: no attempt needs it.
  std::optional<Duration> look_after() const;

  /// Its program has ended by itself: says whether a limit kept by the kernel made it.
  std::optional<LimitHit> explain(AttemptId attempt) const;
  /// SIGKILL to what is in its group, however it got away.
  void kill(AttemptId attempt) const;
  /// Nobody is left in its group.
  bool is_clear(AttemptId attempt) const;

  /// It has ended: what was counted of it.
  ResourceUse remove(AttemptId attempt);

 private:
  struct Watched {
    Resources limits;
    std::optional<ControlGroup> group;
    std::int64_t peak_memory_bytes = 0;
    bool needs_looks() const;
  };

  ProcessUsage usage_of(AttemptId attempt, Watched& watched,
                        const std::vector<ProcessStat>& processes);

  ProcessTree& tree_;
  std::unique_ptr<ControlGroups> groups_;
  std::unordered_map<AttemptId, Watched> watched_;
  std::size_t looked_at_ = 0;  ///< attempts that need looks
  Duration pause_;
};

}  // namespace pawl
