// The operator `http` against a real server.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>

#include "tests/unit/http_operator.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

/// A name that no resolver asks anybody about: its first part is longer than DNS allows.
const std::string kNobody = std::string(64, 'n') + ".invalid";
const std::string kNowhere = "http://" + kNobody + "/";

struct Fixture : HttpOperator {
  Fixture() : HttpOperator("http") {}

  static Ask ask(const json& with) { return ask_with(with); }
  Ask ask_for(const std::string& url, json with) const {
    with["url"] = url;
    return ask(with);
  }
  Ask get(const std::string& path) const { return ask({{"url", server.url(path)}}); }
  End run(const json& with) { return host.run(ask(with)); }
  json output(const json& with) {
    const End end = run(with);
    INFO(end.message);
    REQUIRE(end.outcome == PAWL_SUCCEEDED);
    return json::parse(end.output);
  }
};

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != EOF) text << file.rdbuf();
  return text.str();
}

/// As long as it lives, whoever asks a person reads this text.
class StandardInput {
 public:
  explicit StandardInput(const std::string& text) : before_(::dup(0)) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    REQUIRE(::dup2(ends[0], 0) == 0);
    ::close(ends[0]);
  }
  ~StandardInput() {
    ::dup2(before_, 0);
    ::close(before_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int before_;
};

/// A port on which nobody listens.
std::string silent_port() {
  const Counterpart gone({"http"});
  return gone.port();
}

}  // namespace

TEST_CASE_METHOD(Fixture, "http sends method, query, headers and body, and gives the answer") {
  const json got = output(
      {{"method", "PUT"},
       {"url", server.url("/echo?a=1")},
       {"query", {{"name", "ä b&c"}, {"n", json::array({1, 2})}, {"o=p", "q=r"}, {"~", "*%+"}}},
       {"headers", {{"X-One", "1"}, {"X-Number", 5}, {"X-Empty", ""}}},
       {"body", {{"k", json::array({1, "two"})}}}});
  CHECK(got["method"] == "PUT");
  CHECK(got["path"] == "/echo?a=1&n=1&n=2&name=%c3%a4+b%26c&o%3dp=q%3dr&~=%2a%25%2b");
  CHECK(got["headers"]["x-one"] == "1");
  CHECK(got["headers"]["x-number"] == "5");
  CHECK(got["headers"]["x-empty"] == json(""));
  CHECK(got["headers"]["content-type"] == "application/json");
  CHECK(got["headers"]["user-agent"] == "pawl");
  CHECK_FALSE(got["headers"].contains("expect"));
  CHECK(json::parse(got["body"].get<std::string>()) == json({{"k", json::array({1, "two"})}}));
}

TEST_CASE_METHOD(Fixture, "http sends text as text, and POST is what a body asks for") {
  const json got = output({{"url", server.url("/echo")}, {"body", "two\nlines"}});
  CHECK(got["method"] == "POST");
  CHECK(got["body"] == "two\nlines");
  CHECK(got["headers"]["content-type"] == "text/plain; charset=utf-8");
  const json plain = output({{"url", server.url("/echo")}});
  CHECK(plain["method"] == "GET");
  CHECK_FALSE(plain["headers"].contains("content-type"));
}

TEST_CASE_METHOD(Fixture, "nothing of a call is in the next one that uses what it used") {
  const json plain = {{"url", server.url("/echo")}};
  json before = output(plain);
  before.erase("peer");
  const std::vector<json> others = {
      {{"method", "PUT"}, {"body", "text"}, {"headers", {{"X-Own", "1"}, {"User-Agent", "own"}}}},
      {{"method", "POST"}},
      {{"body", {{"k", 1}}}, {"auth", {{"user", "u"}, {"password", "p"}}}},
      {{"auth", {{"token", "t"}}}, {"headers", {{"X-Own", "1"}}}},
      {{"method", "DELETE"}},
      {{"method", "GET"}, {"body", "of a get"}},
      {{"proxy", server.url("")}},
      {{"tls", {{"verify", false}, {"ca_file", "/nowhere"}}}},
  };
  for (json other : others) {
    other["url"] = server.url("/echo");
    INFO(other.dump());
    output(other);
    json after = output(plain);
    after.erase("peer");
    CHECK(after == before);
  }
  Ask head = ask_for(server.url("/echo"), {{"method", "HEAD"}});
  head.output = "none";
  CHECK(host.run(head).outcome == PAWL_SUCCEEDED);
  CHECK(output(plain)["body"] == json(""));
  // And the other way round: what such a call needs is set although a plain one came before.
  CHECK(output({{"url", server.url("/echo")},
                {"auth", {{"token", "t"}}}})["headers"]["authorization"] == "Bearer t");
}

TEST_CASE_METHOD(Fixture, "an address is called and shown as it is written, plain or not") {
  const std::string at = "http://127.0.0.1:" + server.port();
  for (const std::string path : {"/echo", "/echo/a-b_c.d~e/F", "/echo/x/../y", "/echo/%41?q=1#f",
                                 "/echo/a?q=1#f g ü", "/echo/a b", "/echo/ä", "/echo?q=1&r=x_y-z.~",
                                 "/echo/a?", "/echo?a=%20b", "/echo?a b", "/echo?x=/.?"}) {
    INFO(path);
    CHECK(output({{"url", at + path}})["path"].get<std::string>().starts_with("/echo"));
  }
  CHECK(output({{"url", at + "/echo/x/../y"}})["path"] == "/echo/y");
  CHECK(output({{"url", at + "/echo/x?q=1&r=a/../b"}})["path"] == "/echo/x?q=1&r=a/../b");
  CHECK(output({{"url", at + "/echo/x?q=1&r=x_y"}})["path"] == "/echo/x?q=1&r=x_y");
  CHECK(output({{"url", "http://127.1:" + server.port() + "/echo"}})["path"] == "/echo");
  CHECK(output({{"url", "http://localhost:" + server.port() + "/echo"}})["path"] == "/echo");
  CHECK(run({{"url", "http://127.0.0.1:/path"}, {"connect_timeout", "1s"}}).outcome !=
        PAWL_SUCCEEDED);
}

