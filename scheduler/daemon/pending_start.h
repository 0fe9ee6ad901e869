#pragma once

// A start on its way to its worker: it may wait for its task's definition, then for its item.

#include <string>

#include "scheduler/core/effect.h"
#include "storage/run_data.h"

namespace pawl {

struct PendingStart {
  effect::StartAttempt start;
  // What the attempt is told beside its item.
  AttemptPast past;
  std::string tasks;  ///< for frame::AttemptStart::tasks
};

}  // namespace pawl
