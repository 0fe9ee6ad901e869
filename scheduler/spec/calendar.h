#pragma once

// When a job fires: its list of schedules, compiled. A fire is an instant and nothing else; two
// fires of the list at one instant are one. Every answer is computed, never walked to minute by
// minute, is bounded for every input and never fails: a job of 1970 or of 2380 costs the same.
//
// Pure: zones and files of dates are loaded outside and handed in.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cctz/time_zone.h>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/job.h"

namespace pawl {

class Schedule;

/// The calendar's first instant, and the one behind its last: years 1 to 2389. No fire is outside.
/// The end is where the zone data's own rules reach in every zone.
inline constexpr WallTime kCalendarBegin{-62'135'596'800'000};
inline constexpr WallTime kCalendarEnd{13'253'932'800'000};

/// What a calendar needs from outside.
struct CalendarSources {
  /// The zone of that name; nothing when there is none.
  std::function<std::optional<cctz::time_zone>(std::string_view name)> zone;
  /// The text of an `except` file, by its path as written in the job.
  std::function<Result<std::string>(std::string_view path)> dates;
};

/// How many fires lie in a range.
struct FireCount {
  std::int64_t fires = 0;
  /// False when `fires` may count some instants twice, because several schedules coincide too often
  /// to look at each (hundreds of thousands of times).
  bool exact = true;
};

class Calendar {
 public:
  /// No schedule: never fires.
  Calendar();
  ~Calendar();
  Calendar(Calendar&&) noexcept;
  Calendar& operator=(Calendar&&) noexcept;

  /// Compiles the list of a checked job. Errors: invalid, when a zone is unknown, or a file of
  /// dates cannot be read or holds something else; the message names it.
  static Result<Calendar> compile(std::span<const ScheduleSpec> schedules,
                                  const CalendarSources& sources);

  bool is_empty() const;

  /// The zone that the job's dates are read in: of the first schedule; UTC without one.
  const cctz::time_zone& zone() const { return zone_; }

  /// The first fire strictly after `after`; nothing when there is none before the calendar's end.
  std::optional<WallTime> next(WallTime after) const;

  /// The last fire strictly before `before`. `run.interval` runs from `previous(fire)` to `fire`;
  /// the newest of the fires missed in (a, b] is `previous(b + 1 ms)` if it lies after a.
  std::optional<WallTime> previous(WallTime before) const;

  /// True when `at` is a fire.
  bool fires_at(WallTime at) const;

  /// How many fires lie in (after, until]; by arithmetic, microseconds for years of minutes.
  FireCount count(WallTime after, WallTime until) const;

  /// The newest `most` fires of (after, until], oldest first.
  std::vector<WallTime> newest(WallTime after, WallTime until, std::size_t most) const;

  /// How much later than `fire` its run starts: from 0 up to the `jitter` of the schedule that
  /// fires then (the shortest, when several do), evenly spread, and the same at every call: it is
  /// a hash of the job's name and the fire. The run's `scheduled_for` and `logical_time` stay
  /// `fire`; only its start moves. Jitter longer than the distance of two fires can put a later
  /// fire's start first: whoever starts runs takes fires in their own order.
  Duration start_delay(std::string_view job, WallTime fire) const;

 private:
  std::vector<Schedule> schedules_;
  cctz::time_zone zone_ = cctz::utc_time_zone();
};

}  // namespace pawl
