#pragma once

// The schedules of jobs as the engine keeps them: where each one is, and all of them in the order
// in which they fire. What a fire does is in engine_schedules.cpp. Private to scheduler/core.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/core/rows.h"
#include "scheduler/spec/calendar.h"

namespace pawl {

struct Version;

/// One job's. Armed while its job is served, is not paused, and has a fire to come.
struct JobSchedule {
  std::string job;
  std::uint64_t number = 0;  ///< in the order of arrival: decides between equal times
  Version* version = nullptr;
  VersionId version_id;
  std::shared_ptr<const Calendar> calendar;
  std::string calendar_key;  ///< of what it was made of
  std::string params;        ///< of its runs
  bool is_served = false;    ///< its file is there
  bool is_paused = false;
  std::int32_t failures = 0;  ///< of scheduled runs, in a row
  /// Fires up to here have their run or their decision; it never goes back, whatever the clock
  /// does.
  WallTime decided_through;
  std::optional<WallTime> stored;  ///< the same, as the store has it
  std::set<WallTime> taken;        ///< fires after it that have a run already (of a backfill)
  MonoTime since;                  ///< a fire that was due before this was missed
  /// Missed fires up to here were judged; those that are left are run.
  std::optional<WallTime> backlog_through;
  std::optional<WallTime> next;  ///< the first fire after `decided_through` that is not taken
  WallTime due;                  ///< when it starts: `next`, moved by its jitter

  bool is_armed() const { return is_served && !is_paused && next.has_value(); }

  WallTime start_of(WallTime fire) const { return fire + calendar->start_delay(job, fire); }

  /// Finds the next fire anew.
  void look_ahead() {
    taken.erase(taken.begin(), taken.upper_bound(decided_through));
    next = calendar->next(decided_through);
    while (next && taken.contains(*next)) next = calendar->next(*next);
    if (next) due = start_of(*next);
  }

  /// Fires after `after` and up to `through` that have no run yet.
  std::int64_t open_fires(WallTime after, WallTime through) const {
    const auto known = std::distance(taken.upper_bound(after), taken.upper_bound(through));
    return calendar->count(after, through).fires - static_cast<std::int64_t>(known);
  }
};

/// All schedules. Whoever changes one that may be armed takes it out of the order first.
class JobSchedules {
 public:
  JobSchedule* find(std::string_view job) {
    const auto it = by_job_.find(job);
    return it == by_job_.end() ? nullptr : it->second.get();
  }
  const JobSchedule* find(std::string_view job) const {
    const auto it = by_job_.find(job);
    return it == by_job_.end() ? nullptr : it->second.get();
  }

  /// A new one; there is none of this job.
  JobSchedule& add(std::string job) {
    auto owned = std::make_unique<JobSchedule>();
    owned->number = ++last_number_;
    owned->job = job;
    return *by_job_.emplace(std::move(job), std::move(owned)).first->second;
  }

  void disarm(const JobSchedule& schedule) { order_.erase({schedule.due, schedule.number}); }
  void arm(JobSchedule& schedule) {
    if (schedule.is_armed()) order_.emplace(std::pair(schedule.due, schedule.number), &schedule);
  }

  std::optional<WallTime> next_due() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first.first;
  }
  /// The one that fires first; there is one.
  JobSchedule& first() { return *order_.begin()->second; }

 private:
  std::map<std::string, std::unique_ptr<JobSchedule>, std::less<>> by_job_;
  std::map<std::pair<WallTime, std::uint64_t>, JobSchedule*> order_;
  std::uint64_t last_number_ = 0;
};

}  // namespace pawl
