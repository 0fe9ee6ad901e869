#include <set>
#include <string>

#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

const Json& names() {
  static const Json kNames = Json::parse(R"({
    "params": {"region": "eu", "n": 7, "ratio": 1.0, "on": true, "none": null,
               "list": [1, 2], "map": {"a": 1}},
    "t": "2026-11-20T22:58:01Z"})");
  return kNames;
}

/// The rendered value as JSON text, or `! OFFSET MESSAGE`.
std::string render(std::string_view text) {
  auto compiled = Template::compile(text);
  const auto failed = [](const ExpressionError& error) {
    return "! " + std::to_string(error.offset) + " " + error.message;
  };
  if (const auto* error = std::get_if<ExpressionError>(&compiled)) return failed(*error);
  const auto value = std::get<Template>(compiled).render(JsonContext(names()));
  if (const auto* error = std::get_if<ExpressionError>(&value)) return failed(*error);
  return std::get<Json>(value).dump();
}

std::string render_text(std::string_view text, bool allow_structures) {
  auto compiled = Template::compile(text);
  REQUIRE(std::holds_alternative<Template>(compiled));
  const auto value =
      std::get<Template>(compiled).render_text(JsonContext(names()), allow_structures);
  if (const auto* error = std::get_if<ExpressionError>(&value)) {
    return "! " + std::to_string(error->offset) + " " + error->message;
  }
  return std::get<std::string>(value);
}

TEST_CASE("text without expressions stays as it is") {
  for (const std::string text : {"", "plain", "{ not one }", "}} alone", "a { b } c", "{%x%}"}) {
    INFO(text);
    auto compiled = Template::compile(text);
    REQUIRE(std::holds_alternative<Template>(compiled));
    CHECK(std::get<Template>(compiled).is_literal());
    CHECK_FALSE(std::get<Template>(compiled).is_single());
    CHECK(render(text) == Json(text).dump());
  }
}

TEST_CASE("expressions are put into the text") {
  CHECK(render("a-{{ params.region }}-b") == R"("a-eu-b")");
  CHECK(render("{{params.region}}{{params.n}}") == R"("eu7")");
  CHECK(render("n={{ params.n }} r={{ params.ratio }} on={{ params.on }}") ==
        R"("n=7 r=1.0 on=true")");
  CHECK(render("at {{ timestamp(t) }} for {{ duration('90s') }}") ==
        R"("at 2026-11-20T22:58:01Z for 90s")");
  CHECK(render("rows: {{ params.list }}, {{ params.map }}") == R"("rows: [1,2], {\"a\":1}")");
}

TEST_CASE("one expression alone keeps its kind, blanks around it aside") {
  CHECK(render("{{ params.n }}") == "7");
  CHECK(render("  {{ params.list }}\n") == "[1,2]");
  CHECK(render("{{ params.none }}") == "null");
  CHECK(render("{{ params.map }}") == R"({"a":1})");
  CHECK(render("{{ 1.0 }}") == "1.0");
  const auto single = [](std::string_view text) {
    auto compiled = Template::compile(text);
    return std::get<Template>(compiled).is_single();
  };
  CHECK(single(" {{ 1 }} "));
  CHECK_FALSE(single("x{{ 1 }}"));
  CHECK_FALSE(single("{{ 1 }}{{ 2 }}"));
  CHECK_FALSE(single("{{{{{{ 1 }}"));
}

TEST_CASE("the expression ends where its own braces and texts end") {
  CHECK(render("{{ {'a': {'b': 1}}['a'] }}") == R"({"b":1})");
  CHECK(render("{{{'a': 1}}}") == R"({"a":1})");
  CHECK(render("{{ {'a': {'b': 1}}}}") == R"({"a":{"b":1}})");
  CHECK(render("{{ '}}' }}!") == R"("}}!")");
  CHECK(render("{{ \"{{ }}\" }}!") == R"("{{ }}!")");
  CHECK(render("{{ r'\\}}' + '''}}''' }}") == R"("\\}}}}")");
  CHECK(render("{{ 1 }} }} {{ 2 }}") == R"("1 }} 2")");
  CHECK(render("{{ params.n // a comment }}\n }}") == "7");
}

