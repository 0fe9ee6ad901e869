#include <array>

#include <catch2/catch.hpp>

#include "scheduler/spec/civil.h"
#include "scheduler/spec/cron.h"

using namespace pawl;

namespace {

Cron cron(std::string_view text) {
  const auto result = parse_cron(text);
  INFO(text);
  if (const auto* error = std::get_if<CronError>(&result)) INFO(error->message);
  REQUIRE(std::holds_alternative<Cron>(result));
  return std::get<Cron>(result);
}

CronError refusal(std::string_view text) {
  const auto result = parse_cron(text);
  INFO(text);
  REQUIRE(std::holds_alternative<CronError>(result));
  return std::get<CronError>(result);
}

template <typename Mask>
std::vector<int> values(Mask mask) {
  std::vector<int> out;
  for (int i = 0; i < 64; ++i) {
    if ((static_cast<std::uint64_t>(mask) >> i & 1U) != 0) out.push_back(i);
  }
  return out;
}

using Values = std::vector<int>;

}  // namespace

TEST_CASE("cron fields are values, names, ranges, steps and lists") {
  CHECK(values(cron("5 * * * *").minutes) == Values{5});
  CHECK(values(cron("*/15 * * * *").minutes) == Values{0, 15, 30, 45});
  CHECK(values(cron("5/15 * * * *").minutes) == Values{5, 20, 35, 50});
  CHECK(values(cron("10-20/5 * * * *").minutes) == Values{10, 15, 20});
  CHECK(values(cron("1,3,50-52 * * * *").minutes) == Values{1, 3, 50, 51, 52});
  CHECK(values(cron("0 0-23 * * *").hours).size() == 24);
  CHECK(values(cron("0 22,23,0-2 * * *").hours) == Values{0, 1, 2, 22, 23});
  CHECK(values(cron("0 0 1 JAN,mar-May,12 *").months) == Values{1, 3, 4, 5, 12});
  CHECK(values(cron("0 0 * * MON-FRI").weekdays) == Values{1, 2, 3, 4, 5});
  CHECK(values(cron("0 0 1,15,31 * *").days_of_month) == Values{1, 15, 31});
  CHECK(values(cron("0 0 * * sun,Sat").weekdays) == Values{0, 6});
  CHECK(values(cron("0\t0   *  * *").minutes) == Values{0});
}

TEST_CASE("seven is Sunday, and a range may end in Sunday") {
  CHECK(values(cron("0 0 * * 7").weekdays) == Values{0});
  CHECK(values(cron("0 0 * * 5-7").weekdays) == Values{0, 5, 6});
  CHECK(values(cron("0 0 * * FRI-SUN").weekdays) == Values{0, 5, 6});
  CHECK(values(cron("0 0 * * 5-0").weekdays) == Values{0, 5, 6});
  CHECK(values(cron("0 0 * * SUN-TUE").weekdays) == Values{0, 1, 2});
  CHECK(values(cron("0 0 * * 0-7").weekdays) == Values{0, 1, 2, 3, 4, 5, 6});
  CHECK(values(cron("0 0 * * 7-7").weekdays) == Values{0});
  CHECK(values(cron("0 0 * * */2").weekdays) == Values{0, 2, 4, 6});
}

TEST_CASE("words stand for whole expressions") {
  CHECK(cron("@hourly") == cron("0 * * * *"));
  CHECK(cron("@daily") == cron("0 0 * * *"));
  CHECK(cron("@midnight") == cron("0 0 * * *"));
  CHECK(cron("@weekly") == cron("0 0 * * 0"));
  CHECK(cron("@monthly") == cron("0 0 1 * *"));
  CHECK(cron("@yearly") == cron("0 0 1 1 *"));
  CHECK(cron("@annually") == cron("@YEARLY"));
}

TEST_CASE("every value but * and ? restricts a day field") {
  CHECK_FALSE(cron("0 0 * * *").day_of_month_restricted);
  CHECK_FALSE(cron("0 0 ? * ?").day_of_week_restricted);
  CHECK(cron("0 0 */2 * *").day_of_month_restricted);
  CHECK(cron("0 0 1-31 * *").day_of_month_restricted);
  CHECK(cron("0 0 * * 0-6").day_of_week_restricted);
  CHECK(cron("0 0 L * *").day_of_month_restricted);
  CHECK(cron("0 0 * * 5L").day_of_week_restricted);
}

