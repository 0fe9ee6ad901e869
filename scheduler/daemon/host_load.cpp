#include "scheduler/daemon/host_load.h"

#include <cstdint>
#include <fstream>
#include <string>

namespace pawl {

bool HostLoad::is_due(WorkerId host, MonoTime now) const {
  const auto last = looks_.find(host);
  return last == looks_.end() || now - last->second.at >= kLookEvery;
}

bool HostLoad::is_full(WorkerId host, Duration used, MonoTime now) {
  const auto [last, is_first] = looks_.try_emplace(host, Look{now, used});
  if (is_first) return false;
  const Duration passed = now - last->second.at;
  const Duration busy = used - last->second.used;
  last->second = {now, used};
  // Who was not looked at for long had no starts, and says nothing of now.
  return passed < 4 * kLookEvery && busy * 10 > passed * 6;
}

std::optional<Duration> loop_cpu_time(pid_t pid) {
  const std::string id = std::to_string(pid);
  // The first of three numbers: nanoseconds on a processor.
  std::ifstream file("/proc/" + id + "/task/" + id + "/schedstat");
  std::uint64_t nanoseconds = 0;
  if (!(file >> nanoseconds)) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(nanoseconds));
}

}  // namespace pawl