TEST_CASE_METHOD(Fixture, "http tells the server which requests are the same work") {
  const auto header = [this](json with) {
    with["url"] = server.url("/echo");
    return output(with)["headers"].value("idempotency-key", "");
  };
  CHECK(header({{"method", "POST"}}) == "key-of-the-work");
  CHECK(header({{"method", "PATCH"}}) == "key-of-the-work");
  CHECK(header({{"method", "GET"}}).empty());
  CHECK(header({{"method", "PUT"}}).empty());
  CHECK(header({{"method", "POST"}, {"idempotency_header", ""}}).empty());
  CHECK(header({{"method", "POST"}, {"headers", {{"idempotency-key", "own"}}}}) == "own");
}

TEST_CASE_METHOD(Fixture, "what http makes of a status is said by the lists") {
  CHECK(host.run(get("/status/503")).outcome == PAWL_FAILED);
  CHECK(host.run(get("/status/429")).outcome == PAWL_FAILED);
  CHECK(host.run(get("/status/408")).outcome == PAWL_FAILED);
  const End refused = host.run(get("/status/404"));
  CHECK(refused.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(refused.error_class == "Status404");
  CHECK(refused.message == "Status404: GET " + server.url("/status/404"));
  CHECK(refused.trace == "because of \\x1b[31mthis\n");
  const json with = {{"url", server.url("/status/404")}, {"expected_status", {"2xx", 404}}};
  Ask ask;
  ask.with = with.dump();
  ask.output = "none";
  CHECK(host.run(ask).outcome == PAWL_SUCCEEDED);
  const auto outcome = [this](json more) {
    more["url"] = server.url("/status/418");
    return run(more).outcome;
  };
  CHECK(outcome({{"retry_status", {"410-420"}}}) == PAWL_FAILED);
  CHECK(outcome({{"retry_status", {"420-410"}}}) == PAWL_FAILED);
  CHECK(outcome({{"retry_status", 418}}) == PAWL_FAILED);
  CHECK(outcome({{"retry_status", json::array()}}) == PAWL_FAILED_FOR_GOOD);
}

TEST_CASE_METHOD(Fixture, "http waits as long as the server asks, in the same attempt") {
  Ask ask = get("/busy/one/2?after=7");
  const End first = host.run(ask);
  REQUIRE(first.outcome == PAWL_DEFERRED);
  CHECK(first.after == std::chrono::seconds(7));
  ask.state = first.state;
  const End second = host.run(ask);
  REQUIRE(second.outcome == PAWL_DEFERRED);
  ask.state = second.state;
  CHECK(json::parse(host.run(ask).output)["calls"] == 3);
}

TEST_CASE_METHOD(Fixture, "a server that is ready at once is asked again, and not without end") {
  for (const char* ready : {"0", "Fri,%2020%20Nov%202020%2022:00:00%20GMT"}) {
    CAPTURE(ready);
    Ask ask =
        ask_for(server.url("/status/503?after=" + std::string(ready)), {{"max_retry_after", "2s"}});
    for (int i = 0; i < 2; ++i) {
      const End end = host.run(ask);
      REQUIRE(end.outcome == PAWL_DEFERRED);
      CHECK(end.after == std::chrono::seconds(1));
      ask.state = end.state;
    }
    CHECK(host.run(ask).outcome == PAWL_FAILED);
  }
  for (const char* nothing : {"", "soon", "-1", "99999999999999999999"}) {
    CAPTURE(nothing);
    CHECK(host.run(get("/status/503?after=" + std::string(nothing))).outcome == PAWL_FAILED);
  }
}

TEST_CASE_METHOD(Fixture, "http waits no longer in all than it may, nor past its deadline") {
  Ask ask = ask_for(server.url("/status/429?after=40"), {{"max_retry_after", "1m"}});
  const End first = host.run(ask);
  REQUIRE(first.outcome == PAWL_DEFERRED);
  ask.state = first.state;
  const End second = host.run(ask);
  CHECK(second.outcome == PAWL_FAILED);
  CHECK(second.message.find("asked to wait 40s") != std::string::npos);
  Ask late = get("/status/503?after=40");
  late.deadline_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count() +
                     30'000;
  CHECK(host.run(late).outcome == PAWL_FAILED);
  CHECK(run({{"url", server.url("/status/503?after=1")}, {"max_retry_after", "0s"}}).outcome ==
        PAWL_FAILED);
  CHECK(host.run(get("/status/500?after=1")).outcome == PAWL_FAILED);
}

TEST_CASE_METHOD(Fixture, "http follows redirects as far as it may") {
  const std::string there = server.url("/echo");
  CHECK(output({{"url", server.url("/redirect/302?to=/redirect/301?to=/echo")}})["path"] ==
        "/echo");
  json got = output({{"url", server.url("/redirect/307?to=/echo")}, {"body", "again"}});
  CHECK(got["method"] == "POST");
  CHECK(got["body"] == "again");
  got = output({{"url", server.url("/redirect/303?to=/echo")}, {"body", "once"}});
  CHECK(got["method"] == "GET");
  CHECK(got["body"] == json(""));
  CHECK_FALSE(got["headers"].contains("content-type"));
  CHECK(run({{"url", server.url("/redirect/302?to=/echo")}, {"max_redirects", 0}}).error_class ==
        "Status302");
  const End enough =
      run({{"url", server.url("/redirect/302?to=/redirect/301?to=/echo")}, {"max_redirects", 1}});
  CHECK_THAT(enough.message,
             Catch::StartsWith("Status301: ") && Catch::EndsWith(" after 1 redirect"));
  const json expected = {{"url", server.url("/redirect/302?to=/echo")},
                         {"expected_status", 302},
                         {"response", "full"}};
  CHECK(output(expected)["headers"]["location"] == "/echo");
  const End end = run({{"url", server.url("/redirect/302?to=file:///etc/hostname")}});
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.error_class == "UnsupportedProtocol");
}

