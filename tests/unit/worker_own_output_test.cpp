#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "plugins/worker/crash_record.h"
#include "plugins/worker/own_output.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::read_whole;
using test::TempFolder;

using Secrets = std::map<std::string, std::string>;

const Secrets kSecrets = {{"KEY", "canary-of-a-key"}, {"TOKEN", "canary-of-a-token"}};

struct Said {
  std::string log;
  int status = 0;  ///< as of waitpid
};

/// What a process that is a host leaves in its log when it does this and then ends well.
Said log_of(const std::function<void(OwnOutput&)>& deed) {
  TempFolder folder;
  const std::string path = folder / "log";
  std::fflush(stdout);  // the child has what it holds
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGPIPE, SIG_IGN);
    const int log = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (::dup2(log, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0) ::_exit(99);
    record_crashes(folder.path());
    {
      OwnOutput output;
      deed(output);
    }
    ::_exit(0);
  }
  Said said;
  REQUIRE(::waitpid(child, &said.status, 0) == child);
  said.log = read_whole(path);
  return said;
}

void print(const char* text) { ::dprintf(STDERR_FILENO, "%s\n", text); }

}  // namespace

TEST_CASE("what a host prints goes to its log, the secrets of its attempts hidden") {
  const Said said = log_of([](OwnOutput& output) {
    print("before");
    if (!output.hide(kSecrets)) ::_exit(98);
    print("the key is canary-of-a-key.");
    std::printf("by stdio: %s\n", "canary-of-a-token");
    std::cout << "by streams: canary-of-a-token\n" << std::flush;
    std::cerr << "and: canary-of-a-key\n";
    ::dprintf(STDOUT_FILENO, "in two canary-");
    ::dprintf(STDERR_FILENO, "of-a-key\n");
    // What it holds may be printed later.
    output.release(kSecrets);
    print("canary-of-a-key is remembered");
    std::printf("no end: canary-of-a-to");
  });
  CHECK(said.status == 0);
  CHECK(said.log ==
        "before\nthe key is ***.\nby stdio: ***\nby streams: ***\nand: ***\nin two ***\n"
        "*** is remembered\nno end: canary-of-a-to");
}

TEST_CASE("a host without secrets writes into its log, with nothing between") {
  const Said said = log_of([](OwnOutput& output) {
    if (!output.hide({})) ::_exit(98);
    print("as it is");
    ::raise(SIGKILL);
  });
  CHECK(said.log == "as it is\n");
}

TEST_CASE("the last words of a host that crashes, aborts or exits come to its log, hidden") {
  for (const char* how : {"abort", "segv", "exit"}) {
    INFO(how);
    const Said said = log_of([how = std::string(how)](OwnOutput& output) {
      if (!output.hide(kSecrets)) ::_exit(98);
      std::thread([&] {
        const std::string much = std::string(1000, 'x') + " canary-of-a-token\n";
        for (int i = 0; i < 1000; ++i) ::dprintf(STDERR_FILENO, "%s", much.c_str());
        if (how == "exit") {
          std::printf("the last words of canary-of-a-key, no end");
          std::exit(0);
        }
        print("the last words of canary-of-a-key");
        if (how == "abort") std::abort();
        ::raise(SIGSEGV);
      }).join();
    });
    CHECK(WIFSIGNALED(said.status) == (std::string(how) != "exit"));
    CHECK(said.log.find("canary") == std::string::npos);
    REQUIRE(said.log.size() > 1'000'000);
    CHECK_THAT(said.log.substr(1'000'000), Catch::Contains("the last words of ***"));
  }
}

TEST_CASE("of ended attempts only so many secrets are remembered, of open ones all") {
  const Said said = log_of([](OwnOutput& output) {
    if (!output.hide(kSecrets)) ::_exit(98);
    for (std::size_t i = 0; i < kOwnSecretsMax + 1; ++i) {
      const Secrets one = {{"ONE", "secret-number-" + std::to_string(i)}};
      if (!output.hide(one)) ::_exit(98);
      output.release(one);
    }
    print("secret-number-3 is forgotten, canary-of-a-key is not");
  });
  CHECK(said.log == "secret-number-3 is forgotten, *** is not\n");
}

TEST_CASE("a library that closes the output of its host does not keep the host from ending") {
  const Said said = log_of([](OwnOutput& output) {
    if (!output.hide(kSecrets)) ::_exit(98);
    print("canary-of-a-key");
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
  });
  CHECK(said.status == 0);
  CHECK(said.log == "***\n");
}

}  // namespace pawl
