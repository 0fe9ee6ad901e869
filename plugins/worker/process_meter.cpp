#include "plugins/worker/process_meter.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "plugins/worker/process_table.h"

namespace pawl {

PeakMeter::PeakMeter(pid_t pid)
    : status_(open_of_process(pid, "status")), clear_refs_(open_of_process(pid, "clear_refs")) {}

void PeakMeter::begin() {
  is_of_span_ = reset_peak_memory(clear_refs_);
  is_new_span_ = true;
  began_at_ = std::chrono::steady_clock::now();
}

std::int64_t PeakMeter::bytes() const {
  if (!is_of_span_ || std::chrono::steady_clock::now() - began_at_ < kMemoryFrom) return 0;
  return peak_memory_bytes(status_).value_or(0);
}

std::int64_t PeakMeter::bound(std::uint64_t faults) {
  // The kernel makes large pages of small ones by and by, which is no fault.
  constexpr std::chrono::milliseconds kGoodFor{100};
  const Moment now = std::chrono::steady_clock::now();
  const bool is_same = faults == faults_;
  // What was found before the span began may have been given back.
  if (is_same && (is_of_all_ || !is_new_span_) && now - looked_at_ < kGoodFor) return bound_;
  is_of_all_ = is_same && is_new_span_;
  is_new_span_ = false;
  faults_ = faults;
  looked_at_ = now;
  bound_ = peak_memory_bytes(status_).value_or(0);
  return bound_;
}

std::uint64_t own_faults() {
  rusage own{};
  getrusage(RUSAGE_SELF, &own);
  return static_cast<std::uint64_t>(own.ru_minflt + own.ru_majflt);
}

ProcessMeter::ProcessMeter(pid_t pid) : stat_(open_of_process(pid, "stat")), peak_(pid) {
  clock_getcpuclockid(pid, &clock_);
}

void ProcessMeter::begin(bool has_others) {
  is_shared_ = has_others;
  if (has_others) return;
  ++spans_;
  peak_.begin();
  own_cpu_at_begin_us_ = own_cpu_us();
}

ResourceUse ProcessMeter::end(std::int64_t told_bound) {
  ResourceUse use;
  use.memory_bound_bytes = told_bound;
  if (is_shared_ && told_bound > 0) return use;
  const auto stat = read_process_stat(stat_);
  if (!is_shared_) {
    use.cpu_us = own_cpu_us() - own_cpu_at_begin_us_;
    if (stat) {
      const std::int64_t children_us =
          static_cast<std::int64_t>(stat->children_cpu_ticks) * kMicrosecondsPerTick;
      use.cpu_us += children_us - std::exchange(children_cpu_us_, children_us);
      use.peak_memory_bytes = peak_.bytes();
    }
    use.cpu_us = std::max<std::int64_t>(use.cpu_us, 0);
  }
  if (use.peak_memory_bytes > 0) {
    use.memory_bound_bytes = 0;
  } else if (told_bound == 0 && stat) {
    use.memory_bound_bytes = peak_.bound(stat->faults);
  }
  return use;
}

ResourceUse ProcessMeter::end(const ResourceUse& life) const {
  ResourceUse use = life;
  const std::int64_t before_us = own_cpu_at_begin_us_ + children_cpu_us_;
  use.cpu_us = is_shared_ ? 0 : std::max<std::int64_t>(life.cpu_us - before_us, 0);
  if (is_shared_ || spans_ > 1) {
    use.peak_memory_bytes = 0;
    use.memory_bound_bytes = std::max(life.peak_memory_bytes, life.memory_bound_bytes);
  }
  return use;
}

std::int64_t ProcessMeter::own_cpu_us() const {
  timespec own{};
  if (clock_gettime(clock_, &own) != 0) return 0;
  return std::int64_t{own.tv_sec} * 1'000'000 + own.tv_nsec / 1'000;
}

}  // namespace pawl
