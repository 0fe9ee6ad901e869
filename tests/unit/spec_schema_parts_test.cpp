// What a schema of one value may say, and why a value does not fit it.

#include <string>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/spec/schema_keywords.h"
#include "scheduler/spec/schema_violations.h"

namespace pawl {
namespace {

std::string pointers_of(const Json& schema) {
  std::string all;
  for (const SchemaError& error : keyword_errors(schema)) all += error.pointer + ";";
  return all;
}

std::string plain(const char* schema, const char* value) {
  return plain_violation(Json::parse(schema), Json::parse(value)).value_or("");
}

std::string of_text(const char* schema, const char* value) {
  const Json parsed = Json::parse(schema);
  return text_violation(parsed, patterns_of(parsed), Json::parse(value)).value_or("");
}

}  // namespace

TEST_CASE("keywords that are known and take what they have are fine, at any depth") {
  CHECK(pointers_of(Json::parse(R"({"type": ["string", "null"], "minLength": 1, "enum": ["a"],
    "properties": {"pattern": {"type": "string", "pattern": "^a+$", "format": "date"}},
    "items": [{"type": "integer", "minimum": 0}], "anyOf": [{"required": ["a"]}],
    "additionalProperties": false})"))
            .empty());
}

TEST_CASE("each keyword that is unknown or takes something else is told at its place") {
  CHECK_FALSE(pointers_of(Json::parse(R"({"typ": "string"})")).empty());
  CHECK_THAT(pointers_of(Json::parse(R"({"properties": {"a": {"minLength": -1}}})")),
             Catch::Contains("/properties/a"));
  CHECK_THAT(pointers_of(Json::parse(R"({"items": {"pattern": "("}})")), Catch::Contains("/items"));
  for (const char* schema :
       {R"({"type": "text"})", R"({"enum": "a"})", R"({"required": [1]})", R"({"properties": []})",
        R"({"format": "e-mail"})", R"({"uniqueItems": 1})", R"({"minimum": "0"})",
        R"({"anyOf": {}})", R"({"not": 5})", R"("string")"}) {
    CAPTURE(schema);
    CHECK_FALSE(keyword_errors(Json::parse(schema)).empty());
  }
}

TEST_CASE("of a schema that is all wrong no more is told than anybody reads") {
  Json schema = Json::object();
  for (int i = 0; i < 5'000; ++i) schema["properties"]["p" + std::to_string(i)] = {{"typ", 1}};
  CHECK(keyword_errors(schema).size() <= limits::kErrorsPerFileMax);
}

TEST_CASE("a value of another type or beyond a bound is told in words, with its place") {
  CHECK(plain(R"({"type": "integer"})", "5").empty());
  CHECK_THAT(plain(R"({"type": "integer"})", "\"5\""), Catch::Contains("expected the type"));
  CHECK_THAT(plain(R"({"minimum": 1})", "0"), Catch::Contains("too small"));
  CHECK(plain(R"({"minimum": 1})", "1").empty());
  CHECK_THAT(plain(R"({"maximum": 1})", "2"), Catch::Contains("too large"));
  CHECK_THAT(plain(R"({"minLength": 1})", "\"\""), Catch::Contains("empty text"));
  CHECK_THAT(
      plain(R"({"properties": {"a/b": {"items": {"type": "string"}}}})", R"({"a/b": ["x", 1]})"),
      Catch::Contains("(at /a~1b/1)"));
  CHECK_THAT(plain(R"({"additionalProperties": {"type": "string"}})", R"({"z": 1})"),
             Catch::Contains("(at /z)"));
}

TEST_CASE("patterns, formats and kinds of pawl's own are looked at, everywhere in the value") {
  CHECK(of_text(R"({"pattern": "^a+$"})", "\"aaa\"").empty());
  CHECK_FALSE(of_text(R"({"pattern": "^a+$"})", "\"b\"").empty());
  CHECK_FALSE(of_text(R"({"format": "date"})", "\"2026-02-30\"").empty());
  CHECK(of_text(R"({"format": "date"})", "\"2026-02-28\"").empty());
  CHECK_THAT(of_text(R"({"x-pawl-type": "duration"})", "\"5\""), Catch::Contains("a duration"));
  CHECK_THAT(of_text(R"({"x-pawl-type": "duration", "x-pawl-minimum": "1s"})", "\"5ms\""),
             Catch::Contains("too short"));
  CHECK_THAT(of_text(R"({"x-pawl-type": "url"})", "\"ftp://example.org\""),
             Catch::Contains("https"));
  CHECK_THAT(of_text(R"({"items": {"x-pawl-type": "size"}})", R"(["1GiB", "lots"])"),
             Catch::Contains("/1"));
  // Of what is no text they say nothing.
  CHECK(of_text(R"({"pattern": "^a+$"})", "5").empty());
}

TEST_CASE("members that exclude each other, or of which one is needed, are told as that") {
  const Json either = Json::parse(R"({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]})");
  CHECK_FALSE(choice_violation(either, Json::parse(R"({"a": 1})")));
  CHECK(choice_violation(either, Json::parse(R"({"a": 1, "b": 2})")));
  CHECK(choice_violation(either, Json::parse("{}")));
  const Json any = Json::parse(R"({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]})");
  CHECK_FALSE(choice_violation(any, Json::parse(R"({"a": 1, "b": 2})")));
  CHECK(choice_violation(any, Json::parse("{}")));
  CHECK_FALSE(choice_violation(Json::parse(R"({"type": "object"})"), Json::parse("{}")));
}

TEST_CASE("a long value is shown by its beginning") {
  CHECK(shown_value(Json("abc")) == "\"abc\"");
  CHECK(shown_value(Json(std::string(10'000, 'x'))).size() < 500);
}

}  // namespace pawl
