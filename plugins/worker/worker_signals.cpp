#include "plugins/worker/worker_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "scheduler/base/check.h"

namespace pawl {

sigset_t worker_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

WorkerSignals::WorkerSignals() {
  const sigset_t set = worker_signals();
  descriptor_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  PAWL_CHECK(static_cast<bool>(descriptor_));
}

std::optional<int> WorkerSignals::next() {
  signalfd_siginfo info;
  if (::read(descriptor_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace pawl
