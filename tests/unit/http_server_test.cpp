#include "scheduler/daemon/http_server.h"

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/daemon/control.h"
#include "tests/unit/http_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::DeepHome;
using test::RawClient;
using test::run_until;
using test::start_or_fail;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: p\r\n\r\n";

std::string post(std::string_view body) {
  return "POST /x HTTP/1.1\r\nHost: p\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

/// A server whose handler keeps what it is asked and answers nothing.
struct Keeper {
  explicit Keeper(HttpServer::Options options = {})
      : server(start_or_fail(
            loop, home.socket(),
            [this](HttpRequest request, Responder responder) {
              requests.push_back(std::move(request));
              responders.push_back(std::move(responder));
            },
            options)) {}

  DeepHome home;
  Loop loop;
  std::vector<HttpRequest> requests;
  std::vector<Responder> responders;
  std::unique_ptr<HttpServer> server;
};

/// A server that answers at once.
struct Echo {
  explicit Echo(HttpServer::Options options = {})
      : server(start_or_fail(
            loop, home.socket(),
            [this](HttpRequest request, Responder responder) {
              ++handled;
              responder.json(200, "{\"bytes\":" + std::to_string(request.body.size()) + "}");
            },
            options)) {}

  bool answers() {
    RawClient client(loop, home.socket());
    client.send(kGet);
    return run_until(loop, [&] { return client.got("{\"bytes\":0}"); });
  }

  DeepHome home;
  Loop loop;
  int handled = 0;
  std::unique_ptr<HttpServer> server;
};

}  // namespace

TEST_CASE("a request arrives decoded, with who asked") {
  Keeper keeper;
  RawClient client(keeper.loop, keeper.home.socket());
  client.send(
      "POST /runs/a%20b?state=failed&q=%C3%BC%2B1&empty&state=held HTTP/1.1\r\nHost: p\r\n"
      "Content-Length: 4\r\n\r\nbody");
  REQUIRE(run_until(keeper.loop, [&] { return keeper.requests.size() == 1; }));
  const HttpRequest& request = keeper.requests[0];
  REQUIRE(request.method == "POST");
  REQUIRE(request.path == "/runs/a b");
  REQUIRE(request.query.at("q") == "ü+1");
  REQUIRE(request.query.at("empty").empty());
  REQUIRE(request.query.at("state") == "held");
  REQUIRE(request.body == "body");
  REQUIRE(request.uid == ::geteuid());
  REQUIRE_FALSE(request.user.empty());
  keeper.responders[0].json(201, R"({"run":1})");
  REQUIRE(keeper.responders[0].gone());
  REQUIRE(run_until(keeper.loop, [&] { return client.got(R"({"run":1})"); }));
  REQUIRE(client.got("201 Created"));
  REQUIRE(client.got("application/json"));
}

TEST_CASE("one connection serves one request after another, also when they come at once") {
  Echo echo;
  RawClient client(echo.loop, echo.home.socket());
  client.send(post("1") + post("22") + std::string(kGet));
  REQUIRE(run_until(echo.loop, [&] {
    return client.got("{\"bytes\":1}") && client.got("{\"bytes\":2}") &&
           client.got("{\"bytes\":0}");
  }));
  REQUIRE(echo.handled == 3);
}

TEST_CASE("only the first answer to a request counts") {
  Keeper keeper;
  RawClient client(keeper.loop, keeper.home.socket());
  client.send(kGet);
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 1; }));
  Responder copy = keeper.responders[0];
  keeper.responders[0].json(200, "first");
  copy.json(500, "second");
  client.send(kGet);
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 2; }));
  REQUIRE(client.got("first"));
  REQUIRE_FALSE(client.got("second"));
}

