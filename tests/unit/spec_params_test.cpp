#include <array>

#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/value_schema.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;

namespace {

const char* const kJob = R"({
  "name": "j", "tasks": [{"id": "a", "command": ["x"]}],
  "params": {
    "region": {"type": "string", "enum": ["jp", "us"], "default": "jp"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9},
    "big": {"type": "integer", "default": 9007199254740993},
    "share": {"type": "number", "default": 0.5},
    "full": {"type": "boolean", "default": false},
    "list": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "default": []},
    "day": {"type": "string", "format": "date", "default": "2026-11-20"},
    "any": {"enum": ["x", 5, true], "default": 5}
  }})";

std::string resolved(std::string_view given) {
  const auto result = resolve_params(valid_job(kJob), given);
  INFO(given);
  if (!result) INFO(result.error().message);
  REQUIRE(result.ok());
  return *result;
}

std::string refused(std::string_view given) {
  const auto result = resolve_params(valid_job(kJob), given);
  INFO(given);
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().kind == ErrorKind::invalid);
  return result.error().message;
}

std::string from_text(std::string_view name, std::string_view text) {
  const auto result = param_from_text(valid_job(kJob), name, text);
  REQUIRE(result.ok());
  return *result;
}

}  // namespace

TEST_CASE("parameters that are not given take their defaults, exactly") {
  CHECK(Json::parse(resolved(R"({"count": 3})")) ==
        Json::parse(R"({"region": "jp", "count": 3, "big": 9007199254740993, "share": 0.5,
                        "full": false, "list": [], "day": "2026-11-20", "any": 5})"));
  CHECK(Json::parse(resolved(R"({"count": 3, "region": "us", "list": ["ab"]})"))["region"] == "us");
}

TEST_CASE("a parameter that does not fit is refused with its reason") {
  const std::array<std::pair<const char*, const char*>, 16> cases = {{
      {"{}", "parameter \"count\": it has no default and must be given: -p count=VALUE"},
      {R"({"count": 0})", "0 is too small: at least 1 is allowed"},
      {R"({"count": 10})", "10 is too large: at most 9 is allowed"},
      {R"({"count": "3"})", "expected the type \"integer\", found \"3\""},
      {R"({"count": 3.5})", "expected the type \"integer\""},
      {R"({"count": 3, "region": "de"})", "\"de\" is not allowed; allowed are [\"jp\",\"us\"]"},
      {R"({"count": 3, "regoin": "us"})", "did you mean \"region\"?"},
      {R"({"count": 3, "list": ["ab", "C"]})", "\"C\" does not match the pattern \"^[a-z]+$\""},
      {R"({"count": 3, "list": [5]})", "parameter \"list\""},
      {R"({"count": 3, "day": "2026-02-30"})", "is not a date such as"},
      {R"({"count": 3, "full": 1})", "expected the type \"boolean\""},
      {R"({"count": 3, "any": "y"})", "is not allowed"},
      {"[]", "must be an object, found an empty list"},
      {"{", "the parameters are not JSON"},
      {R"({"count": 3, "count": 4})", "duplicate key"},
      {"", "the parameters are not JSON"},
  }};
  for (const auto& [given, message] : cases) CHECK_THAT(refused(given), Catch::Contains(message));
}