TEST_CASE("day of month and day of week are either-or when both are restricted") {
  const Cron both = cron("0 0 13 * FRI");
  CHECK(both.matches_day(11, 13, 3, 30));
  CHECK(both.matches_day(11, 6, 5, 30));
  CHECK_FALSE(both.matches_day(11, 7, 6, 30));
  const Cron day = cron("0 0 13 * *");
  CHECK(day.matches_day(11, 13, 3, 30));
  CHECK_FALSE(day.matches_day(11, 6, 5, 30));
  const Cron weekday = cron("0 0 ? * FRI");
  CHECK(weekday.matches_day(11, 6, 5, 30));
  CHECK_FALSE(weekday.matches_day(11, 13, 3, 30));
  const Cron even = cron("0 0 */2 * MON");  // a step restricts too: odd days, or any Monday
  CHECK(even.matches_day(11, 3, 4, 30));
  CHECK(even.matches_day(11, 2, 1, 30));
  CHECK_FALSE(even.matches_day(11, 2, 2, 30));
}

TEST_CASE("the last day, the last weekday and the nth weekday of a month") {
  const Cron last = cron("0 0 L * *");
  CHECK(last.matches_day(2, 28, 0, 28));
  CHECK_FALSE(last.matches_day(2, 28, 0, 29));
  CHECK(last.matches_day(2, 29, 0, 29));
  const Cron friday = cron("0 0 * * 5L");
  CHECK(friday.matches_day(11, 27, 5, 30));
  CHECK_FALSE(friday.matches_day(11, 20, 5, 30));
  CHECK(cron("0 0 * * FRIL") == friday);
  const Cron second = cron("0 0 * * MON#2");
  CHECK(second.matches_day(11, 9, 1, 30));
  CHECK(second.matches_day(11, 8, 1, 30));
  CHECK(second.matches_day(11, 14, 1, 30));
  CHECK_FALSE(second.matches_day(11, 7, 1, 30));
  CHECK_FALSE(second.matches_day(11, 15, 1, 30));
  CHECK(cron("0 0 * * 7#5").matches_day(11, 29, 0, 30));
}

TEST_CASE("a schedule that covers all hours is interval-like") {
  CHECK(cron("*/15 * * * *").is_interval_like());
  CHECK(cron("0 0-23 * * *").is_interval_like());
  CHECK(cron("0 */1 * * MON").is_interval_like());
  CHECK_FALSE(cron("30 2 * * *").is_interval_like());
  CHECK_FALSE(cron("0 */2 * * *").is_interval_like());
}

