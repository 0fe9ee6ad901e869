#include "scheduler/spec/dag.h"

#include <algorithm>
#include <array>
#include <set>

namespace pawl {

std::vector<TaskIndex> find_cycle(const JobSpec& job) {
  std::vector<bool> ordered(job.tasks.size(), false);
  const std::vector<TaskIndex> order = partial_topological_order(job);
  if (order.size() == job.tasks.size()) return {};
  for (const TaskIndex t : order) ordered[t.value] = true;
  // What is left has an upstream that is left too: going up must come back to a task seen before.
  constexpr std::uint32_t kUnseen = 0xFFFFFFFF;
  std::vector<std::uint32_t> step_of(job.tasks.size(), kUnseen);
  std::vector<TaskIndex> path;
  const auto first = std::find(ordered.begin(), ordered.end(), false);
  TaskIndex at(static_cast<std::uint32_t>(first - ordered.begin()));
  while (step_of[at.value] == kUnseen) {
    step_of[at.value] = static_cast<std::uint32_t>(path.size());
    path.push_back(at);
    const auto& upstream = job.tasks[at.value].depends_on;
    at = std::find_if(upstream.begin(), upstream.end(), [&](const Dependency& d) {
           return !ordered[d.task.value];
         })->task;
  }
  path.erase(path.begin(), path.begin() + step_of[at.value]);
  std::reverse(path.begin(), path.end());
  // Begin with the first task in the file, so that the message does not depend on the walk.
  std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
  return path;
}

namespace {

constexpr std::size_t kWords = 8;
using Bits = std::array<std::uint64_t, kWords>;
constexpr std::size_t kUpstreamsPerPass = kWords * 64;

/// Queries sorted by the place of their upstream; answers those of [first, last), which name at
/// most kUpstreamsPerPass upstreams.
class Pass {
 public:
  Pass(const JobSpec& job, const std::vector<TaskIndex>& order,
       const std::vector<std::uint32_t>& place)
      : job_(job), order_(order), place_(place) {}

  template <typename Iterator>
  void answer(Iterator first, Iterator last) {
    const std::uint32_t low = place_[first->upstream.value];
    std::uint32_t high = low;
    for (auto q = first; q != last; ++q) high = std::max(high, place_[q->task.value]);
    reached_.assign(high - low + 1, Bits{});
    number_upstreams(first, last, low);
    for (std::uint32_t p = low; p <= high; ++p) spread(p, low);
    for (auto q = first; q != last; ++q) {
      const std::uint32_t at = place_[q->task.value];
      const std::size_t bit = number_[place_[q->upstream.value] - low];
      q->holds = at >= low && q->task != q->upstream &&
                 (reached_[at - low][bit / 64] >> (bit % 64) & 1U) != 0;
    }
  }

 private:
  template <typename Iterator>
  void number_upstreams(Iterator first, Iterator last, std::uint32_t low) {
    number_.assign(reached_.size() + 1, 0);
    std::size_t next = 0;
    for (auto q = first; q != last; ++q) {
      const std::uint32_t at = place_[q->upstream.value] - low;
      if (q != first && place_[std::prev(q)->upstream.value] - low == at) continue;
      if (at >= number_.size()) number_.resize(at + 1);
      if (at < reached_.size()) reached_[at][next / 64] |= std::uint64_t{1} << (next % 64);
      number_[at] = next++;
    }
  }

  void spread(std::uint32_t p, std::uint32_t low) {
    Bits& bits = reached_[p - low];
    for (const Dependency& d : job_.tasks[order_[p].value].depends_on) {
      const std::uint32_t from = place_[d.task.value];
      if (from < low) continue;
      for (std::size_t w = 0; w < kWords; ++w) bits[w] |= reached_[from - low][w];
    }
  }

  const JobSpec& job_;
  const std::vector<TaskIndex>& order_;
  const std::vector<std::uint32_t>& place_;
  std::vector<Bits> reached_;
  std::vector<std::size_t> number_;  ///< bit of an upstream, by place
};

}  // namespace

std::vector<TaskIndex> pairs_of(const JobSpec& job, TaskIndex task) {
  std::set<TaskIndex> seen;
  std::vector<TaskIndex> todo{task};
  while (!todo.empty()) {
    const TaskIndex at = todo.back();
    todo.pop_back();
    for (const Dependency& d : job.tasks[at.value].depends_on) {
      if (d.each && seen.insert(d.task).second) todo.push_back(d.task);
    }
  }
  for (const Dependency& d : job.tasks[task.value].depends_on) {
    if (!d.each) seen.erase(d.task);
  }
  return {seen.begin(), seen.end()};
}

void answer_ancestor_queries(const JobSpec& job, std::vector<AncestorQuery>& queries) {
  if (queries.empty()) return;
  const std::vector<TaskIndex> order = topological_order(job);
  std::vector<std::uint32_t> place(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i].value] = i;
  std::sort(queries.begin(), queries.end(), [&](const AncestorQuery& a, const AncestorQuery& b) {
    return place[a.upstream.value] < place[b.upstream.value];
  });
  Pass pass(job, order, place);
  auto first = queries.begin();
  while (first != queries.end()) {
    std::size_t upstreams = 0;
    auto last = first;
    while (last != queries.end()) {
      const bool another = last == first || last->upstream != std::prev(last)->upstream;
      if (another && upstreams == kUpstreamsPerPass) break;
      if (another) ++upstreams;
      ++last;
    }
    pass.answer(first, last);
    first = last;
  }
}

}  // namespace pawl
