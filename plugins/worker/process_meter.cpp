#include "plugins/worker/process_meter.h"

#include <algorithm>

#include "plugins/worker/process_table.h"

namespace pawl {

ProcessMeter::ProcessMeter(pid_t pid) : pid_(pid) { clock_getcpuclockid(pid, &clock_); }

void ProcessMeter::begin() {
  ++spans_;
  is_peak_of_span_ = reset_peak_memory(pid_);
  cpu_at_begin_us_ = cpu_us();
}

ResourceUse ProcessMeter::end() const {
  ResourceUse use;
  use.cpu_us = std::max<std::int64_t>(cpu_us() - cpu_at_begin_us_, 0);
  if (is_peak_of_span_) use.peak_memory_bytes = peak_memory_bytes(pid_).value_or(0);
  return use;
}

ResourceUse ProcessMeter::end(const ResourceUse& life) const {
  ResourceUse use;
  use.cpu_us = std::max<std::int64_t>(life.cpu_us - cpu_at_begin_us_, 0);
  if (spans_ == 1) use.peak_memory_bytes = life.peak_memory_bytes;
  return use;
}

std::int64_t ProcessMeter::cpu_us() const {
  timespec own{};
  if (clock_gettime(clock_, &own) != 0) return 0;
  const auto stat = read_process_stat(pid_);
  const std::uint64_t ticks = stat ? stat->children_cpu_ticks : 0;
  return std::int64_t{own.tv_sec} * 1'000'000 + own.tv_nsec / 1'000 +
         static_cast<std::int64_t>(ticks) * kMicrosecondsPerTick;
}

}  // namespace pawl
