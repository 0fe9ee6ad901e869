#include "scheduler/daemon/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

#include "scheduler/loop/fd.h"

namespace pawl::test {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
  /// All that is in it, once nobody writes any more.
  std::string rest() {
    write.reset();
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t n = 1; n > 0;) {
      n = ::read(read.get(), buffer.data(), buffer.size());
      if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return text;
  }
  Fd read;
  Fd write;
};

}  // namespace

TEST_CASE("a line of the log is one line, whatever it says") {
  Pipe pipe;
  {
    Log log({pipe.write.get(), Weight::info, false});
    log.line(Weight::warning, "job a\nb\x1b[31m is {} quarantined");
  }
  const std::string text = pipe.rest();
  REQUIRE(text.find("Z warning job a\\nb\\x1b[31m is {} quarantined\n") == 23);
  REQUIRE(text.find('\n') == text.size() - 1);
}

TEST_CASE("lines that matter less than was asked for are left out") {
  Pipe pipe;
  {
    Log log({pipe.write.get(), Weight::warning, false});
    log.line(Weight::info, "worker 1 is up");
    log.line(Weight::debug, "job a is loaded");
    log.line(Weight::warning, "the disk is full");
  }
  REQUIRE(pipe.rest().find("Z warning the disk is full\n") == 23);
}

TEST_CASE("a reader of the log that stands still costs lines, and no time") {
  Pipe pipe;
  std::uint64_t dropped = 0;
  {
    Log log({pipe.write.get(), Weight::info, false});
    const std::string text(200, 'x');
    for (int i = 0; i < 20'000; ++i) log.line(Weight::info, text);
    dropped = log.dropped();
  }  // ends although nobody reads
  REQUIRE(dropped > 0);
  REQUIRE(pipe.rest().size() <= std::size_t{64} << 10);
}

}  // namespace pawl::test