TEST_CASE_METHOD(Fixture, "http tells another origin nothing that was meant for the first") {
  const Counterpart other({"http"});
  const json with = {{"url", server.url("/redirect/307?to=" + other.url("/echo"))},
                     {"headers", {{"X-Api-Key", "secret"}, {"Accept", "text/x"}}},
                     {"auth", {{"user", "me"}, {"password", "secret"}}},
                     {"body", "text"}};
  const json got = output(with);
  CHECK(got["headers"]["accept"] == "text/x");
  CHECK(got["headers"]["content-type"] == "text/plain; charset=utf-8");
  CHECK_FALSE(got["headers"].contains("x-api-key"));
  CHECK_FALSE(got["headers"].contains("authorization"));
  CHECK_FALSE(got["headers"].contains("idempotency-key"));
}

TEST_CASE_METHOD(Fixture, "a redirect whose body never ends is followed") {
  CHECK(output({{"url", server.url("/endless_redirect?to=/echo?a=b")}})["path"] == "/echo?a=b");
  const std::string there = server.url("/endless_redirect?to=/endless_redirect?to=/bytes/300000");
  Ask ask = ask_for(there, json::object());
  ask.output = "text";
  CHECK(host.run(ask).output.size() == 300'000);
}

TEST_CASE_METHOD(Fixture, "a body with a secret goes to no other host than the one it is for") {
  const Counterpart other({"http"});
  const auto ask_along = [&](const std::string& status, const std::string& to) {
    Ask ask = ask_for(server.url("/redirect/" + status + "?to=" + to),
                      {{"body", {{"key", "canary\"1"}, {"day", "Monday"}}}});
    ask.secrets["KEY"] = "canary\"1";
    return ask;
  };
  for (const char* status : {"307", "308"}) {
    const End end = host.run(ask_along(status, other.url("/echo")));
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "SecretForAnotherHost");
    CHECK(end.message ==
          "http://127.0.0.1:" + server.port() + " redirects to http://127.0.0.1:" + other.port() +
              " and asks for the same body there, which holds a secret: not sent. If that host may "
              "know it, call it by its own address");
  }
  // To the same host it goes along, as does one without secrets to any; no body has none.
  const json same = json::parse(host.run(ask_along("307", "/echo")).output);
  CHECK(json::parse(same["body"].get<std::string>())["key"] == "canary\"1");
  CHECK(json::parse(host.run(ask_along("303", other.url("/echo"))).output)["method"] == "GET");
  Ask plain = ask_along("308", other.url("/echo"));
  plain.secrets.clear();
  CHECK(json::parse(host.run(plain).output)["method"] == "POST");
}

TEST_CASE_METHOD(Fixture, "http shows who asks, in a header") {
  const auto header = [this](const json& auth) {
    return output({{"url", server.url("/echo")}, {"auth", auth}})["headers"]["authorization"];
  };
  CHECK(header({{"user", "me"}, {"password", "open"}}) == "Basic bWU6b3Blbg==");
  CHECK(header({{"token", "abc"}}) == "Bearer abc");
}

TEST_CASE_METHOD(Fixture, "the log of http says what was asked and answered, and no secret") {
  const json with = {{"url", "http://me:hidden1@127.0.0.1:" + server.port() + "/echo?k=hidden2"},
                     {"query", {{"q", "hidden3"}}},
                     {"headers", {{"X-Key", "hidden4"}}},
                     {"body", "hidden5"},
                     {"expected_status", 201}};
  TestAttempt& attempt = host.start(ask(with));
  REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
  CHECK(attempt.end()->outcome == PAWL_FAILED_FOR_GOOD);
  const std::string log = attempt.log();
  CHECK(log.find("> POST " + server.url("/echo?…") + " (7 bytes)\n") == 0);
  CHECK(log.find("\n< 200, ") != std::string::npos);
  CHECK(log.find("hidden") == std::string::npos);
}

