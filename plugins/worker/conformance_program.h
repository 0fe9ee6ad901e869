#pragma once

// The operator of a manifest in a process that is no host, for the checks of its conformance: it
// makes the process what a host is as far as programs need it.

#include <cstddef>
#include <memory>

#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/poll.h"

namespace pawl {

struct Manifest;

/// Processes that run now of the programs of such an operator, and what these have started.
std::size_t processes_of_programs();

class LoneProgramOperator final : public OperatorBackend {
 public:
  /// Takes SIGCHLD and SIGPIPE of the process, and the orphans of its children.
  LoneProgramOperator(Loop& loop, Manifest manifest, OperatorEvents& events);
  /// Ends the program's processes, and waits for that.
  ~LoneProgramOperator() override;

  void start(std::shared_ptr<const OperatorRequest> request) override;
  void cancel(AttemptId attempt) override;
  bool kill(AttemptId attempt) override;
  Place place() const override { return Place::program; }

 private:
  Fd signals_;
  std::unique_ptr<ProgramHost> host_;
  std::unique_ptr<OperatorBackend> program_;
  Poll signal_poll_;
};

}  // namespace pawl
