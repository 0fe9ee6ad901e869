#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "cli/client.h"
#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/timer.h"
#include "tests/unit/http_support.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using test::DeepHome;
using test::ServerThread;

Client::Call get(std::string path) { return {.path = std::move(path)}; }

/// A server that loses the first `losses` answers: it reads a request and hangs up.
class LossyServer {
 public:
  LossyServer(const std::string& path, int losses, std::function<void()> on_loss = {})
      : listening_(test::listen_or_fail(path)), on_loss_(std::move(on_loss)) {
    thread_ = std::thread([this, losses] { serve(losses); });
  }
  ~LossyServer() {
    ending_ = true;
    ::shutdown(listening_.get(), SHUT_RDWR);
    thread_.join();
  }
  int requests() const { return requests_; }

 private:
  void serve(int losses) {
    ::fcntl(listening_.get(), F_SETFL, 0);
    while (!ending_) {
      const Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) return;
      std::array<char, 4096> buffer;
      if (::recv(socket.get(), buffer.data(), buffer.size(), 0) <= 0) continue;
      if (++requests_ <= losses) {
        if (on_loss_) on_loss_();
        continue;
      }
      constexpr std::string_view kAnswer =
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
      ::send(socket.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    }
  }

  Fd listening_;
  std::function<void()> on_loss_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a call reaches the scheduler of a home at any depth and brings its answer") {
  DeepHome home;
  ServerThread server(home.socket(), [](HttpRequest request, Responder responder) {
    responder.json(
        request.method == "POST" ? 201 : 404,
        request.method + " " + request.path + " " + request.query["n"] + " " + request.body);
  });
  Client client(home.path());
  for (int i = 0; i < 3; ++i) {
    const auto reply = client.call({.method = "POST",
                                    .path = "/jobs/" + Client::encode("a b/ü") + "?n=1",
                                    .body = R"({"x":1})"});
    REQUIRE(reply);
    REQUIRE(reply->status == 201);
    REQUIRE(reply->body == R"(POST /jobs/a b/ü 1 {"x":1})");
    const auto missing = client.call(get("/none"));
    REQUIRE(missing->status == 404);
    REQUIRE(client.call({.method = "DELETE", .path = "/../x"})->body == "DELETE /../x  ");
  }
}

TEST_CASE("a body of any size is sent and received whole") {
  DeepHome home;
  ServerThread server(home.socket(), [](HttpRequest request, Responder responder) {
    responder.json(200, request.body + request.body);
  });
  const std::string body(8u << 20, 'x');
  Client client(home.path());
  const auto reply = client.call({.method = "POST", .path = "/", .body = body});
  REQUIRE(reply);
  REQUIRE(reply->body.size() == 2 * body.size());
}

TEST_CASE("a home that nobody serves is told at once, whether its socket is missing or dead") {
  DeepHome home;
  Client client(home.path());
  REQUIRE(client.call(get("/")).error().kind == ErrorKind::no_scheduler);
  { const Fd dead = test::listen_or_fail(home.socket()); }
  REQUIRE(client.call(get("/")).error().kind == ErrorKind::no_scheduler);
  Client nowhere(home.path() + "/no/such/home");
  REQUIRE(nowhere.call(get("/")).error().kind == ErrorKind::no_scheduler);
}