TEST_CASE_METHOD(Fixture,
                 "what an answer says of itself does nothing to the terminal of its reader") {
  TestAttempt& attempt = host.start(get("/status/404?kind=a/%1b[31mb"));
  REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
  CHECK(attempt.log().find(" of a/\\x1b[31mb, ") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "of an address that is a secret nothing is shown, whatever is in it") {
  const std::string at = "http://127.0.0.1:" + server.port();
  const auto told = [this](const Ask& ask) {
    TestAttempt& attempt = host.start(ask);
    REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
    CHECK(attempt.end()->outcome == PAWL_FAILED_FOR_GOOD);
    return attempt.log() + attempt.end()->message;
  };
  for (const std::string rest :
       {"/status/404/canary", "/status/404/canary?wait=true", "/status/404/canary#f",
        "/status/./404/canary", "/status/404/canary b", "/status/404/canary/\u00e4"}) {
    for (const std::string user : {"", "me@", "me:pass@"}) {
      Ask ask = Fixture::ask({{"url", "http://" + user + at.substr(7) + rest}});
      ask.secrets["URL"] = "http://" + user + at.substr(7) + rest;
      const std::string text = told(ask);
      INFO(text);
      CHECK(text.find("canary") == std::string::npos);
      CHECK(text.find("***") != std::string::npos);
      CHECK(text.find("Status404: GET ***") != std::string::npos);
      // The same when only a part of it is one.
      ask.secrets["URL"] = "404" + rest.substr(rest.find("/canary"));
      CHECK(told(ask).find("canary") == std::string::npos);
    }
  }
  Ask part = Fixture::ask({{"url", at + "/status/404?k=canary-1"}, {"query", {{"q", "canary-2"}}}});
  part.secrets = {{"ONE", "canary-1"}, {"TWO", "canary-2"}};
  CHECK(told(part).ends_with("Status404: GET " + server.url("/status/404?…")));
}

TEST_CASE_METHOD(Fixture, "of where a secret address leads only the host is shown") {
  const std::string to = server.url("/status/404/ca%6Eary");
  Ask ask = Fixture::ask({{"url", server.url("/redirect/302?to=" + to)}});
  ask.secrets["URL"] = server.url("/redirect/302?to=" + to);
  const End end = host.run(ask);
  CHECK(end.message == "Status404: GET http://127.0.0.1/… after 1 redirect");
}

TEST_CASE_METHOD(Fixture, "of a secret that the answer repeats no part is shown where it is cut") {
  for (const std::size_t before : {4070, 4080, 4090, 4096}) {
    const std::string secret = "canary-\u00e4-of-the-secret";
    const json with = {{"url", server.url("/repeat?status=404")},
                       {"body", std::string(before, 'x') + secret + std::string(100, 'y')}};
    Ask ask = Fixture::ask(with);
    ask.secrets["KEY"] = secret;
    const End end = host.run(ask);
    CHECK(end.error_class == "Status404");
    CHECK(end.trace.size() >= before);
    CHECK(end.trace.find('c') == std::string::npos);
    ask.with = json{{"url", server.url("/repeat?status=200")}, {"body", with["body"]}}.dump();
    CHECK(host.run(ask).trace == end.trace);
  }
}

TEST_CASE_METHOD(Fixture, "an answer that comes soon and as expected leaves no log") {
  TestAttempt& attempt = host.start(get("/echo"));
  REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
  CHECK(attempt.end()->outcome == PAWL_SUCCEEDED);
  CHECK(attempt.log().empty());
}

TEST_CASE_METHOD(Fixture, "a response that does not fit fails and says so") {
  CHECK(host.run(get("/bytes/100")).error_class == "InvalidJson");
  CHECK(host.run(get("/marked")).error_class == "InvalidJson");
  CHECK(output({{"url", server.url("/marked")}, {"response", "full"}})["body"] == "\xef\xbb\xbf{}");
  Ask text = get("/bytes/1048576");
  text.output = "text";
  CHECK(host.run(text).output.size() == 1048576);
  text = get("/bytes/1048577");
  text.output = "text";
  const End large = host.run(text);
  CHECK(large.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(large.error_class == "ResponseTooLarge");
  CHECK(large.message == "the response is larger than 1.0 MiB, the `max_response`");
  text = get("/chunks/100");
  text.output = "text";
  CHECK(host.run(text).error_class == "ResponseTooLarge");
  text.output = "none";
  CHECK(host.run(text).outcome == PAWL_SUCCEEDED);
  text = get("/binary");
  text.output = "text";
  CHECK(host.run(text).error_class == "InvalidText");
  CHECK(host.run(get("/empty")).output == "null");
}

TEST_CASE_METHOD(Fixture, "an answer that unpacks to a lot is taken in many turns of the loop") {
  Ask ask = get("/packed/40/1");
  ask.output = "none";
  TestAttempt& attempt = host.start(ask);
  int turns = 0;
  REQUIRE(run_until(loop, [&] {
    ++turns;
    return attempt.end().has_value();
  }));
  CHECK(attempt.end()->outcome == PAWL_SUCCEEDED);
  CHECK(turns > 40);
}

TEST_CASE_METHOD(Fixture, "what was packed comes back whole, however much it unpacks to") {
  const ScratchFolder folder;
  Ask ask = ask_for(server.url("/packed/20/1"), {{"save_to", "zeros"}});
  ask.working_dir = folder.path();
  const End end = host.run(ask);
  INFO(end.message);
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  CHECK(file_text(folder / "zeros") == std::string(20u << 20, '\0'));
  ask.with =
      json({{"url", server.url("/packed/20/1")}, {"save_to", "zeros"}, {"max_response", "9MiB"}})
          .dump();
  CHECK(host.run(ask).error_class == "ResponseTooLarge");
  const End bomb = host.run(get("/packed/3/1"));
  CHECK(bomb.error_class == "ResponseTooLarge");
  Ask dropped = get("/packed/100/2");
  dropped.output = "none";
  const End packed_twice = host.run(dropped);
  CHECK(packed_twice.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(packed_twice.error_class == "ResponseTooLarge");
  CHECK_THAT(packed_twice.message,
             Catch::StartsWith("the response is compressed too much: 4.0 KiB of it become more "
                               "than 64.0 MiB; ask for a plain one"));
}

TEST_CASE_METHOD(Fixture, "a call that is cancelled while its answer rests is gone") {
  Ask ask = get("/packed/40/1");
  ask.output = "none";
  TestAttempt& attempt = host.start(ask);
  int turns = 0;
  REQUIRE(run_until(loop, [&] { return ++turns > 20; }));
  host.cancel(attempt);
  REQUIRE(attempt.end().has_value());
  CHECK(output({{"url", server.url("/echo")}})["path"] == "/echo");
}

TEST_CASE_METHOD(Fixture, "a body that nobody keeps has a bound, too") {
  Ask ask = ask_for(server.url("/chunks/100"), {{"max_response", "1MiB"}});
  ask.output = "none";
  const End end = host.run(ask);
  CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(end.message == "the response is larger than 1.0 MiB, the `max_response`");
}

TEST_CASE_METHOD(Fixture, "http can give status and headers along with the body") {
  json got = output({{"url", server.url("/ready/full/0")}, {"response", "full"}});
  CHECK(got["status"] == 200);
  CHECK(got["headers"]["content-type"] == "application/json");
  CHECK(got["body"]["state"] == "ready");
  got = output({{"url", server.url("/html")}, {"response", "full"}});
  CHECK(got["body"] == "<html>\n");
  got = output({{"url", server.url("/odd_headers")}, {"response", "full"}})["headers"];
  CHECK(got["x-empty"].get<std::string>().empty());
  CHECK(got["x-latin"] == "café");
  CHECK(got["x-utf8"] == "bär");
  CHECK(got["x-tab"] == "a\tb");
  CHECK(got["x-twice"] == "1, 2");
}

TEST_CASE_METHOD(Fixture, "names of headers may be any bytes, as values may") {
  const json got = output({{"url", server.url("/odd_names")}, {"response", "full"}})["headers"];
  CHECK(got["x-bär"] == "1, 2");
  CHECK(got["x-café"] == "3");
}

TEST_CASE_METHOD(Fixture, "http saves a body of any size to a file, whole or not at all") {
  const ScratchFolder folder;
  Ask ask = ask_for(server.url("/bytes/3000000"), {{"save_to", "body.bin"}});
  ask.working_dir = folder.path();
  const End end = host.run(ask);
  INFO(end.message);
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  CHECK(json::parse(end.output) == json({{"file", folder / "body.bin"}, {"bytes", 3000000}}));
  CHECK(file_text(folder / "body.bin") == std::string(3000000, 'x'));
  ask = ask_for(server.url("/bytes/3000000"), {{"save_to", "body.bin"}, {"max_response", "1MB"}});
  ask.working_dir = folder.path();
  CHECK(host.run(ask).error_class == "ResponseTooLarge");
  CHECK(file_text(folder / "body.bin").size() == 3000000);
  ask = ask_for(server.url("/empty"), {{"save_to", "body.bin"}});
  ask.working_dir = folder.path();
  ask.output = "text";
  CHECK(host.run(ask).output == folder / "body.bin");
  CHECK(file_text(folder / "body.bin").empty());
  using Entries = std::filesystem::directory_iterator;
  CHECK(std::distance(Entries(folder.path()), Entries()) == 1);
}

TEST_CASE_METHOD(Fixture, "a body that replaces a file has its rights, also behind a link") {
  namespace fs = std::filesystem;
  const ScratchFolder folder;
  write_file(folder / "secret", "old");
  fs::permissions(folder / "secret", fs::perms::owner_read);
  fs::create_directory(folder / "links");
  fs::create_symlink("../secret", folder / "links/latest");
  Ask ask = ask_for(server.url("/bytes/3000000"), {{"save_to", "links/latest"}});
  ask.working_dir = folder.path();
  const End end = host.run(ask);
  INFO(end.message);
  REQUIRE(end.outcome == PAWL_SUCCEEDED);
  CHECK(json::parse(end.output)["file"] == folder / "links/latest");
  CHECK(fs::is_symlink(folder / "links/latest"));
  CHECK(fs::file_size(folder / "secret") == 3000000);
  CHECK(fs::status(folder / "secret").permissions() == fs::perms::owner_read);
}

TEST_CASE_METHOD(Fixture, "a place where no file can be is refused before anybody is called") {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "made");
  write_file(folder / "file", "");
  const auto refused = [&](const std::string& save_to, const std::string& why) {
    Ask ask = ask_for(server.url("/busy/refused/0"), {{"save_to", save_to}});
    ask.working_dir = folder.path();
    const End end = host.run(ask);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "InvalidParameter");
    CHECK(end.message == "`save_to`: " + save_to + ' ' + why);
  };
  refused("made", "is a folder: name a file in it");
  refused("none/", "is a folder: name a file in it");
  refused("file/a", "cannot be a file: a part of its path is no folder");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  refused("pipe",
          "is no regular file, and only such a one can be replaced (to drop the body, leave "
          "`save_to` and `output` out)");
  std::filesystem::create_symlink("circle", folder / "circle");
  refused("circle", "cannot be a file: symbolic links lead in a circle");
  const std::string long_name(256, 'n');
  refused(long_name, "cannot be a file: its name is too long");
  const std::string name(250, 'n');
  refused(name,
          "cannot be a file: its name is too long together with \".run-1-task-0.part\", "
          "which it has until it is whole");
  CHECK(output({{"url", server.url("/busy/refused/0")}})["calls"] == 1);
}

TEST_CASE_METHOD(Fixture, "many large bodies at once go to files, and come back whole") {
  const ScratchFolder folder;
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 60; ++i) {
    Ask ask = get("/bytes/1000000");
    ask.output = "text";
    ask.scratch = folder / std::to_string(i);
    std::filesystem::create_directory(ask.scratch);
    attempts.push_back(&host.start(ask));
  }
  for (TestAttempt* attempt : attempts) {
    REQUIRE(run_until(loop, [&] { return attempt->end().has_value(); }));
    CHECK(attempt->end()->message.empty());
    CHECK(attempt->end()->output == std::string(1000000, 'x'));
  }
}

