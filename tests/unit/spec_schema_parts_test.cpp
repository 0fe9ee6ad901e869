// What a schema of one value may say, and why a value does not fit it.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/spec/schema_kinds.h"
#include "scheduler/spec/schema_parts.h"
#include "scheduler/spec/schema_tree.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

std::string pointers_of(const Json& schema) {
  std::string all;
  for (const SchemaError& error : check_schema(schema)) all += error.pointer + ";";
  return all;
}

std::string said(const std::string& schema, const std::string& value,
                 Texts texts = Texts::literal) {
  const Json parsed = Json::parse(schema);
  REQUIRE(check_schema(parsed).empty());
  return CompiledSchema(parsed).violation(Json::parse(value), texts).value_or("");
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
    CHECK_FALSE(check_schema(Json::parse(schema)).empty());
  }
}

TEST_CASE("of a schema that is all wrong no more is told than anybody reads") {
  Json schema = Json::object();
  for (int i = 0; i < 5'000; ++i) schema["properties"]["p" + std::to_string(i)] = {{"typ", 1}};
  CHECK(check_schema(schema).size() <= limits::kErrorsPerFileMax);
}

TEST_CASE("pawl's own keywords are known and take what they have") {
  CHECK(pointers_of(Json::parse(R"({"x-mine": 1, "x-pawl-type": "size", "x-pawl-maximum": "1MiB",
    "pattern": "K$", "x-pawl-error": "is none", "x-pawl-secret": true, "x-pawl-writes": true,
    "x-pawl-output": "value", "not": {"x-pawl-type": "duration", "x-pawl-minimum": "1s"}})"))
            .empty());
  for (const char* schema :
       {R"({"x-pawl-secrets": true})", R"({"x-pawl-secret": "yes"})", R"({"x-pawl-type": "date"})",
        R"({"x-pawl-minimum": 1})", R"({"x-pawl-maximum": "1s"})", R"({"x-pawl-error": 1})",
        R"({"x-pawl-writes": 1})", R"({"x-pawl-output": true})"}) {
    CAPTURE(schema);
    CHECK_FALSE(check_schema(Json::parse(schema)).empty());
  }
}

TEST_CASE("a least duration and a largest size need to be told that they are about these") {
  for (const char* schema :
       {R"({"x-pawl-minimum": "1s"})", R"({"x-pawl-minimum": "1s", "x-pawl-type": "size"})",
        R"({"x-pawl-maximum": "1MiB"})", R"({"x-pawl-maximum": "1MiB", "x-pawl-type": "url"})"}) {
    CAPTURE(schema);
    const auto errors = check_schema(Json::parse(schema));
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0].message, Catch::Contains("needs \"x-pawl-type\": "));
  }
}

TEST_CASE("a sentence of one's own belongs to a pattern or to a rule of several parts") {
  CHECK(pointers_of(Json::parse(R"({"pattern": "^a", "x-pawl-error": "is none",
    "allOf": [{"required": ["a"], "x-pawl-error": "there is no a"}]})"))
            .empty());
  for (const char* schema :
       {R"({"type": "integer", "x-pawl-error": "is none"})",
        R"({"properties": {"allOf": {"x-pawl-error": "is none"}}})",
        R"({"anyOf": [{"required": ["a"], "x-pawl-error": "there is no a"}]})"}) {
    CAPTURE(schema);
    const auto errors = check_schema(Json::parse(schema));
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0].message, Catch::Contains("beside a \"pattern\", and in a part of"));
  }
}

TEST_CASE("a part of a value has the schema that its name or its place has") {
  const Json schema = Json::parse(R"({"properties": {"a": 1}, "additionalProperties": 2})");
  CHECK(*schema_of_part(schema, "a") == 1);
  CHECK(*schema_of_part(schema, "b") == 2);
  CHECK(*schema_of_part(Json::parse(R"({"items": 3})"), "7") == 3);
  const Json list = Json::parse(R"({"items": [4, 5], "additionalItems": 6})");
  CHECK(*schema_of_part(list, "1") == 5);
  CHECK(*schema_of_part(list, "2") == 6);
  CHECK(schema_of_part(Json::parse(R"({"items": [4]})"), "1") == nullptr);
  CHECK(schema_of_part(Json(true), "a") == nullptr);
}

