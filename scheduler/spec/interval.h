#pragma once

// A fixed distance of real time: base, base + period, base + 2 periods … without an end. All in
// milliseconds since the epoch.

#include <cstdint>
#include <optional>

#include "scheduler/spec/zoned_cron.h"

namespace pawl {

struct Interval {
  std::int64_t base_ms = 0;
  std::int64_t period_ms = 1;
};

/// Instants [from, to).
struct MillisecondRange {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

/// The first fire of the range that is on no excluded date, the last, and how many.
std::optional<std::int64_t> first_fire(const Interval& every, const LocalCalendar& calendar,
                                       MillisecondRange range);
std::optional<std::int64_t> last_fire(const Interval& every, const LocalCalendar& calendar,
                                      MillisecondRange range);
std::int64_t count_fires(const Interval& every, const LocalCalendar& calendar,
                         MillisecondRange range);

}  // namespace pawl
