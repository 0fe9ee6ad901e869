#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;
using test::outcome;

TEST_CASE("an unknown name lists the known ones and the nearest") {
  const Json names = {{"params", {{"region", 1}}}, {"run", 1}, {"task", 1}};
  CHECK(outcome("param.region", names) ==
        "! 0 no such name 'param'; known: params, run, task; nearest: params");
  CHECK(outcome("1 + zzz", names) == "! 4 no such name 'zzz'; known: params, run, task");
}

TEST_CASE("an unknown key lists what there is and the nearest") {
  const Json names = {{"params", {{"a", 1}, {"b", 2}, {"region", 3}}},
                      {"empty", Json::object()},
                      {"tasks", {{"load-eu", 1}, {"load-us", 2}}}};
  CHECK(outcome("params.x", names) == "! 7 no such key 'x' in params; it has: a, b, region");
  CHECK(outcome("params.regoin", names) ==
        "! 7 no such key 'regoin' in params; it has: a, b, region; nearest: region");
  CHECK(outcome("params['x']", names) == "! 6 no such key 'x' in params; it has: a, b, region");
  CHECK(outcome("empty.x", names) == "! 6 no such key 'x' in empty; it is empty");
  CHECK(outcome("tasks.load-eu", names) ==
        "! 6 no such key 'load' in tasks; it has: load-eu, load-us; write tasks['load-eu']");
  CHECK(outcome("{1: 2}.x", names) == "! 7 no such key 'x' in {1: 2}; its keys are not strings");
}

TEST_CASE("a map with many keys is listed in part") {
  Json many = Json::object();
  for (int i = 100; i < 300; ++i) many["key" + std::to_string(i)] = i;
  const std::string message = outcome("m.x", Json{{"m", many}});
  CHECK_THAT(message, Catch::Matchers::Contains("key100, key101"));
  CHECK_THAT(message, Catch::Matchers::Contains("… (188 more)"));
  CHECK(message.size() < 300);
}

TEST_CASE("long values are cut in messages, at a character") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "é";
  const std::string message = outcome("int(s)", Json{{"s", text}});
  CHECK(message.size() < 200);
  CHECK_THAT(message, Catch::Matchers::Contains("é…'"));
}

TEST_CASE("a message is UTF-8 whatever it quotes") {
  const Json names = {{"s", std::string("a\xff\xc3", 3)}};
  for (const std::string& text :
       {std::string("int(s)"), std::string("{s: 1}.x"), "1 '" + std::string(63, 'x') + "é'"}) {
    INFO(text);
    const std::string message = outcome(text, names);
    CHECK_THAT(message, Catch::Matchers::StartsWith("! "));
    CHECK_NOTHROW(Json(message).dump());
  }
  CHECK(outcome("int(s)", names) == "! 0 cannot convert string 'a\xEF\xBF\xBD\xEF\xBF\xBD' to int");
}

TEST_CASE("an expression that names secrets shows no value in its errors") {
  const Json names = {{"secrets", {{"KEY", "canary-5309"}}}, {"m", {{"a", 1}}}};
  for (const char* expression :
       {"int(secrets.KEY)", "m[secrets.KEY]", "timestamp(secrets.KEY)", "duration(secrets.KEY)",
        "timestamp(0).getHours(secrets.KEY)", "{secrets.KEY: 1, 'canary-5309': 2}",
        "bool(secrets.KEY)", "double(secrets.KEY)", "[secrets.KEY].map(x, int(x))",
        "{secrets.KEY: 1}.x.y", "'a'.matches(secrets.KEY + '(')", "secrets.KEY.x", "secrets.KEY[0]",
        "format(secrets.KEY, '%Y')", "secrets.KEY + 1"}) {
    INFO(expression);
    const std::string message = outcome(expression, names);
    CHECK_THAT(message, Catch::Matchers::StartsWith("! "));
    CHECK_THAT(message, !Catch::Matchers::Contains("canary"));
  }
}

TEST_CASE("an unknown function names the nearest, or how it is called") {
  check({
      {"foo(1)", "! 0 no such function 'foo'"},
      {"'a'.startWith('b')", "! 4 no such function 'startWith'; nearest: startsWith"},
      {"len('a')", "! no such function 'len'"},
      {"'a'.upper()", "! no such function 'upper'"},
      {"[1].al(x, true)", "! no such function 'al'; nearest: all"},
      {"size()", "! wrong number of arguments; write size(STRING|BYTES|LIST|MAP)"},
      {"size(1, 2)", "! wrong number of arguments"},
      {"'a'.int()", "! 'int' is called otherwise: int("},
      {"exists([1], x, true)", "! 'exists' is called otherwise: LIST.exists"},
  });
}

TEST_CASE("words of other languages get a hint") {
  check({
      {"a = 1", "! 2 '=' is no operator; compare with '=='"},
      {"a and b", "! 2 expected an operator or the end, found 'and'; write '&&'"},
      {"a or b", "! write '||'"},
      {"not a", "! 4 expected an operator or the end, found 'a'"},
      {"a is null", "! compare with '=='"},
      {"a & b", "! write '&&'"},
      {"a | upper", "! write '||', or call a function: f(x)"},
      {"a.?b", "! write default(a.b, other) or has(a.b)"},
      {"a[?0]", "! write default(a[b], other)"},
      {"Msg{a: 1}", "! a map is written {'key': value}"},
      {"$a", "! '$' has no meaning here"},
      {"a ; b", "! ';' has no meaning here"},
      {"“a”", "! '“' has no meaning here; a text needs quotation marks"},
      {"a\x01", "! a control character cannot stand here"},
  });
}

TEST_CASE("a syntax error points to its byte") {
  check({
      {"(1 + 2", "! 6 expected ')', found the end of the expression"},
      {"1 +", "! 3 expected a value, found the end of the expression"},
      {"1 2", "! 2 expected an operator or the end, found '2'"},
      {"a.", "! 2 expected a name after '.'"},
      {"a.1", "! 1 expected an operator or the end, found '.1'"},
      {"a[", "! 2 expected a value"},
      {"a[0", "! 3 expected ']'"},
      {")", "! 0 expected a value, found ')'"},
      {"f(1", "! 3 expected ',' or ')'"},
      {"é + 1", "! 0 'é' has no meaning here"},
  });
}

}  // namespace
}  // namespace pawl
