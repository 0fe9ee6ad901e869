#include "scheduler/spec/civil.h"

#include <chrono>
#include <string>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

/// The civil parts of an instant that is read as if it were UTC.
CivilTime from_utc(WallTime time) {
  using namespace std::chrono;
  const sys_time<milliseconds> instant{milliseconds(time.ms)};
  const sys_days days_part = floor<days>(instant);
  const year_month_day date(days_part);
  const auto in_day = (instant - days_part).count();
  CivilTime civil;
  civil.year = static_cast<int>(date.year());
  civil.month = static_cast<int>(static_cast<unsigned>(date.month()));
  civil.day = static_cast<int>(static_cast<unsigned>(date.day()));
  civil.hour = static_cast<int>(in_day / 3'600'000);
  civil.minute = static_cast<int>(in_day / 60'000 % 60);
  civil.second = static_cast<int>(in_day / 1'000 % 60);
  civil.ms = static_cast<int>(in_day % 1'000);
  return civil;
}

/// Minutes of a trailing `±HH:MM`; 0 for `Z`. The text was accepted before.
int offset_of(std::string_view text) {
  if (text.back() == 'Z') return 0;
  const std::string_view tail = text.substr(text.size() - 6);
  const int minutes =
      ((tail[1] - '0') * 10 + tail[2] - '0') * 60 + (tail[4] - '0') * 10 + tail[5] - '0';
  return tail[0] == '+' ? minutes : -minutes;
}

}  // namespace

std::int64_t CivilTime::count_ms() const {
  using namespace std::chrono;
  const sys_days date = std::chrono::year(year) / month / day;
  const std::int64_t minutes_of_day = hour * 60 + minute - offset_minutes.value_or(0);
  return date.time_since_epoch().count() * kDayMs + minutes_of_day * 60'000 + second * 1'000 + ms;
}

std::optional<CivilTime> parse_date(std::string_view text) {
  constexpr std::size_t kDateLength = 10;
  if (text.size() != kDateLength) return std::nullopt;
  const auto time = parse_utc(std::string(text) + "T00:00Z");
  if (!time) return std::nullopt;
  CivilTime civil = from_utc(*time);
  civil.date_only = true;
  return civil;
}

std::optional<CivilTime> parse_civil(std::string_view text) {
  if (auto date = parse_date(text)) return date;
  if (const auto local = parse_utc(std::string(text) + "Z")) return from_utc(*local);
  const auto instant = parse_utc(text);
  if (!instant) return std::nullopt;
  const int offset = offset_of(text);
  CivilTime civil = from_utc(*instant + std::chrono::minutes(offset));
  civil.offset_minutes = offset;
  return civil;
}

}  // namespace pawl
