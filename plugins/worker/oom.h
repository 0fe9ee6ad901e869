#pragma once

// Whether the kernel killed for memory: the counter `oom_kill` of this process's cgroup, or of the
// machine where there is none. SIGKILL alone proves nothing: people send it too.

#include <cstdint>
#include <optional>
#include <string>

namespace pawl {

class OomWatch {
 public:
  /// Remembers the counter as it is now. An unreadable counter never proves anything.
  OomWatch();
  /// For tests: a file with a line `oom_kill N`.
  explicit OomWatch(std::string file);

  /// True when the counter proves a kill that nobody has claimed yet: claims it for a program that
  /// has just ended by SIGKILL which nobody here sent.
  bool claim();
  /// To be called about once a second while there is something to do: kills that nobody claimed
  /// since the call before are of processes inside of programs, and are accounted for.
  void settle();

 private:
  std::optional<std::int64_t> read() const;

  std::string file_;
  std::int64_t claimed_ = 0;  ///< the counter up to which kills are accounted for
  std::int64_t settled_ = 0;  ///< the counter at the last `settle`
};

}  // namespace pawl
