#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;

TEST_CASE("timestamps are read as RFC 3339 and written back in UTC") {
  check({
      {"timestamp('2009-02-13T23:31:30Z')", R"("2009-02-13T23:31:30Z")"},
      {"timestamp('2023-08-26T12:39:00-07:00')", R"("2023-08-26T19:39:00Z")"},
      {"timestamp('2026-11-20T22:58:01.250Z')", R"("2026-11-20T22:58:01.25Z")"},
      {"timestamp('9999-12-31T23:59:59.999999999Z')", R"("9999-12-31T23:59:59.999999999Z")"},
      {"timestamp('0001-01-01T00:00:00Z')", R"("0001-01-01T00:00:00Z")"},
      {"timestamp('2024-02-29T00:00:00Z')", R"("2024-02-29T00:00:00Z")"},
      {"timestamp(1234567890)", R"("2009-02-13T23:31:30Z")"},
      {"timestamp(-1)", R"("1969-12-31T23:59:59Z")"},
  });
}

TEST_CASE("what is no timestamp is refused, and the message shows one") {
  check({
      {"timestamp('2026-11-20')", "! is no timestamp; it looks like '2026-11-20T22:58:01Z'"},
      {"timestamp('2026-11-20T22:58Z')", "! is no timestamp"},
      {"timestamp('2026-11-20T22:58:01')", "! is no timestamp"},
      {"timestamp('2023-02-29T00:00:00Z')", "! is no timestamp"},
      {"timestamp('2026-13-01T00:00:00Z')", "! is no timestamp"},
      {"timestamp('2026-01-01T24:00:00Z')", "! is no timestamp"},
      {"timestamp('2026-01-01T00:00:60Z')", "! is no timestamp"},
      {"timestamp('2026-01-01T00:00:00.Z')", "! is no timestamp"},
      {"timestamp('2026-01-01T00:00:00+0900')", "! is no timestamp"},
      {"timestamp('2026-01-01T00:00:00Zx')", "! is no timestamp"},
      {"timestamp('')", "! is no timestamp"},
      {"timestamp('now')", "! is no timestamp"},
      {"timestamp('0000-01-01T00:00:00Z')", "! the timestamp is out of range"},
      {"timestamp('10000-01-01T00:00:00Z')", "! the timestamp is out of range"},
      {"timestamp('9999-12-31T23:59:59-00:01')", "! the timestamp is out of range"},
      {"timestamp(-62135596801)", "! the timestamp is out of range"},
      {"timestamp(253402300800)", "! the timestamp is out of range"},
      {"timestamp(1.5)", "! timestamp() does not take (double)"},
  });
}

TEST_CASE("durations are read in units and written in seconds") {
  check({
      {"duration('1000000s')", R"("1000000s")"},
      {"duration('1h30m')", R"("5400s")"},
      {"duration('1h34us')", R"("3600.000034s")"},
      {"duration('-1.5h')", R"("-5400s")"},
      {"duration('-23.4s')", R"("-23.4s")"},
      {"duration('.5s')", R"("0.5s")"},
      {"duration('.s')", "! is no duration"},
      {"duration('0')", R"("0s")"},
      {"duration('250ms')", R"("0.25s")"},
      {"duration('1ns')", R"("0.000000001s")"},
      {"duration('-1ns')", R"("-0.000000001s")"},
      {"duration('1.1s') == duration('1100ms')", "true"},
      {"duration('7d')", "! is no duration; it looks like '1h30m'"},
      {"duration('90')", "! is no duration"},
      {"duration('')", "! is no duration"},
      {"duration('-')", "! is no duration"},
      {"duration('1h -1m')", "! is no duration"},
      {"duration('320000000000s')", "! the duration is out of range"},
      {"duration('-320000000000s')", "! the duration is out of range"},
      {"duration('99999999999999999999s')", "! the duration is out of range"},
      {"duration(90)", "! duration() does not take (int); write duration(STRING)"},
  });
}

TEST_CASE("times and durations are calculated with, within their ranges") {
  check({
      {"timestamp('2009-02-13T23:00:00Z') + duration('240s')", R"("2009-02-13T23:04:00Z")"},
      {"duration('120s') + timestamp('2009-02-13T23:01:00Z')", R"("2009-02-13T23:03:00Z")"},
      {"timestamp('2009-02-13T23:10:00Z') - duration('600s')", R"("2009-02-13T23:00:00Z")"},
      {"timestamp('2009-02-13T23:31:00Z') - timestamp('2009-02-13T23:29:00Z')", R"("120s")"},
      {"duration('600s') + duration('50s')", R"("650s")"},
      {"duration('900s') - duration('42s')", R"("858s")"},
      {"timestamp('0001-01-01T00:00:01.000000001Z') + duration('-999999999ns')",
       R"("0001-01-01T00:00:00.000000002Z")"},
      {"timestamp('0001-01-01T00:00:01.999999999Z') + duration('999999999ns')",
       R"("0001-01-01T00:00:02.999999998Z")"},
      {"timestamp('9999-12-31T23:59:59Z') + duration('1s')", "! the timestamp is out of range"},
      {"timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns')", "! out of range"},
      {"timestamp('0001-01-01T00:00:00Z') - duration('1ns')", "! out of range"},
      {"timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
       "! the duration is out of range"},
      {"duration('9000000000s') + duration('9000000000s')", "! the duration is out of range"},
      {"duration('-9000000000s') - duration('9000000000s')", "! the duration is out of range"},
      {"timestamp(0) + timestamp(0)", "! no operator '+' for timestamp and timestamp"},
      {"duration('1s') * 2", "! no operator '*' for duration and int"},
      {"duration('1s') - timestamp(0)", "! no operator '-' for duration and timestamp"},
      {"timestamp(10) + duration('1s') > timestamp(10)", "true"},
  });
}