TEST_CASE_METHOD(Fixture, "errors of the network have names, and may heal") {
  const auto fails = [this](const std::string& url, const std::string& name) {
    const End end = run({{"url", url}, {"connect_timeout", "5s"}});
    INFO(end.message);
    CHECK(end.error_class == name);
    return end.outcome;
  };
  CHECK(fails("http://127.0.0.1:" + silent_port() + "/x", "CouldntConnect") == PAWL_FAILED);
  CHECK(fails(kNowhere, "CouldntResolveHost") == PAWL_FAILED);
  CHECK_THAT(run({{"url", kNowhere}}).message,
             Catch::StartsWith("Could not resolve") && Catch::EndsWith("(" + kNowhere + ")"));
  CHECK(fails(server.url("/drop"), "EmptyReply") == PAWL_FAILED);
  CHECK(fails(server.url("/banner"), "UnexpectedReply") == PAWL_FAILED);
  CHECK(fails(server.url("/header/2000000"), "HeaderTooLarge") == PAWL_FAILED);
  CHECK(fails(server.url("/redirect/302?to=ftp://127.0.0.1/"), "UnsupportedProtocol") ==
        PAWL_FAILED_FOR_GOOD);
  CHECK(fails(server.url("/echo", "https"), "TlsHandshake") == PAWL_FAILED);
}

