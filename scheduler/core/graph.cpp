#include "scheduler/core/graph.h"

#include <utility>

namespace pawl {
namespace {

/// Calls `f(from, to)` for each pair that `pairs` has, task by task.
template <typename Pairs, typename Begin, typename All>
void fill_lists(std::size_t count, const Pairs& pairs, Begin& begin, All& all) {
  begin.assign(count + 1, 0);
  pairs([&](TaskIndex from, TaskIndex) { ++begin[from.value + 1]; });
  for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
  all.resize(begin.back());
  std::vector<std::uint32_t> place(begin.begin(), begin.end() - 1);
  pairs([&](TaskIndex from, TaskIndex to) { all[place[from.value]++] = to; });
}

}  // namespace

std::span<const TaskIndex> Graph::Lists::of(TaskIndex task) const {
  return std::span(all).subspan(begin[task.value], begin[task.value + 1] - begin[task.value]);
}

Graph::Graph(const JobSpec& job) {
  const auto dependencies = [&job](bool each) {
    return [&job, each](auto&& found) {
      for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
        for (const Dependency& d : job.tasks[i].depends_on) {
          if (d.each == each) found(d.task, TaskIndex{i});
        }
      }
    };
  };
  const auto sources = [&job](auto&& found) {
    for (std::uint32_t i = 0; i < job.tasks.size(); ++i) {
      if (job.tasks[i].mapped_over) found(*job.tasks[i].mapped_over, TaskIndex{i});
    }
  };
  fill_lists(job.node_count(), dependencies(false), waiting_.begin, waiting_.all);
  fill_lists(job.node_count(), dependencies(true), paired_.begin, paired_.all);
  fill_lists(job.node_count(), sources, sharers_.begin, sharers_.all);
}

std::vector<bool> Graph::downstream_of(std::span<const TaskIndex> roots) const {
  std::vector<bool> seen(waiting_.begin.size() - 1, false);
  std::vector<TaskIndex> todo(roots.begin(), roots.end());
  while (!todo.empty()) {
    TaskIndex task = todo.back();
    todo.pop_back();
    if (seen[task.value]) continue;
    seen[task.value] = true;
    for (TaskIndex f : followers(task)) todo.push_back(f);
    for (TaskIndex f : paired(task)) todo.push_back(f);
  }
  return seen;
}

}  // namespace pawl
