#include "scheduler/spec/cron_days.h"

#include <algorithm>
#include <bit>
#include <chrono>

#include "scheduler/base/floor.h"

namespace pawl {
namespace {

constexpr int kDayMinutes = 1'440;
constexpr int kShortestMonth = 28;

std::int64_t floor_day(std::int64_t minute) { return floor_div(minute, kDayMinutes); }
int minute_of_day(std::int64_t minute) {
  return static_cast<int>(minute - floor_day(minute) * kDayMinutes);
}

template <typename Mask>
int lowest(Mask mask) {
  return std::countr_zero(mask);
}
template <typename Mask>
int highest(Mask mask) {
  return static_cast<int>(std::bit_width(mask)) - 1;
}
/// Bits below `bit`, which may be all of them but one.
template <typename Mask>
Mask below(Mask mask, int bit) {
  return mask & ((Mask{1} << bit) - 1);
}

}  // namespace

/// A month, and the number of the day before its first.
struct CronDays::Month {
  int year = 1970;
  int month = 1;
  std::int64_t day_zero = -1;
  int length = 31;

  static Month at(int year, int month) {
    using namespace std::chrono;
    const year_month_day_last last = std::chrono::year(year) /
                                     std::chrono::month(static_cast<unsigned>(month)) /
                                     std::chrono::last;
    const auto length = static_cast<int>(static_cast<unsigned>(last.day()));
    return {year, month, sys_days(last).time_since_epoch().count() - length, length};
  }
  static Month of(std::int64_t day) {
    using namespace std::chrono;
    const year_month_day date{sys_days(days(day))};
    return at(static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())));
  }
  Month next() const { return month == 12 ? at(year + 1, 1) : at(year, month + 1); }
  Month previous() const { return month == 1 ? at(year - 1, 12) : at(year, month - 1); }

  std::int64_t first_day() const { return day_zero + 1; }
  std::int64_t behind() const { return first_day() + length; }
  /// 1970-01-01 was a Thursday.
  int first_weekday() const { return static_cast<int>(((first_day() + 4) % 7 + 7) % 7); }

  /// Bits of its days that lie in [begin, end).
  std::uint32_t days_within(std::int64_t begin, std::int64_t end) const {
    std::uint32_t mask = ~std::uint32_t{0};
    if (begin > first_day()) mask &= ~std::uint32_t{0} << (begin - day_zero);
    if (end < behind()) mask &= (std::uint32_t{1} << (end - day_zero)) - 1;
    return mask;
  }
};

CronDays::CronDays(const Cron& cron)
    : minutes_(cron.minutes),
      hours_(cron.hours),
      months_(cron.months),
      interval_like_(cron.is_interval_like()) {
  // The months are told apart by `months_`, so any month that the expression names stands for all.
  const int some_month = lowest(cron.months);
  for (int first = 0; first < 7; ++first) {
    for (int length = kShortestMonth; length <= 31; ++length) {
      for (int day = 1; day <= length; ++day) {
        if (!cron.matches_day(some_month, day, (first + day - 1) % 7, length)) continue;
        days_[first][length - kShortestMonth] |= std::uint32_t{1} << day;
      }
    }
  }
}

std::uint32_t CronDays::days_of(const Month& month, const ExcludedDates& excluded) const {
  if ((months_ >> month.month & 1U) == 0) return 0;
  return days_[month.first_weekday()][month.length - kShortestMonth] &
         ~excluded.days_of_month(month.year, month.month);
}

bool CronDays::matches_day(std::int64_t day, const ExcludedDates& excluded) const {
  const Month month = Month::of(day);
  return (days_of(month, excluded) >> (day - month.day_zero) & 1U) != 0;
}

std::optional<std::int64_t> CronDays::first_day(std::int64_t begin, std::int64_t end,
                                                const ExcludedDates& excluded) const {
  for (Month month = Month::of(begin); month.first_day() < end; month = month.next()) {
    const std::uint32_t days = days_of(month, excluded) & month.days_within(begin, end);
    if (days != 0) return month.day_zero + lowest(days);
  }
  return std::nullopt;
}