TEST_CASE("four braces are two") {
  CHECK(render("{{{{") == R"("{{")");
  CHECK(render("{{{{ x }}") == R"("{{ x }}")");
  CHECK(render("{{{{{{ params.n }}") == R"("{{7")");
  CHECK(render("a {{{{ b {{ params.n }}") == R"("a {{ b 7")");
}

TEST_CASE("an expression that does not end is an error at its braces") {
  CHECK(render("ab {{ params.n") ==
        "! 3 '{{' has no '}}' after it; a literal '{{' is written '{{{{'");
  CHECK(render("{{") == "! 0 '{{' has no '}}' after it; a literal '{{' is written '{{{{'");
  CHECK(render("{{ {'a': 1 }}") ==
        "! 0 '{{' has no '}}' after it; a literal '{{' is written '{{{{'");
  CHECK(render("x {{ 'abc }}") == "! 5 this text has no closing quote");
  CHECK(render("{{ 1 }} {{ 2") ==
        "! 8 '{{' has no '}}' after it; a literal '{{' is written '{{{{'");
}

TEST_CASE("errors count from the start of the template's text") {
  CHECK(render("abc {{ }}") == "! 7 the expression is empty");
  CHECK(render("abc {{ 1 + }}") == "! 11 expected a value, found the end of the expression");
  CHECK(render("abc {{ params.x }}") ==
        "! 14 no such key 'x' in params; it has: list, map, n, none, on, ratio, region");
  CHECK(render("{{ 1 }}{{ 1/0 }}") == "! 11 division by zero");
}

TEST_CASE("text takes scalars, and structures only where they are allowed") {
  CHECK(render_text("{{ params.region }}", false) == "eu");
  CHECK(render_text(" {{ params.n }} ", false) == " 7 ");
  CHECK(render_text("{{ params.on }}", false) == "true");
  CHECK(render_text("{{ params.ratio }}", false) == "1.0");
  CHECK(render_text("{{ params.list }}", true) == "[1,2]");
  CHECK(render_text("{{ params.map }}", true) == R"({"a":1})");
  CHECK(render_text("{{ params.list }}", false) ==
        "! 10 a list has no text here; write json(VALUE) or LIST.join(',')");
  CHECK(render_text("{{ params.map }}", false) == "! 10 a map has no text here; write json(VALUE)");
  for (const bool allowed : {false, true}) {
    CHECK(render_text("{{ params.none }}", allowed) ==
          "! 10 null has no text; write default(VALUE, 'text')");
    CHECK_THAT(render_text("{{ params.missing }}", allowed),
               Catch::Matchers::Contains("no such key 'missing'"));
  }
}

TEST_CASE("references of all expressions count from the start of the template") {
  auto compiled = Template::compile("{{ a.b }} and {{ c }}");
  const auto& references = std::get<Template>(compiled).references();
  REQUIRE(references.size() == 2);
  CHECK(references[0].path == std::vector<std::string>{"a", "b"});
  CHECK(references[0].offset == 3);
  CHECK(references[1].path == std::vector<std::string>{"c"});
  CHECK(references[1].offset == 17);
}

TEST_CASE("what a value holds is never read as a template") {
  const JsonContext context(Json{{"v", "{{ 1/0 }} {{{{"}});
  auto compiled = Template::compile("x {{ v }}");
  const auto value = std::get<Template>(compiled).render(context);
  CHECK(std::get<Json>(value) == "x {{ 1/0 }} {{{{");
}

TEST_CASE("every string of a JSON value is rendered in its place, keys stay") {
  const Json value = Json::parse(R"({"a": "{{ params.n }}", "b": ["x", "{{ params.region }}!", 5],
                                     "{{ key }}": {"c": null, "d": "{{{{"}})");
  const JsonContext context(names());
  const auto rendered = render_json(value, context);
  REQUIRE(std::holds_alternative<Json>(rendered));
  CHECK(std::get<Json>(rendered) ==
        Json::parse(R"({"a": 7, "b": ["x", "eu!", 5], "{{ key }}": {"c": null, "d": "{{"}})"));
}

TEST_CASE("an error in a JSON value begins with its pointer") {
  const JsonContext context(names());
  const auto bad = [&](const Json& value) {
    const auto rendered = render_json(value, context);
    REQUIRE(std::holds_alternative<ExpressionError>(rendered));
    return std::get<ExpressionError>(rendered).message;
  };
  CHECK(bad({{"a", {"x", "{{ params.nope }}"}}}).find("/a/1: no such key 'nope' in params") == 0);
  CHECK(bad({{"x/y", "{{ 1 + }}"}}).find("/x~1y: expected a value") == 0);
  CHECK(bad("{{ 1/0 }}") == "division by zero");
}

TEST_CASE("a JSON template is compiled once and rendered over many contexts") {
  auto compiled = JsonTemplate::compile({{"url", "/q/{{ item.id }}"}, {"n", "{{ item.n }}"}});
  REQUIRE(std::holds_alternative<JsonTemplate>(compiled));
  const auto& made = std::get<JsonTemplate>(compiled);
  CHECK_FALSE(made.is_literal());
  CHECK(made.open_members() == std::set<std::string>{"n", "url"});
  REQUIRE(made.references().size() == 2);
  for (int i = 0; i < 3; ++i) {
    const auto rendered = made.render(JsonContext(Json{{"item", {{"id", i}, {"n", 2 * i}}}}));
    CHECK(std::get<Json>(rendered) == Json{{"url", "/q/" + std::to_string(i)}, {"n", 2 * i}});
  }
  auto literal = JsonTemplate::compile({{"a", {1, "x", nullptr}}});
  CHECK(std::get<JsonTemplate>(literal).is_literal());
  CHECK(std::get<JsonTemplate>(literal).open_members().empty());
}

TEST_CASE("a JSON template knows the members within which an expression stands") {
  const auto open = [](const Json& value) {
    return std::get<JsonTemplate>(JsonTemplate::compile(value)).open_members();
  };
  CHECK(open({{"a/b", {{"deep", {1, "{{ item }}"}}}}, {"c", "x"}}) == std::set<std::string>{"a/b"});
  CHECK(open("{{ item }}").empty());
}

}  // namespace
}  // namespace pawl
