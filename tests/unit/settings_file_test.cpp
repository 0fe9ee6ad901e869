// Settings as a file: who may have written it, and what is said when it cannot be read.

#include "scheduler/daemon/settings_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

constexpr uid_t kSomebody = 65534;

std::string why_not(const std::string& path, bool must_exist = false) {
  const auto read = read_settings({path, must_exist}, nullptr);
  REQUIRE_FALSE(read);
  return read.error().message;
}

}  // namespace

TEST_CASE("a home without settings has the defaults, a named file must be there") {
  const ScratchFolder scratch;
  const auto read = read_settings(settings_file_of(scratch.path()), nullptr);
  REQUIRE(read);
  CHECK(read->settings == Settings{});
  const auto named = read_settings({scratch / "s.json", true}, nullptr);
  REQUIRE_FALSE(named);
  CHECK(named.error().kind == ErrorKind::not_found);
  CHECK(named.error().message == scratch / "s.json: there is no such file");
}

TEST_CASE("each error of a settings file is a line with its place") {
  const ScratchFolder scratch;
  const std::string path = scratch / "settings.json";
  write_file(path, "{\"workers\": 0,\n \"timezone\": \"Mars/Olympus\"}");
  CHECK(why_not(path) ==
        path +
            ":1:13: error: 0 is out of range: 1 to 1024 are allowed (at "
            "/workers)\n" +
            path +
            ":2:14: error: \"Mars/Olympus\" is not a known time zone: expected an "
            "IANA name such as \"UTC\", \"Asia/Tokyo\" or \"America/New_York\" (at "
            "/timezone)");
}

TEST_CASE("settings that others could have written are refused, and what is no file") {
  const ScratchFolder scratch;
  const std::string path = scratch / "settings.json";
  write_file(path, "{}");
  for (const mode_t mode : {0620, 0602}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(why_not(path) == path + ": others may write it. Try chmod go-w");
  }
  CHECK(why_not(scratch.path()) == scratch.path() + ": a folder, not a file");
  REQUIRE(::mkfifo((scratch / "fifo").c_str(), 0600) == 0);
  CHECK(why_not(scratch / "fifo") == scratch / "fifo: a FIFO, not a file");
  write_file(scratch / "large", std::string(limits::kSettingsFileBytesMax + 1, ' '));
  CHECK(why_not(scratch / "large") == scratch / "large: larger than 1 MiB");
}

TEST_CASE("of a home that may not be entered it is said that the home cannot be used") {
  const ScratchFolder scratch;
  const std::string shut = scratch / "shut";
  REQUIRE(::mkdir(shut.c_str(), 0) == 0);
  const uid_t user = ::geteuid();
  // To root nothing is shut.
  if (user == 0) REQUIRE(::seteuid(kSomebody) == 0);
  const auto read = read_settings(settings_file_of(shut + "/home"), nullptr);
  if (user == 0) REQUIRE(::seteuid(0) == 0);
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::home_unusable);
  CHECK_THAT(read.error().message, Catch::Contains(shut + "/home") && Catch::Contains("--home"));
}

}  // namespace pawl::test
