#include "scheduler/spec/cel_time.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_functions.h"

namespace pawl::cel {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes exactly `count` digits off the front.
bool take_number(std::string_view* text, std::size_t count, int* out) {
  if (text->size() < count) return false;
  *out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit((*text)[i])) return false;
    *out = *out * 10 + ((*text)[i] - '0');
  }
  text->remove_prefix(count);
  return true;
}

bool take(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

/// Digits after a point, as nanoseconds; finer ones are cut off.
bool take_fraction(std::string_view* text, std::uint32_t* nanoseconds) {
  *nanoseconds = 0;
  std::uint32_t unit = kNanosecondsPerSecond / 10;
  std::size_t digits = 0;
  for (; !text->empty() && is_digit(text->front()); ++digits) {
    *nanoseconds += unit * static_cast<std::uint32_t>(text->front() - '0');
    unit /= 10;
    text->remove_prefix(1);
  }
  return digits > 0;
}

/// `Z` or `±HH:MM`, in seconds.
bool take_offset(std::string_view* text, std::int64_t* seconds) {
  *seconds = 0;
  if (take(text, 'Z') || take(text, 'z')) return true;
  const bool negative = !text->empty() && text->front() == '-';
  if (!take(text, '+') && !take(text, '-')) return false;
  int hours = 0;
  int minutes = 0;
  if (!take_number(text, 2, &hours) || !take(text, ':') || !take_number(text, 2, &minutes)) {
    return false;
  }
  if (hours > 23 || minutes > 59) return false;
  *seconds = (hours * 60 + minutes) * 60 * (negative ? -1 : 1);
  return true;
}

std::int64_t unit_nanoseconds(std::string_view unit) {
  if (unit == "h") return 3600 * kNanosecondsPerSecond;
  if (unit == "m") return 60 * kNanosecondsPerSecond;
  if (unit == "s") return kNanosecondsPerSecond;
  if (unit == "ms") return 1'000'000;
  if (unit == "us" || unit == "µs" || unit == "μs") return 1'000;
  return unit == "ns" ? 1 : 0;
}

/// One `NUMBER UNIT` off the front, as nanoseconds.
TimeParse take_duration_part(std::string_view* text, std::int64_t* out) {
  std::int64_t whole = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), whole);
  const bool has_whole = !text->empty() && is_digit(text->front());
  if (has_whole) {
    if (read.ec != std::errc{}) return TimeParse::out_of_range;
    text->remove_prefix(static_cast<std::size_t>(read.ptr - text->data()));
  } else {
    whole = 0;
  }
  std::uint32_t fraction = 0;  // in billionths of the unit
  bool has_fraction = false;
  if (take(text, '.')) has_fraction = take_fraction(text, &fraction);
  if (!has_whole && !has_fraction) return TimeParse::malformed;
  std::size_t length = 0;
  while (length < text->size() && !is_digit((*text)[length]) && (*text)[length] != '.') ++length;
  const std::int64_t unit = unit_nanoseconds(text->substr(0, length));
  if (unit == 0) return TimeParse::malformed;
  text->remove_prefix(length);
  if (__builtin_mul_overflow(whole, unit, out)) return TimeParse::out_of_range;
  const double part = static_cast<double>(fraction) * (static_cast<double>(unit) / 1e9);
  if (__builtin_add_overflow(*out, std::llround(part), out)) {
    return TimeParse::out_of_range;
  }
  return TimeParse::ok;
}

/// `[+-]HH:MM`.
std::optional<cctz::time_zone> fixed_zone(std::string_view name) {
  const bool negative = take(&name, '-');
  if (!negative) take(&name, '+');
  int hours = 0;
  int minutes = 0;
  if (!take_number(&name, 2, &hours) || !take(&name, ':') || !take_number(&name, 2, &minutes) ||
      !name.empty() || hours > 23 || minutes > 59) {
    return std::nullopt;
  }
  const std::chrono::seconds offset((hours * 60 + minutes) * 60 * (negative ? -1 : 1));
  return cctz::fixed_time_zone(offset);
}

