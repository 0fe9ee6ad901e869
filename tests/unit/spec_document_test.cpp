#include <array>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/json_text.h"

using namespace pawl;

namespace {

constexpr std::size_t kEnough = 1 << 20;

struct Wrong {
  std::string_view text;
  int line;
  int column;
  const char* message;
};

}  // namespace

TEST_CASE("a document knows where each value and key stands") {
  const std::string text = "{\n  \"a\": [1, {\"b\": true}],\n  \"c/d~e\": \"x\"\n}";
  Document doc;
  REQUIRE(doc.parse(text, kEnough));
  CHECK(doc.errors().empty());
  const NodeId list = doc.member(doc.root(), "a");
  const NodeId object = doc.next(doc.first_child(list));
  const NodeId b = doc.member(object, "b");
  CHECK(doc.pointer(b) == "/a/1/b");
  CHECK(doc.place(doc.offset(b)).line == 2);
  CHECK(doc.place(doc.offset(b)).column == 18);
  CHECK(doc.place(doc.key_offset(b)).column == 13);
  const NodeId odd = doc.member(doc.root(), "c/d~e");
  CHECK(doc.pointer(odd) == "/c~1d~0e");
  CHECK(doc.place(doc.offset(odd)).line == 3);
  CHECK(doc.string(odd) == "x");
  CHECK(doc.pointer(doc.root()).empty());
  CHECK(doc.contains(list, b));
  CHECK_FALSE(doc.contains(b, list));
}

TEST_CASE("a document keeps every value exactly") {
  const std::string text =
      R"({"big": 9223372036854775807, "small": -9223372036854775808, "huge": 18446744073709551615,
          "real": 0.1, "exp": 1e3, "text": "a\n\u00e9\ud83d\ude00\"", "none": null, "yes": true,
          "no": false, "list": [], "object": {}, "": 1})";
  Document doc;
  REQUIRE(doc.parse(text, kEnough));
  CHECK(doc.to_json(doc.root()) == Json::parse(text));
  CHECK(doc.integer(doc.member(0, "big")) == INT64_MAX);
  CHECK(doc.integer(doc.member(0, "small")) == INT64_MIN);
  CHECK_FALSE(doc.integer(doc.member(0, "huge")).has_value());
  CHECK_FALSE(doc.integer(doc.member(0, "exp")).has_value());
  CHECK(doc.number(doc.member(0, "exp")) == 1000.0);
  CHECK(doc.string(doc.member(0, "text")) == "a\né😀\"");
}

TEST_CASE("a place inside a string counts its escapes") {
  const std::string text = R"(["ab\n\u00e9\ud83d\ude00X"])";
  Document doc;
  REQUIRE(doc.parse(text, kEnough));
  const NodeId node = doc.first_child(0);
  const std::size_t index = doc.string(node).find('X');
  CHECK(text[doc.offset_in_string(node, index)] == 'X');
  CHECK(text[doc.offset_in_string(node, 0)] == 'a');
  CHECK(text[doc.offset_in_string(node, 2)] == '\\');
}

TEST_CASE("duplicate keys are found wherever they are, and the first stays") {
  Document doc;
  const std::string text = "{\"a\": 1, \"b\": {\"c\": 1,\n \"c\": 2}, \"\\u0061\": 3}";
  REQUIRE(doc.parse(text, kEnough));
  REQUIRE(doc.errors().size() == 2);
  CHECK(doc.place(doc.errors()[0].offset).line == 2);
  CHECK(doc.errors()[0].message == "duplicate key \"c\": it already stands in line 1");
  CHECK(doc.pointer(doc.errors()[0].node) == "/b/c");
  CHECK(doc.errors()[1].message == "duplicate key \"a\": it already stands in line 1");
  CHECK(doc.integer(doc.member(0, "a")) == 1);
}

TEST_CASE("duplicate keys are found in large objects, without quadratic work") {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += "\"k" + std::to_string(i) + "\":1,";
  text += "\"k7\":2}";
  Document doc;
  REQUIRE(doc.parse(text, 4 * kEnough));
  REQUIRE(doc.errors().size() == 1);
  CHECK_THAT(doc.errors()[0].message, Catch::Contains("\"k7\""));
}

TEST_CASE("duplicates without end are bounded") {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += "\"a\":1,";
  text += "\"b\":2}";
  Document doc;
  REQUIRE(doc.parse(text, kEnough));
  CHECK(doc.errors().size() == limits::kErrorsPerFileMax + 1);  // so that somebody says so
}

