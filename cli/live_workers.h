#pragma once

// The workers of a home that live, or may, by their locks, whether a scheduler is up or not.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"

namespace pawl {

struct LiveWorker {
  WorkerId id;
  std::optional<pid_t> pid;
  bool is_certain = true;  ///< false: its lock cannot be read, so it may live
};

/// `folder`: Home::workers. Those of which nobody can tell are among them.
std::vector<LiveWorker> live_workers(const std::string& folder);

}  // namespace pawl
