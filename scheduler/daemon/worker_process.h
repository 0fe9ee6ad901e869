#pragma once

// How a worker process is started: the words of its command line, its folder and streams.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/settings.h"

namespace pawl {

/// What a supervisor, or a host, is told by the settings when it starts, and cannot be told later.
class WorkerWays {
 public:
  /// `hosts`: null for a supervisor.
  WorkerWays(const std::string& control_groups, Duration idle, const Settings::Hosts* hosts);
  /// Those that a worker was started with, perhaps by an earlier scheduler. A folder that does not
  /// tell gives ways that equal no others.
  static WorkerWays of_folder(const std::string& folder);

  /// For `of_folder`. What cannot be written is missed by a later scheduler only, which lets the
  /// worker finish and starts another.
  void keep_in(const std::string& folder) const;
  const std::vector<std::string>& words() const { return words_; }
  bool operator==(const WorkerWays&) const = default;

 private:
  WorkerWays() = default;
  std::vector<std::string> words_;
};

struct WorkerCommand {
  std::string program;  ///< path of this program
  std::string home;     ///< absolute
  std::string folder;   ///< the worker's, in one that is there; made when it is missing
  WorkerId id;
  std::uint64_t program_descriptors = 0;  ///< soft limit for programs; 0: as ours
  std::string plugin;                     ///< that a host loads; empty: a supervisor
  std::vector<std::string> operators;     ///< of the plugin
  WorkerWays ways;
};

/// Starts the worker in a session of its own, with no signal blocked or ignored, its output
/// appended to `log` in its folder, and no descriptor of ours. The caller reaps it.
Result<pid_t> start_worker(const WorkerCommand& command);

}  // namespace pawl
