#include "plugins/worker/process_meter.h"

#include <algorithm>
#include <utility>

#include "plugins/worker/process_table.h"

namespace pawl {

PeakMeter::PeakMeter(pid_t pid)
    : status_(open_of_process(pid, "status")), clear_refs_(open_of_process(pid, "clear_refs")) {}

void PeakMeter::begin() {
  is_of_span_ = reset_peak_memory(clear_refs_);
  began_at_ = std::chrono::steady_clock::now();
}

std::int64_t PeakMeter::bytes() const {
  if (!is_of_span_ || std::chrono::steady_clock::now() - began_at_ < kMemoryFrom) return 0;
  return peak_memory_bytes(status_).value_or(0);
}

ProcessMeter::ProcessMeter(pid_t pid) : stat_(open_of_process(pid, "stat")), peak_(pid) {
  clock_getcpuclockid(pid, &clock_);
}

void ProcessMeter::begin() {
  ++spans_;
  peak_.begin();
  own_cpu_at_begin_us_ = own_cpu_us();
}

ResourceUse ProcessMeter::end() {
  ResourceUse use;
  use.cpu_us = own_cpu_us() - own_cpu_at_begin_us_;
  if (const auto stat = read_process_stat(stat_)) {
    const std::int64_t children_us =
        static_cast<std::int64_t>(stat->children_cpu_ticks) * kMicrosecondsPerTick;
    use.cpu_us += children_us - std::exchange(children_cpu_us_, children_us);
  }
  use.cpu_us = std::max<std::int64_t>(use.cpu_us, 0);
  use.peak_memory_bytes = peak_.bytes();
  return use;
}

ResourceUse ProcessMeter::end(const ResourceUse& life) const {
  ResourceUse use;
  use.cpu_us = std::max<std::int64_t>(life.cpu_us - own_cpu_at_begin_us_ - children_cpu_us_, 0);
  if (spans_ == 1) use.peak_memory_bytes = life.peak_memory_bytes;
  return use;
}

std::int64_t ProcessMeter::own_cpu_us() const {
  timespec own{};
  if (clock_gettime(clock_, &own) != 0) return 0;
  return std::int64_t{own.tv_sec} * 1'000'000 + own.tv_nsec / 1'000;
}

}  // namespace pawl
