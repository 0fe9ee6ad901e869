// The calendar against an oracle that looks at each minute by itself. It shares nothing with the
// code: local times come from the C library, the expressions are written out again as conditions.

#include <array>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/text.h"
#include "scheduler/spec/calendar.h"

using namespace pawl;

namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 3'600;
constexpr std::int64_t kDay = 86'400;

/// Makes a zone the C library's local time.
class LocalZone {
 public:
  explicit LocalZone(const std::string& name) {
    if (const char* old = std::getenv("TZ")) old_ = old;
    use(name);
  }
  LocalZone(const LocalZone&) = delete;
  LocalZone& operator=(const LocalZone&) = delete;
  ~LocalZone() {
    if (old_.empty()) {
      unsetenv("TZ");
      tzset();
    } else {
      use(old_);
    }
  }

  static std::tm at(std::int64_t second) {
    const std::time_t time = second;
    std::tm local{};
    localtime_r(&time, &local);
    return local;
  }
  static std::int64_t offset(std::int64_t second) { return at(second).tm_gmtoff; }

 private:
  static void use(const std::string& name) {
    setenv("TZ", name.c_str(), 1);
    tzset();
  }
  std::string old_;
};

int days_in_month(const std::tm& t) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = t.tm_year + 1900;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[static_cast<std::size_t>(t.tm_mon)] + (t.tm_mon == 1 && leap ? 1 : 0);
}

struct Expression {
  const char* text;
  bool fires_each_hour;
  std::function<bool(const std::tm&)> matches;
};

const std::vector<Expression>& expressions() {
  using T = const std::tm&;
  static const std::vector<Expression> kExpressions = {
      {"*/15 * * * *", true, [](T t) { return t.tm_min % 15 == 0; }},
      {"5 * * * SUN", true, [](T t) { return t.tm_min == 5 && t.tm_wday == 0; }},
      {"10 0-23 13 * FRI", true,
       [](T t) { return t.tm_min == 10 && (t.tm_mday == 13 || t.tm_wday == 5); }},
      {"30 2 * * *", false, [](T t) { return t.tm_hour == 2 && t.tm_min == 30; }},
      {"0 3 * * *", false, [](T t) { return t.tm_hour == 3 && t.tm_min == 0; }},
      {"0 0 * * *", false, [](T t) { return t.tm_hour == 0 && t.tm_min == 0; }},
      {"* 2 * * *", false, [](T t) { return t.tm_hour == 2; }},
      {"15,45 1-3 * * *", false,
       [](T t) { return (t.tm_min == 15 || t.tm_min == 45) && t.tm_hour >= 1 && t.tm_hour <= 3; }},
      {"*/7 0-4,22-23 * * *", false,
       [](T t) { return t.tm_min % 7 == 0 && (t.tm_hour <= 4 || t.tm_hour >= 22); }},
      {"0 */2 * * 1-5", false,
       [](T t) { return t.tm_min == 0 && t.tm_hour % 2 == 0 && t.tm_wday >= 1 && t.tm_wday <= 5; }},
      {"30 1 L * *", false,
       [](T t) { return t.tm_hour == 1 && t.tm_min == 30 && t.tm_mday == days_in_month(t); }},
      {"30 0-2 * 3,10,11 7#2,SUNL", false,
       [](T t) {
         const bool second = t.tm_mday >= 8 && t.tm_mday <= 14;
         const bool last = t.tm_mday + 7 > days_in_month(t);
         return t.tm_min == 30 && t.tm_hour <= 2 && t.tm_wday == 0 && (second || last) &&
                (t.tm_mon == 2 || t.tm_mon == 9 || t.tm_mon == 10);
       }},
  };
  return kExpressions;
}

/// The fires of [from, to), seconds. Clocks before `from` are not looked at, so it must lie more
/// than a repeated stretch after a change.
std::vector<std::int64_t> oracle(const Expression& expression, std::int64_t from, std::int64_t to,
                                 const std::vector<std::tm>& minutes) {
  std::vector<std::int64_t> fires;
  const auto add = [&](std::int64_t at) {
    if (at < to) fires.push_back(at);
  };
  // The clock's own count of minutes, and whether it has shown a minute before.
  std::int64_t shown = 0;
  std::int64_t furthest = -1;
  std::int64_t offset = minutes.front().tm_gmtoff;
  for (std::size_t i = 0; i < minutes.size(); ++i) {
    const std::int64_t at = from + static_cast<std::int64_t>(i) * kMinute;
    const std::int64_t jump = (minutes[i].tm_gmtoff - offset) / kMinute;
    offset = minutes[i].tm_gmtoff;
    if (!expression.fires_each_hour) {
      for (std::int64_t skipped = 0; skipped < jump; ++skipped) {
        // What it would have shown, had it not jumped: read off a clock that stands still at UTC.
        const std::time_t local = at + offset - jump * kMinute + skipped * kMinute;
        std::tm missed{};
        gmtime_r(&local, &missed);
        if (expression.matches(missed)) add(at + skipped * kMinute);
      }
    }
    shown += jump;
    const bool first_time = shown > furthest;
    furthest = std::max(furthest, shown);
    ++shown;
    if (expression.matches(minutes[i]) && (first_time || expression.fires_each_hour)) add(at);
  }
  std::sort(fires.begin(), fires.end());
  fires.erase(std::unique(fires.begin(), fires.end()), fires.end());
  return fires;
}