/// Only names of the zone database: a name is looked up as a file, so paths and `localtime`, which
/// differs from machine to machine, are refused.
std::optional<cctz::time_zone> zone_of(std::string_view name) {
  if (name == "UTC" || name == "Z") return cctz::utc_time_zone();
  if (auto fixed = fixed_zone(name)) return fixed;
  if (name.empty() || name.size() > 64 || name == "localtime") return std::nullopt;
  for (const char c : name) {
    const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '-' || c == '+' || c == '/';
    if (!plain) return std::nullopt;
  }
  if (name.front() == '/') return std::nullopt;
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

using SysSeconds = cctz::time_point<cctz::seconds>;
SysSeconds sys_seconds(std::int64_t seconds) { return SysSeconds(cctz::seconds(seconds)); }

std::string fraction_text(std::uint32_t nanoseconds) {
  if (nanoseconds == 0) return {};
  std::array<char, 16> buffer;
  std::snprintf(buffer.data(), buffer.size(), ".%09u", nanoseconds);
  std::string text(buffer.data());
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

}  // namespace

TimeParse parse_timestamp(std::string_view text, Value* out) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::uint32_t nanoseconds = 0;
  std::int64_t offset = 0;
  std::size_t year_digits = 0;
  while (year_digits < text.size() && is_digit(text[year_digits])) ++year_digits;
  const bool far = year_digits > 4 && year_digits < text.size() && text[year_digits] == '-';
  if (far) return TimeParse::out_of_range;
  const bool date = take_number(&text, 4, &year) && take(&text, '-') &&
                    take_number(&text, 2, &month) && take(&text, '-') &&
                    take_number(&text, 2, &day);
  if (!date || !(take(&text, 'T') || take(&text, 't'))) return TimeParse::malformed;
  const bool time = take_number(&text, 2, &hour) && take(&text, ':') &&
                    take_number(&text, 2, &minute) && take(&text, ':') &&
                    take_number(&text, 2, &second);
  if (!time || (take(&text, '.') && !take_fraction(&text, &nanoseconds))) {
    return TimeParse::malformed;
  }
  if (!take_offset(&text, &offset) || !text.empty()) return TimeParse::malformed;
  const cctz::civil_second civil(year, month, day, hour, minute, second);
  const bool exists = civil.month() == month && civil.day() == day && civil.hour() == hour &&
                      civil.minute() == minute && civil.second() == second;
  if (!exists) return TimeParse::malformed;
  const std::int64_t seconds = (civil - cctz::civil_second()) - offset;
  const auto made = make_timestamp(seconds, nanoseconds);
  if (!made) return TimeParse::out_of_range;
  *out = *made;
  return TimeParse::ok;
}

std::string format_timestamp(const Value& timestamp) {
  const cctz::civil_second civil = cctz::civil_second() + timestamp.int64;
  std::array<char, 32> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02d-%02dT%02d:%02d:%02d",
                static_cast<int>(civil.year()), civil.month(), civil.day(), civil.hour(),
                civil.minute(), civil.second());
  return buffer.data() + fraction_text(timestamp.size) + "Z";
}

TimeParse parse_duration_text(std::string_view text, std::int64_t* nanoseconds) {
  *nanoseconds = 0;
  const bool negative = take(&text, '-');
  if (!negative) take(&text, '+');
  if (text == "0") return TimeParse::ok;
  if (text.empty()) return TimeParse::malformed;
  while (!text.empty()) {
    std::int64_t part = 0;
    const TimeParse read = take_duration_part(&text, &part);
    if (read != TimeParse::ok) return read;
    if (__builtin_add_overflow(*nanoseconds, part, nanoseconds)) return TimeParse::out_of_range;
  }
  if (negative) *nanoseconds = -*nanoseconds;
  return TimeParse::ok;
}

std::string format_duration_text(std::int64_t nanoseconds) {
  const std::uint64_t size = nanoseconds < 0 ? 0 - static_cast<std::uint64_t>(nanoseconds)
                                             : static_cast<std::uint64_t>(nanoseconds);
  return (nanoseconds < 0 ? "-" : "") + std::to_string(size / kNanosecondsPerSecond) +
         fraction_text(static_cast<std::uint32_t>(size % kNanosecondsPerSecond)) + "s";
}

std::optional<Value> make_timestamp(std::int64_t seconds, std::int64_t nanoseconds) {
  std::int64_t carried = nanoseconds / kNanosecondsPerSecond;
  std::int64_t rest = nanoseconds % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --carried;
  }
  std::int64_t total = 0;
  if (__builtin_add_overflow(seconds, carried, &total)) return std::nullopt;
  if (total < kTimestampSecondsMin || total > kTimestampSecondsMax) return std::nullopt;
  return Value::timestamp(total, static_cast<std::uint32_t>(rest));
}

