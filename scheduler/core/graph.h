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

  /// The tasks that wait for `task` as a whole, ascending; of a hook none.
  std::span<const TaskIndex> followers(TaskIndex task) const { return waiting_.of(task); }
  /// The tasks that are paired with it, item by item (`each`), ascending.
  std::span<const TaskIndex> paired(TaskIndex task) const { return paired_.of(task); }
  /// The tasks that run over its items, through one `each` or several, ascending.
  std::span<const TaskIndex> sharers(TaskIndex task) const { return sharers_.of(task); }
  /// `roots` and all that follow them, directly or not; a flag per task.
  std::vector<bool> downstream_of(std::span<const TaskIndex> roots) const;

 private:
  /// For each task a list of others.
  struct Lists {
    std::vector<std::uint32_t> begin;  ///< of task i: places begin[i] to begin[i + 1]
    std::vector<TaskIndex> all;
    std::span<const TaskIndex> of(TaskIndex task) const;
  };
  Lists waiting_;
  Lists paired_;
  Lists sharers_;
};

}  // namespace pawl
