// What is left of a schema for values that differ in some members only.

#include <random>
#include <set>
#include <string>
#include <vector>

#include "scheduler/spec/schema_narrowing.h"
#include "scheduler/spec/value_schema.h"
#include "tests/unit/spec_support.h"

namespace pawl {
namespace {

const Json kSchema = Json::parse(R"json({
  "type": "object",
  "required": ["url"],
  "properties": {
    "url": {"type": "string", "minLength": 1, "x-pawl-type": "url"},
    "method": {"type": "string", "pattern": "^[A-Z]+$"},
    "body": {},
    "size": {"type": "integer", "minimum": 1},
    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}
  },
  "allOf": [
    {"not": {"required": ["method", "body"], "properties": {"method": {"const": "HEAD"}}},
     "x-pawl-error": "HEAD takes no \"body\""},
    {"if": {"not": {"required": ["body"]}}, "then": {"properties": {"size": {"maximum": 9}}},
     "x-pawl-error": "so much only with a body"},
    {"not": {"required": ["url", "tags"], "properties": {"tags": {"const": ["x"]}}},
     "x-pawl-error": "x is no tag"}
  ],
  "additionalProperties": false
})json");

TEST_CASE("a schema is narrowed to what the members that vary can break") {
  CHECK(narrowed(kSchema, {"url"}) ==
        Json::parse(R"({"properties": {"url": {"type": "string", "minLength": 1,
                                               "x-pawl-type": "url"}}})"));
  CHECK(narrowed(kSchema, {"body"}) == Json::parse(R"({"properties": {"body": {}}})"));
  const Json of_size = narrowed(kSchema, {"size"});
  CHECK(of_size["properties"].size() == 1);
  CHECK(of_size["allOf"] == Json::array({kSchema["allOf"][1]}));
  CHECK(narrowed(Json(true), {"a"}) == Json(true));
}

TEST_CASE("of what a narrowed schema might be about nothing is left out") {
  const auto left = [](const char* schema) { return narrowed(Json::parse(schema), {"a"}).dump(); };
  CHECK(left(R"({"const": {"a": 1}})") == R"({"const":{"a":1}})");
  CHECK(
      left(
          R"({"additionalProperties": {"type": "integer"}, "properties": {"b": {"type": "null"}}})") ==
      R"({"additionalProperties":{"type":"integer"},"properties":{"b":{}}})");
  CHECK(left(R"({"anyOf": [{"required": ["b"]}, {"properties": {"a": {"const": 1}}}]})") ==
        R"({"anyOf":[{"required":["b"]},{"properties":{"a":{"const":1}}}]})");
  CHECK(left(R"({"anyOf": [{"required": ["b"]}, {"required": ["c"]}]})") == "{}");
  CHECK(
      left(R"({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]},
                 "else": {"maxProperties": 1}})") ==
      R"({"else":{"maxProperties":1},"if":{"properties":{"a":{"const":1}}},"then":{"required":["b"]}})");
  CHECK(left(R"({"if": {"required": ["b"]}, "then": {"properties": {"b": {"const": 1}}}})") ==
        "{}");
  CHECK(left(R"({"x-pawl-secret": true, "x-note": 1})") == R"({"x-pawl-secret":true})");
  CHECK(left(R"({"type": ["object", "null"]})") == R"({"type":["object","null"]})");
}

