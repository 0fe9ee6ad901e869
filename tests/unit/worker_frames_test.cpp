#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/frames.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

frame::AttemptStart full_start(std::int64_t id) {
  frame::AttemptStart start;
  start.attempt = AttemptId(id);
  start.definition = DefinitionId(9);
  start.number = 3;
  start.item = ItemIndex(id + 1);
  start.key = "orders-eu";
  start.payload = "{\"id\":17}";
  start.slot = 4;
  start.total_remaining = Duration(90'000);
  start.run_remaining = Duration(80'000);
  start.previous_reason = Reason::lost;
  start.losses = 2;
  start.idempotency_key = "7k3f9q/query:17";
  start.tasks = R"({"fetch":{"state":"succeeded"}})";
  start.stay = 3;
  start.handle = "job-17";
  start.state = "{}";
  return start;
}

/// One of each kind, every field set.
std::vector<Frame> one_of_each() {
  frame::Welcome welcome{2, true, Epoch(8), WorkerId(3), 4711, "boot", "0.1.0", {"http", "sleep"}};
  frame::KnownAttempt running{AttemptId(5), false, 2, 812, {1000}};
  frame::KnownAttempt ended{AttemptId(6), true, 0, 0, {2000}};
  return {frame::Hello{1, Epoch(7), "0.1.0"},
          frame::Define{DefinitionId(9), "{\"task\":\"query\"}"},
          frame::Start{{full_start(1), full_start(2)}},
          frame::Stop{AttemptId(5), Reason::run_timeout, true},
          frame::Forget{{{AttemptId(1), 0}, {AttemptId(2), 3}}},
          frame::Undefine{DefinitionId(9)},
          frame::Shutdown{},
          frame::Ping{},
          welcome,
          frame::Status{{running, ended}, true},
          frame::Began{AttemptId(5), 812, {1000}},
          frame::Handle{AttemptId(5), 9, "job-17"},
          frame::Progress{AttemptId(5), 0.25, "1,000 of 4,000"},
          frame::Drains{},
          frame::Pong{},
          frame::Ended{test::full_end(6)}};
}

/// The bound of an attempt's memory: the last bytes of its end.
constexpr std::size_t kAddedToEnd = 8;

std::string body_of(const Frame& frame) {
  auto bodies = encode_frame(frame);
  REQUIRE(bodies.size() == 1);
  return bodies.front();
}

}  // namespace

TEST_CASE("a frame that is sent is the frame that arrives") {
  for (const Frame& frame : one_of_each()) {
    auto decoded = decode_frame(body_of(frame));
    REQUIRE(decoded.ok());
    CHECK(*decoded == frame);
  }
}

TEST_CASE("a frame cut at any byte is refused, never misread") {
  for (const Frame& frame : one_of_each()) {
    std::string body = body_of(frame);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const bool is_of_older =
          std::holds_alternative<frame::Ended>(frame) && size + kAddedToEnd == body.size();
      CHECK(decode_frame(std::string_view(body).substr(0, size)).ok() == is_of_older);
    }
  }
}

TEST_CASE("an end that a worker of an older pawl tells lacks what was added since") {
  AttemptEnd end = test::full_end(6);
  std::string body = body_of(frame::Ended{end});
  body.resize(body.size() - kAddedToEnd);
  end.use.memory_bound_bytes = 0;
  const auto decoded = decode_frame(body);
  REQUIRE(decoded.ok());
  CHECK(*decoded == Frame(frame::Ended{end}));
  CHECK(decode_attempt_end(std::string_view(body).substr(1)) == end);  // as its journal has it
}

TEST_CASE("bytes after a frame are refused, but in the greetings, which may grow") {
  for (const Frame& frame : one_of_each()) {
    bool may_grow = std::holds_alternative<frame::Hello>(frame) ||
                    std::holds_alternative<frame::Welcome>(frame);
    CHECK(decode_frame(body_of(frame) + "x").ok() == may_grow);
  }
}

TEST_CASE("garbage gives an error or a frame, and nothing else") {
  std::mt19937 random(20261120);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (!bytes.empty() && round % 2 == 0) bytes[0] = static_cast<char>(1 + random() % 40);
    auto decoded = decode_frame(bytes);
    if (decoded) CHECK_FALSE(encode_frame(*decoded).empty());
  }
}

TEST_CASE("a flipped bit gives an error or another frame, and nothing else") {
  for (const Frame& frame : one_of_each()) {
    const std::string body = body_of(frame);
    for (std::size_t bit = 0; bit < body.size() * 8; ++bit) {
      std::string bytes = body;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      auto decoded = decode_frame(bytes);
      if (decoded) CHECK_FALSE(encode_frame(*decoded).empty());
    }
  }
}

TEST_CASE("a count of four billion attempts in a short frame allocates nothing") {
  std::string body = "\x03\xff\xff\xff\xff";
  CHECK_FALSE(decode_frame(body).ok());
}

TEST_CASE("a word that no version knows is refused") {
  std::string body = body_of(frame::Stop{AttemptId(5), Reason::cancelled, false});
  body[9] = static_cast<char>(kReasonCount);
  CHECK_FALSE(decode_frame(body).ok());
}

TEST_CASE("a batch over the limit of a frame is split, and arrives in order") {
  frame::Start start;
  for (int i = 0; i < 40; ++i) {
    start.attempts.push_back(full_start(i));
    start.attempts.back().payload.assign(limits::kItemBytesMax, 'x');
  }
  auto bodies = encode_frame(start);
  CHECK(bodies.size() > 1);
  std::int64_t expected = 0;
  for (const std::string& body : bodies) {
    CHECK(body.size() <= limits::kFrameBytesMax);
    auto decoded = decode_frame(body);
    REQUIRE(decoded.ok());
    for (const auto& attempt : std::get<frame::Start>(*decoded).attempts) {
      CHECK(attempt.attempt == AttemptId(expected++));
    }
  }
  CHECK(expected == 40);
}

TEST_CASE("of a long status only the last frame is complete") {
  frame::Status status;
  status.attempts.resize(1'000'000);
  auto bodies = encode_frame(status);
  REQUIRE(bodies.size() > 1);
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    auto decoded = decode_frame(bodies[i]);
    REQUIRE(decoded.ok());
    CHECK(std::get<frame::Status>(*decoded).complete == (i + 1 == bodies.size()));
  }
}

TEST_CASE("an empty batch is one frame") {
  CHECK(encode_frame(frame::Start{}).size() == 1);
  CHECK(encode_frame(frame::Status{}).size() == 1);
}

TEST_CASE("one value over the limit is not sent") {
  std::string huge(limits::kFrameBytesMax, 'x');
  CHECK(encode_frame(frame::Define{DefinitionId(1), huge}).empty());
  frame::Start start{{full_start(1)}};
  start.attempts[0].payload = huge;
  CHECK(encode_frame(start).empty());
}

}  // namespace pawl