TEST_CASE("secrets are allowed wherever a part of the schema says so") {
  const Json schema = Json::parse(R"({
    "properties": {"open": {}, "one": {"oneOf": [{"type": "null"}, {"x-pawl-secret": true}]}},
    "allOf": [{"properties": {"all": {"x-pawl-secret": true}}}],
    "if": {"required": ["open"]}, "then": {"properties": {"then": {"x-pawl-secret": true}}},
    "anyOf": [{"properties": {
      "list": {"items": [{}, {"x-pawl-secret": true}], "additionalItems": {"x-pawl-secret": true}},
      "open": {"properties": {"in": {"x-pawl-secret": true}}}}}]})");
  for (const char* place :
       {"/all", "/all/below", "/one", "/then", "/list/1", "/list/9", "/open/in"}) {
    CAPTURE(place);
    CHECK(may_use_secrets(schema, Json::json_pointer(place)));
  }
  for (const char* place : {"", "/open", "/open/out", "/list", "/list/0", "/if", "/allOf"}) {
    CAPTURE(place);
    CHECK_FALSE(may_use_secrets(schema, Json::json_pointer(place)));
  }
  const std::string why = said(R"({"allOf": [{"properties": {"a": {"x-pawl-secret": true}}}],
                                   "properties": {"a": {"maxLength": 1}}})",
                               R"({"a": "hunter2"})");
  CHECK_THAT(why, Catch::Contains("at most 1 character") && !Catch::Contains("hunter2"));
}

TEST_CASE("of an operator's schema is told what means nothing where it stands") {
  const auto told = [](const std::string& members) {
    std::string all;
    for (const SchemaError& error :
         check_operator_schema(Json::parse(R"({"type": "object", )" + members + "}")))
      all += error.pointer + ": " + error.message + "\n";
    return all;
  };
  CHECK(told(R"("x-pawl-output": "out", "properties": {
    "out": {"type": "string", "default": "a", "x-pawl-writes": true, "x-pawl-secret": true},
    "every": {"x-pawl-type": "duration", "x-pawl-minimum": "1s", "default": "30s",
              "x-pawl-replaces": ["out"]},
    "deep": {"type": "object", "properties": {"connection": {"default": null}},
             "required": ["connection"]}})")
            .empty());
  struct Case {
    const char* members;
    const char* why;
  };
  const std::vector<Case> cases = {
      {R"("x-pawl-output": "uot", "properties": {"out": {}})",
       R"(/x-pawl-output: "x-pawl-output" names "uot", and there is no such parameter)"},
      {R"("x-pawl-output": "out")", "there is no such parameter"},
      {R"("properties": {"a": {"x-pawl-output": false}})",
       "/properties/a/x-pawl-output: \"x-pawl-output\" means something at the top"},
      {R"("x-pawl-writes": true)", "/x-pawl-writes: \"x-pawl-writes\" means something of a param"},
      {R"("properties": {"a": {"items": {"x-pawl-writes": true}}})",
       "/properties/a/items/x-pawl-writes: "},
      {R"("allOf": [{"properties": {"a": {"x-pawl-writes": true}}}])",
       "/allOf/0/properties/a/x-pawl-writes: "},
      {R"("properties": {"a": {"type": "integer", "default": "5"}})",
       "/properties/a/default: \"default\" does not fit its own schema: expected the type"},
      {R"("properties": {"a": {"type": "object", "properties": {"b": {"type": "integer", "maximum": 1, "default": 2}}}})",
       "/properties/a/properties/b/default: "},
      {R"("properties": {"a": {"minimum": 3}})",
       "/properties/a/minimum: \"minimum\" judges values of the type \"number\""},
      {R"("properties": {"a": {"type": "array", "items": [{"type": "integer", "minLength": 1}]}})",
       "/properties/a/items/0/minLength: "},
      {R"("default": {}, "required": ["a"])", "/default: "},
      {R"("properties": {"connection": {}})",
       R"(/properties/connection: a parameter cannot be called "connection")"},
      {R"("required": ["url", "connection"])",
       "/required: \"connection\" cannot be required: tasks name a connection of the settings"},
      {R"("anyOf": [{"required": ["url"]}, {"required": ["connection"]}])", "/anyOf/1/required: "},
      {R"("type": "string")", R"("type" must be "object")"},
      {R"("x-pawl-replaces": ["a"])", "means something of a member of \"properties\" alone"},
      {R"("properties": {"a": {"x-pawl-replaces": ["b"]}})",
       "/properties/a/x-pawl-replaces: \"x-pawl-replaces\" names \"b\", and there is no such "
       "other"},
      {R"("properties": {"a": {"x-pawl-replaces": ["a"]}})", "no such other member"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.members);
    CHECK_THAT(told(one.members), Catch::Contains(one.why));
  }
}

