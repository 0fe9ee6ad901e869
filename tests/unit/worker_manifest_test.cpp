// Manifests: what they may say, and what is said of those that are wrong.

#include <string>

#include <catch2/catch.hpp>

#include "plugins/worker/manifest.h"
#include "plugins/worker/python_schema.h"
#include "scheduler/spec/operator_catalog.h"

using namespace pawl;

namespace {

ManifestResult read(std::string_view text, std::string_view name = "census.json") {
  return parse_manifest(text, name, "/opt/plugins");
}

/// All that is wrong, one line each.
std::string errors(std::string_view text, std::string_view name = "census.json") {
  std::string all;
  for (const Diagnostic& one : read(text, name).diagnostics) {
    all += format_diagnostic("census.json", one) + "\n";
  }
  return all;
}

}  // namespace

TEST_CASE("a manifest needs no more than a command") {
  const ManifestResult result = read(R"({"command": ["./census"]})");
  REQUIRE(result.ok);
  CHECK(result.manifest.name == "census");
  CHECK(result.manifest.command == std::vector<std::string>{"/opt/plugins/./census"});
  CHECK(result.manifest.processes == 0);
  CHECK(result.manifest.concurrency == 1);
  CHECK(result.manifest.start_timeout == std::chrono::seconds(30));
  CHECK(result.manifest.schema == R"({"type":"object"})");
}

TEST_CASE("a manifest says all there is to say") {
  const ManifestResult result = read(R"({
    "name": "census", "summary": "Counts.", "command": ["awk", "-f", "census.awk"],
    "schema": {"type": "object", "properties": {"zone": {"type": "string"}}},
    "processes": 3, "concurrency": 8, "recycle_after": 1000, "memory_limit": "512MiB",
    "start_timeout": "5s", "env": {"LC_ALL": "C"}, "comment": "ignored", "x-team": "data"})");
  REQUIRE(result.ok);
  const Manifest& manifest = result.manifest;
  CHECK(manifest.summary == "Counts.");
  CHECK(manifest.command.front() == "awk");
  CHECK(manifest.processes == 3);
  CHECK(manifest.concurrency == 8);
  CHECK(manifest.recycle_after == 1000);
  CHECK(manifest.memory_limit == 512u << 20);
  CHECK(manifest.start_timeout == std::chrono::seconds(5));
  CHECK(manifest.env.at("LC_ALL") == "C");
  CHECK(manifest.schema == R"({"properties":{"zone":{"type":"string"}},"type":"object"})");
}

TEST_CASE("everything wrong with a manifest is said at once, each with its place") {
  const std::string all =
      errors("{\"command\": \"census\",\n \"proceses\": 2,\n \"memory_limit\": 5}");
  CHECK_THAT(all, Catch::Contains("census.json:1:13: error"));
  CHECK_THAT(all, Catch::Contains("did you mean \"processes\"?"));
  CHECK_THAT(all, Catch::Contains("512MiB"));
}

TEST_CASE("a manifest without a command is refused") {
  CHECK_THAT(errors("{}"), Catch::Contains("command"));
  CHECK_THAT(errors(R"({"command": []})"), Catch::Contains("command"));
  CHECK_THAT(errors(R"({"command": [""]})"), Catch::Contains("cannot be empty"));
  CHECK_FALSE(read(R"({"command": ["a\u0000b"]})").ok);
}

TEST_CASE("the name of a manifest is that of its file") {
  CHECK_THAT(errors(R"({"name": "other", "command": ["x"]})"),
             Catch::Contains("the file is \"census.json\""));
  CHECK_THAT(errors(R"({"command": ["x"]})", "Big-One.json"), Catch::Contains("small letters"));
}

TEST_CASE("the schema of a manifest is checked") {
  CHECK_THAT(errors(R"({"command": ["x"], "schema": {"type": "object", "propertees": {}}})"),
             Catch::Contains("did you mean \"properties\"?"));
  CHECK_THAT(errors(R"({"command": ["x"], "schema": {"type": "string"}})"),
             Catch::Contains("must be \"object\""));
  CHECK_THAT(errors(R"({"command": ["x"], "schema": {"type": "object",
                        "properties": {"connection": {"type": "string"}}}})"),
             Catch::Contains("cannot be called \"connection\""));
  CHECK_THAT(errors("{\"command\": [\"x\"], \"schema\": {\"type\": \"object\",\n"
                    " \"x-pawl-output\": \"out\"}}"),
             Catch::Contains("census.json:2:19: error") && Catch::Contains("names \"out\""));
}

TEST_CASE("a path with a zero byte is refused in each parameter of python that is one") {
  const Json schema = Json::parse(python_schema());
  const auto wrong = [&](Json with) {
    with["call"] = "shop:price";
    const auto errors = check_parameters(schema, with);
    return errors.empty() ? std::string() : errors.front().pointer + ' ' + errors.front().message;
  };
  const std::string cut("a\0b", 3);
  const std::string why = " \"a\\u0000b\" is no path: it has a zero byte";
  CHECK(wrong({{"python", cut}}) == "/python" + why);
  CHECK(wrong({{"path", cut}}) == "/path" + why);
  CHECK(wrong({{"path", {"a", cut}}}) == "/path/1" + why);
  CHECK(wrong({{"python", "venv"}, {"path", {"a", "ä\nb"}}}).empty());
}

TEST_CASE("bytes that are no JSON are an error of a manifest, which is no job file") {
  for (std::string_view text : {"", "{", "[]", "null", "\xff\xfe", "{\"command\": [\"x\"]} x"}) {
    CHECK_FALSE(read(text).ok);
    CHECK_THAT(errors(text), !Catch::Contains("job file"));
  }
  CHECK_THAT(
      errors("{\"command\": [\"\xff\"]}"),
      Catch::Contains("1:15: error: this byte is not valid UTF-8, in which JSON is written"));
}