TEST_CASE("what is not JSON is said with its place in plain words") {
  const std::array<Wrong, 58> cases = {{
      {"", 1, 1, "the file is empty"},
      {"  \n ", 2, 2, "the file is empty"},
      {"{", 1, 2, "the file ends inside the object of line 1"},
      {"\n\n[1,\n", 4, 1, "the file ends inside the list of line 3"},
      {"{\"a\"", 1, 5, "the file ends inside the object of line 1"},
      {"{\"a\":", 1, 6, "the file ends inside the object of line 1"},
      {"{\"a\": 1", 1, 8, "the file ends inside the object of line 1"},
      {"{\"a\": 1,}", 1, 8, "a comma stands before `}`: remove it"},
      {"[1, 2,\n]", 1, 6, "a comma stands before `]`: remove it"},
      {"{\"a\" 1}", 1, 6, "a colon is missing after the key"},
      {"{\"a\": 1 \"b\": 2}", 1, 9, "a comma is missing before a text"},
      {"[1 2]", 1, 4, "a comma is missing before"},
      {"[1, , 2]", 1, 5, "a value is missing before `,`"},
      {"{\"a\": }", 1, 7, "a value is missing before `}`"},
      {"[1}", 1, 3, "`}` cannot close the list of line 1: `]` is missing"},
      {"{\"a\": 1]", 1, 8, "`]` cannot close the object of line 1: `}` is missing"},
      {"{a: 1}", 1, 2, "keys stand in double quotes: write \"a\""},
      {"{'a': 1}", 1, 2, "keys stand in double quotes, not single ones"},
      {"{\"a\": 'x'}", 1, 7, "texts stand in double quotes"},
      {"{, \"a\": 1}", 1, 2, "a key is missing before this comma"},
      {"{: 1}", 1, 2, "a key is missing before this colon"},
      {"{1: 2}", 1, 2, "a key in double quotes should stand here, not `1`"},
      {"{\"a\": 1} x", 1, 10, "the JSON value has ended before: \"x\" is too much"},
      {"{} {}", 1, 4, "the JSON value has ended before: `{` is too much"},
      {"{\"a\": 1} // c", 1, 10, "the JSON value has ended before"},
      {"{ // c\n}", 1, 3, "JSON has no comments"},
      {"{\"a\": /* c */ 1}", 1, 7, "JSON has no comments"},
      {"[1, # c\n2]", 1, 5, "JSON has no comments"},
      {"{\"a\": True}", 1, 7, "write `true`"},
      {"{\"a\": None}", 1, 7, "write `null`"},
      {"{\"a\": yes}", 1, 7, "write `true`"},
      {"{\"a\": hello}", 1, 7, "`hello` is not JSON"},
      {"{\"a\": NaN}", 1, 7, "`NaN` is not JSON"},
      {"{\"a\": 01}", 1, 7, "it has a leading zero"},
      {"{\"a\": -01}", 1, 7, "it has a leading zero"},
      {"{\"a\": 2026-11-20}", 1, 7, "dates and times are texts"},
      {"{\"a\": 2026-11-20T22:58, \"b\": 1}", 1, 7, "dates and times are texts"},
      {"2026-11-20", 1, 1, "dates and times are texts"},
      {"1-", 1, 1, "`1-` is not a JSON number"},
      {"1.5.2", 1, 1, "`1.5.2` is not a JSON number"},
      {"[0] 1", 1, 5, "the JSON value has ended before: `1` is too much"},
      {"{\"a\": [0] 1}", 1, 11, "a comma is missing before `1`"},
      {"{\"a\": +1}", 1, 7, "it has a leading plus"},
      {"{\"a\": .5}", 1, 7, "a digit stands before the point"},
      {"{\"a\": 1.}", 1, 7, "`1.` is not a JSON number"},
      {"{\"a\": -}", 1, 7, "`-` is not a JSON number"},
      {"{\"a\": 1e999}", 1, 7, "it is out of range"},
      {"{\"a\": \"x}", 1, 7, "the file ends inside the text"},
      {"{\"a\": \"x\ny\"}", 1, 7, "not closed before the end of its line"},
      {"{\"a\": \"x\ty\"}", 1, 9, "the control character \\t must be written as an escape"},
      {"{\"a\": \"\\q\"}", 1, 8, "is not an escape"},
      {"{\"a\": \"\\u12g4\"}", 1, 8, "\\u takes four hexadecimal digits"},
      {"{\"a\": \"\\ud83d\"}", 1, 8, "half of a surrogate pair"},
      {"{\"a\": \"\\ude00\"}", 1, 8, "half of a surrogate pair"},
      {"{\"a\": \"\xff\"}", 1, 8, "not valid UTF-8"},
      {"{\"a\": \"é\xe6\x97\"}", 1, 10, "not valid UTF-8"},
      {"{\"\xc0\xaf\": 1}", 1, 3, "not valid UTF-8"},
      {"\xff\xfe{", 1, 1, "a value should stand here, not `\\xff`"},
  }};
  for (const Wrong& wrong : cases) {
    CAPTURE(wrong.text);
    Document doc;
    REQUIRE_FALSE(doc.parse(wrong.text, kEnough));
    REQUIRE(doc.errors().size() == 1);
    CHECK_THAT(doc.errors()[0].message, Catch::Contains(wrong.message));
    const Place place = doc.place(doc.errors()[0].offset);
    CHECK(place.line == wrong.line);
    CHECK(place.column == wrong.column);
  }
}