TEST_CASE("each keyword is judged, and says in words what is wrong") {
  struct Case {
    const char* schema;
    const char* good;
    const char* bad;
    const char* why;
  };
  const std::vector<Case> cases = {
      {R"({"type": "integer"})", "5", "\"5\"", R"(expected the type "integer", found "5")"},
      {R"({"type": ["null", "array"]})", "[]", "true",
       R"(expected the type "null" or "array", found true)"},
      {R"({"enum": [1, "a"]})", "\"a\"", "2", "2 is not allowed; allowed are [1,\"a\"]"},
      {R"({"const": {"a": 1}})", R"({"a": 1})", "[1]", "[1] is not allowed; allowed is {\"a\":1}"},
      {R"({"minimum": 1})", "1", "0", "0 is too small: at least 1 is allowed"},
      {R"({"maximum": 1})", "1", "2", "2 is too large: at most 1 is allowed"},
      {R"({"exclusiveMinimum": 0})", "0.1", "0", "0 is too small: more than 0 is allowed"},
      {R"({"exclusiveMaximum": 0.5})", "0.25", "0.5", "0.5 is too large: less than 0.5 is allowed"},
      {R"({"multipleOf": 5})", "-10", "7", "7 is no multiple of 5"},
      {R"({"minLength": 1})", "\"a\"", "\"\"", "an empty text is not allowed"},
      {R"({"minLength": 2})", "\"äö\"", "\"ä\"",
       "a text of at least 2 characters is expected, this one has 1"},
      {R"({"maxLength": 2})", "\"äö\"", "\"äöü\"",
       "a text of at most 2 characters is expected, this one has 3"},
      {R"({"pattern": "^a+$"})", "\"aaa\"", "\"b\"", "\"b\" does not match the pattern \"^a+$\""},
      {R"({"format": "date"})", "\"2026-02-28\"", "\"2026-02-30\"",
       R"("2026-02-30" is not a date such as "2026-11-20")"},
      {R"({"x-pawl-type": "duration", "x-pawl-minimum": "1s"})", "\"1s\"", "\"5ms\"",
       "\"5ms\" is too short: at least 1s is allowed"},
      {R"({"minItems": 1})", "[1]", "[]",
       "a list of at least 1 element is expected, this one has 0"},
      {R"({"maxItems": 1})", "[1]", "[1, 2]",
       "a list of at most 1 element is expected, this one has 2"},
      {R"({"uniqueItems": true})", "[1, 2]", "[1, 2, 1]",
       "the elements of this list must differ, 1 is there twice"},
      {R"({"items": {"type": "null"}})", "[null]", "[null, 1]",
       R"(expected the type "null", found 1 (at /1))"},
      {R"({"items": [{"type": "null"}], "additionalItems": false})", "[null]", "[null, 1]",
       "1 is not allowed (at /1)"},
      {R"({"items": {}, "additionalItems": false})", "[1]", "", ""},
      {R"({"contains": {"const": 7}})", "[1, 7]", "[1]",
       "no element of this list is what at least one of them must be"},
      {R"({"required": ["a"]})", R"({"a": null})", "{}", "\"a\" is missing"},
      {R"({"properties": {"a/b": {"maximum": 1}}})", R"({"a/b": 1})", R"({"a/b": 2})",
       "2 is too large: at most 1 is allowed (at /a~1b)"},
      {R"({"properties": {"size": {}}, "additionalProperties": false})", R"({"size": 1})",
       R"({"sise": 1})", R"(unknown member "sise"; did you mean "size"?)"},
      {R"({"additionalProperties": {"type": "string"}})", R"({"z": ""})", R"({"z": 1})",
       R"(expected the type "string", found 1 (at /z))"},
      {R"({"propertyNames": {"pattern": "^[a-z]+$"}})", R"({"a": 1})", R"({"A": 1})",
       "\"A\" does not match the pattern \"^[a-z]+$\""},
      {R"({"minProperties": 1})", R"({"a": 1})", "{}",
       "an object of at least 1 member is expected, this one has 0"},
      {R"({"maxProperties": 1})", R"({"a": 1})", R"({"a": 1, "b": 2})",
       "an object of at most 1 member is expected, this one has 2"},
      {R"({"allOf": [{"minimum": 1}, {"maximum": 2}]})", "2", "3",
       "3 is too large: at most 2 is allowed"},
      {R"({"allOf": [{"maximum": 2, "x-pawl-error": "that is too much"}]})", "2", "3",
       "that is too much"},
      {R"({"anyOf": [{"maxLength": 1}, {"const": 7}]})", "7", "\"ab\"",
       "a text of at most 1 character is expected, this one has 2; or \"ab\" is not allowed; "
       "allowed is 7"},
      {R"({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]})", R"({"a": 1, "b": 2})", "{}",
       R"("a" or "b" is missing)"},
      {R"({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]})", R"({"a": 1})",
       R"({"a": 1, "b": 2})", R"("a" and "b" exclude each other)"},
      {R"({"oneOf": [{"maximum": 2}, {"minimum": 2}]})", "1", "2",
       "this fits several schemas of \"oneOf\", of which only one may hold"},
      {R"({"not": {"pattern": "^a"}})", "\"b\"", "\"ab\"", "\"ab\" is not allowed here"},
      {R"({"if": {"type": "string"}, "then": {"maxLength": 1}, "else": {"maximum": 1}})", "\"a\"",
       "2", "2 is too large: at most 1 is allowed"},
      {R"({"if": {"type": "string"}, "then": {"maxLength": 1}})", "5", "\"ab\"",
       "a text of at most 1 character is expected, this one has 2"},
      {R"({"propertyNames": false})", "{}", R"({"a": 1})", "\"a\" is not allowed"},
      {"true", "1", "", ""},
      {"false", "", "1", "1 is not allowed"},
      {R"({"properties": {"a": false}})", "{}", R"({"a": 1})", "1 is not allowed (at /a)"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.schema, one.bad);
    if (*one.good != '\0') CHECK(said(one.schema, one.good).empty());
    if (*one.bad != '\0') CHECK(said(one.schema, one.bad) == one.why);
  }
}

