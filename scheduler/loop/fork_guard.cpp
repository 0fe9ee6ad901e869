#include "scheduler/loop/fork_guard.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>

namespace pawl {
namespace {

constexpr int kNone = -1;

/// Read in a child, where other threads of the parent may have held any lock.
struct Guarded {
  Guarded() {
    for (std::atomic<int>& fd : fds) fd = kNone;
    pthread_atfork(nullptr, nullptr, [] { guarded().close_all(); });
  }
  void replace(int from, int to) {
    for (std::atomic<int>& fd : fds) {
      int expected = from;
      if (fd.compare_exchange_strong(expected, to)) return;
    }
  }
  void close_all() {
    for (const std::atomic<int>& fd : fds) {
      if (fd != kNone) ::close(fd);
    }
  }
  static Guarded& guarded() {
    static Guarded all;
    return all;
  }

  std::array<std::atomic<int>, 16> fds;
};

}  // namespace

ForkGuard::ForkGuard(int fd) : fd_(fd) { Guarded::guarded().replace(kNone, fd_); }

ForkGuard::~ForkGuard() { Guarded::guarded().replace(fd_, kNone); }

}  // namespace pawl