TEST_CASE("a request whose responder is forgotten hears that the scheduler went, not silence") {
  Keeper keeper;
  RawClient client(keeper.loop, keeper.home.socket());
  client.send(kGet);
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 1; }));
  keeper.responders.clear();
  REQUIRE(run_until(keeper.loop, [&] { return client.got("went before it answered"); }));
  REQUIRE(client.got("502 Bad Gateway"));
}

TEST_CASE("garbage on the socket harms nobody but who sent it") {
  Echo echo;
  std::uint32_t seed = 7;
  const auto random = [&seed] { return seed = seed * 1664525 + 1013904223, seed >> 24; };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    std::string bytes = i % 2 == 0 ? "GET " : "";
    for (int n = 0; n < 300; ++n) bytes.push_back(static_cast<char>(random()));
    bytes += i % 3 == 0 ? "\r\n\r\n" : "\n\n\n";
    clients.push_back(std::make_unique<RawClient>(echo.loop, echo.home.socket()));
    clients.back()->send(bytes);
  }
  const char* hostile[] = {
      "POST /x HTTP/1.1\r\nHost: p\r\nContent-Length: -1\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: p\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
      "\r\n\r\n\r\n",
      "GET  HTTP/9.9\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  };
  for (const char* bytes : hostile) {
    clients.push_back(std::make_unique<RawClient>(echo.loop, echo.home.socket()));
    clients.back()->send(bytes);
  }
  REQUIRE(echo.answers());
  clients.clear();
  REQUIRE(echo.answers());
  REQUIRE(run_until(echo.loop, [&] { return echo.server->connections() == 0; }));
}

TEST_CASE("a path, a query or a body that is not UTF-8 is refused") {
  Echo echo;
  for (const std::string& bytes :
       {std::string("GET /%ff HTTP/1.1\r\nHost: p\r\n\r\n"),
        std::string("GET /x?a=%c0%80 HTTP/1.1\r\nHost: p\r\n\r\n"),
        std::string("GET /x?a=%00 HTTP/1.1\r\nHost: p\r\n\r\n"), post("\xff\xfe")}) {
    RawClient client(echo.loop, echo.home.socket());
    client.send(bytes);
    REQUIRE(run_until(echo.loop, [&] { return client.got("400 Bad Request"); }));
  }
  REQUIRE(echo.handled == 0);
}

TEST_CASE("a server that listens no more serves whose request has arrived, and nobody else") {
  Echo echo;
  RawClient seen(echo.loop, echo.home.socket());
  RawClient kept(echo.loop, echo.home.socket());
  kept.send(kGet);
  REQUIRE(run_until(echo.loop, [&] { return kept.got("200 OK"); }));
  seen.send(kGet);
  RawClient unseen(echo.loop, echo.home.socket());
  unseen.send(kGet);
  RawClient half(echo.loop, echo.home.socket());
  REQUIRE(half.send(kGet.substr(0, kGet.size() - 2)));
  RawClient silent(echo.loop, echo.home.socket());

  echo.server->stop_listening();
  REQUIRE(connect_unix(echo.home.socket()).error().kind == ErrorKind::refused);
  REQUIRE(echo.server->awaits_request());
  // Who could not send all knows it: nobody acts on a part, so it may be sent to the next one.
  REQUIRE_FALSE(half.send(kGet.substr(kGet.size() - 2)));
  REQUIRE_FALSE(silent.send(kGet));
  REQUIRE_FALSE(kept.send(kGet));
  REQUIRE(run_until(echo.loop, [&] { return !echo.server->awaits_request(); }));
  REQUIRE(echo.handled == 3);
  echo.server.reset();
  REQUIRE(run_until(echo.loop, [&] {
    return seen.closed() && unseen.closed() && half.closed() && silent.closed() && kept.closed();
  }));
  REQUIRE(seen.got("200 OK"));
  REQUIRE(unseen.got("200 OK"));
  REQUIRE(half.received().empty());
  REQUIRE(silent.received().empty());
}

