#include "cli/when.h"

#include <array>
#include <chrono>
#include <optional>

#include <cctz/civil_time.h>
#include <fmt/format.h>

#include "scheduler/base/text.h"

namespace pawl {

namespace {

using SystemTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

SystemTime system_time(WallTime time) { return SystemTime(Duration(time.ms)); }

std::chrono::time_point<std::chrono::system_clock, cctz::seconds> whole_seconds(WallTime time) {
  return std::chrono::floor<cctz::seconds>(system_time(time));
}

cctz::civil_second civil(WallTime time, const cctz::time_zone& zone) {
  return zone.lookup(whole_seconds(time)).cs;
}

WallTime instant(const cctz::civil_second& local, const cctz::time_zone& zone) {
  // `pre` is the first reading of a repeated time, and of a skipped one the time moved by the gap.
  const auto found = zone.lookup(local).pre;
  return {std::chrono::duration_cast<Duration>(found.time_since_epoch()).count()};
}

/// Digits of fixed width at the front of `text`, taken off it.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, width)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

struct TimeOfDay {
  int hour = 0;
  int minute = 0;
  int second = 0;
};

/// `HH:MM[:SS]`, all of `text`.
std::optional<TimeOfDay> read_time_of_day(std::string_view text) {
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute) return std::nullopt;
  int second = 0;
  if (take(text, ':')) {
    const auto digits = take_digits(text, 2);
    if (!digits) return std::nullopt;
    second = *digits;
  }
  if (!text.empty() || *hour > 23 || *minute > 59 || second > 59) return std::nullopt;
  return TimeOfDay{*hour, *minute, second};
}

/// `YYYY-MM-DD`, taken off the front of `text`; a day that exists.
std::optional<cctz::civil_day> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const cctz::civil_day date(*year, *month, *day);
  if (date.month() != *month || date.day() != *day) return std::nullopt;
  return date;
}

std::optional<WallTime> read_local(std::string_view text, const Here& here) {
  const cctz::civil_day today(civil(here.now, here.zone));
  if (text == "now") return here.now;
  if (text == "today") return instant(cctz::civil_second(today), here.zone);
  if (text == "yesterday") return instant(cctz::civil_second(today - 1), here.zone);
  const auto at = [&](const cctz::civil_day& day, const TimeOfDay& time) {
    return instant(
        cctz::civil_second(day.year(), day.month(), day.day(), time.hour, time.minute, time.second),
        here.zone);
  };
  if (const auto time = read_time_of_day(text)) return at(today, *time);
  const auto date = take_date(text);
  if (!date) return std::nullopt;
  if (text.empty()) return at(*date, {});
  if (!take(text, 'T') && !take(text, ' ')) return std::nullopt;
  const auto time = read_time_of_day(text);
  if (!time) return std::nullopt;
  return at(*date, *time);
}

Error not_a_time(std::string_view text, std::string_view also) {
  return {ErrorKind::invalid,
          fmt::format("'{}' is no time. Write {}2026-11-20, '2026-11-20 22:58' (local) or "
                      "2026-11-20T22:58:00Z",
                      escape_for_terminal(text), also)};
}

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string calendar_text(WallTime time, const Here& here) {
  const cctz::civil_second then = civil(time, here.zone);
  const cctz::civil_second today = civil(here.now, here.zone);
  if (cctz::civil_day(then) == cctz::civil_day(today)) {
    return fmt::format("{:02}:{:02}", then.hour(), then.minute());
  }
  if (then.year() == today.year()) {
    return fmt::format("{} {} {:02}:{:02}", kMonths[static_cast<std::size_t>(then.month() - 1)],
                       then.day(), then.hour(), then.minute());
  }
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", then.year(), then.month(), then.day(),
                     then.hour(), then.minute());
}

}  // namespace

Result<WallTime> parse_when(std::string_view text, const Here& here) {
  if (const auto time = parse_utc(text)) return *time;
  if (const auto time = read_local(text, here)) return *time;
  return not_a_time(text, "");
}

Result<WallTime> parse_since(std::string_view text, const Here& here) {
  if (const auto duration = parse_duration(text)) return here.now - *duration;
  if (const auto time = parse_when(text, here)) return *time;
  return not_a_time(text, "24h, 7d, ");
}

std::string format_when(WallTime time, const Here& here) {
  const Duration ago = here.now - time;
  if (ago < Duration::zero()) {
    return -ago < std::chrono::hours(24) ? "in " + format_span(-ago) : calendar_text(time, here);
  }
  if (ago < std::chrono::minutes(1)) {
    return fmt::format("{}s ago", std::chrono::floor<std::chrono::seconds>(ago).count());
  }
  if (ago < std::chrono::hours(1)) {
    return fmt::format("{} min ago", std::chrono::floor<std::chrono::minutes>(ago).count());
  }
  return calendar_text(time, here);
}

std::string format_local(WallTime time, const Here& here) {
  const cctz::civil_second local = civil(time, here.zone);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.year(), local.month(),
                     local.day(), local.hour(), local.minute(), local.second());
}

std::string format_took(Duration duration) {
  const std::int64_t ms = duration.count();
  if (ms < 0) return "0ms";
  if (ms < 100) return fmt::format("{}ms", ms);
  if (ms < 60'000) return fmt::format("{}.{}s", ms / 1000, ms % 1000 / 100);
  return format_span(duration);
}

std::string format_span(Duration duration) {
  const std::int64_t seconds = duration.count() > 0 ? duration.count() / 1000 : 0;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d{:02}h", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string format_count(std::int64_t number) {
  std::string text = fmt::format("{}", number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string counted(std::int64_t number, std::string_view one, std::string_view many) {
  std::string word(one);
  if (number != 1) word = many.empty() ? word + "s" : std::string(many);
  return format_count(number) + " " + word;
}

}  // namespace pawl
