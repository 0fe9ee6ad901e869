#include "scheduler/core/graph.h"

namespace pawl {

Graph::Graph(const JobSpec& job) : begin_(job.node_count() + 1, 0) {
  for (const TaskSpec& task : job.tasks) {
    for (const Dependency& d : task.depends_on) ++begin_[d.task.value + 1];
  }
  for (std::size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
  followers_.resize(begin_.back());
  std::vector<std::uint32_t> place(begin_.begin(), begin_.end() - 1);
  for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
    for (const Dependency& d : job.tasks[i].depends_on) {
      followers_[place[d.task.value]++] = TaskIndex{i};
    }
  }
}

std::span<const TaskIndex> Graph::followers(TaskIndex task) const {
  return std::span(followers_)
      .subspan(begin_[task.value], begin_[task.value + 1] - begin_[task.value]);
}

std::vector<bool> Graph::downstream_of(std::span<const TaskIndex> roots) const {
  std::vector<bool> seen(begin_.size() - 1, false);
  std::vector<TaskIndex> todo(roots.begin(), roots.end());
  while (!todo.empty()) {
    TaskIndex task = todo.back();
    todo.pop_back();
    if (seen[task.value]) continue;
    seen[task.value] = true;
    for (TaskIndex f : followers(task)) todo.push_back(f);
  }
  return seen;
}

}  // namespace pawl