// ---------------------------------------------------------------- functions

namespace {

/// The zone of the argument at `place`, UTC when there is none; nothing with the failure set.
std::optional<cctz::time_zone> zone_argument(const Call& call, std::size_t place) {
  if (call.size() <= place) return cctz::utc_time_zone();
  // A name that is looked up the first time costs a file.
  constexpr std::int64_t kSteps = 20;
  if (!call.evaluator.spend(kSteps)) return std::nullopt;
  auto zone = zone_of(call[place].view());
  if (!zone) {
    call.evaluator.fail(Fault::zone, call.node, call[place]);
    call.evaluator.spend(1000);
  }
  return zone;
}

/// A getter of a timestamp's local time; of a duration too when `of_duration` is there.
template <typename FromCivil>
Value calendar(const Call& call, FromCivil&& read) {
  if (!call.takes({Kind::timestamp, Kind::string})) {
    return call.evaluator.fail_call(call.node, call.arguments);
  }
  const auto zone = zone_argument(call, 1);
  if (!zone) return Value::error();
  const cctz::civil_second civil = zone->lookup(sys_seconds(call[0].int64)).cs;
  return Value::of(static_cast<std::int64_t>(read(civil)));
}

Value get_full_year(const Call& call) {
  return calendar(call, [](const cctz::civil_second& c) { return c.year(); });
}
Value get_month(const Call& call) {
  return calendar(call, [](const cctz::civil_second& c) { return c.month() - 1; });
}
Value get_date(const Call& call) {
  return calendar(call, [](const cctz::civil_second& c) { return c.day(); });
}
Value get_day_of_month(const Call& call) {
  return calendar(call, [](const cctz::civil_second& c) { return c.day() - 1; });
}
Value get_day_of_week(const Call& call) {
  return calendar(call, [](const cctz::civil_second& c) {
    return (static_cast<int>(cctz::get_weekday(cctz::civil_day(c))) + 1) % 7;
  });
}
Value get_day_of_year(const Call& call) {
  return calendar(
      call, [](const cctz::civil_second& c) { return cctz::get_yearday(cctz::civil_day(c)) - 1; });
}

/// The whole count of `unit` seconds in a duration.
Value of_duration(const Call& call, std::int64_t unit) {
  return Value::of(call[0].int64 / kNanosecondsPerSecond / unit);
}
Value get_hours(const Call& call) {
  if (call.takes({Kind::duration}) && call.size() == 1) return of_duration(call, 3600);
  return calendar(call, [](const cctz::civil_second& c) { return c.hour(); });
}
Value get_minutes(const Call& call) {
  if (call.takes({Kind::duration}) && call.size() == 1) return of_duration(call, 60);
  return calendar(call, [](const cctz::civil_second& c) { return c.minute(); });
}
Value get_seconds(const Call& call) {
  if (call.takes({Kind::duration}) && call.size() == 1) return of_duration(call, 1);
  return calendar(call, [](const cctz::civil_second& c) { return c.second(); });
}
Value get_milliseconds(const Call& call) {
  if (call.takes({Kind::duration}) && call.size() == 1) {
    return Value::of(call[0].int64 % kNanosecondsPerSecond / 1'000'000);
  }
  return calendar(call, [&](const cctz::civil_second&) { return call[0].size / 1'000'000; });
}

Value to_timestamp(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::timestamp)) return from;
  if (from.is(Kind::int64)) {
    const auto made = make_timestamp(from.int64, 0);
    return made ? *made : call.evaluator.fail(Fault::timestamp_range, call.node);
  }
  if (!from.is(Kind::string)) return call.evaluator.fail_call(call.node, call.arguments);
  Value out;
  switch (parse_timestamp(from.view(), &out)) {
    case TimeParse::ok: return out;
    case TimeParse::malformed: return call.evaluator.fail(Fault::timestamp_text, call.node, from);
    case TimeParse::out_of_range: return call.evaluator.fail(Fault::timestamp_range, call.node);
  }
  return Value::error();
}

Value to_duration(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::duration)) return from;
  if (!from.is(Kind::string)) return call.evaluator.fail_call(call.node, call.arguments);
  std::int64_t nanoseconds = 0;
  switch (parse_duration_text(from.view(), &nanoseconds)) {
    case TimeParse::ok: return Value::duration(nanoseconds);
    case TimeParse::malformed: return call.evaluator.fail(Fault::duration_text, call.node, from);
    case TimeParse::out_of_range: return call.evaluator.fail(Fault::duration_range, call.node);
  }
  return Value::error();
}

