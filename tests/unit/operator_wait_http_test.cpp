// The sensor `wait_http` against a real server. No test waits: what the host would do between two
// looks is to start the attempt again.

#include <catch2/catch.hpp>

#include "tests/unit/http_operator.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

struct Fixture : HttpOperator {
  Fixture() : HttpOperator("wait_http") {}

  Ask ask(const std::string& path, json with = json::object()) const {
    with["url"] = server.url(path);
    Ask out = ask_with(with);
    out.output = "none";
    return out;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "wait_http looks again later until the status is there") {
  Ask waits = ask("/busy/a/2?after=100", {{"every", "5m"}});
  const End first = host.run(waits);
  REQUIRE(first.outcome == PAWL_DEFERRED);
  CHECK(first.after == std::chrono::minutes(5));
  waits.state = first.state;
  const End second = host.run(waits);
  REQUIRE(second.outcome == PAWL_DEFERRED);
  CHECK(json::parse(second.state)["first_ms"] == json::parse(first.state)["first_ms"]);
  waits.state = second.state;
  waits.output = "json";
  const End third = host.run(waits);
  REQUIRE(third.outcome == PAWL_SUCCEEDED);
  CHECK(json::parse(third.output)["calls"] == 3);
}

TEST_CASE_METHOD(Fixture, "wait_http waits for what the body says") {
  const auto looks = [this](const json& with, const std::string& key) {
    Ask waits = ask("/ready/" + key + "/3", with);
    int deferrals = 0;
    for (;; ++deferrals) {
      const End end = host.run(waits);
      if (end.outcome != PAWL_DEFERRED) {
        CHECK(end.outcome == PAWL_SUCCEEDED);
        return deferrals;
      }
      waits.state = end.state;
    }
  };
  CHECK(looks({{"pointer", "/state"}, {"equals", "ready"}}, "a") == 3);
  CHECK(looks({{"pointer", "/rows/2"}, {"equals", 6}}, "b") == 5);
  CHECK(looks({{"contains", "\"ready\""}}, "c") == 3);
  CHECK(looks({{"pointer", "/state"}}, "d") == 0);
  CHECK(host.run(ask("/html", {{"pointer", "/state"}})).outcome == PAWL_DEFERRED);
  for (const char* nowhere :
       {"/rows/3", "/rows/-", "/rows/01", "/rows/x", "/state/0", "/rows/99999999999999999999999"}) {
    CAPTURE(nowhere);
    CHECK(host.run(ask("/ready/e/0", {{"pointer", nowhere}})).outcome == PAWL_DEFERRED);
  }
}

TEST_CASE_METHOD(Fixture, "wait_http gives up at its time, as a failure or a skip") {
  const std::string long_ago = R"({"first_ms": 1000, "looks": 7})";
  Ask waits = ask("/status/404", {{"timeout", "1h"}});
  waits.state = long_ago;
  const End failed = host.run(waits);
  CHECK(failed.outcome == PAWL_FAILED);
  CHECK(failed.error_class == "Timeout");
  CHECK(failed.message == "not there after 1h and 8 looks; the last: status 404");
  waits = ask("/status/404", {{"timeout", "1h"}, {"on_timeout", "skip"}});
  waits.state = long_ago;
  CHECK(host.run(waits).outcome == PAWL_SKIPPED);
  waits = ask("/empty", {{"timeout", "1h"}});
  waits.state = long_ago;
  CHECK(host.run(waits).outcome == PAWL_SUCCEEDED);
}

TEST_CASE_METHOD(Fixture, "the last look of wait_http is when its time is over") {
  const End end = host.run(ask("/status/404", {{"timeout", "10s"}, {"every", "1h"}}));
  REQUIRE(end.outcome == PAWL_DEFERRED);
  CHECK(end.after <= std::chrono::seconds(10));
  CHECK(end.after > std::chrono::seconds(5));
}

TEST_CASE_METHOD(Fixture, "no look but the last goes on when the time of wait_http is over") {
  Ask waits = ask("/slow/60", {{"timeout", "200ms"}, {"look_timeout", "1h"}});
  const End cut = host.run(waits);
  CHECK(cut.outcome == PAWL_FAILED);
  CHECK_THAT(cut.message, Catch::StartsWith("not there after 200ms and one look: "));
  waits = ask("/slow/0.2", {{"timeout", "1h"}, {"look_timeout", "30s"}});
  waits.state = R"({"first_ms": 1000, "looks": 7})";
  CHECK(host.run(waits).outcome == PAWL_SUCCEEDED);
}

TEST_CASE_METHOD(Fixture, "wait_http waits no longer between two looks than an attempt may") {
  const End end = host.run(ask("/status/404", {{"every", "400d"}}));
  REQUIRE(end.outcome == PAWL_DEFERRED);
  CHECK(end.after == std::chrono::hours(24 * 366));
  CHECK(host.run(ask("/empty", {{"connect_timeout", "400d"}, {"look_timeout", "400d"}})).outcome ==
        PAWL_SUCCEEDED);
}

TEST_CASE_METHOD(Fixture, "a server that is not there is a reason to look again") {
  std::string gone;
  {
    const Counterpart other({"http"});
    gone = other.url("/echo");
  }
  Ask waits;
  waits.with = json({{"url", gone}}).dump();
  CHECK(host.run(waits).outcome == PAWL_DEFERRED);
  CHECK(host.run(ask("/banner")).outcome == PAWL_DEFERRED);  // and one that does not speak yet
  waits.with = json({{"url", server.url("/slow/60")}, {"look_timeout", "100ms"}}).dump();
  CHECK(host.run(waits).outcome == PAWL_DEFERRED);
}

TEST_CASE_METHOD(Fixture, "wait_http stops early for what will not heal") {
  const End end = host.run(ask("/status/403", {{"fail_status", {401, 403}}}));
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.error_class == "Status403");
}

