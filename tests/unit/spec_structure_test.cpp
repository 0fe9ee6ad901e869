// The structural check and what it says, value by value, over shapes of the test's own and the job
// file's.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/job_name.h"
#include "scheduler/spec/leaf_shapes.h"
#include "scheduler/spec/process_schema.h"
#include "scheduler/spec/reader.h"
#include "scheduler/spec/structure.h"
#include "scheduler/spec/structure_hints.h"
#include "tests/unit/spec_support.h"

namespace pawl {
namespace {

/// A document that keeps its text.
struct Read {
  explicit Read(std::string json) : text(std::move(json)) {
    REQUIRE(document.parse(text, std::size_t{1} << 20));
  }
  std::string text;
  Document document;
};

/// What the check says of the value, as `POINTER MESSAGE`.
std::vector<std::string> said_of(const Shape& shape, std::string json) {
  const Read read(std::move(json));
  Diagnostics diagnostics(read.document);
  check_structure(read.document, read.document.root(), shape, test::options(), diagnostics);
  std::vector<std::string> all;
  for (const Diagnostic& one : diagnostics.take()) all.push_back(one.pointer + " " + one.message);
  return all;
}

std::string hint(const Shape& shape, std::string_view key, std::string json) {
  const Read read(std::move(json));
  return wrong_type_hint(read.document, read.document.root(), shape, key);
}

constexpr std::string_view kSizes[] = {"small", "large"};
constexpr Shape kSizeWord = {
    .form = Form::string, .what = "a size", .check = Check::word, .words = kSizes};
constexpr Shape kTwoCounts = {
    .form = Form::list, .what = "a list of counts", .min = 1, .max = 2, .element = &kCount};
constexpr const Shape* kEither[] = {&kCount, &kSizeWord};
constexpr Shape kCountOrWord = {
    .form = Form::either, .what = "a count or a size", .alternatives = kEither};
constexpr Field kFields[] = {{.key = "count", .shape = &kCount, .about = "", .required = true},
                             {.key = "wait", .shape = &kDuration, .about = ""}};
constexpr Shape kObject = {
    .form = Form::object, .what = "an object", .fields = kFields, .name = "thing"};

}  // namespace

TEST_CASE("a value that fits its shape is not mentioned") {
  CHECK(said_of(kBool, "true").empty());
  CHECK(said_of(kCount, "1").empty());
  CHECK(said_of(kCount, "1000000000").empty());
  CHECK(said_of(kDurationOrZero, "\"0s\"").empty());
  CHECK(said_of(kSize, "\"512MiB\"").empty());
  CHECK(said_of(kTwoCounts, "[1, 2]").empty());
  CHECK(said_of(kCountOrWord, "\"small\"").empty());
  CHECK(said_of(kObject, R"({"count": 1, "wait": "5s", "comment": "x", "x-mine": {}})").empty());
  CHECK(said_of(kAny, R"({"anything": [null]})").empty());
}

TEST_CASE("each wrong value is told at its own place, and none hides another") {
  const auto all = said_of(kObject, R"({"count": 0, "wait": "soon", "wiat": 1})");
  REQUIRE(all.size() == 3);
  for (const char* pointer : {"/count ", "/wait ", "/wiat "}) {
    CHECK(std::count_if(all.begin(), all.end(),
                        [&](const std::string& one) { return one.starts_with(pointer); }) == 1);
  }
}

TEST_CASE("the edges of what is allowed are allowed, and one step beyond them is not") {
  CHECK(said_of(kCount, "0").size() == 1);
  CHECK(said_of(kCount, "1000000001").size() == 1);
  CHECK(said_of(kCount, "1.5").size() == 1);
  CHECK(said_of(kFormat, "2").size() == 1);
  CHECK(said_of(kDuration, "\"0s\"").size() == 1);
  CHECK(said_of(kDuration, "\"1ms\"").empty());
  CHECK(said_of(kDuration, "\"36500d\"").empty());
  CHECK(said_of(kDuration, "\"36501d\"").size() == 1);
  CHECK(said_of(kTwoCounts, "[]").size() == 1);
  CHECK(said_of(kTwoCounts, "[1, 2, 3]").size() == 1);
  CHECK(said_of(kTwoCounts, "[1, 0]").at(0).starts_with("/1 "));
  CHECK(said_of(kWord, "\"\"").size() == 1);
  CHECK(said_of(kObject, "{}").size() == 1);
}

TEST_CASE("a value of alternatives is judged by the one of its kind") {
  CHECK(alternative_for(kCountOrWord, NodeKind::integer) == &kCount);
  CHECK(alternative_for(kCountOrWord, NodeKind::string) == &kSizeWord);
  CHECK(alternative_for(kCountOrWord, NodeKind::object) == nullptr);
  CHECK(alternative_for(kCount, NodeKind::integer) == &kCount);
  CHECK(said_of(kCountOrWord, "0").size() == 1);
  CHECK(said_of(kCountOrWord, "{}").size() == 1);
}

TEST_CASE("a percentage is a number from 0 to 100 with its sign") {
  CHECK(parse_percent("0%") == 0);
  CHECK(parse_percent("0.5%") == 0.5);
  CHECK(parse_percent("100%") == 100);
  for (const char* text :
       {"", "%", "5", "101%", "-1%", "5 %", "5%%", "1e1%", "nan%", "inf%", "0x1%"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_percent(text));
  }
}

TEST_CASE("a value of a wrong type is answered with what to write") {
  CHECK(hint(kDuration, "timeout", "5") == ": a bare number has no unit, write \"5s\"");
  CHECK(hint(kSize, "memory", "5") == ": a bare number has no unit, write \"5MiB\"");
  CHECK(hint(kBool, "fail_fast", "\"true\"") == ": write it without quotes, true");
  CHECK(hint(kCount, "slots", "\"12\"") == ": write it without quotes, 12");
  CHECK(hint(kCount, "slots", "\"twelve\"").empty());
  CHECK(hint(kWord, "x", "5") == ": write it in quotes, \"5\"");
  CHECK(hint(kWord, "x", "null") == ": leave the key out instead");
  CHECK(hint(kTwoCounts, "x", "{}") == ": put it in brackets, [ … ]");
}

TEST_CASE("an unknown key is told where its place is, or what was meant") {
  CHECK_THAT(unknown_key_message(kTaskShape, "tiemout"), Catch::Contains("timeout"));
  CHECK_THAT(unknown_key_message(kJobShape, "script"), Catch::Contains("task"));
  CHECK_THAT(unknown_key_message(kTaskShape, "schedule"), Catch::Contains("job"));
  CHECK_THAT(unknown_key_message(kObject, "wiat"), Catch::Contains("wait"));
}

TEST_CASE("a word that is none of a shape's is answered with those there are") {
  const std::string message = wrong_word_message(kSizeWord, "size", "smal");
  CHECK_THAT(message, Catch::Contains("small"));
  CHECK_THAT(wrong_word_message(kSizeWord, "size", "qqqqqq"), Catch::Contains("large"));
}

TEST_CASE("a bare default where a parameter's schema belongs is written out as one") {
  const Read number("5");
  CHECK_THAT(param_hint(number.document, 0), Catch::Contains("\"default\": 5"));
  const Read text("\"eu\"");
  CHECK_THAT(param_hint(text.document, 0), Catch::Contains("\"type\": \"string\""));
}

TEST_CASE("what the structural check has reported the reader passes over and reads the rest") {
  const Read read(R"({"name": 5, "tasks": [{"id": "a", "command": ["true"], "priority": "high"},
                      {"id": "b", "depends_on": ["a", "gone"], "command": ["true"]}]})");
  Diagnostics diagnostics(read.document);
  check_structure(read.document, 0, kJobShape, test::options(), diagnostics);
  const JobSpec job = read_job(read.document, test::options(), diagnostics);
  REQUIRE(job.tasks.size() == 2);
  CHECK(job.tasks[0].priority == 0);
  REQUIRE(job.tasks[1].depends_on.size() == 1);
  CHECK(job.tasks[1].depends_on[0].task == TaskIndex{0});
  const auto found = diagnostics.take();
  CHECK(std::any_of(found.begin(), found.end(),
                    [](const Diagnostic& one) { return one.pointer == "/tasks/1/depends_on/1"; }));
}

TEST_CASE("a job that there is not is answered with the nearest that there is") {
  const std::vector<std::string_view> names = {"sales", "nightly"};
  const Error near = unknown_job("slaes", names);
  CHECK(near.kind == ErrorKind::not_found);
  CHECK(near.message == "there is no job 'slaes' here. Did you mean sales?");
  CHECK_THAT(unknown_job("qqqqqqqq", names).message, Catch::Contains("`pawl jobs`"));
  CHECK_THAT(unknown_job("a\033[2J", {}).message, !Catch::Contains("\033"));
}

TEST_CASE("the schema of a program is of the keys of a task that say which program it runs") {
  const Json schema = Json::parse(process_schema());
  CHECK(schema["type"] == "object");
  for (const Field& field : kProcessShape.fields) {
    CAPTURE(field.key);
    CHECK(schema["properties"].contains(std::string(field.key)));
  }
}

}  // namespace pawl
