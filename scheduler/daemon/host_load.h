#pragma once

// Whether the loop of a host has little time left: what it carries there is one core's work at the
// most, however many attempts wait for it.

#include <map>
#include <optional>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"

namespace pawl {

class HostLoad {
 public:
  /// Between two looks at a host; sooner it is not asked again.
  static constexpr Duration kLookEvery = std::chrono::milliseconds(250);

  /// Whether it is time to look at the host again.
  bool is_due(WorkerId host, MonoTime now) const;
  /// `used`: the CPU time of the host's loop so far. True when it had a core for more than 6/10 of
  /// the time since the last look: with a share of two cores among three who want them it has no
  /// more.
  bool is_full(WorkerId host, Duration used, MonoTime now);
  void forget(WorkerId host) { looks_.erase(host); }

 private:
  struct Look {
    MonoTime at;
    Duration used{};
  };
  std::map<WorkerId, Look> looks_;
};

/// The CPU time of a process's first thread, which is that of its loop; nothing when there is no
/// such process.
std::optional<Duration> loop_cpu_time(pid_t pid);

}  // namespace pawl