/// The first part of a time format that cannot be written, or an empty view.
std::string_view bad_conversion(std::string_view format) {
  static constexpr std::string_view kLetters = "aAbBCdDeFgGhHIjklmMnprRsStTuUVwWyYzZ%";
  for (std::size_t at = format.find('%'); at != std::string_view::npos; at = format.find('%', at)) {
    const std::string_view rest = format.substr(at);
    if (rest.size() > 1 && kLetters.find(rest[1]) != std::string_view::npos) {
      at += 2;
    } else if (rest.substr(0, 3) == "%Ez") {
      at += 3;
    } else if (rest.size() > 3 && rest[1] == 'E' && rest[2] >= '0' && rest[2] <= '6' &&
               (rest[3] == 'S' || rest[3] == 'f')) {
      at += 4;
    } else {
      return rest.substr(0, 2);
    }
  }
  return {};
}

/// format(time, '%Y-%m-%d'[, zone]): as strftime. The time may be RFC 3339 text, as in the context.
Value format_time(const Call& call) {
  Value time = call[0];
  if (time.is(Kind::string))
    time = to_timestamp({call.evaluator, call.node, call.arguments.first(1)});
  if (time.is_error()) return time;
  const bool kinds = time.is(Kind::timestamp) && call[1].is(Kind::string) &&
                     (call.size() == 2 || call[2].is(Kind::string));
  if (!kinds) return call.evaluator.fail_call(call.node, call.arguments);
  const std::string_view format = call[1].view();
  if (format.find('\0') != std::string_view::npos) {
    return call.evaluator.fail(Fault::time_format, call.node, {}, {}, "a NUL byte");
  }
  if (const std::string_view bad = bad_conversion(format); !bad.empty()) {
    return call.evaluator.fail(Fault::time_format, call.node, {}, {}, bad);
  }
  const auto zone = zone_argument(call, 2);
  // The longest conversions write some twenty bytes for two.
  if (!zone || !call.evaluator.spend(static_cast<std::int64_t>(format.size())))
    return Value::error();
  using SysMicroseconds = cctz::time_point<std::chrono::microseconds>;
  const SysMicroseconds instant(std::chrono::seconds(time.int64) +
                                std::chrono::microseconds(time.size / 1000));
  return call.evaluator.keep(cctz::format(std::string(format), instant, *zone));
}

constexpr auto kMember = Function::Style::member;
constexpr auto kGlobal = Function::Style::global;
constexpr Function kFunctions[] = {
    {"getFullYear", kMember, 1, 2, get_full_year, "TIMESTAMP.getFullYear([ZONE])"},
    {"getMonth", kMember, 1, 2, get_month, "TIMESTAMP.getMonth([ZONE])"},
    {"getDate", kMember, 1, 2, get_date, "TIMESTAMP.getDate([ZONE])"},
    {"getDayOfMonth", kMember, 1, 2, get_day_of_month, "TIMESTAMP.getDayOfMonth([ZONE])"},
    {"getDayOfWeek", kMember, 1, 2, get_day_of_week, "TIMESTAMP.getDayOfWeek([ZONE])"},
    {"getDayOfYear", kMember, 1, 2, get_day_of_year, "TIMESTAMP.getDayOfYear([ZONE])"},
    {"getHours", kMember, 1, 2, get_hours, "TIMESTAMP.getHours([ZONE]) or DURATION.getHours()"},
    {"getMinutes", kMember, 1, 2, get_minutes,
     "TIMESTAMP.getMinutes([ZONE]) or DURATION.getMinutes()"},
    {"getSeconds", kMember, 1, 2, get_seconds,
     "TIMESTAMP.getSeconds([ZONE]) or DURATION.getSeconds()"},
    {"getMilliseconds", kMember, 1, 2, get_milliseconds,
     "TIMESTAMP.getMilliseconds([ZONE]) or DURATION.getMilliseconds()"},
    {"timestamp", kGlobal, 1, 1, to_timestamp, "timestamp(STRING) or timestamp(INT)"},
    {"duration", kGlobal, 1, 1, to_duration, "duration(STRING)"},
    {"format", kGlobal, 2, 3, format_time, "format(TIMESTAMP, FORMAT[, ZONE])"},
};

}  // namespace

std::span<const Function> time_functions() { return kFunctions; }

}  // namespace pawl::cel
