// The first operator, and with it the host that tests of operators use.

#include <catch2/catch.hpp>

#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;

TEST_CASE("noop succeeds at once and gives what it was told") {
  Loop loop;
  OperatorHost host(loop, "basic", "noop");
  REQUIRE(host.refusal().empty());
  REQUIRE(host.start({}).end()->outcome == PAWL_SUCCEEDED);
  Ask ask;
  ask.with = R"({"output": {"n": 1}})";
  REQUIRE(host.run(ask).output == R"({"n":1})");
  ask.with = R"({"output": "one"})";
  ask.output = "text";
  REQUIRE(host.run(ask).output == "one");
}

TEST_CASE("of a list noop gives a line per element where the output is lines") {
  Loop loop;
  OperatorHost host(loop, "basic", "noop");
  const auto lines_of = [&](const std::string& output) {
    Ask ask;
    ask.with = R"({"output": )" + output + '}';
    ask.output = "jsonl";
    return host.run(ask).output;
  };
  CHECK(lines_of(R"([{"n": 1}, "a\nb", [2, 3]])") == "{\"n\":1}\n\"a\\nb\"\n[2,3]");
  CHECK(lines_of("[]").empty());
  CHECK(lines_of(R"({"n": [1]})") == R"({"n":[1]})");
}

TEST_CASE("what noop does not know does not fit its schema") {
  Loop loop;
  OperatorHost host(loop, "basic", "noop");
  REQUIRE(host.violation(R"({"outptu": 1})").has_value());
  REQUIRE_FALSE(host.violation("{}").has_value());
}