TEST_CASE("headers without an end are cut off") {
  Echo echo;
  RawClient client(echo.loop, echo.home.socket());
  client.send("GET /x HTTP/1.1\r\n");
  const std::string header = "X-A: " + std::string(1000, 'a') + "\r\n";
  REQUIRE(run_until(echo.loop, [&] {
    client.send(header);
    return client.closed() || client.got("431");
  }));
  REQUIRE(echo.handled == 0);
}

TEST_CASE("a client that sends its request a byte at a time is dropped when its time is over") {
  Echo echo({.client_timeout = 150ms});
  RawClient slow(echo.loop, echo.home.socket());
  std::string left(kGet.substr(0, kGet.size() - 1));
  std::optional<Timer> next;
  next.emplace(echo.loop, [&] {
    slow.send(left.substr(0, 1));
    if (left.size() > 1) left.erase(0, 1);
    next->start_after(10ms);
  });
  next->start_after(0ms);
  RawClient silent(echo.loop, echo.home.socket());
  REQUIRE(run_until(echo.loop, [&] { return slow.closed() && silent.closed(); }));
  REQUIRE(echo.handled == 0);
  REQUIRE(echo.answers());
}

TEST_CASE("a long poll may take longer than a client may take to ask") {
  Keeper keeper({.client_timeout = 50ms});
  RawClient client(keeper.loop, keeper.home.socket());
  client.send(kGet);
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 1; }));
  bool later = false;
  Timer timer(keeper.loop, [&] { later = true; });
  timer.start_after(150ms);
  REQUIRE(run_until(keeper.loop, [&] { return later; }));
  keeper.responders[0].json(200, "patience");
  REQUIRE(run_until(keeper.loop, [&] { return client.got("patience"); }));
}

TEST_CASE("the largest body is taken, a larger one is refused with a reason") {
  Echo echo;
  const std::string largest = post(std::string(HttpServer::kBodyBytesMax, 'b'));
  RawClient client(echo.loop, echo.home.socket());
  std::string_view left = largest;
  // Written by the loop's own turns, because both ends live on this thread.
  const auto push = [&](RawClient& to) {
    left = to.send_some(left);
    echo.loop.run_once(false);
  };
  while (!left.empty()) push(client);
  REQUIRE(run_until(echo.loop, [&] { return client.got("{\"bytes\":16777216}"); }));

  RawClient announced(echo.loop, echo.home.socket());
  announced.send("POST /x HTTP/1.1\r\nHost: p\r\nContent-Length: 16777217\r\n\r\n");
  REQUIRE(run_until(echo.loop, [&] { return announced.got("at most 16 MiB"); }));
  REQUIRE(announced.got("413"));

  std::string chunked =
      "POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n1100000\r\n";
  chunked.append(0x1100000, 'c').append("\r\n0\r\n\r\n");
  RawClient unannounced(echo.loop, echo.home.socket());
  left = chunked;
  while (!left.empty()) push(unannounced);
  REQUIRE(run_until(echo.loop, [&] { return unannounced.got("413"); }));
  REQUIRE(echo.handled == 1);
}

TEST_CASE("a body without an end is cut off") {
  Echo echo;
  RawClient client(echo.loop, echo.home.socket());
  client.send("POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n");
  const std::string more(64u << 10, 'e');
  REQUIRE(run_until(echo.loop, [&] {
    client.send(more);
    return client.closed();
  }));
  REQUIRE(echo.handled == 0);
}

TEST_CASE("a client that goes during a long poll is noticed, and its responder becomes inert") {
  Keeper keeper;
  RawClient client(keeper.loop, keeper.home.socket());
  client.send(kGet);
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 1; }));
  int gone = 0;
  keeper.responders[0].on_gone([&] { ++gone; });
  REQUIRE_FALSE(keeper.responders[0].gone());
  client.close();
  REQUIRE(run_until(keeper.loop, [&] { return gone == 1; }));
  REQUIRE(keeper.responders[0].gone());
  keeper.responders[0].json(200, "for nobody");
  REQUIRE(run_until(keeper.loop, [&] { return keeper.server->connections() == 0; }));
  REQUIRE(gone == 1);
}

