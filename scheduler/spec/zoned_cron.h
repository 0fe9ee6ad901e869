#pragma once

// A cron expression in a time zone: which instants it fires at. An expression that covers all hours
// fires at every real match. Any other is a fixed time: in a skipped hour it fires once, moved by
// the gap, in a repeated one once, on the first pass. Instants in seconds since the epoch; the rest
// is said in calendar.h.

#include <cstdint>
#include <optional>

#include <cctz/time_zone.h>

#include "scheduler/spec/cron_days.h"
#include "scheduler/spec/excluded_dates.h"

namespace pawl {

/// What a schedule is read against. Both outlive it.
struct LocalCalendar {
  const cctz::time_zone& zone;
  const ExcludedDates& excluded;  ///< no fire at an instant that is on one of these local dates
};

/// Instants [from, to).
struct SecondRange {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

/// The first fire of the range, the last, and how many.
std::optional<std::int64_t> first_fire(const CronDays& cron, const LocalCalendar& calendar,
                                       SecondRange range);
std::optional<std::int64_t> last_fire(const CronDays& cron, const LocalCalendar& calendar,
                                      SecondRange range);
std::int64_t count_fires(const CronDays& cron, const LocalCalendar& calendar, SecondRange range);

}  // namespace pawl