TEST_CASE("a locked home that takes no calls is told apart, after waiting for it") {
  DeepHome home;
  const auto lock = FileLock::try_take(home.path() + "/lock");
  REQUIRE(lock);
  Client client(home.path());
  auto call = get("/");
  call.timeout = 1ms;
  call.wait_for_start = 50ms;
  const MonoTime before = mono_now();
  const auto reply = client.call(call);
  REQUIRE(reply.error().kind == ErrorKind::locked);
  REQUIRE(mono_now() - before > 10ms);
  REQUIRE(reply.error().message.find(std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("a call waits for a scheduler that is starting") {
  DeepHome home;
  const auto lock = FileLock::try_take(home.path() + "/lock");
  REQUIRE(lock);
  std::optional<ServerThread> server;
  std::thread starter([&] {
    server.emplace(home.socket(),
                   [](HttpRequest, Responder responder) { responder.json(200, "up"); });
  });
  Client client(home.path());
  const auto reply = client.call(get("/"));
  starter.join();
  REQUIRE(reply);
  REQUIRE(reply->body == "up");
}

TEST_CASE("a scheduler that does not answer in time is told apart from none") {
  DeepHome home;
  std::vector<Responder> kept;
  ServerThread server(home.socket(), [&](HttpRequest, Responder responder) {
    kept.push_back(std::move(responder));
  });
  Client client(home.path());
  auto call = get("/");
  call.timeout = 50ms;
  REQUIRE(client.call(call).error().kind == ErrorKind::locked);
  REQUIRE(client.was_silent());
  Client other(home.path() + "/none");
  REQUIRE(other.call(call).error().kind == ErrorKind::no_scheduler);
  REQUIRE_FALSE(other.was_silent());
}

TEST_CASE("a lost answer is asked for again only when that is harmless") {
  for (const bool idempotent : {true, false}) {
    DeepHome home;
    LossyServer server(home.socket(), 2);
    Client client(home.path());
    const auto reply = client.call({.method = "POST", .path = "/", .idempotent = idempotent});
    if (idempotent) {
      REQUIRE(reply);
      REQUIRE(reply->body == "ok");
      REQUIRE(server.requests() == 3);
    } else {
      REQUIRE(reply.error().kind == ErrorKind::no_scheduler);
      REQUIRE(reply.error().message.find("unknown") != std::string::npos);
      REQUIRE(server.requests() == 1);
    }
  }
}

TEST_CASE("a scheduler that goes and says so is asked again as one that fell silent") {
  for (const bool idempotent : {true, false}) {
    DeepHome home;
    int requests = 0;
    ServerThread server(home.socket(), [&](HttpRequest, Responder responder) {
      if (++requests == 3) responder.json(200, "ok");
    });
    Client client(home.path());
    const auto reply = client.call({.method = "POST", .path = "/", .idempotent = idempotent});
    if (idempotent) {
      REQUIRE(reply);
      REQUIRE(reply->body == "ok");
    } else {
      REQUIRE(reply.error().kind == ErrorKind::no_scheduler);
      REQUIRE(requests == 1);
    }
  }
}

TEST_CASE("a home whose scheduler went with the question is not waited for, it is free") {
  for (const bool idempotent : {true, false}) {
    DeepHome home;
    LossyServer server(home.socket(), 1'000'000,
                       [&home] { std::filesystem::remove(home.socket()); });
    Client client(home.path());
    const auto reply = client.call({.method = "POST",
                                    .path = "/",
                                    .idempotent = idempotent,
                                    .wait_for_start = std::chrono::hours(1)});
    REQUIRE(reply.error().kind == ErrorKind::no_scheduler);
    REQUIRE(client.was_taken());
    REQUIRE(server.requests() == 1);
  }
}

TEST_CASE("a scheduler that ends and took nothing is followed by the next, whatever was asked") {
  DeepHome home;
  int requests = 0;
  ServerThread server(home.socket(), [&](HttpRequest, Responder responder) {
    if (++requests == 3) return responder.json(200, "ok");
    responder.json(kStatusNotTaken, error_body({ErrorKind::no_scheduler, "it ends"}));
  });
  Client client(home.path());
  const auto reply = client.call({.method = "POST", .path = "/"});
  REQUIRE(reply);
  REQUIRE(reply->body == "ok");
}

TEST_CASE("what a scheduler that ends let nobody send whole goes to the next, whatever was asked") {
  DeepHome home;
  std::optional<ServerThread> next;
  const Fd listening = test::listen_or_fail(home.socket());
  ::fcntl(listening.get(), F_SETFL, 0);
  std::thread ending([&] {
    const Fd socket(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 4096> buffer;
    ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    next.emplace(home.socket(), [](HttpRequest request, Responder responder) {
      responder.json(200, std::to_string(request.body.size()));
    });
    ::shutdown(socket.get(), SHUT_RD);
    while (::recv(socket.get(), buffer.data(), buffer.size(), 0) > 0) {
    }
  });
  Client client(home.path());
  // More than a socket holds.
  const auto reply =
      client.call({.method = "POST", .path = "/", .body = std::string(8u << 20, 'x')});
  ending.join();
  REQUIRE(reply);
  REQUIRE(reply->body == std::to_string(8u << 20));
}

TEST_CASE("an answer that is lost for good ends in an error, in time") {
  DeepHome home;
  LossyServer server(home.socket(), 1'000'000);
  Client client(home.path());
  auto call = get("/");
  call.idempotent = true;
  call.wait_for_start = 100ms;
  REQUIRE(client.call(call).error().kind == ErrorKind::no_scheduler);
}

}  // namespace pawl