TEST_CASE("a text of another kind is told with what was found, unless that is not to be shown") {
  const Json wait = {{"x-pawl-type", "duration"}, {"x-pawl-minimum", "1s"}};
  CHECK_FALSE(kind_violation(wait, "1s", "\"1s\""));
  CHECK(kind_violation(wait, "soon", "\"soon\"") ==
        R"(expected a duration such as "30s" or "1h30m", found "soon")");
  CHECK(kind_violation(wait, "soon", "") == R"(expected a duration such as "30s" or "1h30m")");
  CHECK(kind_violation(wait, "5ms", "") == "this value is too short: at least 1s is allowed");
  CHECK(kind_violation({{"format", "date-time"}}, "now", "") ==
        R"(this value is not a time such as "2026-11-20T22:58:00Z")");
  CHECK_FALSE(kind_violation(Json::object(), "anything", ""));
}

TEST_CASE("a schema is made ready with all schemas that it is made of") {
  const Json schema = Json::parse(R"({"pattern": "^a", "properties": {"a": {"not": {}}},
    "items": [{"const": 1}, {}], "additionalItems": {"contains": true}, "anyOf": [{}, {}],
    "if": {}, "else": {"maximum": 1}})");
  const SchemaNode node(schema);
  CHECK(&node.schema == &schema);
  REQUIRE(node.pattern != nullptr);
  CHECK(node.properties.at("a")->negated != nullptr);
  CHECK(node.first_elements.size() == 2);
  CHECK(node.elements == nullptr);
  CHECK(node.other_elements->contained->schema == Json(true));
  CHECK(node.any.size() == 2);
  CHECK(node.condition != nullptr);
  CHECK(node.consequence == nullptr);
  CHECK(violation_of(node, "b", Texts::literal) == "\"b\" does not match the pattern \"^a\"");
}

