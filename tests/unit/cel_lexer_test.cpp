// From the text of an expression to its words, and the texts of times.

#include "scheduler/spec/cel_lexer.h"

#include <string>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/spec/cel_time.h"
#include "scheduler/spec/cel_value.h"

namespace pawl::cel {
namespace {

TokenList tokens_of(std::string_view text, bool in_template = false) {
  auto found = tokenize(text, in_template);
  REQUIRE(std::holds_alternative<TokenList>(found));
  return std::get<TokenList>(std::move(found));
}

std::vector<TokenKind> kinds_of(std::string_view text) {
  std::vector<TokenKind> kinds;
  for (const Token& token : tokens_of(text).tokens) kinds.push_back(token.kind);
  return kinds;
}

std::string string_of(std::string_view literal, bool is_bytes = false) {
  const auto value = unquote(literal, is_bytes);
  REQUIRE(std::holds_alternative<std::string>(value));
  return std::get<std::string>(value);
}

std::string again(std::string_view duration) {
  std::int64_t nanoseconds = 0;
  REQUIRE(parse_duration_text(duration, &nanoseconds) == TimeParse::ok);
  return format_duration_text(nanoseconds);
}

}  // namespace

TEST_CASE("the words of an expression cover its text, blanks and comments aside") {
  const std::string_view text = "a.b[1] >= 2u ? 'x' : -1.5e3 // the rest\n && !c";
  const TokenList list = tokens_of(text);
  CHECK(list.length == text.size());
  std::size_t at = 0;
  for (const Token& token : list.tokens) {
    CHECK(token.offset >= at);
    at = token.offset + token.length;
  }
  CHECK(list.tokens.back().kind == TokenKind::end);
  using K = TokenKind;
  CHECK(kinds_of(text) == std::vector<K>{K::identifier, K::dot, K::identifier, K::left_bracket,
                                         K::int_literal, K::right_bracket, K::greater_equal,
                                         K::uint_literal, K::question, K::string_literal, K::colon,
                                         K::minus, K::double_literal, K::and_, K::not_,
                                         K::identifier, K::end});
  CHECK(kinds_of("") == std::vector<K>{K::end});
}

TEST_CASE("the longest word is read: operators of two signs, literals with their prefixes") {
  using K = TokenKind;
  CHECK(kinds_of("<===!=!<") ==
        std::vector<K>{K::less_equal, K::equal, K::not_equal, K::not_, K::less, K::end});
  CHECK(kinds_of("a<b") == std::vector<K>{K::identifier, K::less, K::identifier, K::end});
  CHECK(kinds_of("b'x' r'x' '''x''' bx") == std::vector<K>{K::bytes_literal, K::string_literal,
                                                           K::string_literal, K::identifier,
                                                           K::end});
  CHECK(kinds_of("0x1F 1.0 7u") ==
        std::vector<K>{K::int_literal, K::double_literal, K::uint_literal, K::end});
}

TEST_CASE("an expression in a template ends before the braces that it did not open") {
  CHECK(tokens_of("a }} b", true).length == 2);
  CHECK(tokens_of("{'a': {'b': 1}} }}", true).length == 16);
  CHECK(tokens_of("'}}' + x }}", true).length == 9);
}

TEST_CASE("what is no word is an error where it stands") {
  for (const std::string_view text : {"a # b", "'open", "a & b", "1 + \x01", "\"line\n\""}) {
    CAPTURE(text);
    const auto found = tokenize(text, false);
    REQUIRE(std::holds_alternative<ExpressionError>(found));
    CHECK(std::get<ExpressionError>(found).offset <= text.size());
    CHECK_FALSE(std::get<ExpressionError>(found).message.empty());
  }
}

TEST_CASE("escapes of literals are resolved, and raw ones are not") {
  CHECK(string_of(R"('a\n\x41é\101')") == "a\nA\u00e9A");
  CHECK(string_of(R"("\'\"\\\`")") == "'\"\\`");
  CHECK(string_of(R"(r'\n')") == "\\n");
  CHECK(string_of(R"("""a"b""")") == "a\"b");
  CHECK(string_of(R"(b'\xff')", true) == "\xff");
  for (const char* wrong : {R"('\q')", R"('\x4')", R"('\ud800')", R"('\U00110000')"}) {
    CAPTURE(wrong);
    CHECK(std::holds_alternative<ExpressionError>(unquote(wrong, false)));
  }
}

TEST_CASE("timestamps are read and written the same, to the edges of their range") {
  for (const std::string text : {"2026-11-20T22:58:01Z", "0001-01-01T00:00:00Z",
                                 "9999-12-31T23:59:59.999999999Z", "2024-02-29T00:00:00.5Z"}) {
    CAPTURE(text);
    Value value;
    REQUIRE(parse_timestamp(text, &value) == TimeParse::ok);
    CHECK(format_timestamp(value) == text);
  }
  Value value;
  REQUIRE(parse_timestamp("2026-11-21T07:58:01+09:00", &value) == TimeParse::ok);
  CHECK(format_timestamp(value) == "2026-11-20T22:58:01Z");
  CHECK(parse_timestamp("0001-01-01T00:00:00+00:01", &value) == TimeParse::out_of_range);
  for (const char* text :
       {"", "2026-11-20", "2026-02-29T00:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T22:58:01",
        "2026-11-20 22:58:01Z", "2026-11-20T22:58:01.Z"}) {
    CAPTURE(text);
    CHECK(parse_timestamp(text, &value) == TimeParse::malformed);
  }
}

TEST_CASE("a timestamp takes any count of nanoseconds within its range, and no more") {
  CHECK(format_timestamp(*make_timestamp(0, -1)) == "1969-12-31T23:59:59.999999999Z");
  CHECK(format_timestamp(*make_timestamp(0, 1'500'000'000)) == "1970-01-01T00:00:01.5Z");
  CHECK(make_timestamp(kTimestampSecondsMin, 0));
  CHECK_FALSE(make_timestamp(kTimestampSecondsMin, -1));
  CHECK(make_timestamp(kTimestampSecondsMax, 999'999'999));
  CHECK_FALSE(make_timestamp(kTimestampSecondsMax, 1'000'000'000));
}

TEST_CASE("durations are read in any units and written in seconds") {
  CHECK(again("1h30m") == "5400s");
  CHECK(again("-1.5s") == "-1.5s");
  CHECK(again("250ms") == "0.25s");
  CHECK(again("0") == "0s");
  CHECK(again("1us1ns") == "0.000001001s");
  std::int64_t nanoseconds = 0;
  for (const char* text : {"", "5", "s", "1d", "1h-1m", "1.s.", "--1s", "1 s"}) {
    CAPTURE(text);
    CHECK(parse_duration_text(text, &nanoseconds) == TimeParse::malformed);
  }
  CHECK(parse_duration_text("9223372037s", &nanoseconds) == TimeParse::out_of_range);
  CHECK(parse_duration_text("9223372036s", &nanoseconds) == TimeParse::ok);
}

}  // namespace pawl::cel
