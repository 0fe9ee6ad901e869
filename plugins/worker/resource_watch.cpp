#include "plugins/worker/resource_watch.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "plugins/worker/process_table.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr Duration kPauseMin{100};
constexpr Duration kPauseMax{2'000};
/// A look at a machine full of processes may take a while: at most a twentieth of the time.
constexpr int kPausePerCost = 20;

std::string bytes_text(std::int64_t bytes) {
  return format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)));
}

std::string limit_text(const Resources& limits) {
  return bytes_text(static_cast<std::int64_t>(limits.memory_bytes));
}

}  // namespace

std::optional<LimitHit> over_limit(const Resources& limits, const ProcessUsage& usage) {
  LimitHit hit;
  if (limits.memory_bytes > 0 &&
      usage.memory_bytes > static_cast<std::int64_t>(limits.memory_bytes)) {
    hit.reason = Reason::oom;
    hit.message = "its processes use " + bytes_text(usage.memory_bytes) +
                  " of memory, resources.memory is " + limit_text(limits);
  } else if (limits.pids > 0 && usage.pids > limits.pids) {
    hit.reason = Reason::pids;
    hit.message = std::to_string(usage.pids) +
                  " processes and threads at once, resources.pids is " +
                  std::to_string(limits.pids);
  } else if (limits.cpu_time > Duration(0) && usage.cpu_us / 1'000 >= limits.cpu_time.count()) {
    hit.reason = Reason::cpu_time;
    hit.message = "its processes used " + format_duration(Duration(usage.cpu_us / 1'000)) +
                  " of CPU time, resources.cpu_time is " + format_duration(limits.cpu_time);
  } else {
    return std::nullopt;
  }
  return hit;
}

std::optional<LimitHit> enforced_limit(const ControlGroup& group, const Resources& limits) {
  LimitHit hit;
  if (group.keeps_memory() && group.oom_kills() > 0) {
    hit.reason = Reason::oom;
    // The kernel kills in a group also when the machine, or a group above, has no memory left.
    hit.message = group.memory_shortages() > 0
                      ? "killed by the kernel: over resources.memory, " + limit_text(limits)
                      : "killed by the kernel for memory, though not over resources.memory, " +
                            limit_text(limits) + ": the machine or a group above was out of it";
  } else if (group.keeps_pids() && group.refused_forks() > 0) {
    hit.reason = Reason::pids;
    hit.message = "a process beyond resources.pids, " + std::to_string(limits.pids) +
                  ", was refused by the kernel";
  } else {
    return std::nullopt;
  }
  return hit;
}

bool ResourceWatch::Watched::needs_looks() const {
  const bool memory_is_kept = limits.memory_bytes == 0 || (group && group->keeps_memory());
  return !memory_is_kept || limits.cpu_time > Duration(0) || limits.pids > 0;
}

ResourceWatch::ResourceWatch(ProcessTree& tree, std::unique_ptr<ControlGroups> groups)
    : tree_(tree), groups_(std::move(groups)), pause_(kPauseMin) {}

Result<void> ResourceWatch::add(AttemptId attempt, const Resources& limits) {
  if (limits.memory_bytes == 0 && limits.cpu_time == Duration(0) && limits.pids == 0) return {};
  Watched watched;
  watched.limits = limits;
  if (groups_) {
    auto group = groups_->make(attempt, limits);
    if (!group) return group.error();
    watched.group = std::move(*group);
  }
  if (watched.needs_looks()) ++looked_at_;
  watched_.insert_or_assign(attempt, std::move(watched));
  return {};
}

int ResourceWatch::entrance(AttemptId attempt) const {
  auto at = watched_.find(attempt);
  return at != watched_.end() && at->second.group ? at->second.group->entrance() : -1;
}

std::optional<Duration> ResourceWatch::look_after() const {
  return looked_at_ > 0 ? std::optional(pause_) : std::nullopt;
}

std::vector<LimitHit> ResourceWatch::look() {
  const MonoTime begun = mono_now();
  std::vector<LimitHit> hits;
  ProcessTree::Census census;
  bool is_counted = false;
  for (auto& [attempt, watched] : watched_) {
    if (!watched.needs_looks()) continue;
    std::vector<ProcessStat> processes;
    if (watched.group) {
      for (pid_t pid : watched.group->processes()) {
        if (auto stat = read_process_stat(pid)) processes.push_back(*stat);
      }
    } else {
      if (!std::exchange(is_counted, true)) census = tree_.census();
      processes = std::move(census[attempt]);
    }
    auto hit = over_limit(watched.limits, usage_of(attempt, watched, processes));
    if (!hit) hit = explain(attempt);
    if (!hit) continue;
    hit->attempt = attempt;
    hits.push_back(std::move(*hit));
  }
  pause_ = std::clamp((mono_now() - begun) * kPausePerCost, kPauseMin, kPauseMax);
  return hits;
}

ProcessUsage ResourceWatch::usage_of(AttemptId attempt, Watched& watched,
                                     const std::vector<ProcessStat>& processes) {
  static const std::int64_t kPageBytes = sysconf(_SC_PAGESIZE);
  ProcessUsage usage;
  for (const ProcessStat& process : processes) {
    usage.memory_bytes += process.resident_pages * kPageBytes;
    usage.cpu_us += static_cast<std::int64_t>(process.cpu_ticks) * kMicrosecondsPerTick;
    if (!process.has_ended()) usage.pids += process.threads;
  }
  usage.cpu_us =
      watched.group ? watched.group->cpu_us() : usage.cpu_us + tree_.cpu_of_strays(attempt);
  const auto memory_max = static_cast<std::int64_t>(watched.limits.memory_bytes);
  if (watched.group && watched.group->keeps_memory()) {
    usage.memory_bytes = 0;  // the kernel judges
  } else if (memory_max > 0 && usage.memory_bytes > memory_max) {
    // Pages that several share were counted for each: asked only now, because it is slow.
    usage.memory_bytes = 0;
    for (const ProcessStat& process : processes) {
      usage.memory_bytes +=
          proportional_memory_bytes(process.pid).value_or(process.resident_pages * kPageBytes);
    }
    watched.peak_memory_bytes = std::max(watched.peak_memory_bytes, usage.memory_bytes);
  }
  if (watched.group && watched.group->keeps_pids()) usage.pids = 0;
  return usage;
}

std::optional<LimitHit> ResourceWatch::explain(AttemptId attempt) const {
  auto at = watched_.find(attempt);
  if (at == watched_.end() || !at->second.group) return std::nullopt;
  auto hit = enforced_limit(*at->second.group, at->second.limits);
  if (hit) hit->attempt = attempt;
  return hit;
}

void ResourceWatch::kill(AttemptId attempt) const {
  auto at = watched_.find(attempt);
  if (at != watched_.end() && at->second.group) at->second.group->kill();
}

bool ResourceWatch::is_clear(AttemptId attempt) const {
  auto at = watched_.find(attempt);
  return at == watched_.end() || !at->second.group || at->second.group->is_empty();
}

ResourceUse ResourceWatch::remove(AttemptId attempt) {
  auto at = watched_.find(attempt);
  if (at == watched_.end()) return {};
  Watched& watched = at->second;
  ResourceUse totals;
  totals.peak_memory_bytes = watched.peak_memory_bytes;
  if (watched.group) {
    totals = {watched.group->cpu_us(),
              std::max(totals.peak_memory_bytes, watched.group->peak_memory_bytes())};
    groups_->remove(std::move(*watched.group));
  }
  if (watched.needs_looks()) --looked_at_;
  watched_.erase(at);
  return totals;
}

}  // namespace pawl