TEST_CASE("what a keyword is not about fits it") {
  for (const char* schema :
       {R"({"minimum": 5, "multipleOf": 2, "minLength": 9, "pattern": "x", "format": "date",
            "x-pawl-type": "url", "minItems": 2, "contains": false, "required": ["a"],
            "minProperties": 3, "items": false, "properties": {"a": false}})"}) {
    for (const char* value : {"null", "true", "false"}) CHECK(said(schema, value).empty());
  }
  CHECK(said(R"({"minimum": 5})", "\"a\"").empty());
  CHECK(said(R"({"minLength": 5})", "1").empty());
}

TEST_CASE("numbers are compared as the numbers that they are") {
  // Doubles cannot tell them apart.
  CHECK(said(R"({"minimum": 9007199254740993})", "9007199254740993").empty());
  CHECK_FALSE(said(R"({"minimum": 9007199254740993})", "9007199254740992").empty());
  CHECK_FALSE(said(R"({"exclusiveMaximum": 9007199254740993})", "9007199254740993").empty());
  CHECK(said(R"({"exclusiveMaximum": 9007199254740993})", "9007199254740992").empty());
  CHECK(said(R"({"maximum": 18446744073709551615})", "18446744073709551615").empty());
  CHECK_FALSE(said(R"({"maximum": 0})", "18446744073709551615").empty());
  CHECK(said(R"({"minimum": -9223372036854775808})", "-9223372036854775808").empty());
  CHECK(said(R"({"maximum": 0.5})", "0").empty());
}

TEST_CASE("a multiple is one of decimals, whatever their doubles make of it") {
  for (const char* good : {"0.07", "1.1", "0.29", "-4.35", "0", "1e300", "123456789.01"}) {
    CAPTURE(good);
    CHECK(said(R"({"multipleOf": 0.01})", good).empty());
  }
  for (const char* bad : {"0.075", "1.001", "123456789.015"}) {
    CAPTURE(bad);
    CHECK_FALSE(said(R"({"multipleOf": 0.01})", bad).empty());
  }
  CHECK(said(R"({"multipleOf": 0.5})", "3").empty());
  CHECK(said(R"({"multipleOf": 3})", "9007199254740993").empty());
  CHECK_FALSE(said(R"({"multipleOf": 3})", "9007199254740992").empty());
}

