#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <future>
#include <string>

#include <catch2/catch.hpp>

#include "cli/outlet.h"
#include "cli/terminal.h"

namespace pawl {
namespace {

/// A pipe that is written as a stream.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end = ends[0];
    stream = ::fdopen(ends[1], "w");
  }
  ~Pipe() {
    close_reader();
    std::fclose(stream);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void close_reader() {
    if (read_end >= 0) ::close(read_end);
    read_end = -1;
  }

  std::string take(std::size_t bytes) const {
    std::string text(bytes, '\0');
    std::size_t have = 0;
    while (have < bytes) {
      const ssize_t n = ::read(read_end, text.data() + have, bytes - have);
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    text.resize(have);
    return text;
  }

  int read_end = -1;
  std::FILE* stream = nullptr;
};

TEST_CASE("whoever prints does not wait for a reader who stands still, and nothing is lost") {
  Pipe pipe;
  Outlet outlet;
  outlet.start();
  std::string all;
  for (int i = 0; i < 20'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    outlet.write(pipe.stream, line);
    all += line;
  }
  CHECK(outlet.unread() > Outlet::kUnreadBytesMax);
  auto taken = std::async(std::launch::async, [&] { return pipe.take(all.size()); });
  outlet.finish();
  CHECK(taken.get() == all);
  CHECK(outlet.unread() == 0);
  CHECK(outlet.error_of(pipe.stream) == 0);
}

TEST_CASE("a stream that cannot be written says why and holds up no other") {
  Pipe gone;
  gone.close_reader();
  Pipe there;
  Outlet outlet;
  outlet.start();
  outlet.write(gone.stream, "a");
  outlet.write(there.stream, "b");
  outlet.write(gone.stream, "c");
  outlet.finish();
  CHECK(outlet.error_of(gone.stream) == EPIPE);
  CHECK(outlet.error_of(there.stream) == 0);
  CHECK(there.take(1) == "b");
}

TEST_CASE("before it is started and after it is finished an outlet writes at once") {
  Pipe pipe;
  Outlet outlet;
  outlet.write(pipe.stream, "before");
  outlet.flush(pipe.stream);
  CHECK(pipe.take(6) == "before");
  outlet.start();
  outlet.finish();
  outlet.write(pipe.stream, "after");
  outlet.flush(pipe.stream);
  CHECK(pipe.take(5) == "after");
}

}  // namespace
}  // namespace pawl
