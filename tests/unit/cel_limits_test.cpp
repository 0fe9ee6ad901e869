#include <chrono>
#include <random>
#include <string>

#include "scheduler/base/limits.h"
#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::outcome;

std::string repeated(std::string_view part, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += part;
  return out;
}

/// n, then 2n elements … : lists that grow by a power each time.
const Json& numbers() {
  static const Json kNames = [] {
    Json list = Json::array();
    for (int i = 0; i < 2000; ++i) list.push_back(i);
    return Json{{"n", list}, {"text", std::string(1u << 20, 'a')}};
  }();
  return kNames;
}

/// True when an evaluation ended at its steps or its bytes, whichever came first.
bool is_limited(std::string_view outcome) {
  return outcome.find("the evaluation takes more than 1000000 steps") != std::string_view::npos ||
         outcome.find("the evaluation makes more than 16 MiB of values") != std::string_view::npos;
}

TEST_CASE("an expression of more than 64 KiB is refused") {
  const std::string full = "'" + std::string(limits::kExpressionBytesMax - 2, 'x') + "'";
  CHECK(outcome("size(" + full.substr(0, 60000) + "')") == "59999");
  CHECK_THAT(outcome(full + " "), Catch::Matchers::Contains("at most 64 KiB"));
  CHECK_THAT(outcome(std::string(10u << 20, ' ')), Catch::Matchers::Contains("at most 64 KiB"));
}

TEST_CASE("nesting is limited, whatever nests") {
  const std::size_t deep = 20000;
  const std::size_t fine = 100;
  CHECK(outcome(repeated("(", fine) + "1" + repeated(")", fine)) == "1");
  CHECK(outcome("size(" + repeated("[", fine) + repeated("]", fine) + ")") == "1");
  for (const std::string& text :
       {repeated("(", deep), repeated("[", deep), repeated("{", deep), repeated("{1:", deep),
        repeated("size(", 10000), repeated("(", deep) + "1" + repeated(")", deep),
        repeated("[", deep) + repeated("]", deep), repeated("[].map(x,", 7000),
        "a" + repeated("[a", deep), repeated("true?", 13000), repeated("true?1:", 9000) + "2",
        "a" + repeated(".b", deep), "a" + repeated("[0]", deep), "a" + repeated(".size()", 9000),
        "1" + repeated("<1", deep), repeated("-(", deep), repeated("!(", deep),
        "[1]" + repeated(".map(x,x)", 7000), repeated("default(a,", 6000)}) {
    INFO(text.substr(0, 20));
    CHECK_THAT(outcome(text), Catch::Matchers::Contains("nested more than 250 deep"));
  }
}

TEST_CASE("a million brackets are an error") {
  CHECK_THAT(outcome(repeated("[", 1'000'000)), Catch::Matchers::Contains("at most 64 KiB"));
  auto compiled = Template::compile("{{ " + repeated("{", 1'000'000) + repeated("}", 1'000'000));
  CHECK(std::holds_alternative<ExpressionError>(compiled));
}

TEST_CASE("as many steps as allowed, and no more") {
  CHECK(outcome("n.map(x, x + 1).size()", numbers()) == "2000");
  for (const char* endless :
       {"n.all(x, n.all(y, x + y >= 0))", "n.map(x, n.map(y, 1).size())",
        "n.exists(x, n.exists(y, x + y < 0)) || true", "n.filter(x, x in n.map(y, -1)).size()",
        "n.all(x, n == n)", "n.all(x, !text.contains('b'))", "n.map(x, text.matches('b')).size()",
        "n.map(x, text.size()).size()", "n.map(x, json(n).size()).size()",
        "n.exists_one(x, n.all(y, n.all(z, true)))", "n.all(x, text == text + '')",
        "n.map(x, text.lastIndexOf('ba')).size()", "n.map(x, n.transformMap(k, v, v).size())",
        "n.map(x, ('a' + string(x)).matches('b' + string(x) + '{1,500}'))"}) {
    INFO(endless);
    CHECK(is_limited(outcome(endless, numbers())));
  }
}

TEST_CASE("as many bytes as allowed, and no more") {
  CHECK(outcome("(text + text).size()", numbers()) == "2097152");
  const std::string greedy_sum = repeated("text + ", 16) + "text";
  for (const char* greedy :
       {"n.map(x, text + string(x)).size()", "text.replace('', text).size()",
        "text.replace('a', 'bbbbbbbbbbbbbbbbbbbb').size()", "n.map(x, text).join('').size()",
        "text.split('').map(x, x + x).size()", "n.map(x, n + n).size()",
        "n.map(x, [n + n, n + n]).size()", "n.map(x, text.upperAscii()).size()", "n.map(x, text)",
        "json(n.map(x, text)).size()", "text.split('').size()", greedy_sum.c_str(),
        "n.map(x, {'a': x, 'b': n + n}).size()", "n.map(x, base64.encode(bytes(text))).size()",
        "n.map(x, text.reverse()).size()"}) {
    INFO(greedy);
    CHECK(is_limited(outcome(greedy, numbers())));
  }
}

