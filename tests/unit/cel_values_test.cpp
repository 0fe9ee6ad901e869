#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;
using test::outcome;

const Json& names() {
  static const Json kNames = Json::parse(R"({
    "params": {"region": "eu", "full": false, "limit": 25},
    "tasks": {"list": {"output": {"rows": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": "four"}]}},
              "load-eu": {"state": "succeeded", "counts": {"failed": 0}}},
    "item": {"id": 9007199254740993, "big": 18446744073709551615, "ratio": 2.0},
    "index": 3,
    "none": null})");
  return kNames;
}

TEST_CASE("paths walk the context") {
  check(
      {
          {"params.region", R"("eu")"},
          {"tasks.list.output.rows[3].id", R"("four")"},
          {"tasks['list']['output'].rows[0]['id']", "1"},
          {"tasks['load-eu'].counts.failed", "0"},
          {"tasks.`load-eu`.state", R"("succeeded")"},
          {"tasks.list.output.rows[index].id", R"("four")"},
          {".params.limit", "25"},
          {"(params).region", R"("eu")"},
          {"tasks.list.output.rows[index - 1].id", "3"},
          {"none", "null"},
          {"params", R"({"full":false,"limit":25,"region":"eu"})"},
      },
      names());
}

TEST_CASE("integers of the context are exact and of the kind int, above its range uint") {
  check(
      {
          {"item.id", "9007199254740993"},
          {"item.id + 1", "9007199254740994"},
          {"type(item.id) == int", "true"},
          {"item.big", "18446744073709551615"},
          {"type(item.big) == uint", "true"},
          {"item.big - 1u", "18446744073709551614"},
          {"type(item.ratio) == double", "true"},
          {"item.ratio", "2.0"},
          {"index == 3.0", "true"},
      },
      names());
}

TEST_CASE("lists are indexed by whole numbers of any kind") {
  check({
      {"[7, 8, 9][0]", "7"},
      {"[7, 8, 9][2u]", "9"},
      {"[7, 8, 9][1.0]", "8"},
      {"[7, 8, 9][0.1]", "! an index of a list is a whole number, and this is double 0.1"},
      {"[1, 2, 3][3]", "! 9 index 3 is out of range of [1, 2, 3], which has 3 elements"},
      {"[1][-1]", "! index -1 is out of range of [1], which has 1 element"},
      {"[1][18446744073709551615u]", "! is out of range"},
      {"[1][1e300]", "! an index of a list is a whole number"},
      {"[1]['0']", "! an index of a list is a whole number, and this is string"},
      {"[[[['foo']]]][0][0][0][0]", R"("foo")"},
  });
}

TEST_CASE("maps are indexed by keys, numbers of any kind being one key") {
  check({
      {"{0: 1, 2: 2, 5: true}[5]", "true"},
      {"{0u: 1u, 2u: 'happy'}[2u]", R"("happy")"},
      {"{true: 5}[true]", "5"},
      {"{true: 1, 2: 2, 5u: 3}[5]", "3"},
      {"{1u: 1.0, 2: 2.0, 3u: 3.0}[3.0]", "3.0"},
      {"{1u: 1.0, 2: 2.0}[1]", "1.0"},
      {"{1u: 1.0, 3u: 3.0}[3.1]", "! no such key 3.1"},
      {"{0: 1}[b'']", "! no such key"},
      {"{true: null}[true]", "null"},
      {"{'a b': 1}['a b']", "1"},
      {"{'/api/v1': true}.`/api/v1`", "true"},
      {"{'a': 1}.`a$`", "! a name in backticks"},
      {"`a`", "! expected a value"},
      {"{18446744073709551615u: 1}[18446744073709551615u]", "1"},
  });
}

TEST_CASE("a large map finds each of its keys") {
  std::string map = "{";
  for (int i = 0; i < 1000; ++i) {
    map += (i == 0 ? "'k" : ", 'k") + std::to_string(i) + "': " + std::to_string(i);
  }
  map += "}";
  CHECK(outcome(map + ".k999") == "999");
  CHECK(outcome(map + "['k0']") == "0");
  CHECK(outcome("size(" + map + ".filter(k, " + "k.endsWith('7')))") == "100");
}

TEST_CASE("what has no fields says so") {
  check(
      {
          {"params.limit.x",
           "! params.limit is int, so it has no field 'x'; only maps have fields"},
          {"tasks.list.output.rows.id",
           "! is list, so it has no field 'id'; an element is LIST[0]"},
          {"none.x", "! none is null, so it has no field 'x'; write default(none.x, OTHER)"},
          {"none['x']", "! none is null, so it has no element 'x'"},
          {"'abc'[0]", "! a character is STRING.charAt(0)"},
          {"(1 + 1).x", "! (1 + 1) is int, so it has no field 'x'"},
      },
      names());
}

TEST_CASE("every kind of value has its form in JSON") {
  check({
      {"[null, true, 1, 2u, 1.5, 'x', b'x', timestamp(0), duration('1s'), int]",
       R"([null,true,1,2,1.5,"x","eA==","1970-01-01T00:00:00Z","1s","int"])"},
      {"{'nan': 0.0/0.0}", R"({"nan":"NaN"})"},
      {"{-1: 'negative', false: 0}", R"({"-1":"negative","false":0})"},
      {"-0.0", "-0.0"},
  });
}

TEST_CASE("test takes a bool and nothing else") {
  const JsonContext context(names());
  const auto verdict = [&](std::string_view text) -> std::string {
    auto compiled = Expression::compile(text);
    REQUIRE(std::holds_alternative<Expression>(compiled));
    auto result = std::get<Expression>(compiled).test(context);
    if (const auto* error = std::get_if<ExpressionError>(&result)) return error->message;
    return std::get<bool>(result) ? "yes" : "no";
  };
  CHECK(verdict("params.limit > 20") == "yes");
  CHECK(verdict("params.full") == "no");
  CHECK(verdict("params.region") ==
        "a condition needs bool, and this is string; compare it with something");
  CHECK(verdict("params.nothing == 1").find("no such key 'nothing' in params") == 0);
}

TEST_CASE("an expression may be evaluated over many contexts and moved") {
  auto compiled = Expression::compile("n * 2");
  auto expression = std::move(std::get<Expression>(compiled));
  for (int i = 0; i < 3; ++i) {
    const auto value = expression.evaluate(JsonContext(Json{{"n", i}}));
    CHECK(std::get<Json>(value) == 2 * i);
  }
  const auto missing = expression.evaluate(JsonContext(Json::array()));
  CHECK(std::get<ExpressionError>(missing).message == "no such name 'n'; there are no names here");
}

}  // namespace
}  // namespace pawl
