#pragma once

// Cron expressions, from text to bit masks that a calendar can search. Exactly five fields; every
// text is either understood fully or refused with its reason.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace pawl {

/// A compiled expression. Bit n of a mask stands for the value n.
struct Cron {
  std::uint64_t minutes = 0;             ///< 0 to 59
  std::uint32_t hours = 0;               ///< 0 to 23
  std::uint32_t days_of_month = 0;       ///< 1 to 31
  std::uint16_t months = 0;              ///< 1 to 12
  std::uint8_t weekdays = 0;             ///< 0 (Sunday) to 6
  bool last_day = false;                 ///< `L` in day of month
  std::uint8_t last_weekdays = 0;        ///< `5L`: the last such weekday of the month
  std::uint64_t nth_weekdays = 0;        ///< `1#2`: bit (n - 1) * 7 + weekday
  bool day_of_month_restricted = false;  ///< anything but `*` and `?`
  bool day_of_week_restricted = false;

  /// True when the hour field covers all 24 hours: such a schedule fires at every real match, every
  /// other one is a fixed local time (see the rules for daylight saving).
  bool is_interval_like() const { return hours == 0xFFFFFF; }

  /// True when a date matches month, day of month and day of week (OR-ed when both are
  /// restricted). `weekday` is 0 for Sunday, `month_length` the days of that month.
  bool matches_day(int month, int day, int weekday, int month_length) const;
  bool matches_minute(int hour, int minute) const {
    return (hours >> hour & 1U) != 0 && (minutes >> minute & 1U) != 0;
  }

  friend bool operator==(const Cron&, const Cron&) = default;
};

/// Why a text is no cron expression; `offset` is the byte where.
struct CronError {
  std::size_t offset = 0;
  std::string message;
};

/// Compiles a text such as `0 2 * * MON-FRI` or `@daily`. Total: any bytes.
std::variant<Cron, CronError> parse_cron(std::string_view text);

}  // namespace pawl
