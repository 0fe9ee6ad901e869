#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "plugins/worker/crash_record.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::TempFolder;
using test::write_whole;

struct Death {
  std::optional<Crash> crash;
  int signal = 0;  ///< that ended the process; 0: it exited
};

/// What a process that records its crashes leaves when it does this and then ends well.
Death death_of(const std::function<void()>& deed) {
  TempFolder folder;
  std::fflush(stdout);  // the child has what it holds
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    record_crashes(folder.path());
    deed();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {read_crash(folder.path()), WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

Death death_at_work(const std::function<void()>& deed) {
  return death_of([&] {
    std::thread([&] {
      const WorksFor working(AttemptId(17));
      deed();
    }).join();
  });
}

[[gnu::noinline]] int without_end(int depth) {
  static volatile int end = -1;
  if (depth == end) return 0;
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return without_end(depth + 1) + frame[0];
}

void crash() {
  void* closed = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile char*>(closed) = 1;
}

}  // namespace

TEST_CASE("a thread that crashes at work tells whose work it was, and how it ended") {
  const Death crashed = death_at_work(crash);
  CHECK(crashed.signal == SIGSEGV);
  REQUIRE(crashed.crash);
  CHECK(crashed.crash->attempt == AttemptId(17));
  CHECK(crashed.crash->signal == SIGSEGV);

  const Death aborted = death_at_work([] { std::abort(); });
  CHECK(aborted.signal == SIGABRT);
  REQUIRE(aborted.crash);
  CHECK(aborted.crash->signal == SIGABRT);

  // What the processor goes on after: a breakpoint.
  const Death trapped = death_at_work([] { ::raise(SIGTRAP); });
  CHECK(trapped.signal == SIGTRAP);
  REQUIRE(trapped.crash);
  CHECK(trapped.crash->signal == SIGTRAP);

  const Death left = death_at_work([] { std::exit(3); });
  CHECK(left.signal == 0);
  REQUIRE(left.crash);
  CHECK(left.crash->attempt == AttemptId(17));
  CHECK(left.crash->how == Crash::How::exit);
}

TEST_CASE("a thread that has used up its stack tells so, too") {
  const Death deep = death_at_work([] { without_end(0); });
  CHECK(deep.signal == SIGSEGV);
  REQUIRE(deep.crash);
  CHECK(deep.crash->signal == SIGSEGV);
}

TEST_CASE("a thread that works for nobody tells how it crashed, and blames nobody") {
  const Death before = death_of(crash);
  CHECK(before.signal == SIGSEGV);
  REQUIRE(before.crash);
  CHECK_FALSE(before.crash->attempt);
  CHECK(before.crash->signal == SIGSEGV);

  const Death after = death_of([] {
    { const WorksFor working(AttemptId(17)); }
    std::abort();
  });
  CHECK(after.signal == SIGABRT);
  REQUIRE(after.crash);
  CHECK_FALSE(after.crash->attempt);
  CHECK(after.crash->signal == SIGABRT);

  // As of a library that has threads of its own, while an attempt waits for them.
  const Death beside = death_at_work([] { std::thread([] { std::terminate(); }).join(); });
  CHECK(beside.signal == SIGABRT);
  REQUIRE(beside.crash);
  CHECK_FALSE(beside.crash->attempt);
}

TEST_CASE("what leaves no time for a word, or ends as it should, tells nothing") {
  CHECK_FALSE(death_of([] {
                stop_recording_crashes();
                std::exit(0);
              }).crash);
  CHECK_FALSE(death_at_work([] { ::_exit(3); }).crash);
  CHECK_FALSE(death_at_work([] { ::raise(SIGKILL); }).crash);
  CHECK_FALSE(death_at_work([] {}).crash);
}

TEST_CASE("a child that crashes is not the process itself") {
  const Death lives = death_at_work([] {
    const pid_t child = ::fork();
    if (child == 0) std::abort();
    int status = 0;
    ::waitpid(child, &status, 0);
  });
  CHECK(lives.signal == 0);
  CHECK_FALSE(lives.crash);
}

TEST_CASE("a record that is torn, or is none, says nothing") {
  TempFolder folder;
  CHECK_FALSE(read_crash(folder.path()));
  for (const char* text : {"", "17", "x 11\n", "-3 11\n", "99999999999999999999 11\n"}) {
    INFO(text);
    write_whole(folder / "crash", text);
    CHECK_FALSE(read_crash(folder.path()));
  }
  write_whole(folder / "crash", "17 11\n");
  CHECK(read_crash(folder.path()));
}

}  // namespace pawl
