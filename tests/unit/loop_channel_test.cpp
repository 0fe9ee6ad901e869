#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/loop/channel.h"
#include "tests/unit/loop_support.h"

namespace pawl {
namespace {

using test::run_until;

struct Pair {
  Fd a;
  Fd b;
};

Pair make_pair(int type = SOCK_STREAM) {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

/// A channel that keeps what it is told.
struct Listener {
  Listener(Loop& loop, Fd fd)
      : channel(
            loop, std::move(fd),
            [this](std::string_view message) { messages.emplace_back(message); },
            [this](ChannelEnd why) { end = why; }) {}

  std::vector<std::string> messages;
  std::optional<ChannelEnd> end;
  Channel channel;
};

std::string frame(std::string_view text) {
  std::string out;
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((text.size() >> (8 * i)) & 0xff));
  return out + std::string(text);
}

void write_raw(const Fd& fd, std::string_view bytes) {
  REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_CASE("messages arrive whole, in order, of any size") {
  Loop loop;
  Pair pair = make_pair();
  Listener sender(loop, std::move(pair.a));
  Listener receiver(loop, std::move(pair.b));
  const std::string largest(limits::kFrameBytesMax, 'L');
  REQUIRE(sender.channel.send("one"));
  REQUIRE(sender.channel.send(""));
  REQUIRE(sender.channel.send(largest));
  REQUIRE(sender.channel.send("last"));
  REQUIRE(receiver.channel.send("back"));
  REQUIRE(
      run_until(loop, [&] { return receiver.messages.size() == 4 && !sender.messages.empty(); }));
  REQUIRE(receiver.messages[0] == "one");
  REQUIRE(receiver.messages[1].empty());
  REQUIRE((receiver.messages[2] == largest));
  REQUIRE(receiver.messages[3] == "last");
  REQUIRE(sender.messages == std::vector<std::string>{"back"});
}

TEST_CASE("all messages of one turn go out in one write") {
  Loop loop;
  Pair pair = make_pair(SOCK_SEQPACKET);  // keeps the borders of writes
  Listener sender(loop, std::move(pair.a));
  for (int i = 0; i < 100; ++i) REQUIRE(sender.channel.send("message"));
  REQUIRE(run_until(loop, [&] { return sender.channel.unsent_bytes() == 0; }));
  std::array<char, 8192> buffer{};
  REQUIRE(::recv(pair.b.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) == 100 * 11);
}

TEST_CASE("a stream cut at every byte is put together again") {
  Loop loop;
  const std::string stream = frame("first") + frame("") + frame("second one");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Pair pair = make_pair();
    Listener receiver(loop, std::move(pair.a));
    if (cut > 0) write_raw(pair.b, stream.substr(0, cut));
    loop.run_once(false);
    if (cut < stream.size()) write_raw(pair.b, stream.substr(cut));
    REQUIRE(run_until(loop, [&] { return receiver.messages.size() == 3; }));
    REQUIRE(receiver.messages == std::vector<std::string>{"first", "", "second one"});
  }
}

TEST_CASE("a stream that ends at any byte gives its whole messages, then its end") {
  Loop loop;
  const std::string stream = frame("first") + frame("second");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Pair pair = make_pair();
    Listener receiver(loop, std::move(pair.a));
    if (cut > 0) write_raw(pair.b, stream.substr(0, cut));
    pair.b.reset();
    REQUIRE(run_until(loop, [&] { return receiver.end.has_value(); }));
    const bool between = cut == 0 || cut == 9 || cut == stream.size();
    REQUIRE(receiver.end == (between ? ChannelEnd::peer_closed : ChannelEnd::peer_cut));
    REQUIRE(receiver.messages.size() == (cut < 9 ? 0 : cut < stream.size() ? 1 : 2));
  }
}

TEST_CASE("a length of four gigabytes ends the channel, after the messages before it") {
  Loop loop;
  Pair pair = make_pair();
  Listener receiver(loop, std::move(pair.a));
  write_raw(pair.b, frame("good") + "\xff\xff\xff\xff garbage");
  REQUIRE(run_until(loop, [&] { return receiver.end.has_value(); }));
  REQUIRE(receiver.end == ChannelEnd::frame_too_long);
  REQUIRE(receiver.messages == std::vector<std::string>{"good"});
  REQUIRE_FALSE(receiver.channel.open());
  REQUIRE_FALSE(receiver.channel.send("late"));
}

TEST_CASE("random bytes never do more than end the channel") {
  Loop loop;
  std::uint32_t seed = 1;
  for (int round = 0; round < 200; ++round) {
    Pair pair = make_pair();
    Listener receiver(loop, std::move(pair.a));
    std::string bytes;
    for (int i = 0; i < 500; ++i) {
      seed = seed * 1664525 + 1013904223;
      bytes.push_back(static_cast<char>(seed >> 24));
    }
    write_raw(pair.b, bytes);
    pair.b.reset();
    REQUIRE(run_until(loop, [&] { return receiver.end.has_value(); }));
  }
}

TEST_CASE("a peer that does not read is told of, and what was refused is sent once it reads") {
  Loop loop;
  Pair pair = make_pair();
  Listener sender(loop, std::move(pair.a));
  bool drained = false;
  sender.channel.on_drained([&] { drained = true; });
  const std::string message(1u << 20, 'm');
  int accepted = 0;
  while (sender.channel.send(message)) ++accepted;
  REQUIRE(accepted == 63);  // of a mebibyte and four bytes each
  REQUIRE(sender.channel.unsent_bytes() <= kChannelUnsentBytesMax);
  loop.run_once(false);
  REQUIRE_FALSE(drained);
  Listener receiver(loop, std::move(pair.b));
  REQUIRE(run_until(loop, [&] { return drained && receiver.messages.size() == 63; }));
  REQUIRE(sender.channel.send(message));
}

TEST_CASE("what a peer sent before it died is delivered although writing to it fails") {
  Loop loop;
  Pair pair = make_pair();
  Listener survivor(loop, std::move(pair.a));
  write_raw(pair.b, frame("result 1") + frame("result 2"));
  pair.b.reset();
  REQUIRE(survivor.channel.send("too late"));
  survivor.channel.flush();
  REQUIRE(run_until(loop, [&] { return survivor.end.has_value(); }));
  REQUIRE(survivor.messages == std::vector<std::string>{"result 1", "result 2"});
}

TEST_CASE("a paused channel delivers nothing, and everything once resumed") {
  Loop loop;
  Pair pair = make_pair();
  Listener receiver(loop, std::move(pair.a));
  write_raw(pair.b, frame("a") + frame("b"));
  receiver.channel.pause_reading();
  loop.run_once(false);
  REQUIRE(receiver.messages.empty());
  receiver.channel.resume_reading();
  REQUIRE(run_until(loop, [&] { return receiver.messages.size() == 2; }));
}

TEST_CASE("a pause inside a callback holds the messages that were already read") {
  Loop loop;
  Pair pair = make_pair();
  std::vector<std::string> messages;
  std::optional<Channel> channel;
  bool ended = false;
  channel.emplace(
      loop, std::move(pair.a),
      [&](std::string_view message) {
        messages.emplace_back(message);
        channel->pause_reading();
      },
      [&](ChannelEnd) { ended = true; });
  write_raw(pair.b, frame("a") + frame("b") + frame("c"));
  pair.b.reset();
  REQUIRE(run_until(loop, [&] { return messages.size() == 1; }));
  for (std::size_t n = 2; n <= 3; ++n) {
    channel->resume_reading();
    REQUIRE(run_until(loop, [&] { return messages.size() == n; }));
  }
  REQUIRE_FALSE(ended);
  channel->resume_reading();
  REQUIRE(run_until(loop, [&] { return ended; }));
  REQUIRE(messages == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("a channel may be destroyed in its own callbacks") {
  Loop loop;
  for (const bool in_message : {true, false}) {
    Pair pair = make_pair();
    auto channel = std::make_unique<std::optional<Channel>>();
    std::string seen;
    const auto message = [&](std::string_view text) {
      if (!in_message) return;
      REQUIRE((*channel)->send("deferred and never sent"));
      channel.reset();
      seen = text;
    };
    const auto closed = [&](ChannelEnd) {
      channel.reset();
      seen = "closed";
    };
    channel->emplace(loop, std::move(pair.a), message, closed);
    write_raw(pair.b, frame("the first") + frame("never delivered"));
    if (!in_message) pair.b.reset();
    REQUIRE(run_until(loop, [&] { return !seen.empty(); }));
    REQUIRE(seen == (in_message ? "the first" : "closed"));
    loop.run_once(false);
  }
}

}  // namespace pawl