std::optional<cctz::time_zone> load(std::string_view name) {
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

Calendar calendar_of(std::string_view cron, const std::string& zone) {
  ScheduleSpec spec;
  spec.cron = cron;
  spec.timezone = zone;
  auto calendar = Calendar::compile(std::array{spec}, {.zone = load, .dates = {}});
  REQUIRE(calendar);
  return *std::move(calendar);
}

/// All that a calendar says about [from, to).
void check_range(const Expression& expression, const std::string& zone, std::int64_t from,
                 std::int64_t to, const std::vector<std::tm>& minutes) {
  const Calendar calendar = calendar_of(expression.text, zone);
  const std::vector<std::int64_t> expected = oracle(expression, from, to, minutes);
  INFO(expression.text << " in " << zone << " from " << format_utc({from * 1000}));
  std::vector<std::int64_t> forward;
  WallTime at{from * 1000 - 1};
  while (const auto fire = calendar.next(at)) {
    if (fire->ms >= to * 1000 || forward.size() > expected.size()) break;
    REQUIRE(*fire > at);
    at = *fire;
    forward.push_back(at.ms / 1000);
  }
  std::vector<std::int64_t> backward;
  at = {to * 1000};
  while (const auto fire = calendar.previous(at)) {
    if (fire->ms < from * 1000 || backward.size() > expected.size()) break;
    REQUIRE(*fire < at);
    at = *fire;
    backward.push_back(at.ms / 1000);
  }
  std::reverse(backward.begin(), backward.end());
  if (forward != expected) CHECK(forward == expected);
  if (backward != expected) CHECK(backward == expected);
  const FireCount count = calendar.count({from * 1000 - 1}, {to * 1000 - 1});
  if (!count.exact || count.fires != static_cast<std::int64_t>(expected.size())) {
    CHECK(count.fires == static_cast<std::int64_t>(expected.size()));
  }
}

void check_all(const std::string& zone, std::int64_t from, std::int64_t to) {
  std::vector<std::tm> minutes;
  minutes.reserve(static_cast<std::size_t>((to - from) / kMinute));
  for (std::int64_t at = from; at < to; at += kMinute) minutes.push_back(LocalZone::at(at));
  for (const Expression& expression : expressions()) {
    check_range(expression, zone, from, to, minutes);
  }
}

/// Seconds since the epoch of midnight UTC on the first day of a year.
std::int64_t year_begin(int year) {
  return parse_utc(std::to_string(year) + "-01-01T00:00Z")->ms / 1000;
}

/// The seconds in [from, to) at which the zone's offset changes.
std::vector<std::int64_t> changes(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> out;
  for (std::int64_t day = from; day < to; day += kDay) {
    const std::int64_t before = LocalZone::offset(day);
    if (LocalZone::offset(day + kDay) == before) continue;
    std::int64_t low = day;
    std::int64_t high = day + kDay;
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (LocalZone::offset(middle) == before ? low : high) = middle;
    }
    out.push_back(high);
  }
  return out;
}

const std::vector<std::string>& fifty_zones() {
  static const std::vector<std::string> kZones = {
      "UTC",
      "Africa/Cairo",
      "Africa/Casablanca",
      "Africa/El_Aaiun",
      "Africa/Johannesburg",
      "America/Adak",
      "America/Anchorage",
      "America/Asuncion",
      "America/Bogota",
      "America/Chicago",
      "America/Denver",
      "America/Halifax",
      "America/Havana",
      "America/Los_Angeles",
      "America/Mexico_City",
      "America/Miquelon",
      "America/New_York",
      "America/Nuuk",
      "America/Phoenix",
      "America/Port-au-Prince",
      "America/Santiago",
      "America/Sao_Paulo",
      "America/Scoresbysund",
      "America/St_Johns",
      "America/Tijuana",
      "Antarctica/Casey",
      "Antarctica/Troll",
      "Asia/Amman",
      "Asia/Beirut",
      "Asia/Gaza",
      "Asia/Jerusalem",
      "Asia/Kathmandu",
      "Asia/Kolkata",
      "Asia/Tehran",
      "Asia/Tokyo",
      "Atlantic/Azores",
      "Australia/Adelaide",
      "Australia/Lord_Howe",
      "Australia/Sydney",
      "Europe/Berlin",
      "Europe/Chisinau",
      "Europe/Dublin",
      "Europe/Istanbul",
      "Europe/London",
      "Europe/Moscow",
      "Pacific/Apia",
      "Pacific/Auckland",
      "Pacific/Chatham",
      "Pacific/Easter",
      "Pacific/Norfolk",
  };
  return kZones;
}

}  // namespace

TEST_CASE("fires equal the oracle's around every change of twenty years in fifty zones") {
  REQUIRE(fifty_zones().size() == 50);
  std::size_t seen = 0;
  for (const std::string& zone : fifty_zones()) {
    const LocalZone local(zone);
    for (const std::int64_t change : changes(year_begin(2019), year_begin(2039))) {
      ++seen;
      const std::int64_t minute = change / kMinute * kMinute;
      check_all(zone, minute - 4 * kHour, minute + 8 * kHour);
    }
  }
  CHECK(seen > 1'000);
}

TEST_CASE("fires equal the oracle's on each minute of a year") {
  for (const std::string zone : {"UTC", "America/New_York", "Australia/Lord_Howe"}) {
    const LocalZone local(zone);
    check_all(zone, year_begin(2028), year_begin(2029));
  }
}

TEST_CASE("fires equal the oracle's in 2099, where only the zone's rule reaches") {
  const LocalZone local("America/New_York");
  for (const std::int64_t change : changes(year_begin(2099), year_begin(2101))) {
    check_all("America/New_York", change - 30 * kHour, change + 30 * kHour);
  }
}

TEST_CASE("a day that a zone skipped as a whole moves its fires to the next") {
  const LocalZone local("Pacific/Apia");
  const std::int64_t skipped = parse_utc("2011-12-30T10:00Z")->ms / 1000;
  check_all("Pacific/Apia", skipped - 2 * kDay, skipped + 3 * kDay);
}