TEST_CASE_METHOD(Fixture, "parameters that cannot work fail for good and say which") {
  const auto refused = [this](json with, const std::string& word) {
    if (!with.contains("url")) with["url"] = server.url("/echo");
    const End end = run(with);
    INFO(end.message);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "InvalidParameter");
    CHECK(end.message.find(word) != std::string::npos);
    CHECK(end.message.find("hidden") == std::string::npos);
  };
  refused({{"auth", {{"user", ""}, {"password", "hidden"}}}}, "`auth` takes either");
}

TEST_CASE_METHOD(Fixture, "the schema of http refuses what is none of its parameters") {
  CHECK(host.violation(R"({"url": "http://a/", "methd": "GET"})").has_value());
  CHECK(host.violation(R"({"url": "http://a/", "connect_timeout": "5"})").has_value());
  CHECK(host.violation(R"({"url": "http://a/", "max_response": "all"})").has_value());
  CHECK(host.violation(R"({"method": "GET"})").has_value());
  for (const char* url : {"ftp://hidden.example.org/", "file:///etc/passwd", "http:///path",
                          "http:/h/", "example.org"}) {
    const auto wrong = host.violation(json{{"url", url}}.dump());
    REQUIRE(wrong.has_value());
    CHECK_THAT(*wrong, !Catch::Contains("hidden"));  // a secret may be in it
  }
  CHECK(host.violation(R"({"url": "http://a/", "method": "get"})").has_value());
  CHECK(host.violation(R"({"url": "http://a/", "max_redirects": 51})").has_value());
  CHECK_FALSE(host.violation(R"({"url": "http://a/", "expected_status": [200, "3xx"]})"));
}

TEST_CASE_METHOD(Fixture, "what cannot work is an error of the job file, and says which") {
  const auto said = [this](json with) {
    with["url"] = "http://a/";
    return host.violation(with.dump()).value_or("");
  };
  const auto contains = [](const char* text) { return Catch::Contains(text); };
  for (const char* wrong : {"9xx", "2yy", "20", "200-2999", "ok", "299-99", "200-600"}) {
    CHECK_THAT(said({{"expected_status", wrong}}), contains("is no status such as \"2xx\" or"));
    CHECK_THAT(said({{"retry_status", {200, wrong}}}), contains("is no status such as \"2xx\" or"));
  }
  CHECK_THAT(said({{"expected_status", 42}}), contains("at least 100"));
  CHECK_THAT(said({{"expected_status", {600}}}), contains("at most 599"));
  CHECK_FALSE(said({{"expected_status", json::array()}}).empty());
  CHECK(said({{"retry_status", json::array()}}).empty());
  CHECK(said({{"expected_status", {200, "204", "3xx", "400-404", "100-599"}}}).empty());
  CHECK(said({{"expected_status", {"299-200", "210-205"}}}).empty());
  for (const char* value : {"hidden\r\nX-B: 1", "hidden\n", "hidden\r"}) {
    const std::string why = said({{"headers", {{"X-A", value}}}});
    CHECK_THAT(why, contains("this value holds a line break or a zero byte"));
    CHECK_THAT(why, !contains("hidden"));
  }
  CHECK(said({{"headers", {{"X-A", "ä\t{{ 1 }}"}, {"X-B", 1}}}}).empty());
  const std::string cut("f\0.txt", 6);
  CHECK_THAT(said({{"save_to", cut}}), contains("is no path: it has a zero byte"));
  for (const char* name : {"ca_file", "certificate_file", "key_file"})
    CHECK_THAT(said({{"tls", {{name, cut}}}}), contains("is no path: it has a zero byte"));
  CHECK_THAT(said({{"save_to", "f"}, {"response", "full"}}), contains("exclude each other"));
  CHECK(said({{"save_to", "f"}, {"response", "body"}}).empty());
  CHECK_THAT(said({{"method", "HEAD"}, {"body", "x"}}), contains("HEAD takes no"));
  CHECK(said({{"method", "PUT"}, {"body", "x"}}).empty());
  CHECK_THAT(said({{"auth", {{"user", "a:b"}, {"password", "c"}}}}), contains("has a colon"));
  CHECK_THAT(said({{"auth", {{"user", "a"}, {"token", "b"}}}}),
             contains("\"user\" and \"token\" exclude each other"));
  CHECK_THAT(said({{"auth", {{"password", "a"}}}}), contains("is missing"));
  const std::string pair =
      "\"auth\" takes \"user\" and \"password\", which may be empty, or \"token\" alone";
  CHECK(said({{"auth", {{"user", "a"}}}}) == pair);
  CHECK(said({{"auth", {{"token", "a"}, {"password", "b"}}}}) == pair);
  CHECK(said({{"auth", {{"user", "a"}, {"password", ""}}}}).empty());
  CHECK(said({{"auth", {{"token", "a"}}}}).empty());
  CHECK_THAT(said({{"headers", {{"X A", "1"}}}}), contains("as \"X-Request-Id\" does"));
  CHECK_THAT(said({{"connect_timeout", "0s"}}), contains("at least 1ms"));
  CHECK_THAT(said({{"max_response", "2MiB"}}), contains("use \"save_to\""));
  CHECK(said({{"max_response", "1MiB"}}).empty());
  CHECK(said({{"max_response", "2MiB"}, {"save_to", "f"}}).empty());
  for (const char* proxy :
       {"", "proxy.example.org", "proxy:3128", "u:p@proxy:3128/", "HTTP://proxy:1",
        "https://u:p@proxy", "socks5://proxy:1080", "socks5h://[::1]:1080"}) {
    INFO(proxy);
    CHECK(said({{"proxy", proxy}}).empty());
  }
  for (const char* proxy : {"ftp://hidden:1", "hidden://", "gopher://hidden"}) {
    INFO(proxy);
    CHECK_THAT(said({{"proxy", proxy}}),
               contains("is no address of a proxy") && !contains("hidden"));
  }
}

TEST_CASE_METHOD(Fixture,
                 "what an attempt left that was killed while it saved goes with the next") {
  const ScratchFolder folder;
  Ask ask = ask_for(server.url("/status/500"), {{"save_to", "body.bin"}});
  ask.working_dir = folder.path();
  const std::string part = folder / "body.bin.run-1-task-0.part";
  std::ofstream(part) << "half";
  ask.number = 2;
  CHECK(host.run(ask).error_class == "Status500");
  CHECK_FALSE(std::filesystem::exists(part));
}

TEST_CASE_METHOD(Fixture, "HEAD ends with the header, also on a connection that is used again") {
  for (const char* method : {"HEAD", "POST", "HEAD", "GET"}) {
    Ask call = ask_for(server.url("/bytes/5"), {{"method", method}});
    call.output = "text";
    const End end = host.run(call);
    CHECK(end.outcome == PAWL_SUCCEEDED);
    CHECK(end.output == (std::string(method) == "HEAD" ? "" : "xxxxx"));
  }
}

TEST_CASE_METHOD(Fixture, "a call that takes long, and one that is cancelled, say what they ask") {
  const std::string line = "> GET " + server.url("/slow/60") + "\n";
  TestAttempt& lasting = host.start(get("/slow/60"));
  REQUIRE(run_until(loop, [&] { return lasting.log() == line; }));
  TestAttempt& short_one = host.start(get("/slow/60"));
  host.cancel(short_one);
  REQUIRE(run_until(loop, [&] { return short_one.end().has_value(); }));
  CHECK(short_one.log() == line);
  host.cancel(lasting);
}

TEST_CASE_METHOD(Fixture, "a cancelled call ends at once") {
  TestAttempt& attempt = host.start(get("/slow/60"));
  for (int i = 0; i < 20; ++i) loop.run_once(false);
  REQUIRE_FALSE(attempt.end().has_value());
  host.cancel(attempt);
  REQUIRE(attempt.end().has_value());
  CHECK(attempt.end()->error_class == "Cancelled");
}

TEST_CASE_METHOD(Fixture, "an answer that comes slowly is a sign of life") {
  TestAttempt& attempt = host.start(get("/drip"));
  REQUIRE(run_until(loop, [&] { return attempt.heartbeats() == 2; }));
  CHECK_FALSE(attempt.end().has_value());
  host.cancel(attempt);
}

TEST_CASE_METHOD(Fixture, "many calls of one host look up its name a few at a time") {
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 200; ++i) {
    attempts.push_back(&host.start(ask({{"url", kNowhere}})));
  }
  host.cancel(*attempts[150]);
  std::ptrdiff_t threads = 0;
  for (TestAttempt* attempt : attempts) {
    REQUIRE(run_until(loop, [&] {
      using Entries = std::filesystem::directory_iterator;
      threads = std::max(threads, std::distance(Entries("/proc/self/task"), Entries()));
      return attempt->end().has_value();
    }));
    if (attempt != attempts[150]) CHECK(attempt->end()->error_class == "CouldntResolveHost");
  }
  CHECK(threads < 40);
}

TEST_CASE_METHOD(Fixture, "one connection serves call after call") {
  const json first = json::parse(host.run(get("/echo")).output);
  for (int i = 0; i < 5; ++i) {
    CHECK(json::parse(host.run(get("/echo")).output)["peer"] == first["peer"]);
  }
  CHECK(host.run(get("/status/404")).error_class == "Status404");
  CHECK(json::parse(host.run(get("/echo")).output)["peer"] == first["peer"]);
}

TEST_CASE_METHOD(Fixture, "http goes through the proxy that it or its task names") {
  const json with = {{"url", kNowhere + "x"}, {"proxy", server.url("")}};
  CHECK(output(with)["proxied"] == kNowhere + "x");
  Ask ask = ask_for(kNowhere + "y", json::object());
  ask.environment = {"http_proxy=" + server.url("")};
  CHECK(json::parse(host.run(ask).output)["proxied"] == kNowhere + "y");
  ask.environment.emplace_back("no_proxy=" + kNobody);
  CHECK(host.run(ask).error_class == "CouldntResolveHost");
  // The proxy of the scheme goes before the one of all; in capitals HTTP_PROXY is not a variable.
  const std::string nobody_listens = "=http://127.0.0.1:" + silent_port();
  for (const char* all : {"all_proxy=", "ALL_PROXY="}) {
    INFO(all);
    ask.environment = {all + server.url(""), "https_proxy" + nobody_listens,
                       "HTTP_PROXY" + nobody_listens};
    CHECK(json::parse(host.run(ask).output)["proxied"] == kNowhere + "y");
    ask.environment.emplace_back("http_proxy" + nobody_listens);
    CHECK(host.run(ask).error_class == "CouldntConnect");
  }
  ask.environment = {"http_proxy=ftp://hidden:1"};
  const End refused = host.run(ask);
  CHECK(refused.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK_THAT(refused.message, Catch::Contains("the variable http_proxy names a proxy") &&
                                  !Catch::Contains("hidden"));
}

TEST_CASE_METHOD(Fixture, "a redirect to the other scheme goes through the proxy of that scheme") {
  const ScratchFolder folder;
  const std::vector<std::string> files = make_certificate(folder);
  const Counterpart secure({"http", "--tls", files[0], files[1]});
  const std::string proxy = "http_proxy=http://127.0.0.1:" + silent_port();
  const std::string open = "/redirect/302?to=" + server.url("/echo");
  const std::string closed = "/redirect/302?to=" + secure.url("/echo", "https");
  Ask ask = ask_for(secure.url(open, "https"), {{"tls", {{"ca_file", files[0]}}}});
  CHECK(json::parse(host.run(ask).output)["path"] == "/echo");
  ask.environment = {proxy};
  CHECK(host.run(ask).error_class == "CouldntConnect");
  ask.environment = {"https_proxy=http://127.0.0.1:" + silent_port()};
  ask.with = json({{"url", server.url(closed)}, {"tls", {{"ca_file", files[0]}}}}).dump();
  CHECK(host.run(ask).error_class == "CouldntConnect");
  ask.environment.clear();
  CHECK(json::parse(host.run(ask).output)["path"] == "/echo");
}

TEST_CASE("http trusts whom it is told to trust, and nobody else") {
  Loop loop;
  const ScratchFolder folder;
  const std::vector<std::string> files = make_certificate(folder);
  const Counterpart server({"http", "--tls", files[0], files[1]});
  OperatorHost host(loop, "http", "http");
  const auto call = [&](const json& tls) {
    Ask ask;
    ask.with = json({{"url", server.url("/echo", "https")}, {"tls", tls}}).dump();
    ask.working_dir = folder.path();
    return host.run(ask);
  };
  const End unknown = call(json::object());
  CHECK(unknown.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(unknown.error_class == "TlsCertificate");
  CHECK(call({{"ca_file", "cert.pem"}}).outcome == PAWL_SUCCEEDED);
  CHECK(call(json::object()).error_class == "TlsCertificate");
  CHECK(call({{"verify", false}}).outcome == PAWL_SUCCEEDED);
  CHECK(call(json::object()).error_class == "TlsCertificate");
  CHECK(call({{"ca_file", "none.pem"}}).error_class == "TlsFile");
}

TEST_CASE("http shows its own certificate to a server that asks for one") {
  Loop loop;
  const ScratchFolder folder;
  const std::vector<std::string> files = make_certificate(folder);
  const Counterpart server({"http", "--tls", files[0], files[1], "--ask-client"});
  OperatorHost host(loop, "http", "http");
  json tls = {{"ca_file", files[0]}};
  // Each on a connection of its own, which has to show the certificate anew.
  const auto call = [&] {
    Ask ask;
    ask.with = json({{"url", server.url("/echo", "https")},
                     {"headers", {{"Connection", "close"}}},
                     {"tls", tls}})
                   .dump();
    return host.run(ask);
  };
  CHECK(call().outcome == PAWL_FAILED);
  tls["certificate_file"] = files[0];

  const std::string locked = folder / "locked.pem";
  const std::string lock =
      "openssl pkey -aes256 -passout pass:sesame -in " + files[1] + " -out " + locked;
  REQUIRE(std::system(lock.c_str()) == 0);
  tls["key_file"] = locked;
  tls["key_password"] = "hunter2";
  const End wrong = call();
  CHECK(wrong.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(wrong.error_class == "TlsFile");
  CHECK_THAT(wrong.message + wrong.trace, !Catch::Contains("hunter2"));
  tls["key_password"] = "sesame";
  CHECK(call().outcome == PAWL_SUCCEEDED);
  tls.erase("key_password");
  {
    const StandardInput person("sesame\n");
    CHECK(call().error_class == "TlsFile");
  }

  tls["key_file"] = files[1];
  CHECK(call().outcome == PAWL_SUCCEEDED);
}
