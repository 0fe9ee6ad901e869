#pragma once

// Questions about the graph of a job that may still be wrong: cycles and ancestors. Iterative, so
// that a chain of a hundred thousand tasks is like any other job.

#include <cstdint>
#include <vector>

#include "scheduler/spec/document.h"
#include "scheduler/spec/job.h"

namespace pawl {

/// One cycle of each knot of tasks that wait for one another: each task depends on the one before
/// it, the first on the last. By their first tasks, in the order of the file. Linear.
std::vector<std::vector<TaskIndex>> find_cycles(const JobSpec& job);

/// Whether `upstream` must be final before `task` starts, asked at a place of the file.
struct AncestorQuery {
  TaskIndex task;
  TaskIndex upstream;
  NodeId node = kNoNode;
  std::size_t index_in_string = 0;
  bool holds = false;  ///< the answer
};

/// Which dependencies are followed.
enum class Edges : std::uint8_t { all, each };

/// Answers all of them; no `task` is one of a cycle or behind one. Costs one pass over the graph
/// between the tasks named, for every 512 different upstreams.
void answer_ancestor_queries(const JobSpec& job, std::vector<AncestorQuery>& queries,
                             Edges edges = Edges::all);

}  // namespace pawl
