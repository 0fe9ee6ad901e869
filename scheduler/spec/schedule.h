#pragma once

// One entry of a job's schedule list, compiled: cron, interval or single instant in a zone, with
// its bounds and its excluded dates. What it answers is said in calendar.h.

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include <cctz/time_zone.h>

#include "scheduler/base/time.h"
#include "scheduler/spec/cron_days.h"
#include "scheduler/spec/excluded_dates.h"
#include "scheduler/spec/interval.h"
#include "scheduler/spec/job.h"

namespace pawl {

class Schedule {
 public:
  /// Compiles a checked entry. `dates`: days since the epoch on which it does not fire.
  Schedule(const ScheduleSpec& spec, const cctz::time_zone& zone, std::vector<std::int64_t> dates);

  /// The first fire of [from, until), the last, and how many.
  std::optional<WallTime> first(WallTime from, WallTime until) const;
  std::optional<WallTime> last(WallTime from, WallTime until) const;
  std::int64_t count(WallTime from, WallTime until) const;

  Duration jitter() const { return jitter_; }

 private:
  LocalCalendar calendar() const { return {zone_, excluded_}; }
  MillisecondRange within(WallTime from, WallTime until) const;

  std::variant<CronDays, Interval> rule_;
  cctz::time_zone zone_;
  WallTime begin_;
  WallTime end_;
  Duration jitter_;
  ExcludedDates excluded_;
};

}  // namespace pawl