TEST_CASE("what does not fit is told with its place, in words of people") {
  const Json schema = Json::parse(R"({
    "type": "object",
    "properties": {
      "wait": {"type": "string", "x-pawl-type": "duration"},
      "room": {"type": "string", "x-pawl-type": "size"},
      "to": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
      "name": {"type": "string", "minLength": 1},
      "method": {"type": "string", "pattern": "^[A-Z]+$", "examples": ["GET"]},
      "headers": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
      "url": {"type": "string", "x-pawl-type": "url"},
      "word": {"type": "string", "pattern": "^[a-z]+$", "x-pawl-error": "is no word"},
      "key": {"type": "string", "pattern": "^[a-z]+$", "x-pawl-error": "is no key",
              "x-pawl-secret": true},
      "part": {"type": "string", "x-pawl-type": "size", "x-pawl-maximum": "1MiB"},
      "for": {}, "until": {}
    },
    "oneOf": [{"required": ["for"]}, {"required": ["until"]}]
  })");
  REQUIRE(check_schema(schema).empty());
  const auto said = [&schema](const char* more) {
    Json value = Json::parse(more);
    if (!value.contains("until")) value["for"] = 1;
    return schema_violation(schema, value).value_or("");
  };
  CHECK(said(R"({"wait": "1h30m", "room": "1GiB", "to": "a", "headers": {"a": 1}})").empty());
  CHECK(said(R"({"wait": "soon"})") ==
        R"(expected a duration such as "30s" or "1h30m", found "soon" (at /wait))");
  CHECK(said(R"({"room": "much"})") ==
        R"(expected a size such as "512KiB" or "1GiB", found "much" (at /room))");
  CHECK(said(R"({"to": 5})") == R"(expected the type "string" or "array", found 5 (at /to))");
  CHECK(said(R"({"to": ["a", 5]})") == R"(expected the type "string", found 5 (at /to/1))");
  CHECK(said(R"({"to": []})") ==
        "a list of at least 1 element is expected, this one has 0 (at /to)");
  CHECK(said(R"({"name": ""})") == "an empty text is not allowed (at /name)");
  CHECK(said(R"({"method": "get"})") ==
        R"("get" does not match the pattern "^[A-Z]+$", as "GET" does (at /method))");
  CHECK(said(R"({"word": "W"})") == R"("W" is no word (at /word))");
  CHECK(said(R"({"key": "K"})") == "this value is no key (at /key)");
  CHECK(said(R"({"part": "1025KiB"})") ==
        R"("1025KiB" is too large: at most 1MiB is allowed (at /part))");
  CHECK(said(R"({"part": "1024KiB"})").empty());
  CHECK(said(R"({"headers": {"a": [1]}})") ==
        R"(expected the type "string" or "number", found [1] (at /headers/a))");
  CHECK(said(R"({"for": 1, "until": 2})") == R"("for" and "until" exclude each other)");
  CHECK(said(R"({"url": "HTTPS://example.org"})").empty());
  for (const char* address :
       {"http://h:1/", "http://h:65535", "http://h:/", "http://u:p@[::1]:80/a:b",
        "http://h/a:99999@b", "http://h?a:0", "http://u:0@h", "http://h:080/", "http://[::1]/",
        "http://[::1]", "http://h:/a"}) {
    INFO(address);
    CHECK(said(Json{{"url", address}}.dump().c_str()).empty());
  }
  for (const char* wrong : {"http://h:0/", "http://h:65536/", "http://u:p@h:x", "http://[::1]:1a?b",
                            "http://h:99999999999"}) {
    INFO(wrong);
    CHECK(said(Json{{"url", wrong}}.dump().c_str()) ==
          "a port is a number from 1 to 65535 (at /url)");
  }
  CHECK_THAT(said(R"({"url": "http://h/\nx"})"), Catch::Contains("no line break"));
  for (const char* none :
       {"example.org/path", "http", "https//x", "ftp://example.org", "http://", "https:/x", ""}) {
    CHECK(
        said(Json{{"url", none}}.dump().c_str()) ==
        R"(expected an address such as "https://example.org/path", with http or https (at /url))");
  }
  CHECK(schema_violation(schema, Json::object()) == R"("for" or "until" is missing)");
}

TEST_CASE("a schema may say itself what breaks a rule between members") {
  const Json schema = Json::parse(R"json({
    "type": "object",
    "properties": {"mode": {"type": "string"}, "file": {"type": "string"},
                   "room": {"type": "string", "x-pawl-type": "size"},
                   "every": {"type": "string", "x-pawl-type": "duration", "x-pawl-minimum": "1s"},
                   "names": {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}},
                   "texts": {"type": "object", "additionalProperties": {"type": "string"}},
                   "list": {"type": "array", "uniqueItems": true,
                            "items": {"properties": {"b": {"type": "null"}}}}},
    "allOf": [{"not": {"required": ["mode", "file"], "properties": {"mode": {"const": "none"}}},
               "x-pawl-error": "without a mode there is no file"},
              {"if": {"not": {"required": ["file"]}},
               "then": {"properties": {"room": {"x-pawl-type": "size", "x-pawl-maximum": "1MiB"}}},
               "x-pawl-error": "more than 1MiB needs a file"}]
  })json");
  REQUIRE(check_schema(schema).empty());
  const auto told = [&schema](const char* with) {
    const auto errors = check_parameters(schema, Json::parse(with));
    return errors.empty() ? "" : errors.front().pointer + ": " + errors.front().message;
  };
  CHECK(told(R"({"mode": "none", "file": "f"})") == ": without a mode there is no file");
  CHECK(told(R"({"mode": "none", "file": "{{ params.f }}"})") ==
        ": without a mode there is no file");
  CHECK(told(R"({"mode": "{{ params.m }}", "file": "f"})").empty());
  CHECK(told(R"({"mode": "some", "file": "f"})").empty());
  CHECK(told(R"({"room": "2MiB"})") == ": more than 1MiB needs a file");
  CHECK(told(R"({"room": "2MiB", "mode": "{{ params.m }}"})") == ": more than 1MiB needs a file");
  CHECK(told(R"({"room": "2MiB", "file": "{{ params.f }}"})").empty());
  CHECK(told(R"({"room": "{{ params.r }}"})").empty());
  CHECK(told(R"({"room": "1MiB"})").empty());
  CHECK(told(R"({"texts": {"a": 1}})") == "/texts/a: expected the type \"string\", found 1");
  CHECK(told(R"({"list": ["a", {"b": "c"}]})") ==
        "/list/1/b: expected the type \"null\", found \"c\"");
  CHECK(told(R"({"list": ["{{ params.a }}", "b", "b"]})") ==
        "/list: the elements of this list must differ, \"b\" is there twice");
  CHECK(told(R"({"every": "1ms"})") == "/every: \"1ms\" is too short: at least 1s is allowed");
  CHECK_THAT(told(R"({"names": {"a": 1, "B": "{{ params.b }}"}})"),
             Catch::Contains("\"B\" does not match the pattern"));
}

TEST_CASE("of what stands in a job file no value is shown below where secrets are allowed") {
  const Json schema = Json::parse(R"({
    "type": "object",
    "properties": {
      "login": {"type": "object", "x-pawl-secret": true, "additionalProperties": false,
                "properties": {"pin": {"type": "string", "pattern": "^[0-9]+$"}}},
      "keys": {"type": "array", "x-pawl-secret": true, "items": {"type": "integer"}},
      "deep": {"maxProperties": 0},
      "never": {"x-pawl-secret": true, "additionalProperties": false}},
    "allOf": [{"properties": {"deep": {"properties": {"in": {"x-pawl-secret": true}}}}}]
  })");
  REQUIRE(check_schema(schema).empty());
  const auto told = [&schema](const char* with) {
    const auto errors = check_parameters(schema, Json::parse(with));
    REQUIRE(errors.size() == 1);
    return errors.front().pointer + ": " + errors.front().message;
  };
  CHECK(told(R"({"login": {"pin": "hunter2"}})") ==
        R"(/login/pin: this value does not match the pattern "^[0-9]+$")");
  CHECK(told(R"({"keys": ["hunter2"]})") == "/keys/0: expected the type \"integer\", found a text");
  CHECK_THAT(told(R"({"deep": {"in": "hunter2"}})"), !Catch::Contains("hunter2"));
  CHECK_THAT(told(R"({"never": {"a": "hunter2"}})"), !Catch::Contains("hunter2"));
}

TEST_CASE("what needs one of several members says which") {
  const Json schema = Json::parse(R"({
    "type": "object",
    "properties": {"to": {"type": "string"}, "cc": {"type": "string"}},
    "anyOf": [{"required": ["to"]}, {"required": ["cc"]}]
  })");
  REQUIRE(check_schema(schema).empty());
  CHECK(schema_violation(schema, Json::object()) == R"("to" or "cc" is missing)");
  CHECK_FALSE(schema_violation(schema, Json::parse(R"({"cc": "a"})")));
  CHECK_FALSE(schema_violation(schema, Json::parse(R"({"cc": "a", "to": "b"})")));
}

