#include "plugins/worker/worker_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <mutex>

#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

/// So long the log may grow unseen: what a disk takes meanwhile is the most that is too much.
constexpr int kBetweenLooksMs = 20;
/// Where the kernel does not tell of writes.
constexpr int kLookEveryMs = 500;

/// A multiple of the blocks of all file systems, of which only whole ones can be taken off.
constexpr off_t kUnit = 64 << 10;
constexpr off_t kKept = static_cast<off_t>(kWorkerLogBytesKept);

}  // namespace

WorkerLog::WorkerLog(const std::string& path)
    : file_(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) {}

void WorkerLog::cut() const {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  struct stat info {};
  constexpr off_t kBlockBytes = 512;  // of st_blocks, everywhere
  const bool is_there = file_ && ::fstat(file_.get(), &info) == 0;
  if (!is_there || info.st_blocks * kBlockBytes <= static_cast<off_t>(kWorkerLogBytesMax)) return;
  if (info.st_size <= kKept + kUnit) return;
  const off_t gone = (info.st_size - kKept) / kUnit * kUnit;
  const int file = file_.get();
  if (::fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, gone) != 0 &&
      ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, gone) != 0 &&
      ::ftruncate(file, 0) != 0) {
    return;
  }
  const std::string note =
      format_utc(wall_now()) + " this log was too large: its beginning was taken off\n";
  // Over what is there: behind the end it could part the words of others.
  [[maybe_unused]] const ssize_t put = ::pwrite(file, note.data(), note.size(), 0);
}

WorkerLogKeeper::WorkerLogKeeper(const std::string& path)
    : log_(path),
      written_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      end_(::eventfd(0, EFD_CLOEXEC)) {
  if (!end_) return;
  if (written_ && ::inotify_add_watch(written_.get(), path.c_str(), IN_MODIFY) < 0)
    written_.reset();
  thread_ = std::thread([this] { work(); });
}

WorkerLogKeeper::~WorkerLogKeeper() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(end_.get(), &one, sizeof(one));
  thread_.join();
  log_.cut();
}

void WorkerLogKeeper::work() const {
  std::array<pollfd, 2> ready{{{written_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
  std::array<char, 4096> events{};
  while (ready[1].revents == 0) {
    ::poll(ready.data(), ready.size(), written_ ? -1 : kLookEveryMs);
    while (written_ && ::read(written_.get(), events.data(), events.size()) > 0) {
    }
    log_.cut();
    ::poll(&ready[1], 1, kBetweenLooksMs);
  }
}

}  // namespace pawl