TEST_CASE("what grows by powers ends at a limit") {
  std::string text = "['foo', 'bar']";
  std::string doubled = "text";
  for (int i = 0; i < 40; ++i) {
    text += ".map(x, [x + x, x + x])";
    doubled = "[" + doubled + "].map(x, x + x)[0]";
  }
  CHECK(is_limited(outcome(text)));
  CHECK(is_limited(outcome(text + " == " + text)));
  CHECK(is_limited(outcome("json(" + text + ").size()")));
  CHECK(is_limited(outcome(doubled, numbers())));
}

TEST_CASE("a limit is absorbed by nothing") {
  for (const char* hidden :
       {"n.all(x, n.all(y, true)) || true", "default(n.all(x, n.all(y, true)), 1)",
        "true ? (n.all(x, n.all(y, true)) || true) : false",
        "[1].exists(x, n.all(x, n.all(y, true))) || true"}) {
    INFO(hidden);
    CHECK_THAT(outcome(hidden, numbers()),
               Catch::Matchers::Contains("the evaluation takes more than 1000000 steps"));
  }
}

TEST_CASE("values of the context nested a hundred thousand deep crash nothing") {
  Json deep = 1;
  for (int i = 0; i < 100'000; ++i) {
    Json outer = Json::array();
    outer.push_back(std::move(deep));
    deep = std::move(outer);
  }
  Json names = Json::object();
  names["deep"] = std::move(deep);
  const JsonContext context(std::move(names));
  for (const char* text : {"deep", "deep == deep", "json(deep)", "[deep]", "deep in [deep]"}) {
    INFO(text);
    auto compiled = Expression::compile(text);
    const auto value = std::get<Expression>(compiled).evaluate(context);
    REQUIRE(std::holds_alternative<ExpressionError>(value));
    CHECK_THAT(std::get<ExpressionError>(value).message,
               Catch::Matchers::Contains("nested more than 250 deep"));
  }
  auto compiled = Expression::compile("size(deep[0][0][0])");
  CHECK(std::get<Json>(std::get<Expression>(compiled).evaluate(context)) == 1);
}

TEST_CASE("invalid UTF-8 in an expression is an error at its byte") {
  CHECK_THAT(outcome("'\xff'"), Catch::Matchers::StartsWith("! 1 the text is not valid UTF-8"));
  CHECK_THAT(outcome("'ab\xc3'"), Catch::Matchers::StartsWith("! 3 the text is not valid UTF-8"));
  CHECK_THAT(outcome("a\x80"), Catch::Matchers::StartsWith("! 1 the text is not valid UTF-8"));
  CHECK_THAT(outcome("'\xed\xa0\x80'"), Catch::Matchers::Contains("not valid UTF-8"));
  CHECK_THAT(outcome("'\xc0\xaf'"), Catch::Matchers::Contains("not valid UTF-8"));
  CHECK_THAT(outcome("1 // \xff"), Catch::Matchers::Contains("not valid UTF-8"));
  CHECK_THAT(outcome(std::string_view("a\0b", 3)), Catch::Matchers::Contains("control character"));
}

TEST_CASE("patterns cannot eat memory or time") {
  const Json names = {{"evil", "((((a{30}){30}){30}){30})"}, {"long", std::string(5000, 'a')}};
  CHECK_THAT(outcome("'a'.matches(evil)", names),
             Catch::Matchers::Contains("this is no regular expression"));
  CHECK_THAT(outcome("'a'.matches(long)", names), Catch::Matchers::Contains("longer than 4 KiB"));
  CHECK(outcome("'" + std::string(20000, 'a') + "'.matches('(a+)+$')") == "true");
  CHECK(outcome("'" + std::string(20000, 'a') + "b'.matches('^(a+)+$')") == "false");
}

TEST_CASE("every prefix, and every text with one byte changed, gives a value or an error") {
  const std::string text =
      "{'a': [1, 2u, 3.5e1, true]}.a.map(x, x > 0 ? r'\\d' : b\"\\xff\").exists(v, has(m.`k-x`) && "
      "!(v in m['k']) || size('''é''') <= -0x1F % 3) // end";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    outcome(text.substr(0, i));
    outcome(text.substr(i));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string changed = text;
    changed[random() % changed.size()] = static_cast<char>(random() % 256);
    if (i % 3 == 0) changed.insert(random() % changed.size(), 1, "{}[]()\"'\\`?.,"[random() % 13]);
    outcome(changed);
    static_cast<void>(Template::compile("x {{ " + changed + " }} {{{{ {{" + changed));
  }
  SUCCEED();
}

TEST_CASE("a template shares one budget over all its expressions") {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "{{ text }}";
  auto compiled = Template::compile(text);
  const JsonContext context(numbers());
  const auto value = std::get<Template>(compiled).render_text(context, false);
  REQUIRE(std::holds_alternative<ExpressionError>(value));
  CHECK_THAT(std::get<ExpressionError>(value).message,
             Catch::Matchers::Contains("more than 16 MiB of values"));
  Json object = Json::object();
  for (int i = 0; i < 40; ++i) object["k" + std::to_string(i)] = "{{ text }}";
  CHECK(std::holds_alternative<ExpressionError>(render_json(object, context)));
}

}  // namespace
}  // namespace pawl
