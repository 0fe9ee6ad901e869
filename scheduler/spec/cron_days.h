#pragma once

// A cron expression on a calendar without zones: which minutes of the proleptic Gregorian calendar
// it matches. Minutes are counted from 1970-01-01T00:00. Searches step by months and compute within
// days, so a sparse expression costs no more than a dense one.

#include <array>
#include <cstdint>
#include <optional>

#include "scheduler/spec/cron.h"
#include "scheduler/spec/excluded_dates.h"

namespace pawl {

/// Minutes [begin, end).
struct MinuteRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

class CronDays {
 public:
  explicit CronDays(const Cron& cron);

  bool is_interval_like() const { return interval_like_; }

  /// The first match in the range that is on no excluded date, and the last.
  std::optional<std::int64_t> first(MinuteRange range, const ExcludedDates& excluded) const;
  std::optional<std::int64_t> last(MinuteRange range, const ExcludedDates& excluded) const;

  /// How many there are.
  std::int64_t count(MinuteRange range, const ExcludedDates& excluded) const;

 private:
  struct Month;

  std::uint32_t days_of(const Month& month, const ExcludedDates& excluded) const;
  bool matches_day(std::int64_t day, const ExcludedDates& excluded) const;
  /// The first matching day of [begin, end), and the last.
  std::optional<std::int64_t> first_day(std::int64_t begin, std::int64_t end,
                                        const ExcludedDates& excluded) const;
  std::optional<std::int64_t> last_day(std::int64_t begin, std::int64_t end,
                                       const ExcludedDates& excluded) const;
  std::int64_t count_days(std::int64_t begin, std::int64_t end,
                          const ExcludedDates& excluded) const;
  /// Of the minutes of a day: the first that matches at or after `minute`, the last before it, how
  /// many before it; `minute` up to 1440.
  std::optional<int> first_minute(int minute) const;
  std::optional<int> last_minute(int minute) const;
  std::int64_t minutes_before(int minute) const;

  std::uint64_t minutes_;
  std::uint32_t hours_;
  std::uint16_t months_;
  bool interval_like_;
  /// Bit n for the n-th day, by the weekday of the first and the length (28 to 31) of a month.
  std::array<std::array<std::uint32_t, 4>, 7> days_{};
};

}  // namespace pawl