TEST_CASE("a pattern is harmless on any text") {
  const Json schema = {{"type", "string"}, {"pattern", "^(a+)+$"}};
  CHECK(check_schema(schema).empty());
  CHECK(schema_violation(schema, std::string(200'000, 'a') + "b").has_value());
  CHECK_FALSE(schema_violation(schema, std::string(200'000, 'a')).has_value());
}

TEST_CASE("text of the command line becomes the declared type") {
  CHECK(from_text("count", "3") == "3");
  CHECK(from_text("count", "three") == "\"three\"");
  CHECK(from_text("region", "jp") == "\"jp\"");
  CHECK(from_text("region", "5") == "\"5\"");
  CHECK(from_text("region", "") == "\"\"");
  // Begins as a number does.
  CHECK(from_text("day", "2026-11-20") == "\"2026-11-20\"");
  CHECK(from_text("region", "1-") == "\"1-\"");
  CHECK(from_text("full", "true") == "true");
  CHECK(from_text("share", "0.25") == "0.25");
  CHECK(from_text("big", "9007199254740993") == "9007199254740993");
  CHECK(from_text("list", R"(["a", "b"])") == R"(["a","b"])");
  CHECK(from_text("any", "x") == "\"x\"");
  CHECK(from_text("any", "5") == "5");
  CHECK(from_text("any", "true") == "true");
  for (const char* name : {"count", "list"}) {
    const auto lost = param_from_text(valid_job(kJob), name, "-123456789012345678901234567890");
    REQUIRE_FALSE(lost.ok());
    CHECK_THAT(lost.error().message, Catch::Contains("needs more than 64 bits"));
  }
  // What is wrong with a number is not that it is no text.
  const std::string several =
      job_with(R"("params": {"p": {"allOf": [{"type": "integer"}, {"minimum": 3}]}})");
  for (const char* text : {"3", "2"})
    CHECK(*param_from_text(valid_job(several), "p", text) == text);
  CHECK(*param_from_text(valid_job(several), "p", "x") == "\"x\"");
  CHECK_FALSE(param_from_text(valid_job(kJob), "nope", "1").ok());
  CHECK_FALSE(param_from_text(valid_job(kJob), "region", "\xff").ok());
}

TEST_CASE("a bound of a parameter that would hold of no value is refused") {
  const auto job = [](const char* schema) {
    return job_with("\"params\": {\"p\": " + std::string(schema) + "}");
  };
  const auto idle = [&job](const char* schema, const char* pointer, const char* place,
                           const char* message) {
    check_error(job(schema), pointer, place, message);
  };
  idle(R"({"minimum": 3})", "/params/p/minimum", "3}",
       R"("minimum" judges values of the type "number" and lets all others by: declare "type": )"
       R"("number", too)");
  idle(R"({"minItems": 3})", "/params/p/minItems", "3}", R"(declare "type": "array", too)");
  idle(R"({"required": ["a"]})", "/params/p/required", R"(["a"])",
       R"(declare "type": "object", too)");
  // As a number the text that it refuses would fit.
  idle(R"({"pattern": "^[a-z]+$"})", "/params/p/pattern", R"("^[a-z]+$")",
       R"(declare "type": "string", too)");
  idle(R"({"allOf": [{"not": {"maximum": 3}}]})", "/params/p/allOf/0/not/maximum", "3}",
       R"(declare "type": "number", too)");
  idle(R"({"type": "string", "minimum": 3})", "/params/p/minimum", "3}",
       R"(lets all others by, and "type" does not allow one)");
  idle(R"({"type": "array", "items": {"minimum": 3}})", "/params/p/items/minimum", "3}",
       R"(declare "type": "number", too)");
  idle(R"({"type": "object", "properties": {"a": {"type": "integer", "minLength": 3}}})",
       "/params/p/properties/a/minLength", "3}", R"("type" does not allow one)");
  for (const char* judged :
       {R"({"type": "integer", "minimum": 3})", R"({"type": ["string", "number"], "minimum": 3})",
        R"({"allOf": [{"type": "integer"}, {"minimum": 3}]})", R"({"enum": [1, 5], "minimum": 3})",
        R"({"type": "array", "contains": {"minimum": 3}})", R"({"default": 3})"}) {
    INFO(judged);
    CHECK(parse(job(judged)).ok);
  }
}

TEST_CASE("a schema of a parameter is checked where it stands") {
  const auto wrong = [](const char* schema, const char* pointer, const char* place,
                        const char* message) {
    check_error(job_with("\"params\": {\"p\": " + std::string(schema) + "}"), pointer, place,
                message);
  };
  wrong("\"jp\"", "/params/p", "\"jp\"", R"({"type": "string", "default": "jp"})");
  wrong("5", "/params/p", "5}", R"({"type": "integer", "default": 5})");
  wrong(R"({"type": "str"})", "/params/p/type", "\"str\"", "did you mean \"string\"?");
  wrong(R"({"type": "int"})", "/params/p/type", "\"int\"", "did you mean \"integer\"?");
  wrong(R"({"type": 5})", "/params/p/type", "5}", "is not a type of JSON Schema");
  wrong(R"({"type": []})", "/params/p/type", "[]}", "expects a type");
  wrong(R"({"enums": [1]})", "/params/p/enums", "[1]", "did you mean \"enum\"?");
  wrong(R"({"enum": []})", "/params/p/enum", "[]}", "at least one value");
  wrong(R"({"minimum": "1"})", "/params/p/minimum", "\"1\"", "expects a number");
  wrong(R"({"multipleOf": 0})", "/params/p/multipleOf", "0}", "a number over 0");
  wrong(R"({"minLength": -1})", "/params/p/minLength", "-1", "a whole number from 0");
  wrong(R"({"required": "a"})", "/params/p/required", "\"a\"}}", "a list of names");
  wrong(R"({"pattern": "("})", "/params/p/pattern", "\"(\"", "does not compile");
  wrong(R"({"format": "email"})", "/params/p/format", "\"email\"", "a \"pattern\" is");
  wrong(R"({"$ref": "#"})", "/params/p/$ref", "\"#\"", "is not offered in parameters");
  wrong(R"({"patternProperties": {}})", "/params/p/patternProperties", "{}}",
        "is not offered in parameters");
  wrong(R"({"items": 5})", "/params/p/items", "5}", "a schema is an object");
  wrong(R"({"properties": {"a": {"typ": "x"}}})", "/params/p/properties/a/typ", "\"x\"",
        "did you mean \"type\"?");
  wrong(R"({"type": "integer", "default": "x"})", "/params/p/default", "\"x\"",
        "does not fit its own schema");
  wrong(R"({"type": "array", "items": {"type": "integer", "default": "x"}})",
        "/params/p/items/default", "\"x\"", "does not fit its own schema");
  wrong(R"({"x-pawl-output": false})", "/params/p/x-pawl-output", "false}", "for schemas of op");
  wrong(R"({"items": {"x-pawl-writes": true}})", "/params/p/items/x-pawl-writes", "true}",
        "means nothing in a parameter of a job");
  wrong(R"({"x-pawl-secret": true})", "/params/p/x-pawl-secret", "true}",
        "runs keep and show their parameters; what is secret comes by the job's \"secrets\"");
}

TEST_CASE("a parameter of a job may be a duration, a size or an address") {
  const JobSpec job = valid_job(job_with(
      R"("params": {"p": {"x-pawl-type": "duration", "x-pawl-minimum": "1s", "default": "5s"}})"));
  CHECK_FALSE(resolve_params(job, R"({"p": "1ms"})").ok());
  CHECK(resolve_params(job, R"({"p": "2s"})").ok());
}

TEST_CASE("a schema may use what JSON Schema offers for values") {
  const Json schema = Json::parse(R"({
    "title": "t", "description": "d", "type": ["object", "null"], "required": ["a"],
    "properties": {"a": {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 5},
                   "b": {"type": "array", "minItems": 1, "uniqueItems": true,
                         "items": {"oneOf": [{"type": "string", "maxLength": 3}, {"const": 7}]}}},
    "additionalProperties": false, "examples": [], "x-note": 1})");
  CHECK(check_schema(schema).empty());
  CHECK_FALSE(schema_violation(schema, Json::parse(R"({"a": 10, "b": ["x", 7]})")).has_value());
  CHECK_FALSE(schema_violation(schema, nullptr).has_value());
  for (const char* bad :
       {R"({})", R"({"a": 0})", R"({"a": 7})", R"({"a": 5, "b": []})", R"({"a": 5, "b": [7, 7]})",
        R"({"a": 5, "b": ["long"]})", R"({"a": 5, "c": 1})", "[]"}) {
    CAPTURE(bad);
    CHECK(schema_violation(schema, Json::parse(bad)).has_value());
  }
}