TEST_CASE("a timestamp gives its parts, months and days from zero where CEL says so") {
  const Json names = {{"t", "2009-02-13T23:31:30.123456789Z"}};
  check(
      {
          {"timestamp(t).getFullYear()", "2009"},
          {"timestamp(t).getMonth()", "1"},
          {"timestamp(t).getDate()", "13"},
          {"timestamp(t).getDayOfMonth()", "12"},
          {"timestamp(t).getDayOfWeek()", "5"},
          {"timestamp(t).getDayOfYear()", "43"},
          {"timestamp(t).getHours()", "23"},
          {"timestamp(t).getMinutes()", "31"},
          {"timestamp(t).getSeconds()", "30"},
          {"timestamp(t).getMilliseconds()", "123"},
          {"timestamp('2026-11-22T00:00:00Z').getDayOfWeek()", "0"},
          {"timestamp('0001-01-01T00:00:00Z').getDayOfYear()", "0"},
          {"t.getHours()", "! getHours() does not take (string)"},
      },
      names);
}

TEST_CASE("a timestamp gives its parts in a zone") {
  const Json names = {{"t", "2009-02-13T23:31:30Z"}};
  check(
      {
          {"timestamp(t).getDate('Australia/Sydney')", "14"},
          {"timestamp(t).getDayOfMonth('US/Central')", "12"},
          {"timestamp(t).getDayOfMonth('+11:00')", "13"},
          {"timestamp('2009-02-13T02:00:00Z').getDayOfMonth('-02:30')", "11"},
          {"timestamp('2009-02-13T02:00:00Z').getDayOfMonth('America/St_Johns')", "11"},
          {"timestamp(t).getFullYear('-09:30')", "2009"},
          {"timestamp(t).getHours('02:00')", "1"},
          {"timestamp(t).getMinutes('Asia/Kathmandu')", "16"},
          {"timestamp(t).getSeconds('-00:00')", "30"},
          {"timestamp(t).getHours('UTC')", "23"},
          {"timestamp('2099-07-01T12:00:00Z').getHours('America/New_York')", "8"},
          {"timestamp(t).getHours('Mars/Olympus')", "! no such time zone 'Mars/Olympus'"},
          {"timestamp(t).getHours('../../etc/passwd')", "! no such time zone"},
          {"timestamp(t).getHours('/etc/localtime')", "! no such time zone"},
          {"timestamp(t).getHours('localtime')", "! no such time zone"},
          {"timestamp(t).getHours('+25:00')", "! no such time zone"},
          {"timestamp(t).getHours('')", "! no such time zone"},
          {"timestamp(t).getHours(9)", "! getHours() does not take (timestamp, int)"},
      },
      names);
}

TEST_CASE("a duration gives itself in whole units") {
  check({
      {"duration('10000s').getHours()", "2"},
      {"duration('3730s').getMinutes()", "62"},
      {"duration('3730s').getSeconds()", "3730"},
      {"duration('123.321456789s').getMilliseconds()", "321"},
      {"duration('-90s').getMinutes()", "-1"},
      {"duration('1h').getFullYear()", "! getFullYear() does not take (duration)"},
      {"duration('1h').getHours('UTC')", "! getHours() does not take (duration, string)"},
  });
}

TEST_CASE("format writes a time as strftime does, in UTC or in a zone") {
  const Json names = {{"t", "2026-11-20T22:58:01.250Z"}};
  check(
      {
          {"format(timestamp(t), '%Y-%m-%d')", R"("2026-11-20")"},
          {"format(t, '%Y-%m-%d')", R"("2026-11-20")"},
          {"format(t, '%Y-%m-%dT%H:%M:%S%Ez', 'Asia/Tokyo')", R"("2026-11-21T07:58:01+09:00")"},
          {"format(t, '%H:%M %Z', 'Europe/Paris')", R"("23:58 CET")"},
          {"format(t, '%H:%M %z', '-03:30')", R"("19:28 -0330")"},
          {"format(t, '%E3S %j %u %a %A %b %B %y %e %I %p %%')",
           R"("01.250 324 5 Fri Friday Nov November 26 20 10 PM %")"},
          {"format(t, '%F %T %s %V %G')", R"("2026-11-20 22:58:01 1795215481 47 2026")"},
          {"format(t, 'year %Y, day %d')", R"("year 2026, day 20")"},
          {"format(t, '')", R"("")"},
          {"format(timestamp('0001-01-01T00:00:00Z'), '%m/%d')", R"("01/01")"},
          {"format(timestamp('9999-12-31T23:59:59Z'), '%Y')", R"("9999")"},
          {"format(t, '%Q')", "! a time format cannot have '%Q'"},
          {"format(t, '%')", "! a time format cannot have '%'"},
          {"format(t, '%E9S')", "! a time format cannot have '%E'"},
          {"format(t, '%5000Y')", "! a time format cannot have '%5'"},
          {"format(t, 'a\\x00b')", "! a time format cannot have 'a NUL byte'"},
          {"format('yesterday', '%Y')", "! 'yesterday' is no timestamp"},
          {"format(5, '%Y')", "! format() does not take (int, string); write format(TIMESTAMP"},
          {"format(t)", "! write format(TIMESTAMP, FORMAT[, ZONE])"},
          {"format(t, '%Y', 'Nowhere')", "! no such time zone 'Nowhere'"},
      },
      names);
}

}  // namespace
}  // namespace pawl
