#include "scheduler/loop/fs_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "scheduler/loop/fd.h"
#include "scheduler/loop/poll.h"

namespace pawl {
namespace {

// Reads per turn: the kernel's queue (16,384 events by default) must not hold the loop up.
constexpr int kReadsPerTurnMax = 8;

constexpr std::uint32_t kChanged = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB;
constexpr std::uint32_t kRemoved = IN_DELETE | IN_MOVED_FROM;
constexpr std::uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;

Error cannot_watch(int code) {
  std::string why = std::strerror(code);
  if (code == EMFILE) why = "too many watches. Raise fs.inotify.max_user_instances";
  if (code == ENOSPC) why = "too many watches. Raise fs.inotify.max_user_watches";
  return Error{ErrorKind::failed, "cannot watch a folder: " + why};
}

}  // namespace

struct FsWatch::Impl : Loop::Retired {
  Impl(Loop& loop_of, Fd inotify, OnEvent callback)
      : loop(loop_of),
        on_event(std::move(callback)),
        fd(std::move(inotify)),
        poll(loop_of, fd.get(), [this](PollEvents) { read_events(); }) {
    poll.watch({.readable = true});
  }

  void read_events() {
    alignas(inotify_event) std::array<char, 64u << 10> buffer;
    for (int reads = 0; reads < kReadsPerTurnMax; ++reads) {
      const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
      if (n <= 0) return;
      if (!deliver(std::string_view(buffer.data(), static_cast<std::size_t>(n)))) return;
    }
  }

  /// False when this watch has ended.
  bool deliver(std::string_view bytes) {
    while (bytes.size() >= sizeof(inotify_event)) {
      inotify_event event{};
      std::memcpy(&event, bytes.data(), sizeof event);
      const std::string_view padded = bytes.substr(sizeof event, event.len);
      const std::string_view name = padded.substr(0, padded.find('\0'));
      tell(event.mask, name);
      if (ended) return false;
      bytes.remove_prefix(sizeof event + event.len);
    }
    return true;
  }

  void tell(std::uint32_t mask, std::string_view name) {
    if (mask & IN_Q_OVERFLOW) {
      on_event(Event::missed, {});
    } else if (mask & kGone) {
      ended = true;
      poll.stop();
      on_event(Event::gone, {});
    } else if (mask & kRemoved) {
      on_event(Event::removed, name);
    } else if (mask & kChanged) {
      on_event(Event::changed, name);
    }
  }

  Loop& loop;
  OnEvent on_event;
  bool ended = false;
  Fd fd;
  Poll poll;
};

Result<std::unique_ptr<FsWatch>> FsWatch::open(Loop& loop, int folder_fd, OnEvent on_event) {
  Fd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return cannot_watch(errno);
  const std::string path = "/proc/self/fd/" + std::to_string(folder_fd);
  const std::uint32_t mask =
      kChanged | kRemoved | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;
  if (inotify_add_watch(fd.get(), path.c_str(), mask) < 0) return cannot_watch(errno);
  return std::unique_ptr<FsWatch>(new FsWatch(new Impl(loop, std::move(fd), std::move(on_event))));
}

FsWatch::FsWatch(Impl* impl) : impl_(impl) {}

FsWatch::~FsWatch() {
  impl_->ended = true;
  impl_->poll.stop();
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

}  // namespace pawl
