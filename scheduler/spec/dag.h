#pragma once

// Questions about the graph of a job that may still be wrong: cycles and ancestors. Iterative, so
// that a chain of a hundred thousand tasks is like any other job.

#include <cstdint>
#include <vector>

#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// The tasks of one cycle, each depending on the one before it, the first on the last. Empty when
/// there is none. Linear.
std::vector<TaskIndex> find_cycle(const JobSpec& job);

/// The tasks whose item i is final before item i of `task` starts: those that it is paired with
/// (`each`), near or far, but for those that it waits for as a whole. Ascending. No cycle.
std::vector<TaskIndex> pairs_of(const JobSpec& job, TaskIndex task);

/// Whether `upstream` must be final before `task` starts, asked at a place of the file.
struct AncestorQuery {
  TaskIndex task;
  TaskIndex upstream;
  NodeId node = kNoNode;
  std::size_t index_in_string = 0;
  bool holds = false;  ///< the answer
};

/// Answers all of them. The job has no cycle. Costs one pass over the graph between the tasks
/// named, for every 512 different upstreams.
void answer_ancestor_queries(const JobSpec& job, std::vector<AncestorQuery>& queries);

}  // namespace pawl
