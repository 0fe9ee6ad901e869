#include <array>
#include <chrono>
#include <limits>

#include <catch2/catch.hpp>

#include "scheduler/base/cut.h"
#include "scheduler/base/text.h"

using namespace pawl;
using namespace std::chrono_literals;

namespace {

std::string message_of(const Result<Duration>& result) {
  REQUIRE_FALSE(result.ok());
  return result.error().message;
}

std::optional<std::int64_t> duration_ms(std::string_view text) {
  const auto parsed = parse_duration(text);
  return parsed ? std::optional(parsed->count()) : std::nullopt;
}

std::int64_t utc_ms(std::string_view text) {
  const auto parsed = parse_utc(text);
  REQUIRE(parsed.has_value());
  return parsed->ms;
}

}  // namespace

TEST_CASE("a duration is whole numbers with units, larger ones first") {
  const std::array<std::pair<const char*, std::int64_t>, 12> cases = {{{"500ms", 500},
                                                                       {"90s", 90'000},
                                                                       {"5m", 300'000},
                                                                       {"2h", 7'200'000},
                                                                       {"7d", 604'800'000},
                                                                       {"1h30m", 5'400'000},
                                                                       {"1d2h3m4s5ms", 93'784'005},
                                                                       {"0s", 0},
                                                                       {"0ms", 0},
                                                                       {"1s1ms", 1'001},
                                                                       {"007s", 7'000},
                                                                       {"100h", 360'000'000}}};
  for (const auto& [text, ms] : cases) {
    CAPTURE(text);
    CHECK(duration_ms(text) == ms);
  }
}

TEST_CASE("what is no duration is refused with its reason and an example") {
  const std::array<std::pair<const char*, const char*>, 14> cases = {
      {{"", "it is empty"},
       {"90", "a number has no unit"},
       {"s", "whole numbers"},
       {"-5s", "whole numbers"},
       {"+5s", "whole numbers"},
       {"1.5h", "use a smaller unit"},
       {"5 s", "a number has no unit"},
       {" 5s", "whole numbers"},
       {"5s ", "whole numbers"},
       {"5min", "the units are d, h, m, s and ms"},
       {"5S", "the units are"},
       {"30m1h", "larger units come first"},
       {"1s1s", "larger units come first, each once"},
       {"99999999999999999999s", "too large"}}};
  for (const auto& [text, why] : cases) {
    CAPTURE(text);
    const std::string message = message_of(parse_duration(text));
    CHECK_THAT(message, Catch::Contains(why));
    CHECK_THAT(message, Catch::Contains("\"1h30m\""));
  }
}

TEST_CASE("a duration that does not fit is refused, not wrapped") {
  CHECK(duration_ms("9223372036854775807ms") == std::numeric_limits<std::int64_t>::max());
  CHECK_THAT(message_of(parse_duration("9223372036854775808ms")), Catch::Contains("too large"));
  CHECK_THAT(message_of(parse_duration("106751991168d")), Catch::Contains("too large"));
  CHECK_THAT(message_of(parse_duration("106751991167d99999h")), Catch::Contains("too large"));
}

TEST_CASE("a duration is written in its shortest form and reads back the same") {
  CHECK(format_duration(0ms) == "0s");
  CHECK(format_duration(90s) == "1m30s");
  CHECK(format_duration(90min) == "1h30m");
  CHECK(format_duration(24h) == "1d");
  CHECK(format_duration(1ms) == "1ms");
  CHECK(format_duration(1001ms) == "1s1ms");
  CHECK(format_duration(-5s) == "-5s");
  for (const std::int64_t ms : {1LL, 59'999LL, 86'400'001LL, 31'536'000'000LL, INT64_MAX + 0LL}) {
    CHECK(duration_ms(format_duration(Duration(ms))) == ms);
  }
}

TEST_CASE("a size is a whole number with a unit") {
  const std::array<std::pair<const char*, std::uint64_t>, 8> cases = {
      {{"1B", 1},
       {"2KB", 2'000},
       {"2KiB", 2'048},
       {"512MiB", 536'870'912},
       {"3GB", 3'000'000'000},
       {"1GiB", 1'073'741'824},
       {"1TB", 1'000'000'000'000},
       {"16777215TiB", 16'777'215ULL << 40}}};
  for (const auto& [text, bytes] : cases) {
    CAPTURE(text);
    const auto parsed = parse_size(text);
    REQUIRE(parsed.ok());
    CHECK(*parsed == bytes);
  }
  for (const char* text : {"", "512", "MiB", "1.5GiB", "-1B", "1 MiB", "1mib", "1M", "1PB",
                           "16777216TiB", "99999999999999999999B"}) {
    CAPTURE(text);
    const auto parsed = parse_size(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().kind == ErrorKind::invalid);
    CHECK_THAT(parsed.error().message, Catch::Contains("is not a size"));
  }
}

TEST_CASE("the nearest word is within a third of the length") {
  constexpr std::array<std::string_view, 4> kWords = {"retry", "depends_on", "timeout", "env"};
  CHECK(nearest_word("rerty", kWords) == "retry");
  CHECK(nearest_word("dependson", kWords) == "depends_on");
  CHECK(nearest_word("depend_on", kWords) == "depends_on");
  CHECK(nearest_word("timout", kWords) == "timeout");
  CHECK(nearest_word("tiemout", kWords) == "timeout");
  CHECK(nearest_word("en", kWords) == "env");
  CHECK(nearest_word("envv", kWords) == "env");
  CHECK(nearest_word("xyz", kWords).empty());
  CHECK(nearest_word("", kWords).empty());
  CHECK(nearest_word("e", kWords).empty());
  CHECK(nearest_word(std::string(1'000'000, 'x'), kWords).empty());
  CHECK(nearest_word("a", {}).empty());
}

TEST_CASE("text for a terminal cannot act on it") {
  CHECK(escape_for_terminal("plain, Grüße, 日本語, 😀") == "plain, Grüße, 日本語, 😀");
  CHECK(escape_for_terminal("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(escape_for_terminal("\x1b[31mred") == "\\x1b[31mred");
  CHECK(escape_for_terminal(std::string("a\0b\x7f", 4)) == "a\\x00b\\x7f");
  CHECK(escape_for_terminal("\xc2\x9b") == "\\x9b");
  CHECK(escape_for_terminal("a\xff\xfe") == "a\\xff\\xfe");
  CHECK(escape_for_terminal("\xe2\x80\xae"
                            "evil") == "\\u202eevil");
  CHECK(escape_for_terminal("\xe2\x81\xa6") == "\\u2066");
  CHECK(escape_for_terminal("\xe2\x80\xa8") == "\\u2028");
  CHECK(escape_for_terminal("\xe6\x97") == "\\xe6\\x97");
  CHECK(escape_for_terminal("").empty());
}

TEST_CASE("UTF-8 is well-formed or it is not") {
  for (const char* good : {"", "abc", "é", "日", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xe6\x97", "a\xe6\x97z"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("a glob matches the whole name") {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  const std::array<Case, 31> cases = {{{"", "", true},
                                       {"", "a", false},
                                       {"*", "", true},
                                       {"*", "anything", true},
                                       {"a*", "abc", true},
                                       {"*c", "abc", true},
                                       {"a*c", "abbbc", true},
                                       {"a*c", "abbbd", false},
                                       {"a*b*c", "aXbYbZc", true},
                                       {"**", "x", true},
                                       {"?", "", false},
                                       {"?", "é", true},
                                       {"??", "é", false},
                                       {"a?c", "abc", true},
                                       {"[abc]", "b", true},
                                       {"[abc]", "d", false},
                                       {"[a-c]x", "bx", true},
                                       {"[!a-c]", "b", false},
                                       {"[!a-c]", "d", true},
                                       {"[]]", "]", true},
                                       {"[a-]", "-", true},
                                       {"[ä-ü]", "ö", true},
                                       {"[", "[", true},
                                       {"[abc", "[abc", true},
                                       {"\\*", "*", true},
                                       {"\\*", "a", false},
                                       {"a\\", "a\\", true},
                                       {"[\\]]", "]", true},
                                       {"load.eu", "loadxeu", false},
                                       {"*.json", ".json", true},
                                       {"ABC", "abc", false}}};
  for (const Case& c : cases) {
    CAPTURE(c.pattern, c.text);
    CHECK(glob_match(c.pattern, c.text) == c.matches);
  }
}

TEST_CASE("a glob with many stars is not exponential") {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  CHECK_FALSE(glob_match(pattern + "b", std::string(5'000, 'a')));
}

TEST_CASE("an instant is written in UTC with milliseconds") {
  CHECK(format_utc({0}) == "1970-01-01T00:00:00.000Z");
  CHECK(format_utc({-1}) == "1969-12-31T23:59:59.999Z");
  CHECK(format_utc({1'795'215'481'250}) == "2026-11-20T22:58:01.250Z");
  CHECK(format_utc({INT64_MAX}) == "9999-12-31T23:59:59.999Z");
  CHECK(format_utc({INT64_MIN}) == "0000-01-01T00:00:00.000Z");
}

TEST_CASE("an instant with a zone is read, and nothing else") {
  CHECK(utc_ms("1970-01-01T00:00Z") == 0);
  CHECK(utc_ms("2026-11-20T22:58:01.25Z") == 1'795'215'481'250);
  CHECK(utc_ms("2026-11-20T22:58:01.250999999Z") == 1'795'215'481'250);
  CHECK(utc_ms("2026-11-21T07:58:01.250+09:00") == 1'795'215'481'250);
  CHECK(utc_ms("2026-11-20T17:28:01.250-05:30") == 1'795'215'481'250);
  CHECK(utc_ms("2024-02-29T00:00:00Z") == 1'709'164'800'000);
  CHECK(utc_ms("0000-01-01T00:00Z") == -62'167'219'200'000);
  for (const char* text : {"",
                           "2026-11-20",
                           "2026-11-20T22:58",
                           "2026-11-20 22:58Z",
                           "2026-11-20T22:58z",
                           "2026-02-29T00:00Z",
                           "2026-13-01T00:00Z",
                           "2026-00-01T00:00Z",
                           "2026-11-31T00:00Z",
                           "2026-11-20T24:00Z",
                           "2026-11-20T22:60Z",
                           "2026-11-20T22:58:60Z",
                           "2026-11-20T22:58:01.Z",
                           "2026-11-20T22:58:01.1234567890Z",
                           "2026-11-20T22:58Z ",
                           "2026-11-20T22:58ZZ",
                           "2026-11-20T22:58+9:00",
                           "2026-11-20T22:58+0900",
                           "2026-11-20T22:58+24:00",
                           "26-11-20T22:58Z",
                           "2026-1-2T22:58Z",
                           "+2026-11-20T22:58Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_utc(text).has_value());
  }
}

TEST_CASE("a text is cut between two characters") {
  CHECK(cut_utf8("abc", 3) == "abc");
  CHECK(cut_utf8("abc", 2) == "ab");
  CHECK(cut_utf8("", 0).empty());
  const std::string_view text = "aä€😀";  // 1, 2, 3 and 4 bytes
  std::string sizes;
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes) {
    sizes += std::to_string(cut_utf8(text, bytes).size()) + " ";
  }
  CHECK(sizes == "0 1 1 3 3 3 6 6 6 6 10 ");
  // What is no UTF-8 is cut all the same.
  CHECK(cut_utf8("\xff\x80\x80\x80", 2).empty());
}

TEST_CASE("every instant of the calendar reads back as it was written") {
  for (std::int64_t ms = -62'167'219'200'000; ms < 253'402'300'799'999; ms += 86'399'999'977 * 7) {
    CHECK(utc_ms(format_utc({ms})) == ms);
  }
}

TEST_CASE("letters of ASCII become small, and no others") {
  CHECK(ascii_lower("Content-TYPE É") == "content-type É");
}

TEST_CASE("what would end a line of a protocol is known") {
  CHECK(breaks_line("a\nb"));
  CHECK(breaks_line("\r"));
  CHECK(breaks_line(std::string_view("a\0b", 3)));
  CHECK_FALSE(breaks_line("a\tb\v"));
}
