#pragma once

// The workers of a home that live, by their locks, whether a scheduler is up or not.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/ids.h"

namespace pawl {

struct LiveWorker {
  WorkerId id;
  std::optional<pid_t> pid;
};

/// `folder`: Home::workers. What cannot be looked at is left out.
std::vector<LiveWorker> live_workers(const std::string& folder);

}  // namespace pawl
