// The bound of a worker's own log.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "plugins/worker/worker_log.h"
#include "scheduler/loop/fd.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::read_whole;
using test::TempFolder;

/// A log that is written to as by a worker.
class Written {
 public:
  explicit Written(const std::string& path)
      : file_(::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)) {}
  /// Lines of 64 bytes, in writes of many.
  void flood(std::size_t bytes) const {
    std::string lines;
    while (lines.size() < (64u << 10)) lines += std::string(63, 'x') + "\n";
    for (std::size_t put = 0; put < bytes; put += lines.size()) say(lines);
  }
  void say(const std::string& text) const {
    REQUIRE(::write(file_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  std::size_t on_disk() const {
    struct stat info {};
    ::fstat(file_.get(), &info);
    return static_cast<std::size_t>(info.st_blocks) * 512;
  }

 private:
  Fd file_;
};

}  // namespace

TEST_CASE("a worker's log that is too large keeps its end") {
  // Of a file system that can take the beginning of a file off, and of one that can only give the
  // space back, where there are such.
  const bool is_in_memory = GENERATE(false, true);
  if (is_in_memory && ::access("/dev/shm", W_OK) != 0) return;
  const std::string path = (is_in_memory ? "/dev/shm/" : std::filesystem::temp_directory_path()) /
                           std::filesystem::path("pawl-log-" + std::to_string(::getpid()));
  const Written log(path);
  const WorkerLog bound(path);
  log.say("the first line\n");
  log.flood(kWorkerLogBytesMax);
  log.say("the last line\n");
  bound.cut();
  CHECK(log.on_disk() < 2 * kWorkerLogBytesKept);
  // Who has the file open goes on at its end.
  log.say("and on\n");
  const std::string text = read_whole(path);
  ::unlink(path.c_str());
  REQUIRE(text.size() > kWorkerLogBytesKept);
  CHECK_THAT(text.substr(text.size() - kWorkerLogBytesKept),
             Catch::EndsWith(std::string(63, 'x') + "\nthe last line\nand on\n"));
  CHECK(text[text.size() - kWorkerLogBytesKept] != '\0');
  CHECK_THAT(text.substr(0, text.find('\n')),
             Catch::EndsWith(" this log was too large: its beginning was taken off"));
}

TEST_CASE("a worker's log of a usual size is left as it is") {
  const TempFolder folder;
  const Written log(folder / "log");
  log.say("the first line\n");
  log.flood(kWorkerLogBytesMax - (128u << 10));
  WorkerLog(folder / "log").cut();
  CHECK_THAT(read_whole(folder / "log"), Catch::StartsWith("the first line\n"));
}

TEST_CASE("a worker's log stays small while somebody floods it, and nothing said last is lost") {
  const TempFolder folder;
  const Written log(folder / "log");
  const WorkerLogKeeper keeper(folder / "log");
  for (int flood = 0; flood < 3; ++flood) {
    log.flood(4 * kWorkerLogBytesMax);
    log.say("the last line\n");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (log.on_disk() > kWorkerLogBytesMax && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    CHECK(log.on_disk() <= kWorkerLogBytesMax);
    CHECK_THAT(read_whole(folder / "log"), Catch::EndsWith("x\nthe last line\n"));
  }
}

}  // namespace pawl
