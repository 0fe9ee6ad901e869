#pragma once

// How the warm processes of one pool are started and kept: from a manifest, or from what a task of
// the operator `python` asks for.

#include <memory>
#include <string>
#include <vector>

#include "plugins/worker/manifest.h"
#include "plugins/worker/operator_backend.h"
#include "scheduler/base/result.h"

namespace pawl {

struct ProgramSpec {
  std::string operator_name;
  std::vector<std::string> command;
  std::vector<std::string> environment;  ///< `NAME=value`
  std::string working_dir;               ///< absolute
  int processes = 1;
  int concurrency = 1;
  std::int64_t recycle_after = 0;
  std::uint64_t memory_limit = 0;
  Duration start_timeout = std::chrono::seconds(30);
};

/// An attempt, and the environment that a program of its task would have.
struct ProgramRequest {
  std::shared_ptr<const OperatorRequest> attempt;
  std::vector<std::string> environment;  ///< `NAME=value`
};

/// Tells which pool an attempt belongs to.
class ProgramSource {
 public:
  virtual ~ProgramSource() = default;
  /// Attempts of one key share their processes. Errors: invalid, for the user.
  virtual Result<std::string> key(const ProgramRequest& request) const = 0;
  /// The pool that an attempt of a new key makes.
  virtual Result<ProgramSpec> spec(const ProgramRequest& request) const = 0;
};

/// Processes as a manifest says, with the login variables of the attempt that comes first.
/// `processes`: how many where the manifest says nothing.
std::unique_ptr<ProgramSource> manifest_source(Manifest manifest, int processes);

/// As many as the pool `default` has slots, so that no attempt of it waits here for a process while
/// its time-out runs: twice the cores, at least 4.
int default_processes();

/// Entries of `environment` with one of the login variables' names; one line each.
std::vector<std::string> login_environment(const std::vector<std::string>& environment);

}  // namespace pawl