TEST_CASE("of templates nothing is known, and what none of their values could mend is wrong") {
  const auto of = [](const char* schema, const char* value) {
    return said(schema, value, Texts::templates);
  };
  const char* templated = R"({"a": "{{ params.a }}"})";
  for (const char* schema :
       {R"({"properties": {"a": {"type": "integer"}}})", R"({"properties": {"a": {"const": 1}}})",
        R"({"properties": {"a": {"not": {"const": 1}}}})", R"({"const": {"a": 1}})",
        R"({"not": {"const": {"a": 1}}})", R"({"required": ["a"], "maxProperties": 1})",
        R"({"anyOf": [{"required": ["b"]}, {"properties": {"a": {"const": 1}}}]})",
        R"({"oneOf": [{"required": ["a"]}, {"properties": {"a": {"const": 1}}}]})",
        R"({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}})",
        R"({"if": {"required": ["a"]}, "then": {"properties": {"a": {"minimum": 1}}}})",
        R"({"allOf": [{"if": {"required": ["a"]}, "then": {"properties": {"a": {"minimum": 1}}},
                       "x-pawl-error": "too little"}]})"}) {
    CAPTURE(schema);
    CHECK(of(schema, templated).empty());
  }
  CHECK(of(R"({"contains": {"const": 1}})", R"([2, "{{ x }}"])").empty());
  CHECK(of(R"({"uniqueItems": true})", R"(["{{ x }}", "{{ x }}"])").empty());
  for (const char* schema :
       {R"({"required": ["b"]})", R"({"properties": {"a": false}})", R"({"maxProperties": 0})",
        R"({"not": {"required": ["a"]}})",
        R"({"anyOf": [{"required": ["b"]}, {"properties": {"a": false}}]})",
        R"({"oneOf": [{"required": ["a"]}, {"maxProperties": 1}]})",
        R"({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]},
            "else": {"required": ["c"]}})",
        R"({"if": {"required": ["a"]}, "then": {"required": ["b"]}})"}) {
    CAPTURE(schema);
    CHECK_FALSE(of(schema, templated).empty());
  }
  CHECK_FALSE(of(R"({"uniqueItems": true})", R"(["{{ x }}", 1, 1])").empty());
  // What has been rendered is what it is.
  CHECK_FALSE(said(R"({"properties": {"a": {"type": "integer"}}})", templated).empty());
}

TEST_CASE("a long value is shown by its beginning") {
  const std::string why = said(R"({"type": "integer"})", Json(std::string(10'000, 'x')).dump());
  CHECK(why.size() < 500);
  CHECK_THAT(why, Catch::Contains("\"xxx"));
}

TEST_CASE("of values where secrets are allowed nothing is shown, whatever is wrong with them") {
  const std::string schema = R"({
    "properties": {
      "password": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$", "x-pawl-secret": true},
      "wait": {"x-pawl-type": "duration", "x-pawl-secret": true},
      "kind": {"enum": [1], "x-pawl-secret": true},
      "level": {"maximum": 5, "x-pawl-secret": true},
      "headers": {"additionalProperties": {"type": "string"}, "x-pawl-secret": true},
      "closed": {"x-pawl-secret": true, "additionalProperties": false},
      "deep": {"x-pawl-secret": true,
               "properties": {"inner": {"items": {"not": {"const": "hunter2"}}}}},
      "tags": {"uniqueItems": true, "items": {"x-pawl-secret": true}}
    },
    "anyOf": [{"maxProperties": 1, "not": {"properties": {"password": {"const": "hunter2"}},
                                           "required": ["password"]}},
              {"properties": {"password": {"const": "x"}}}],
    "allOf": [{"properties": {"password": {"enum": ["x", "hunter2", 77]}}}]})";
  for (const char* value :
       {R"({"password": "hunter2"})", R"({"password": 77})", R"({"password": "unkno"})",
        R"({"wait": "hunter2"})", R"({"kind": "hunter2"})", R"({"level": 77})",
        R"({"headers": {"a": ["hunter2"]}})", R"({"headers": {"a": 77}})",
        R"({"headers": {"a": "b"}, "password": "hunter2"})", R"({"headers": {"hunter2": 77}})",
        R"({"closed": {"hunter2": 1}})", R"({"deep": {"inner": ["hunter2"]}})",
        R"({"tags": ["hunter2", "hunter2"]})"}) {
    CAPTURE(value);
    std::string why = said(schema, value);
    CHECK_FALSE(why.empty());
    // What is allowed is the schema's.
    why = why.substr(0, why.find("allowed are"));
    CHECK_THAT(why, !Catch::Contains("hunter2") && !Catch::Contains("77"));
  }
}

}  // namespace pawl