TEST_CASE("integers that would lose digits are told each, and what else is wrong") {
  Document doc;
  REQUIRE(doc.parse("{\"a\": 18446744073709551616, \"b\": [-9223372036854775809, 1], \"b\": 2}",
                    kEnough));
  REQUIRE(doc.errors().size() == 3);
  CHECK_THAT(doc.errors()[0].message, Catch::Contains("18446744073709551616 needs more than 64"));
  CHECK(doc.errors()[0].offset == 6);
  CHECK(doc.pointer(doc.errors()[0].node) == "/a");
  CHECK(doc.pointer(doc.errors()[1].node) == "/b/0");
  CHECK_THAT(doc.errors()[2].message, Catch::Contains("duplicate key"));
}

TEST_CASE("a byte order mark is no error") {
  Document doc;
  REQUIRE(doc.parse("\xEF\xBB\xBF{\"a\": 1}", kEnough));
  CHECK(doc.integer(doc.member(0, "a")) == 1);
}

TEST_CASE("a NUL byte is no end of a text") {
  Document doc;
  const std::string text = std::string("{\"a\": 1}\n") + '\0' + "{\"b\":";
  CHECK_FALSE(doc.parse(text, kEnough));
  REQUIRE(doc.errors().size() == 1);
  CHECK(doc.place(doc.errors()[0].offset).line == 2);
}

TEST_CASE("nesting has a limit, and a million brackets are no danger") {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  Document doc;
  CHECK(doc.parse(nested(limits::kJobNestingMax), kEnough));
  REQUIRE_FALSE(doc.parse(nested(limits::kJobNestingMax + 1), kEnough));
  CHECK(doc.errors()[0].message == "nested deeper than 64 levels");
  CHECK(doc.errors()[0].offset == 64);
  CHECK_FALSE(doc.parse(std::string(1'000'000, '['), kEnough));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK_FALSE(doc.parse(objects, kEnough));
}

TEST_CASE("a text beyond the limit is refused before it is looked at") {
  Document doc;
  REQUIRE_FALSE(doc.parse("[1, 2]", 5));
  CHECK(doc.errors()[0].message == "the file has 6 bytes; at most 5 are allowed");
  CHECK(doc.parse("[1, 2]", 6));
}

TEST_CASE("values are described for people") {
  Document doc;
  REQUIRE(doc.parse(R"([null, true, 5, 1.5, "x", [], [1], {}])", kEnough));
  std::vector<std::string> words;
  for (NodeId c = doc.first_child(0); c != kNoNode; c = doc.next(c)) {
    words.push_back(describe(doc, c));
  }
  CHECK(words == std::vector<std::string>{"null", "true", "the number 5", "the number 1.5",
                                          "the text \"x\"", "an empty list", "a list",
                                          "an object"});
}

TEST_CASE("text that is no JSON, or would lose something by being read, says why") {
  CHECK_FALSE(json_error(R"({"a": [1, 0.5, "b", null]})"));
  CHECK_FALSE(json_error(std::string(64, '[') + std::string(64, ']')));
  CHECK(json_error(std::string(65, '[')) == "it is nested deeper than 64");
  CHECK(json_error(std::string("1\0junk", 6)) == "it holds a NUL byte");
  CHECK(json_error("\xff") == "it is not UTF-8");
  CHECK(json_error("{]") == "it is not JSON at byte 2");
  CHECK(json_error("[1e400]") == "the number 1e400 is larger than a double can be");
  CHECK(json_error("18446744073709551616") ==
        "the integer 18446744073709551616 needs more than 64 bits and would lose digits: write it "
        "as a text");
}
