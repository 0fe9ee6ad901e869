// `sleep` defers itself, so that a sleeper costs nothing.

#include <catch2/catch.hpp>

#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;

namespace {

Ask asking(const std::string& with, const std::string& state = {}) {
  Ask ask;
  ask.with = with;
  ask.state = state;
  return ask;
}

}  // namespace

TEST_CASE("a sleep defers itself for its whole span, and is over when it comes back") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  const End first = host.run(asking(R"({"for": "1h30m"})"));
  REQUIRE(first.outcome == PAWL_DEFERRED);
  REQUIRE(first.after == std::chrono::minutes(90));
  REQUIRE(host.run(asking(R"({"for": "1h30m"})", first.state)).outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a sleep of more than a year is several deferrals that add up") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  Duration slept{};
  Ask ask = asking(R"({"for": "800d"})");
  int deferrals = 0;
  for (; deferrals < 10; ++deferrals) {
    const End end = host.run(ask);
    if (end.outcome == PAWL_SUCCEEDED) break;
    REQUIRE(end.outcome == PAWL_DEFERRED);
    REQUIRE(end.after <= std::chrono::hours(24 * 366));
    slept += end.after;
    ask.state = end.state;
  }
  REQUIRE(deferrals == 3);
  REQUIRE(slept == std::chrono::hours(24 * 800));
}

TEST_CASE("a sleep too short for a deferral waits on the loop") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  REQUIRE(host.run(asking(R"({"for": "5ms"})")).outcome == PAWL_SUCCEEDED);
  REQUIRE(host.run(asking(R"({"for": "0s"})")).outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a sleep until a time that is past is none") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  REQUIRE(host.run(asking(R"({"until": "2020-02-29T12:00:00+09:00"})")).outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a sleep until a time to come looks at the clock again when it comes back") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  const End first = host.run(asking(R"({"until": "2199-01-01T00:00:00Z"})"));
  REQUIRE(first.outcome == PAWL_DEFERRED);
  REQUIRE(first.after == std::chrono::hours(24 * 366));
  const End second = host.run(asking(R"({"until": "2199-01-01T00:00:00Z"})", first.state));
  REQUIRE(second.outcome == PAWL_DEFERRED);
}

TEST_CASE("what is no span and no time is no parameter of a sleep") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  REQUIRE(host.violation(R"({"for": "5 parsecs"})").has_value());
  for (const char* until : {R"("tomorrow")", R"("2026-11-20T22:00:00")", R"("2026-11-20")"}) {
    INFO(until);
    REQUIRE(host.violation(std::string(R"({"until": )") + until + "}").has_value());
  }
  REQUIRE_FALSE(host.violation(R"({"until": "2026-11-20T22:00+01:00"})").has_value());
}

TEST_CASE("a sleep takes one of its two parameters") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  REQUIRE(host.violation("{}").has_value());
  REQUIRE(host.violation(R"({"for": "1s", "until": "2199-01-01T00:00:00Z"})").has_value());
  REQUIRE(host.violation(R"({"for": 5})").has_value());
  REQUIRE_FALSE(host.violation(R"({"for": "5s"})").has_value());
}

TEST_CASE("a short sleep ends when it is cancelled") {
  Loop loop;
  OperatorHost host(loop, "basic", "sleep");
  TestAttempt& attempt = host.start(asking(R"({"for": "49ms"})"));
  REQUIRE_FALSE(attempt.end().has_value());
  host.cancel(attempt);
  REQUIRE(attempt.end().has_value());
}
