#include <array>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/text.h"
#include "scheduler/spec/calendar.h"

using namespace pawl;

namespace {

std::optional<cctz::time_zone> load(std::string_view name) {
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

ScheduleSpec cron(std::string text, std::string zone = "UTC") {
  ScheduleSpec spec;
  spec.cron = std::move(text);
  spec.timezone = std::move(zone);
  return spec;
}

ScheduleSpec every(Duration period, std::string start = "") {
  ScheduleSpec spec;
  spec.kind = ScheduleSpec::Kind::every;
  spec.every = period;
  spec.start = std::move(start);
  return spec;
}

ScheduleSpec once(std::string at, std::string zone = "UTC") {
  ScheduleSpec spec;
  spec.kind = ScheduleSpec::Kind::at;
  spec.at = std::move(at);
  spec.timezone = std::move(zone);
  return spec;
}

const std::map<std::string, std::string, std::less<>> kFiles = {
    {"holidays.txt", "# closed\r\n2026-01-02\n\n  2026-01-03   # a Saturday\n2026-01-02"},
    {"torn.txt", "2026-01-02\n2026-02-30\n"}};

CalendarSources sources() {
  return {.zone = load, .dates = [](std::string_view path) -> Result<std::string> {
            const auto found = kFiles.find(path);
            if (found == kFiles.end()) return Error{ErrorKind::not_found, "no such file"};
            return found->second;
          }};
}

Calendar calendar(std::vector<ScheduleSpec> specs) {
  auto compiled = Calendar::compile(specs, sources());
  if (!compiled) FAIL(compiled.error().message);
  return *std::move(compiled);
}

WallTime at(std::string_view text) {
  const auto time = parse_utc(text);
  REQUIRE(time);
  return *time;
}

/// `2026-03-08T07:30` and so on: the fires after a time, without what is zero.
std::string text_of(WallTime fire) {
  std::string text = format_utc(fire);
  for (const std::string_view zero : {".000Z", ":00"}) {
    if (text.ends_with(zero)) text.resize(text.size() - zero.size());
  }
  return text;
}

std::string fires(const Calendar& calendar, std::string_view after, int most) {
  std::string out;
  WallTime time = at(after);
  for (int i = 0; i < most; ++i) {
    const auto fire = calendar.next(time);
    if (!fire) return out + " end";
    out += (out.empty() ? "" : " ") + text_of(*fire);
    time = *fire;
  }
  return out;
}

}  // namespace

TEST_CASE("a fire is strictly after the time asked about") {
  const Calendar daily = calendar({cron("0 2 * * *")});
  CHECK(fires(daily, "2026-01-01T01:59:59.999Z", 2) == "2026-01-01T02:00 2026-01-02T02:00");
  CHECK(fires(daily, "2026-01-01T02:00Z", 1) == "2026-01-02T02:00");
  CHECK(daily.previous(at("2026-01-01T02:00Z")) == at("2025-12-31T02:00Z"));
  CHECK(daily.previous(at("2026-01-01T02:00:00.001Z")) == at("2026-01-01T02:00Z"));
  CHECK(daily.fires_at(at("2026-01-01T02:00Z")));
  CHECK_FALSE(daily.fires_at(at("2026-01-01T02:00:00.001Z")));
}

TEST_CASE("a fixed time in the skipped hour moves by the gap") {
  const Calendar half_past_two = calendar({cron("30 2 * * *", "America/New_York")});
  CHECK(fires(half_past_two, "2026-03-07T00:00Z", 3) ==
        "2026-03-07T07:30 2026-03-08T07:30 2026-03-09T06:30");
  // 02:30 and 03:30 meet on 03:30: one fire.
  const Calendar both = calendar({cron("30 2,3 * * *", "America/New_York")});
  CHECK(fires(both, "2026-03-08T00:00Z", 2) == "2026-03-08T07:30 2026-03-09T06:30");
  const Calendar two_entries =
      calendar({cron("30 2 * * *", "America/New_York"), cron("30 3 * * *", "America/New_York")});
  CHECK(fires(two_entries, "2026-03-08T00:00Z", 2) == "2026-03-08T07:30 2026-03-09T06:30");
  CHECK(two_entries.count(at("2026-03-08T00:00Z"), at("2026-03-09T00:00Z")).fires == 1);
}

TEST_CASE("a fixed time in the repeated hour fires on the first pass only") {
  const Calendar half_past_one = calendar({cron("30 1 * * *", "America/New_York")});
  CHECK(fires(half_past_one, "2026-11-01T00:00Z", 2) == "2026-11-01T05:30 2026-11-02T06:30");
}

TEST_CASE("what covers all hours fires at every real match on both days") {
  const Calendar quarters = calendar({cron("*/15 * * * *", "America/New_York")});
  CHECK(quarters.count(at("2026-03-08T04:59Z"), at("2026-03-09T03:59Z")).fires == 23 * 4);
  CHECK(quarters.count(at("2026-11-01T03:59Z"), at("2026-11-02T04:59Z")).fires == 25 * 4);
  CHECK(fires(quarters, "2026-03-08T06:44Z", 3) ==
        "2026-03-08T06:45 2026-03-08T07:00 2026-03-08T07:15");
}

TEST_CASE("a gap over midnight moves a fire to the next date, and that date counts for except") {
  // In 2010 the clocks of Amman went from midnight to one o'clock.
  auto spec = cron("30 0 * * *", "Asia/Amman");
  CHECK(fires(calendar({spec}), "2010-03-25T00:00Z", 2) == "2010-03-25T22:30 2010-03-26T21:30");
  spec.except_dates = {"2010-03-26"};
  CHECK(fires(calendar({spec}), "2010-03-25T00:00Z", 1) == "2010-03-26T21:30");
}

TEST_CASE("29 February is found across 2100, and a fifth Monday of February after forty years") {
  CHECK(fires(calendar({cron("0 0 29 2 *")}), "2095-01-01T00:00Z", 3) ==
        "2096-02-29T00:00 2104-02-29T00:00 2108-02-29T00:00");
  CHECK(fires(calendar({cron("0 0 * 2 MON#5")}), "2072-03-01T00:00Z", 1) == "2112-02-29T00:00");
}

TEST_CASE("every counts from start, or from the epoch") {
  CHECK(fires(calendar({every(std::chrono::minutes(7))}), "1970-01-01T00:00Z", 2) ==
        "1970-01-01T00:07 1970-01-01T00:14");
  const Calendar from = calendar({every(std::chrono::hours(36), "2026-01-01T10:00:00.250Z")});
  CHECK(from.next(at("2020-01-01T00:00Z")) == at("2026-01-01T10:00:00.250Z"));
  CHECK(from.next(at("2026-01-01T10:00:00.250Z")) == at("2026-01-02T22:00:00.250Z"));
  CHECK(from.previous(at("2026-01-01T10:00:00.250Z")) == std::nullopt);
  CHECK(from.count(at("2026-01-01T00:00Z"), at("2026-01-04T10:00:00.250Z")).fires == 3);
}

TEST_CASE("every is real time: a change of clocks does not stretch it") {
  auto spec = every(std::chrono::hours(24), "2026-03-07T12:00");
  spec.timezone = "America/New_York";
  CHECK(fires(calendar({spec}), "2026-03-01T00:00Z", 3) ==
        "2026-03-07T17:00 2026-03-08T17:00 2026-03-09T17:00");
}

TEST_CASE("at fires once, read in its zone") {
  const Calendar local = calendar({once("2026-06-01T09:00", "Asia/Tokyo")});
  CHECK(fires(local, "2026-01-01T00:00Z", 2) == "2026-06-01T00:00 end");
  CHECK(local.count(at("2020-01-01T00:00Z"), at("2030-01-01T00:00Z")).fires == 1);
  CHECK(local.previous(at("2030-01-01T00:00Z")) == at("2026-06-01T00:00Z"));
  CHECK(fires(calendar({once("2026-06-01T09:00+02:00", "Asia/Tokyo")}), "2026-01-01T00:00Z", 1) ==
        "2026-06-01T07:00");
  CHECK(fires(calendar({once("2026-06-01")}), "2026-01-01T00:00Z", 1) == "2026-06-01T00:00");
}

TEST_CASE("start is the first instant that may fire, end the first that may not") {
  auto spec = cron("0 * * * *", "Asia/Tokyo");
  spec.start = "2026-01-01";
  spec.end = "2026-01-01T02:00";
  CHECK(fires(calendar({spec}), "2000-01-01T00:00Z", 3) == "2025-12-31T15:00 2025-12-31T16:00 end");
  CHECK(calendar({spec}).previous(at("2030-01-01T00:00Z")) == at("2025-12-31T16:00Z"));
  CHECK(calendar({spec}).count(at("2000-01-01T00:00Z"), at("2030-01-01T00:00Z")).fires == 2);
}

TEST_CASE("except leaves out local dates, listed or in a file") {
  auto spec = cron("0 9 * * *", "Asia/Tokyo");
  spec.except_dates = {"2026-01-01"};
  CHECK(fires(calendar({spec}), "2025-12-31T00:00Z", 1) == "2026-01-02T00:00");
  spec.except_file = "holidays.txt";
  const Calendar closed = calendar({spec});
  CHECK(fires(closed, "2025-12-31T00:00Z", 2) == "2026-01-04T00:00 2026-01-05T00:00");
  CHECK(closed.previous(at("2026-01-04T00:00Z")) == at("2025-12-31T00:00Z"));
  CHECK(closed.count(at("2025-12-30T00:00Z"), at("2026-01-04T00:00Z")).fires == 2);

  auto interval = every(std::chrono::hours(6), "2026-01-01T00:00");
  interval.timezone = "Asia/Tokyo";
  interval.except_file = "holidays.txt";
  CHECK(fires(calendar({interval}), "2025-12-31T20:00Z", 3) ==
        "2025-12-31T21:00 2026-01-01T03:00 2026-01-01T09:00");
  CHECK(fires(calendar({interval}), "2026-01-01T09:00Z", 1) == "2026-01-03T15:00");
  CHECK(calendar({interval}).previous(at("2026-01-03T15:00Z")) == at("2026-01-01T09:00Z"));
  CHECK(calendar({interval}).count(at("2025-12-31T00:00Z"), at("2026-01-03T15:00Z")).fires == 5);
}

TEST_CASE("what cannot be read is named") {
  auto spec = cron("0 9 * * *");
  spec.except_file = "torn.txt";
  auto compiled = Calendar::compile(std::array{spec}, sources());
  REQUIRE_FALSE(compiled);
  CHECK(compiled.error().message ==
        "the dates of \"except\" in torn.txt: line 2: '2026-02-30' is no date. Write one a line, "
        "such as 2026-12-25");
  compiled = Calendar::compile(std::array{cron("0 9 * * *", "Mars/Olympus")}, sources());
  REQUIRE_FALSE(compiled);
  CHECK(compiled.error().message.find("Mars/Olympus") != std::string::npos);
}

TEST_CASE("fires of several schedules at one instant are one") {
  const Calendar both =
      calendar({cron("0 * * * *"), cron("*/30 * * * *"), once("2026-01-01T00:30")});
  CHECK(fires(both, "2025-12-31T23:59Z", 4) ==
        "2026-01-01T00:00 2026-01-01T00:30 2026-01-01T01:00 2026-01-01T01:30");
  const FireCount day = both.count(at("2026-01-01T00:00Z"), at("2026-01-02T00:00Z"));
  CHECK(day.fires == 48);
  CHECK(day.exact);
}

TEST_CASE("the fires of five years of minutes are counted and their newest listed") {
  const Calendar minutes = calendar({cron("* * * * *", "Europe/Berlin")});
  const FireCount count = minutes.count(at("2021-01-01T00:00Z"), at("2026-01-01T00:00Z"));
  CHECK(count.exact);
  CHECK(count.fires == (365 * 5 + 1) * 1'440);
  const auto newest = minutes.newest(at("2021-01-01T00:00Z"), at("2026-01-01T00:00Z"), 3);
  REQUIRE(newest.size() == 3);
  CHECK(text_of(newest[0]) == "2025-12-31T23:58");
  CHECK(text_of(newest[2]) == "2026-01-01T00:00");
  CHECK(minutes.newest(at("2026-01-01T00:00Z"), at("2026-01-01T00:02Z"), 100).size() == 2);
}

TEST_CASE("schedules that coincide more often than anybody looks are counted at most") {
  const Calendar dense = calendar({cron("* * * * *"), cron("*/2 * * * *")});
  const FireCount count = dense.count(at("2020-01-01T00:00Z"), at("2026-01-01T00:00Z"));
  CHECK_FALSE(count.exact);
  CHECK(count.fires >= 2'192 * 1'440);
}

TEST_CASE("jitter moves the start and never the fire") {
  auto spec = cron("0 * * * *");
  spec.jitter = std::chrono::minutes(10);
  const Calendar spread = calendar({spec});
  CHECK(fires(spread, "2026-01-01T00:30Z", 1) == "2026-01-01T01:00");
  std::set<std::int64_t> delays;
  WallTime fire = at("2026-01-01T00:00Z");
  for (int i = 0; i < 200; ++i, fire = *spread.next(fire)) {
    const Duration delay = spread.start_delay("sales", fire);
    CHECK(delay >= Duration(0));
    CHECK(delay <= std::chrono::minutes(10));
    CHECK(delay == spread.start_delay("sales", fire));
    delays.insert(delay.count());
  }
  CHECK(delays.size() > 190);
  CHECK(*delays.begin() < 60'000);
  CHECK(*delays.rbegin() > 540'000);
  CHECK(spread.start_delay("sales", fire) != spread.start_delay("dump", fire));
  CHECK(spread.start_delay("sales", fire + Duration(1)) == Duration(0));
  // A schedule without jitter at the same instant starts it at once.
  CHECK(calendar({spec, cron("0 0 * * *")}).start_delay("sales", at("2026-01-01T00:00Z")) ==
        Duration(0));
}

TEST_CASE("the zone of a job's dates is that of its first schedule") {
  CHECK(calendar({cron("0 0 * * *", "Asia/Tokyo"), cron("0 0 * * *")}).zone().name() ==
        "Asia/Tokyo");
  CHECK(calendar({}).zone() == cctz::utc_time_zone());
  CHECK(calendar({}).is_empty());
}

TEST_CASE("every question has an answer at any time") {
  auto bounded = cron("0 0 29 2 *", "America/New_York");
  bounded.start = "9000-01-01";
  auto excepted = cron("0 0 1 1 *");
  excepted.start = "2026-01-01";
  excepted.end = "2027-01-01";
  excepted.except_dates = {"2026-01-01"};
  const std::vector<Calendar> calendars = [&] {
    std::vector<Calendar> all;
    all.push_back(calendar({}));
    all.push_back(calendar({bounded}));
    all.push_back(calendar({excepted}));
    all.push_back(calendar({once("9999-12-31")}));
    return all;
  }();
  for (const Calendar& never : calendars) {
    CHECK(never.next(kCalendarBegin) == std::nullopt);
    CHECK(never.previous(kCalendarEnd) == std::nullopt);
    CHECK(never.count(kCalendarBegin, kCalendarEnd).fires == 0);
  }
  using Limits = std::numeric_limits<std::int64_t>;
  const Calendar always = calendar(
      {cron("* * * * *", "America/New_York"), every(std::chrono::seconds(1)), once("2026-01-01")});
  for (const std::int64_t ms :
       {Limits::min(), kCalendarBegin.ms - 1, kCalendarBegin.ms, std::int64_t{-1}, std::int64_t{0},
        kCalendarEnd.ms - 1, kCalendarEnd.ms, Limits::max()}) {
    const WallTime time{ms};
    if (const auto fire = always.next(time)) CHECK(*fire > time);
    if (const auto fire = always.previous(time)) CHECK(*fire < time);
    (void)always.fires_at(time);
    CHECK(always.count({Limits::min()}, time).fires >= 0);
    CHECK(always.count(time, {Limits::max()}).fires >= 0);
    CHECK(always.newest(time, {Limits::max()}, 2).size() <= 2);
    CHECK(always.newest({Limits::min()}, time, 2).size() <= 2);
    CHECK(always.start_delay("job", time) == Duration(0));
  }
  CHECK(always.next({Limits::min()}) > kCalendarBegin);
  CHECK(always.next({Limits::max()}) == std::nullopt);
}

TEST_CASE("next and previous undo each other, and count agrees with both") {
  std::mt19937_64 random(20261121);
  const auto below = [&](std::uint64_t n) { return static_cast<int>(random() % n); };
  const std::vector<std::string> zones = {"UTC", "America/New_York", "Australia/Lord_Howe",
                                          "Africa/Casablanca", "America/Santiago"};
  const std::vector<std::string> hours = {"*", "2", "1-3", "*/5", "0,12"};
  const std::vector<std::string> days = {"*", "1", "L", "10-20", "?"};
  const std::vector<std::string> weekdays = {"*", "MON", "5L", "2#3", "1-5"};
  for (int i = 0; i < 300; ++i) {
    std::vector<ScheduleSpec> specs;
    for (int n = 1 + below(3); n > 0; --n) {
      const std::string text = std::to_string(below(60)) + " " + hours[below(5)] + " " +
                               days[below(5)] + " * " + weekdays[below(5)];
      specs.push_back(below(4) == 0 ? every(std::chrono::minutes(7 + below(900)))
                                    : cron(text, zones[below(5)]));
      for (int d = below(3); d > 0; --d) {
        specs.back().except_dates.push_back("2026-03-" + std::to_string(10 + below(20)));
      }
    }
    const Calendar all = calendar(specs);
    const WallTime from = at("2026-02-20T00:00Z") + Duration(random() % 2'000'000'000);
    WallTime fire = from;
    std::vector<WallTime> seen;
    for (int n = 0; n < 40; ++n) {
      const auto found = all.next(fire);
      REQUIRE(found);
      REQUIRE(*found > fire);
      REQUIRE(all.fires_at(*found));
      if (n > 0) REQUIRE(all.previous(*found) == fire);
      REQUIRE(all.previous(*found + Duration(1)) == *found);
      fire = *found;
      seen.push_back(fire);
    }
    CHECK(all.count(from, fire).fires == 40);
    CHECK(all.newest(from, fire, 100) == seen);
    CHECK(all.newest(from, fire, 7) == std::vector<WallTime>(seen.end() - 7, seen.end()));
  }
}
