// Fires of intervals and of cron expressions in a zone, against a look at each instant.

#include <optional>
#include <vector>

#include <catch2/catch.hpp>
#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include "scheduler/spec/cron.h"
#include "scheduler/spec/cron_days.h"
#include "scheduler/spec/excluded_dates.h"
#include "scheduler/spec/interval.h"
#include "scheduler/spec/zoned_cron.h"

namespace pawl {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

cctz::time_zone zone_of(const char* name) {
  cctz::time_zone zone;
  REQUIRE(cctz::load_time_zone(name, &zone));
  return zone;
}

std::optional<std::int64_t> first_of(const std::vector<std::int64_t>& fires) {
  return fires.empty() ? std::nullopt : std::optional(fires.front());
}
std::optional<std::int64_t> last_of(const std::vector<std::int64_t>& fires) {
  return fires.empty() ? std::nullopt : std::optional(fires.back());
}

/// Fires of the range one by one: what `first_fire` says, then from behind it.
std::vector<std::int64_t> walked(const CronDays& cron, const LocalCalendar& calendar,
                                 SecondRange range) {
  std::vector<std::int64_t> fires;
  while (const auto fire = first_fire(cron, calendar, range)) {
    fires.push_back(*fire);
    range.from = *fire + 1;
  }
  return fires;
}

CronDays cron_of(std::string_view text) { return CronDays(std::get<Cron>(parse_cron(text))); }

}  // namespace

TEST_CASE("an interval fires at its base and every period after it, never before") {
  const cctz::time_zone utc = cctz::utc_time_zone();
  const ExcludedDates none;
  const LocalCalendar calendar{utc, none};
  const Interval every{10 * kDayMs + 500, 7'000};
  for (std::int64_t from : {0L, 10 * kDayMs + 499, 10 * kDayMs + 500, 10 * kDayMs + 501,
                            10 * kDayMs + 7'500, 10 * kDayMs + 20'000}) {
    for (std::int64_t length : {0L, 1L, 6'999L, 7'000L, 7'001L, 50'000L}) {
      std::vector<std::int64_t> fires;
      for (std::int64_t at = every.base_ms; at < from + length; at += every.period_ms) {
        if (at >= from) fires.push_back(at);
      }
      CAPTURE(from, length);
      const MillisecondRange range{from, from + length};
      CHECK(first_fire(every, calendar, range) == first_of(fires));
      CHECK(last_fire(every, calendar, range) == last_of(fires));
      CHECK(count_fires(every, calendar, range) == static_cast<std::int64_t>(fires.size()));
    }
  }
}

TEST_CASE("an interval passes over excluded dates of its zone") {
  const cctz::time_zone tokyo = zone_of("Asia/Tokyo");
  const ExcludedDates excluded({1, 2, 5});
  const LocalCalendar calendar{tokyo, excluded};
  const Interval every{0, 5'000'000};  // 83 minutes
  const MillisecondRange range{0, 9 * kDayMs};
  std::vector<std::int64_t> fires;
  for (std::int64_t at = 0; at < range.to; at += every.period_ms) {
    const std::int64_t day = (at + 9 * 3'600'000) / kDayMs;
    if (day != 1 && day != 2 && day != 5) fires.push_back(at);
  }
  CHECK(first_fire(every, calendar, range) == first_of(fires));
  CHECK(last_fire(every, calendar, range) == last_of(fires));
  CHECK(count_fires(every, calendar, range) == static_cast<std::int64_t>(fires.size()));
  const MillisecondRange within{kDayMs, kDayMs + 8 * 3'600'000};
  CHECK(first_fire(every, calendar, within) == std::nullopt);
  CHECK(last_fire(every, calendar, within) == std::nullopt);
  CHECK(count_fires(every, calendar, within) == 0);
}

TEST_CASE("a fixed time fires once on the nights of the changes, moved by a gap, on a first pass") {
  const cctz::time_zone york = zone_of("America/New_York");
  const ExcludedDates none;
  const LocalCalendar calendar{york, none};
  const CronDays half_past_two = cron_of("30 2 * * *");
  // 2026-03-08: 02:30 does not exist, and 03:30 EDT is 07:30 UTC.
  const std::int64_t spring = 1'772'928'000;  // 2026-03-08T00:00Z
  CHECK(walked(half_past_two, calendar, {spring, spring + 86'400}) ==
        std::vector<std::int64_t>{spring + 7 * 3600 + 1800});
  // 2026-11-01: 01:30 is twice, and the first one, EDT, is 05:30 UTC.
  const std::int64_t autumn = 1'793'491'200;  // 2026-11-01T00:00Z
  CHECK(walked(cron_of("30 1 * * *"), calendar, {autumn, autumn + 86'400}) ==
        std::vector<std::int64_t>{autumn + 5 * 3600 + 1800});
  // What covers all hours fires at both.
  CHECK(count_fires(cron_of("30 * * * *"), calendar, {autumn, autumn + 86'400}) == 24);
}

TEST_CASE("first, last and count of a range agree with a walk over it") {
  const cctz::time_zone york = zone_of("America/New_York");
  const ExcludedDates excluded({20'520, 20'521});
  const LocalCalendar calendar{york, excluded};
  for (const char* text : {"*/7 * * * *", "15 2 * * *", "0 0 1 * *", "30 1,2,3 * * SUN"}) {
    const CronDays cron = cron_of(text);
    for (std::int64_t from : {1'772'900'000L, 1'772'953'201L, 1'793'500'000L}) {
      for (std::int64_t length : {0L, 60L, 7'200L, 260'000L}) {
        const SecondRange range{from, from + length};
        const auto fires = walked(cron, calendar, range);
        CAPTURE(text, from, length);
        CHECK(last_fire(cron, calendar, range) == last_of(fires));
        CHECK(count_fires(cron, calendar, range) == static_cast<std::int64_t>(fires.size()));
        for (std::int64_t fire : fires) CHECK((fire >= range.from && fire < range.to));
      }
    }
  }
}

}  // namespace pawl
