#pragma once

// The signals that a worker reads from a descriptor: SIGCHLD, and those that ask it to end
// (SIGTERM, SIGINT, SIGHUP).

#include <signal.h>

#include <optional>

#include "scheduler/loop/fd.h"

namespace pawl {

/// Those signals: a worker blocks them before it does anything else.
sigset_t worker_signals();

class WorkerSignals {
 public:
  WorkerSignals();
  /// Readable when one has come.
  int descriptor() const { return descriptor_.get(); }
  /// The next one that has come; nothing: no more.
  std::optional<int> next();

 private:
  Fd descriptor_;
};

}  // namespace pawl