TEST_CASE("what pawl does not take is refused at its place with its reason") {
  struct Refused {
    const char* text;
    std::size_t offset;
    const char* reason;
  };
  const std::array<Refused, 50> cases = {{
      {"", 0, "is empty"},
      {"   ", 0, "is empty"},
      {"* * * *", 0, "exactly five fields"},
      {"0 0 2 * * *", 10, "there are no seconds and no years"},
      {"0 0 0 1 1 ? 2026", 10, "exactly five fields, this one has 7"},
      {"* * * * * * * *", 0, "exactly five fields"},
      {"TZ=UTC 0 0 * * *", 0, "the zone stands beside the expression"},
      {"CRON_TZ=Asia/Tokyo 0 0 * * *", 0, "the zone stands beside the expression"},
      {"@reboot", 0, "a start of the scheduler is not a time"},
      {"@every 5m", 0, "is written {\"every\": \"5m\"}"},
      {"@dayly", 0, "did you mean `@daily`?"},
      {"@daily 5", 0, "is unknown"},
      {"60 * * * *", 0, "60 is outside of the field minute: 0 to 59"},
      {"0 24 * * *", 2, "24 is outside of the field hour: 0 to 23"},
      {"0 0 0 * *", 4, "0 is outside of the field day of month: 1 to 31"},
      {"0 0 32 * *", 4, "32 is outside of the field day of month"},
      {"0 0 * 13 *", 6, "13 is outside of the field month: 1 to 12"},
      {"0 0 * 0 *", 6, "0 is outside of the field month"},
      {"0 0 * * 8", 8, "8 is outside of the field day of week: 0 to 7"},
      {"x * * * *", 0, "`x` is not a value of the field minute"},
      {"0 0 * FOO *", 6, "or JAN to DEC"},
      {"0 0 * * FOO", 8, "or SUN to SAT"},
      {"0 0 * MON *", 6, "`MON` is not a value of the field month"},
      {"-1 * * * *", 0, "is not a value of the field minute"},
      {"1- * * * *", 2, "is not a value"},
      {"1-2-3 * * * *", 2, "is not a value"},
      {"1.5 * * * *", 0, "is not a value"},
      {"99999999999999999999 * * * *", 0, "is not a value"},
      {"1,,2 * * * *", 2, "an empty list element"},
      {", * * * *", 0, "an empty list element"},
      {"*/0 * * * *", 2, "a step of 0 is no step"},
      {"*/60 * * * *", 2, "longer than the field"},
      {"*/x * * * *", 2, "after `/` stands a whole number"},
      {"*/ * * * *", 2, "after `/` stands a whole number"},
      {"0 22-2 * * *", 2, "wraps around"},
      {"0 0 * NOV-FEB *", 6, "wraps around"},
      {"0 0 * * FRI-MON", 8, "wraps around"},
      {"0 0 15W * *", 4, "the nearest working day"},
      {"0 0 LW * *", 4, "the nearest working day"},
      {"H * * * *", 0, "a hashed value"},
      {"H/15 * * * *", 0, "a hashed value"},
      {"H(0-29) * * * *", 0, "a hashed value"},
      {"R * * * *", 0, "a random value"},
      {"0~30 * * * *", 0, "a random value"},
      {"? * * * *", 0, "`?` stands in the two day fields only"},
      {"0 L * * *", 2, "`L` stands in the two day fields only"},
      {"0 0 * * L", 8, "5L is the last Friday"},
      {"0 0 L-3 * *", 4, "days before the last are refused"},
      {"0 0 * * MON#6", 11, "after `#` stands 1 to 5"},
      {"0 0 1#2 * *", 4, "stands in the day of week only"},
  }};
  for (const Refused& refused : cases) {
    CAPTURE(refused.text);
    const CronError error = refusal(refused.text);
    CHECK_THAT(error.message, Catch::Contains(refused.reason));
    CHECK(error.offset == refused.offset);
  }
}

TEST_CASE("what can never fire is refused, what fires once in years is not") {
  for (const char* text : {"0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30,31 FEB *", "0 0 31 4 ?"}) {
    CHECK_THAT(refusal(text).message, Catch::Contains("can never fire"));
  }
  cron("0 0 29 2 *");
  cron("0 0 31 2,3 *");
  cron("0 0 30 2 MON");
  cron("0 0 L 2 *");
  cron("0 0 * 2 MON#5");
}

TEST_CASE("any bytes give a cron or an error") {
  for (int a = 0; a < 256; ++a) {
    for (const char* rest : {" * * * *", "/5 * * * *", "-5 0 0 * *", "#2", "L * * * *"}) {
      (void)parse_cron(std::string(1, static_cast<char>(a)) + rest);
      (void)parse_cron("0 0 * * " + std::string(1, static_cast<char>(a)) + rest);
    }
  }
  CHECK_THAT(refusal(std::string(100'000, '*')).message, Catch::Contains("at most 1000 bytes"));
}

TEST_CASE("dates and times of a schedule are days of the calendar") {
  CHECK(parse_date("2024-02-29").has_value());
  CHECK_FALSE(parse_date("2026-02-29").has_value());
  CHECK_FALSE(parse_date("2026-2-9").has_value());
  CHECK_FALSE(parse_date("2026-11-20T00:00").has_value());
  const auto local = parse_civil("2026-11-20T22:58");
  REQUIRE(local.has_value());
  CHECK_FALSE(local->offset_minutes.has_value());
  CHECK(local->hour == 22);
  const auto instant = parse_civil("2026-11-20T22:58:01.250+09:00");
  REQUIRE(instant.has_value());
  CHECK(instant->offset_minutes == 540);
  CHECK(instant->hour == 22);
  CHECK(instant->ms == 250);
  CHECK(instant->count_ms() == parse_civil("2026-11-20T13:58:01.250Z")->count_ms());
  CHECK(parse_civil("2026-11-20")->date_only);
  CHECK(parse_civil("2026-11-20")->count_ms() < local->count_ms());
  CHECK_FALSE(parse_civil("tomorrow").has_value());
  CHECK_FALSE(parse_civil("").has_value());
  CHECK_FALSE(parse_civil("2026-11-20T25:00").has_value());
}
