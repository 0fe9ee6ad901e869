#include "scheduler/spec/schedule.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <cctz/civil_time.h>

#include "scheduler/base/check.h"
#include "scheduler/base/floor.h"
#include "scheduler/spec/calendar.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/cron.h"
#include "scheduler/spec/zoned_cron.h"

namespace pawl {
namespace {

constexpr std::int64_t kSecondMs = 1'000;

/// The instant of a written time: without an offset, of the zone's clock; where that skips it,
/// moved by the gap, and of two the first.
WallTime instant_of(const CivilTime& civil, const cctz::time_zone& zone) {
  if (civil.offset_minutes) return {civil.count_ms()};
  const cctz::civil_second local(civil.year, civil.month, civil.day, civil.hour, civil.minute,
                                 civil.second);
  return {zone.lookup(local).pre.time_since_epoch().count() * kSecondMs + civil.ms};
}

WallTime bound(std::string_view written, const cctz::time_zone& zone, WallTime otherwise) {
  const auto civil = parse_civil(written);
  if (!civil) return otherwise;
  return std::clamp(instant_of(*civil, zone), kCalendarBegin, kCalendarEnd);
}

/// A single instant is an interval whose second fire is behind the calendar's end.
Interval once(WallTime at) { return {at.ms, kCalendarEnd.ms - kCalendarBegin.ms}; }

std::variant<CronDays, Interval> rule_of(const ScheduleSpec& spec, const cctz::time_zone& zone) {
  switch (spec.kind) {
    case ScheduleSpec::Kind::cron: {
      const auto parsed = parse_cron(spec.cron);
      const auto* cron = std::get_if<Cron>(&parsed);
      PAWL_CHECK(cron != nullptr);
      return CronDays(*cron);
    }
    case ScheduleSpec::Kind::every:
      PAWL_CHECK(spec.every.count() > 0);
      return Interval{bound(spec.start, zone, WallTime{}).ms, spec.every.count()};
    case ScheduleSpec::Kind::at: break;
  }
  return once(bound(spec.at, zone, kCalendarEnd));
}

/// The whole seconds of a range: cron fires on those only.
SecondRange seconds_of(MillisecondRange range) {
  return {ceil_div(range.from, kSecondMs), ceil_div(range.to, kSecondMs)};
}

std::optional<WallTime> at_second(std::optional<std::int64_t> second) {
  if (!second) return std::nullopt;
  return WallTime{*second * kSecondMs};
}
std::optional<WallTime> at_ms(std::optional<std::int64_t> ms) {
  if (!ms) return std::nullopt;
  return WallTime{*ms};
}

}  // namespace

Schedule::Schedule(const ScheduleSpec& spec, const cctz::time_zone& zone,
                   std::vector<std::int64_t> dates)
    : rule_(rule_of(spec, zone)),
      zone_(zone),
      begin_(bound(spec.start, zone, kCalendarBegin)),
      end_(bound(spec.end, zone, kCalendarEnd)),
      jitter_(spec.jitter),
      excluded_(std::move(dates)) {}

std::optional<WallTime> Schedule::first(WallTime from, WallTime until) const {
  const MillisecondRange range = within(from, until);
  if (const auto* cron = std::get_if<CronDays>(&rule_)) {
    return at_second(first_fire(*cron, calendar(), seconds_of(range)));
  }
  return at_ms(first_fire(std::get<Interval>(rule_), calendar(), range));
}

std::optional<WallTime> Schedule::last(WallTime from, WallTime until) const {
  const MillisecondRange range = within(from, until);
  if (const auto* cron = std::get_if<CronDays>(&rule_)) {
    return at_second(last_fire(*cron, calendar(), seconds_of(range)));
  }
  return at_ms(last_fire(std::get<Interval>(rule_), calendar(), range));
}

std::int64_t Schedule::count(WallTime from, WallTime until) const {
  const MillisecondRange range = within(from, until);
  if (const auto* cron = std::get_if<CronDays>(&rule_)) {
    return count_fires(*cron, calendar(), seconds_of(range));
  }
  return count_fires(std::get<Interval>(rule_), calendar(), range);
}

MillisecondRange Schedule::within(WallTime from, WallTime until) const {
  return {std::max(from, begin_).ms, std::clamp(until, kCalendarBegin, end_).ms};
}

}  // namespace pawl
