#pragma once

// Who follows whom: the dependencies of a job the other way round, made once per version.

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/spec/job.h"

namespace pawl {

class Graph {
 public:
  explicit Graph(const JobSpec& job);

  /// The tasks that depend on `task`, ascending; of a hook none.
  std::span<const TaskIndex> followers(TaskIndex task) const;
  /// `roots` and all that follow them, directly or not; a flag per task.
  std::vector<bool> downstream_of(std::span<const TaskIndex> roots) const;

 private:
  std::vector<std::uint32_t> begin_;  ///< followers of task i: places begin_[i] to begin_[i + 1]
  std::vector<TaskIndex> followers_;
};

}  // namespace pawl
