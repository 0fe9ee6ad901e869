// The pipes of a program, as the supervisor's loop sees them.

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/streams.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::TempFolder;

std::unique_ptr<AttemptStreams> streams_in(const TempFolder& folder) {
  auto mask = std::make_shared<const Mask>(std::vector<std::string>{});
  OutputSource none;
  none.format = OutputFormat::none;
  return std::make_unique<AttemptStreams>(folder / "1.log", mask, std::move(none));
}

/// The descriptors of pipes in this process, all of them, as a program that is being started has
/// them until its exec is through.
std::vector<Fd> copies_of_pipes() {
  std::vector<Fd> copies;
  for (int fd = 3; fd < 64; ++fd) {
    char target[64];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t size = readlink(link.c_str(), target, sizeof target);
    if (size > 5 && std::string_view(target, 5) == "pipe:") copies.emplace_back(dup(fd));
  }
  return copies;
}

int ready_in(const Fd& epoll) {
  epoll_event event{};
  return epoll_wait(epoll.get(), &event, 1, 0);
}

}  // namespace

TEST_CASE("a pipe that is watched tells of what was written and of its end") {
  TempFolder folder;
  const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  auto streams = streams_in(folder);
  REQUIRE(streams->open());
  streams->watch(epoll.get(), LogStream::out, 1);
  CHECK(ready_in(epoll) == 0);
  REQUIRE(write(streams->program_end(LogStream::out), "hello\n", 6) == 6);
  CHECK(ready_in(epoll) == 1);
  CHECK(streams->read(LogStream::out) == 6);
  CHECK(ready_in(epoll) == 0);
  streams->close_program_ends();
  CHECK(ready_in(epoll) == 1);
}

TEST_CASE("what a program takes out of its own pipe again is not waited for") {
  TempFolder folder;
  auto streams = streams_in(folder);
  REQUIRE(streams->open());
  const int program_end = streams->program_end(LogStream::out);
  REQUIRE(write(program_end, "hello\n", 6) == 6);
  const Fd taker(open(("/proc/self/fd/" + std::to_string(program_end)).c_str(), O_RDONLY));
  char taken[6];
  REQUIRE(read(taker.get(), taken, sizeof taken) == 6);
  CHECK(streams->read(LogStream::out) == 0);
  REQUIRE(write(program_end, "again\n", 6) == 6);
  CHECK(streams->read(LogStream::out) == 6);
  CHECK((fcntl(program_end, F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a closed pipe is not told of again, though a starting program holds a copy of it") {
  TempFolder folder;
  const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  auto streams = streams_in(folder);
  REQUIRE(streams->open());
  for (LogStream stream : {LogStream::out, LogStream::err}) streams->watch(epoll.get(), stream, 1);
  streams->close_program_ends();
  const std::vector<Fd> copies = copies_of_pipes();
  REQUIRE(copies.size() >= 2);
  SECTION("closed at its end") {
    CHECK(streams->read(LogStream::out) == 0);
    CHECK(streams->read(LogStream::err) == 0);
  }
  SECTION("closed with the attempt") { streams->finish(); }
  SECTION("forgotten") { streams.reset(); }
  CHECK(ready_in(epoll) == 0);
}

}  // namespace pawl