TEST_CASE_METHOD(Fixture, "what wait_http cannot do is an error of the job file") {
  const auto said = [this](const std::string& with) { return host.violation(with).value_or(""); };
  CHECK(said(R"({"url": "http://a/", "every": "10ms"})") ==
        "\"10ms\" is too short: at least 100ms is allowed (at /every)");
  CHECK_THAT(said(R"({"url": "http://a/", "look_timeout": "0s"})"), Catch::Contains("too short"));
  CHECK(said(R"({"url": "http://a/", "equals": 1})") ==
        "\"equals\" says what is awaited at \"pointer\", which is missing");
  CHECK(said(R"({"url": "http://a/", "equals": 1, "pointer": "/a", "every": "100ms"})").empty());
  CHECK(said(R"({"url": "http://a/", "pointer": "/a\nb"})").empty());
  CHECK(said(R"({"url": "http://a/", "pointer": "/a~0b~1c/ä"})").empty());
  for (const char* pointer : {"/rows/~2", "/rows/~", "rows"}) {
    CHECK_THAT(said(json{{"url", "http://a/"}, {"pointer", pointer}}.dump()),
               Catch::Contains("is no JSON Pointer such as \"/rows/0\""));
  }
  CHECK_FALSE(said(R"({"url": "http://a/", "expected_status": []})").empty());
  for (const char* look : {R"("contains": "x")", R"("pointer": "/a")"}) {
    const std::string with = std::string(R"({"url": "http://a/", "method": "HEAD", )") + look + '}';
    CHECK_THAT(said(with.c_str()), Catch::Contains("the answer to HEAD has no body"));
  }
}

TEST_CASE_METHOD(Fixture, "wait_http looks into a body that no output could hold") {
  CHECK(host.run(ask("/bytes/2000000", {{"contains", "xxx"}})).outcome == PAWL_SUCCEEDED);
  CHECK(host.run(ask("/bytes/2000000", {{"contains", "y"}})).outcome == PAWL_DEFERRED);
  const End huge = host.run(ask("/bytes/17000000", {{"contains", "y"}}));
  CHECK(huge.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(huge.error_class == "ResponseTooLarge");
  Ask kept = ask("/bytes/2000000", {{"contains", "xxx"}});
  kept.output = "text";
  CHECK(host.run(kept).error_class == "ResponseTooLarge");
}

TEST_CASE_METHOD(Fixture, "a look that is cancelled ends at once") {
  TestAttempt& attempt = host.start(ask("/slow/60"));
  for (int i = 0; i < 20; ++i) loop.run_once(false);
  host.cancel(attempt);
  CHECK(attempt.end().has_value());
}