TEST_CASE("two hundred long polls wait together and are all answered") {
  Keeper keeper;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<RawClient>(keeper.loop, keeper.home.socket()));
    clients.back()->send(kGet);
  }
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == 200; }));
  for (std::size_t i = 0; i < 200; i += 2) clients[i]->close();
  REQUIRE(run_until(keeper.loop, [&] { return keeper.server->connections() == 100; }));
  for (Responder& responder : keeper.responders) responder.json(200, "now");
  REQUIRE(run_until(keeper.loop, [&] {
    for (std::size_t i = 1; i < 200; i += 2) {
      if (!clients[i]->got("now")) return false;
    }
    return true;
  }));
}

TEST_CASE("above its number of clients the server says so, and later serves again") {
  Keeper keeper;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < HttpServer::kConnectionsMax; ++i) {
    clients.push_back(std::make_unique<RawClient>(keeper.loop, keeper.home.socket()));
    clients.back()->send(kGet);
  }
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == clients.size(); }));
  std::vector<std::unique_ptr<RawClient>> more;
  for (int i = 0; i < 50; ++i) {
    more.push_back(std::make_unique<RawClient>(keeper.loop, keeper.home.socket()));
    more.back()->send(kGet);
  }
  REQUIRE(run_until(keeper.loop, [&] {
    for (const auto& client : more) {
      if (!client->got("too many clients")) return false;
    }
    return true;
  }));
  REQUIRE(more[0]->got("503"));
  clients.clear();
  RawClient again(keeper.loop, keeper.home.socket());
  REQUIRE(run_until(keeper.loop, [&] { return keeper.server->connections() < 100; }));
  again.send(kGet);
  const std::size_t before = keeper.responders.size();
  REQUIRE(run_until(keeper.loop, [&] { return keeper.responders.size() == before + 1; }));
}

TEST_CASE("a handler may destroy the server, and answers given before still arrive") {
  DeepHome home;
  Loop loop;
  std::unique_ptr<HttpServer> server;
  std::optional<Responder> kept;
  server = start_or_fail(loop, home.socket(), [&](HttpRequest, Responder responder) {
    if (!kept) {
      kept = responder;
      return;
    }
    responder.json(200, "last words");
    server.reset();
  });
  RawClient waiting(loop, home.socket());
  waiting.send(kGet);
  REQUIRE(run_until(loop, [&] { return kept.has_value(); }));
  RawClient client(loop, home.socket());
  client.send(kGet);
  REQUIRE(run_until(loop, [&] { return client.closed() && waiting.closed(); }));
  REQUIRE(client.got("last words"));
  REQUIRE(waiting.received().empty());
  REQUIRE(kept->gone());
  kept->json(200, "nobody is there");
}

TEST_CASE("every kind of error keeps its word and its message over the socket") {
  for (const ErrorKind kind :
       {ErrorKind::failed, ErrorKind::invalid, ErrorKind::not_found, ErrorKind::refused,
        ErrorKind::no_scheduler, ErrorKind::home_unusable, ErrorKind::storage, ErrorKind::locked,
        ErrorKind::version, ErrorKind::interrupted}) {
    const Error error{kind, "what: why. try \"\n\" \xff"};
    const Error back = error_from(http_status(kind), error_body(error));
    REQUIRE(back.kind == kind);
    REQUIRE(back.message.substr(0, 19) == "what: why. try \"\n\" ");
    REQUIRE(error_from(http_status(kind), "<html>").kind == kind);
  }
  REQUIRE(error_from(418, "").kind == ErrorKind::invalid);
  REQUIRE(error_from(599, R"({"error":7})").kind == ErrorKind::failed);
}

}  // namespace pawl