std::optional<std::int64_t> CronDays::last_day(std::int64_t begin, std::int64_t end,
                                               const ExcludedDates& excluded) const {
  if (begin >= end) return std::nullopt;
  for (Month month = Month::of(end - 1); month.behind() > begin; month = month.previous()) {
    const std::uint32_t days = days_of(month, excluded) & month.days_within(begin, end);
    if (days != 0) return month.day_zero + highest(days);
  }
  return std::nullopt;
}

std::int64_t CronDays::count_days(std::int64_t begin, std::int64_t end,
                                  const ExcludedDates& excluded) const {
  std::int64_t count = 0;
  for (Month month = Month::of(begin); month.first_day() < end; month = month.next()) {
    count += std::popcount(days_of(month, excluded) & month.days_within(begin, end));
  }
  return count;
}

std::optional<int> CronDays::first_minute(int minute) const {
  const int hour = minute / 60;
  if ((hours_ >> hour & 1U) != 0) {
    const std::uint64_t left = minutes_ & ~std::uint64_t{0} << minute % 60;
    if (left != 0) return hour * 60 + lowest(left);
  }
  const std::uint32_t later = hours_ & ~std::uint32_t{1} << hour;
  if (later == 0) return std::nullopt;
  return lowest(later) * 60 + lowest(minutes_);
}

std::optional<int> CronDays::last_minute(int minute) const {
  const int hour = minute / 60;
  if ((hours_ >> hour & 1U) != 0) {
    const std::uint64_t left = below(minutes_, minute % 60);
    if (left != 0) return hour * 60 + highest(left);
  }
  const std::uint32_t earlier = below(hours_, hour);
  if (earlier == 0) return std::nullopt;
  return highest(earlier) * 60 + highest(minutes_);
}

std::int64_t CronDays::minutes_before(int minute) const {
  const int hour = minute / 60;
  std::int64_t count = std::int64_t{std::popcount(below(hours_, hour))} * std::popcount(minutes_);
  if ((hours_ >> hour & 1U) != 0) count += std::popcount(below(minutes_, minute % 60));
  return count;
}

std::optional<std::int64_t> CronDays::first(MinuteRange range,
                                            const ExcludedDates& excluded) const {
  if (range.begin >= range.end) return std::nullopt;
  const std::int64_t today = floor_day(range.begin);
  std::optional<std::int64_t> found;
  if (matches_day(today, excluded)) {
    if (const auto minute = first_minute(minute_of_day(range.begin))) {
      found = today * kDayMinutes + *minute;
    }
  }
  if (!found) {
    const auto day = first_day(today + 1, floor_day(range.end - 1) + 1, excluded);
    if (day) found = *day * kDayMinutes + *first_minute(0);
  }
  if (!found || *found >= range.end) return std::nullopt;
  return found;
}

std::optional<std::int64_t> CronDays::last(MinuteRange range, const ExcludedDates& excluded) const {
  if (range.begin >= range.end) return std::nullopt;
  const std::int64_t today = floor_day(range.end - 1);
  std::optional<std::int64_t> found;
  if (matches_day(today, excluded)) {
    if (const auto minute = last_minute(minute_of_day(range.end - 1) + 1)) {
      found = today * kDayMinutes + *minute;
    }
  }
  if (!found) {
    const auto day = last_day(floor_day(range.begin), today, excluded);
    if (day) found = *day * kDayMinutes + *last_minute(kDayMinutes);
  }
  if (!found || *found < range.begin) return std::nullopt;
  return found;
}

std::int64_t CronDays::count(MinuteRange range, const ExcludedDates& excluded) const {
  if (range.begin >= range.end) return 0;
  const std::int64_t first = floor_day(range.begin);
  const std::int64_t last = floor_day(range.end - 1);
  const int from = minute_of_day(range.begin);
  const int to = minute_of_day(range.end - 1) + 1;
  const bool on_first = matches_day(first, excluded);
  if (first == last) return on_first ? minutes_before(to) - minutes_before(from) : 0;
  const std::int64_t whole = minutes_before(kDayMinutes);
  std::int64_t count = count_days(first + 1, last, excluded) * whole;
  if (on_first) count += whole - minutes_before(from);
  if (matches_day(last, excluded)) count += minutes_before(to);
  return count;
}

}  // namespace pawl
