#include <catch2/catch.hpp>

#include "cli/when.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

/// Half past midnight and twelve seconds on Friday, 20 November 2026, in New York.
Here new_york() {
  Here here;
  REQUIRE(cctz::load_time_zone("America/New_York", &here.zone));
  here.now = *parse_utc("2026-11-20T05:30:12.500Z");
  return here;
}

std::string read(std::string_view text) {
  const auto time = parse_when(text, new_york());
  return time ? format_utc(*time) : "error: " + time.error().message;
}

std::string read_since(std::string_view text) {
  const auto time = parse_since(text, new_york());
  return time ? format_utc(*time) : "error: " + time.error().message;
}

TEST_CASE("an instant is itself, whatever the zone") {
  CHECK(read("2026-11-20T22:58:01Z") == "2026-11-20T22:58:01.000Z");
  CHECK(read("2026-11-20T22:58:01.250+09:00") == "2026-11-20T13:58:01.250Z");
}

TEST_CASE("a time without a zone is local") {
  CHECK(read("2026-11-20 22:58") == "2026-11-21T03:58:00.000Z");
  CHECK(read("2026-11-20T22:58:01") == "2026-11-21T03:58:01.000Z");
  CHECK(read("00:15") == "2026-11-20T05:15:00.000Z");
}

TEST_CASE("a date is its local midnight") {
  CHECK(read("2026-11-20") == "2026-11-20T05:00:00.000Z");
  CHECK(read("2026-07-04") == "2026-07-04T04:00:00.000Z");
  CHECK(read("today") == "2026-11-20T05:00:00.000Z");
  CHECK(read("yesterday") == "2026-11-19T05:00:00.000Z");
  CHECK(read("now") == "2026-11-20T05:30:12.500Z");
}

TEST_CASE("a local time that the clock skips moves by the gap, one it repeats is the first") {
  CHECK(read("2026-03-08 02:30") == "2026-03-08T07:30:00.000Z");  // shown as 03:30 EDT
  CHECK(read("2026-11-01 01:30") == "2026-11-01T05:30:00.000Z");  // 01:30 EDT
}

TEST_CASE("a duration reads as that long ago where it may") {
  CHECK(read_since("24h") == "2026-11-19T05:30:12.500Z");
  CHECK(read_since("1h30m") == "2026-11-20T04:00:12.500Z");
  CHECK(read_since("2026-11-19") == "2026-11-19T05:00:00.000Z");
  CHECK(read("24h").starts_with("error: '24h' is no time"));
}

TEST_CASE("what is no time is refused with what would be one") {
  for (const char* text :
       {"", "soon", "2026-13-01", "2026-02-30", "2026-11-20 24:00", "12:60", "2026-11-20 22",
        "2026-11-20x", "20261120", "2026-11-20T22:58 ", "-1h"}) {
    CAPTURE(text);
    CHECK(read_since(text).starts_with("error: '" + std::string(text) + "' is no time. Write 24h"));
  }
}

TEST_CASE("a control character in a time is shown escaped") {
  CHECK(read("\x1b[2J").starts_with("error: '\\x1b[2J' is no time"));
}

TEST_CASE("tables say how long ago something was, and later the clock and the calendar") {
  const Here here = new_york();
  const auto when = [&](std::string_view utc) { return format_when(*parse_utc(utc), here); };
  CHECK(when("2026-11-20T05:30:12.500Z") == "0s ago");
  CHECK(when("2026-11-20T05:30:00.000Z") == "12s ago");
  CHECK(when("2026-11-20T05:28:00.000Z") == "2 min ago");
  CHECK(when("2026-11-20T05:00:00.000Z") == "30 min ago");
  CHECK(when("2026-11-20T04:00:00.000Z") == "Nov 19 23:00");
  CHECK(when("2025-11-20T05:00:00.000Z") == "2025-11-20 00:00");
  CHECK(when("2026-11-20T05:31:00.500Z") == "in 48s");
  CHECK(when("2026-11-22T05:31:00.000Z") == "Nov 22 00:31");
  CHECK(format_local(*parse_utc("2026-11-20T05:28:00.000Z"), here) == "2026-11-20 00:28:00");
}

TEST_CASE("durations read at a glance") {
  using namespace std::chrono_literals;
  CHECK(format_took(5ms) == "5ms");
  CHECK(format_took(300ms) == "0.3s");
  CHECK(format_took(12'999ms) == "12.9s");
  CHECK(format_took(59'999ms) == "59.9s");
  CHECK(format_took(21min + 6s) == "21m06s");
  CHECK(format_took(62min) == "1h02m");
  CHECK(format_took(51h) == "2d03h");
  CHECK(format_took(-5ms) == "0ms");
  CHECK(format_span(41'900ms) == "41s");
  CHECK(format_span(250s) == "4m10s");
  CHECK(format_span(-1s) == "0s");
}

TEST_CASE("large numbers are grouped") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(1000) == "1,000");
  CHECK(format_count(15'000'000) == "15,000,000");
  CHECK(format_count(-12'345) == "-12,345");
  CHECK(counted(1, "item") == "1 item");
  CHECK(counted(10'000, "item") == "10,000 items");
  CHECK(counted(2, "try", "tries") == "2 tries");
  CHECK(format_bytes(17) == "17 B");
  CHECK(format_bytes(4301) == "4.2 KiB");
}

}  // namespace
}  // namespace pawl
