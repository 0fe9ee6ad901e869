#pragma once

// Dates of a calendar on which nothing fires. A date is the number of its day since 1970-01-01.

#include <cstdint>
#include <string_view>
#include <vector>

#include "scheduler/base/result.h"

namespace pawl {

class ExcludedDates {
 public:
  ExcludedDates() = default;
  /// In any order, also twice.
  explicit ExcludedDates(std::vector<std::int64_t> days);

  bool is_empty() const { return runs_.empty(); }
  bool contains(std::int64_t day) const;

  /// Bit n for the n-th day of the month that is excluded.
  std::uint32_t days_of_month(int year, int month) const;

  /// Excluded days without a gap between them.
  struct Run {
    std::int64_t first = 0;
    std::int64_t behind = 0;  ///< the first day that is not in it
  };
  /// The runs that have a day in [first, behind), in order; as [begin, end) of `runs()`.
  std::pair<std::size_t, std::size_t> runs_between(std::int64_t first, std::int64_t behind) const;
  /// The run that holds the day, or null.
  const Run* run_of(std::int64_t day) const;
  const std::vector<Run>& runs() const { return runs_; }

 private:
  struct Month {
    std::int32_t index = 0;  ///< year * 12 + month - 1
    std::uint32_t days = 0;
  };

  std::vector<Run> runs_;      ///< in order
  std::vector<Month> months_;  ///< in order
};

/// Reads a file of dates: `YYYY-MM-DD`, one a line; blank lines and what follows a `#` mean
/// nothing. Errors: invalid, with the line and what is wrong there.
Result<std::vector<std::int64_t>> parse_dates(std::string_view text);

}  // namespace pawl