TEST_CASE("a series of values is judged as each of them alone would be") {
  const CompiledSchema schema(kSchema);
  const std::vector<std::string> urls = {R"("http://h/1")", R"("")", R"("h")", "5", "null"};
  const std::vector<std::string> methods = {R"("GET")", R"("HEAD")", R"("get")", "1"};
  const std::vector<std::string> sizes = {"1", "0", "9", "10", R"("1")"};
  const std::vector<std::string> tags = {R"(["a"])", R"(["x"])", R"(["a", "a"])", "[1]"};
  for (const char* body : {"", R"(, "body": 1)"}) {
    SeriesCheck series(schema, {"url", "method", "size", "tags"});
    std::size_t fitting = 0;
    for (const std::string& url : urls) {
      for (const std::string& method : methods) {
        for (const std::string& size : sizes) {
          for (const std::string& tag : tags) {
            const std::string text = R"({"url": )" + url + R"(, "method": )" + method +
                                     R"(, "size": )" + size + R"(, "tags": )" + tag + body + "}";
            INFO(text);
            const Json value = Json::parse(text);
            const auto alone = schema.violation(value);
            CHECK(series.violation(value) == alone);
            if (!alone) ++fitting;
          }
        }
      }
    }
    CHECK(fitting > 1);
  }
}

TEST_CASE("of a series nothing is left out before one has fitted") {
  const CompiledSchema schema(kSchema);
  SeriesCheck series(schema, {"url"});
  const Json wrong = Json::parse(R"({"url": "http://h/", "size": 0})");
  CHECK(series.violation(wrong));
  CHECK(series.violation(wrong));
  CHECK_FALSE(series.violation(Json::parse(R"({"url": "http://h/", "size": 1})")));
  CHECK(series.violation(Json::parse(R"({"url": "", "size": 1})")) ==
        "an empty text is not allowed (at /url)");
}

/// Schemas of objects with the members a to d, and such objects, at random.
class Invented {
 public:
  explicit Invented(unsigned seed) : random_(seed) {}

  bool one_in(unsigned n) { return random_() % n == 0; }

  Json value() { return pick({0, 1, 2, "x", "y", nullptr, true, {1, "x"}, {1, 1}}); }

  std::string name() { return std::string(1, static_cast<char>('a' + random_() % 4)); }

  Json schema(int depth) {
    Json out = Json::object();
    if (one_in(2)) out["type"] = pick({"object", {"object", "null"}});
    if (one_in(2)) out["properties"] = members(depth);
    if (one_in(3)) out["required"] = {name()};
    if (one_in(4)) out["additionalProperties"] = one_in(2) ? Json(one_in(2)) : of_member(0);
    if (one_in(6)) out["maxProperties"] = 1 + random_() % 4;
    if (one_in(20)) out["const"] = {{"a", 1}};
    if (depth == 0) return out;
    if (one_in(4)) out["not"] = schema(depth - 1);
    for (const char* word : {"allOf", "anyOf", "oneOf"}) {
      if (one_in(4)) out[word] = {schema(depth - 1), schema(depth - 1)};
    }
    if (out.contains("allOf") && one_in(2)) out["allOf"][0]["x-pawl-error"] = "this does not hold";
    if (one_in(4)) {
      out["if"] = schema(depth - 1);
      out["then"] = schema(depth - 1);
      if (one_in(2)) out["else"] = schema(depth - 1);
    }
    return out;
  }

 private:
  Json pick(const Json& list) { return list[random_() % list.size()]; }

  Json members(int depth) {
    Json out = Json::object();
    for (int i = 0; i < 3; ++i) out[name()] = of_member(depth);
    return out;
  }

  Json of_member(int depth) {
    switch (random_() % 6) {
      case 0: return {{"type", pick({"integer", "string", {"string", "array"}})}};
      case 1: return {{"minimum", 1}};
      case 2: return {{"const", value()}};
      case 3: return {{"pattern", "^x$"}};
      case 4: return {{"uniqueItems", true}};
      default: return depth == 0 ? Json::object() : schema(depth - 1);
    }
  }

  std::mt19937 random_;
};

TEST_CASE("a series of values is judged as each alone would be, whatever the schema") {
  std::size_t judged = 0;
  std::size_t broken = 0;
  for (unsigned seed = 0; seed < 8'000; ++seed) {
    Invented invented(seed);
    const Json text = invented.schema(2);
    const CompiledSchema schema(text);
    Json value = Json::object();
    for (int i = 0; i < 3; ++i) value[invented.name()] = invented.value();
    if (schema.violation(value)) continue;
    std::set<std::string> varying;
    for (const auto& [name, member] : value.items()) {
      if (invented.one_in(2)) varying.insert(name);
    }
    SeriesCheck series(schema, varying);
    REQUIRE_FALSE(series.violation(value));
    for (int i = 0; i < 8; ++i) {
      for (const std::string& name : varying) value[name] = invented.value();
      const auto alone = schema.violation(value);
      const auto in_series = series.violation(value);
      ++judged;
      if (alone) ++broken;
      if (alone.has_value() == in_series.has_value()) continue;
      FAIL(text.dump() << " of " << value.dump() << ": " << alone.value_or("fits") << " alone, "
                       << in_series.value_or("fits") << " in its series");
    }
  }
  CHECK(judged > 5'000);
  CHECK(broken > judged / 20);
}

TEST_CASE("what is wrong while members are templates is wrong with any of their values") {
  std::size_t wrong = 0;
  for (unsigned seed = 0; seed < 8'000; ++seed) {
    Invented invented(seed);
    const Json text = invented.schema(2);
    const CompiledSchema schema(text);
    Json value = Json::object();
    for (int i = 0; i < 3; ++i) value[invented.name()] = invented.value();
    CHECK(schema.violation(value, Texts::templates) == schema.violation(value));
    Json with_templates = value;
    for (auto& member : with_templates) {
      if (invented.one_in(2)) member = "{{ params.p }}";
    }
    const auto why = schema.violation(with_templates, Texts::templates);
    if (!why) continue;
    ++wrong;
    for (int i = 0; i < 8; ++i) {
      for (const auto& [name, member] : with_templates.items()) {
        if (has_template(member)) value[name] = invented.value();
      }
      if (schema.violation(value)) continue;
      FAIL(text.dump() << " of " << with_templates.dump() << ": " << *why << ", though "
                       << value.dump() << " fits");
    }
  }
  CHECK(wrong > 1'000);
}

}  // namespace
}  // namespace pawl
