#include "scheduler/daemon/home.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"
#include "tests/skip.h"
#include "tests/unit/loop_support.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::ScratchFolder;
using test::write_file;

/// Sets or clears (null) a variable for the time of its life.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = ::getenv(name)) old_ = old;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

Error refused(const std::string& path) {
  const auto home = Home::open_or_create(path);
  REQUIRE_FALSE(home);
  return home.error();
}

}  // namespace

TEST_CASE("the home is the flag's, else the variables' in their order, else the user's") {
  const Variable user("HOME", "/home/ana");
  const Variable state("XDG_STATE_HOME", "/state");
  const Variable named("PAWL_HOME", "/named/home/");
  REQUIRE(*resolve_home("/flag") == "/flag");
  REQUIRE(*resolve_home("") == "/named/home");
  {
    const Variable none("PAWL_HOME", nullptr);
    REQUIRE(*resolve_home("") == "/state/pawl");
    const Variable relative("XDG_STATE_HOME", "relative");
    REQUIRE(*resolve_home("") == "/home/ana/.local/state/pawl");
    const Variable empty("XDG_STATE_HOME", "");
    REQUIRE(*resolve_home("") == "/home/ana/.local/state/pawl");
    const Variable homeless("HOME", nullptr);
    REQUIRE(resolve_home("")->ends_with("/.local/state/pawl"));
  }
  REQUIRE(*resolve_home("a/../b/.") == fs::current_path().string() + "/b");
  REQUIRE(resolve_home(std::string_view("/a\0b", 4)).error().kind == ErrorKind::invalid);
}

TEST_CASE("a new home is made with all its parts, for its owner only") {
  const ScratchFolder scratch;
  const std::string path = scratch / "deep/er/home";
  REQUIRE(Home::open(path).error().kind == ErrorKind::not_found);
  const auto home = Home::open_or_create(path);
  REQUIRE(home);
  REQUIRE(home->is_new());
  REQUIRE(mode_of(path) == 0700);
  for (const std::string& part :
       {home->workers(), home->logs(), home->outputs(), home->scratch()}) {
    REQUIRE(mode_of(part) == 0700);
  }
  write_file(home->database(), "");
  REQUIRE_FALSE(Home::open_or_create(path)->is_new());
  REQUIRE_FALSE(Home::open(path)->is_new());
  for (const auto& entry : fs::directory_iterator(path)) {
    REQUIRE(entry.path().filename().string().find("probe") == std::string::npos);
  }
}

TEST_CASE("looking at a home makes nothing") {
  const ScratchFolder scratch;
  const auto home = Home::open(scratch.path());
  REQUIRE(home);
  REQUIRE(home->is_new());
  REQUIRE_FALSE(home->locked());
  REQUIRE(fs::is_empty(scratch.path()));
}

TEST_CASE("a home that others may enter is refused with the remedy") {
  const ScratchFolder scratch;
  fs::permissions(scratch.path(), fs::perms::group_read, fs::perm_options::add);
  const Error error = refused(scratch.path());
  REQUIRE(error.kind == ErrorKind::home_unusable);
  REQUIRE(error.message.find("chmod 700") != std::string::npos);
}

TEST_CASE("a home that is no folder, or whose parts are none, is refused") {
  const ScratchFolder scratch;
  write_file(scratch / "file", "");
  REQUIRE(refused(scratch / "file").kind == ErrorKind::home_unusable);
  REQUIRE(refused(scratch / "file/below").kind == ErrorKind::home_unusable);
  write_file(scratch / "workers", "");
  REQUIRE(refused(scratch.path()).message.find("workers") != std::string::npos);
}

TEST_CASE("a home of another machine is refused until somebody says that it moved") {
  const ScratchFolder scratch;
  write_file(scratch / "machine", "0123456789abcdef0123456789abcdef\n");
  if (machine_id().empty()) {
    // A machine without an identity cannot tell.
    REQUIRE(Home::open_or_create(scratch.path()));
    test::skip("this machine has no id (/etc/machine-id)");
    return;
  }
  const Error error = refused(scratch.path());
  REQUIRE(error.kind == ErrorKind::home_unusable);
  REQUIRE(error.message.find("another machine") != std::string::npos);
  fs::remove(scratch / "machine");
  REQUIRE(Home::open_or_create(scratch.path()));
  REQUIRE(Home::open_or_create(scratch.path()));
}

TEST_CASE("a locked home names its holder, and waiting for it ends when it lets go") {
  const ScratchFolder scratch;
  const auto home = Home::open_or_create(scratch.path());
  REQUIRE(home);
  auto held = home->lock(0ms);
  REQUIRE(held);
  REQUIRE(home->locked());
  const auto second = home->lock(30ms);
  REQUIRE(second.error().kind == ErrorKind::locked);
  REQUIRE(second.error().message.find(std::to_string(::getpid())) != std::string::npos);
  std::optional<FileLock> lock(std::move(*held));
  std::thread releasing([&lock] { lock.reset(); });
  REQUIRE(home->lock(10s));
  releasing.join();
}

}  // namespace pawl
