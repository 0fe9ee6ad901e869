#pragma once

// Dates and times as a job file writes them: `2026-11-20`, `2026-11-20T22:58[:01[.250]]`, local to
// the schedule's zone, or with `Z` or an offset an instant.

#include <cstdint>
#include <optional>
#include <string_view>

namespace pawl {

/// A checked calendar time. Without an offset it is local to some zone.
struct CivilTime {
  int year = 1970;
  int month = 1;
  int day = 1;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int ms = 0;
  bool date_only = false;
  std::optional<int> offset_minutes;  ///< east of UTC

  /// Milliseconds since 1970-01-01T00:00, in UTC when there is an offset, else on the local
  /// calendar. Comparable between two of the same kind.
  std::int64_t count_ms() const;
};

/// Reads a date or a time; nothing when it is anything else, or no day of the calendar.
std::optional<CivilTime> parse_civil(std::string_view text);

/// Reads `YYYY-MM-DD` only.
std::optional<CivilTime> parse_date(std::string_view text);

}  // namespace pawl
