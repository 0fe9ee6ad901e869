// Words and numbers of texts that programs write for programs.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/words.h"

using namespace pawl;

TEST_CASE("words are taken off the front, whatever parts them") {
  for (std::string_view text : {"a bc d", "  a\tbc\n\nd\n", "a\r\nbc\r\nd"}) {
    CAPTURE(text);
    std::vector<std::string> words;
    std::string_view rest = text;
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest))
      words.emplace_back(word);
    CHECK(words == std::vector<std::string>{"a", "bc", "d"});
    CHECK(rest.empty());
  }
  std::string_view nothing;
  CHECK(next_word(nothing).empty());
}

TEST_CASE("a number is the whole text, and one that the type can hold") {
  CHECK(whole_number<int>("0042") == 42);
  CHECK(whole_number<std::int64_t>("-9223372036854775808") == INT64_MIN);
  CHECK(whole_number<std::uint64_t>("18446744073709551615") == UINT64_MAX);
  CHECK(whole_number<std::uint64_t>("fe", 16) == 0xfe);
  for (std::string_view text : {"", " 1", "1 ", "+1", "1.0", "x", "2147483648"}) {
    CAPTURE(text);
    CHECK_FALSE(whole_number<std::int32_t>(text));
  }
  CHECK_FALSE(whole_number<std::uint32_t>("-1"));
}
