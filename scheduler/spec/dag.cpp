#include "scheduler/spec/dag.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pawl {

namespace {

/// The knots of a graph: tasks that depend on one another, however far around. Tarjan's way, on a
/// stack of its own.
class Knots {
 public:
  /// `ordered` tasks are in none.
  Knots(const JobSpec& job, const std::vector<bool>& ordered)
      : job_(job),
        ordered_(ordered),
        number_(job.tasks.size(), 0),
        low_(job.tasks.size(), 0),
        knot_(job.tasks.size(), kOpen) {
    for (std::uint32_t t = 0; t < job.tasks.size(); ++t) {
      if (!ordered[t] && number_[t] == 0) follow(t);
    }
  }

  bool is_same(TaskIndex a, TaskIndex b) const { return knot_[a.value] == knot_[b.value]; }
  /// A task of each knot that has more than one.
  const std::vector<TaskIndex>& members() const { return members_; }

 private:
  static constexpr std::uint32_t kOpen = 0xFFFFFFFF;
  struct Step {
    std::uint32_t task;
    std::size_t next = 0;  ///< the first dependency that was not followed yet
  };

  void follow(std::uint32_t root) {
    std::vector<Step> way;
    enter(root, way);
    while (!way.empty()) {
      Step& here = way.back();
      const std::uint32_t task = here.task;
      const auto& upstreams = job_.tasks[task].depends_on;
      if (here.next < upstreams.size()) {
        const std::uint32_t up = upstreams[here.next++].task.value;
        if (ordered_[up]) continue;
        if (number_[up] == 0) {
          enter(up, way);
        } else if (knot_[up] == kOpen) {
          low_[task] = std::min(low_[task], number_[up]);
        }
        continue;
      }
      if (low_[task] == number_[task]) close(task);
      way.pop_back();
      if (!way.empty()) low_[way.back().task] = std::min(low_[way.back().task], low_[task]);
    }
  }

  void enter(std::uint32_t task, std::vector<Step>& way) {
    number_[task] = low_[task] = ++last_;
    open_.push_back(task);
    way.push_back({task});
  }

  void close(std::uint32_t first) {
    if (open_.back() != first) members_.emplace_back(first);
    std::uint32_t task = kOpen;
    do {
      task = open_.back();
      open_.pop_back();
      knot_[task] = first;
    } while (task != first);
  }

  const JobSpec& job_;
  const std::vector<bool>& ordered_;
  std::vector<std::uint32_t> number_;  ///< in the order of coming; 0: not seen
  std::vector<std::uint32_t> low_;     ///< the lowest number of its knot that is known
  std::vector<std::uint32_t> knot_;
  std::vector<std::uint32_t> open_;
  std::vector<TaskIndex> members_;
  std::uint32_t last_ = 0;
};

}  // namespace

std::vector<std::vector<TaskIndex>> find_cycles(const JobSpec& job) {
  std::vector<std::vector<TaskIndex>> cycles;
  const std::vector<TaskIndex> order = partial_topological_order(job);
  if (order.size() == job.tasks.size()) return cycles;
  std::vector<bool> ordered(job.tasks.size(), false);
  for (const TaskIndex t : order) ordered[t.value] = true;
  const Knots knots(job, ordered);
  constexpr std::uint32_t kUnseen = 0xFFFFFFFF;
  std::vector<std::uint32_t> step_of(job.tasks.size(), kUnseen);
  for (TaskIndex at : knots.members()) {
    // Going up within a knot must come back to a task seen before.
    std::vector<TaskIndex> path;
    while (step_of[at.value] == kUnseen) {
      step_of[at.value] = static_cast<std::uint32_t>(path.size());
      path.push_back(at);
      const auto& upstream = job.tasks[at.value].depends_on;
      at = std::find_if(upstream.begin(), upstream.end(), [&](const Dependency& d) {
             return !ordered[d.task.value] && knots.is_same(d.task, at);
           })->task;
    }
    path.erase(path.begin(), path.begin() + step_of[at.value]);
    std::reverse(path.begin(), path.end());
    // Begin with the first task in the file, so that the message does not depend on the walk.
    std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
    cycles.push_back(std::move(path));
  }
  std::sort(cycles.begin(), cycles.end());
  return cycles;
}

namespace {

constexpr std::size_t kWords = 8;
using Bits = std::array<std::uint64_t, kWords>;
constexpr std::size_t kUpstreamsPerPass = kWords * 64;

// Of a task in a cycle, or behind one.
constexpr std::uint32_t kNoPlace = 0xFFFFFFFF;

/// Queries sorted by the place of their upstream; answers those of [first, last), which name at
/// most kUpstreamsPerPass upstreams.
class Pass {
 public:
  Pass(const JobSpec& job, const std::vector<TaskIndex>& order,
       const std::vector<std::uint32_t>& place, Edges edges)
      : job_(job), order_(order), place_(place), edges_(edges) {}

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
      if (from < low || (edges_ == Edges::each && !d.each)) continue;
      for (std::size_t w = 0; w < kWords; ++w) bits[w] |= reached_[from - low][w];
    }
  }

  const JobSpec& job_;
  const std::vector<TaskIndex>& order_;
  const std::vector<std::uint32_t>& place_;
  Edges edges_;
  std::vector<Bits> reached_;
  std::vector<std::size_t> number_;  ///< bit of an upstream, by place
};

}  // namespace

void answer_ancestor_queries(const JobSpec& job, std::vector<AncestorQuery>& queries, Edges edges) {
  if (queries.empty()) return;
  const std::vector<TaskIndex> order = partial_topological_order(job);
  std::vector<std::uint32_t> place(job.tasks.size(), kNoPlace);
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i].value] = i;
  std::sort(queries.begin(), queries.end(), [&](const AncestorQuery& a, const AncestorQuery& b) {
    return place[a.upstream.value] < place[b.upstream.value];
  });
  // Nothing that has a place comes after what has none.
  const auto end = std::find_if(queries.begin(), queries.end(), [&](const AncestorQuery& q) {
    return place[q.upstream.value] == kNoPlace;
  });
  Pass pass(job, order, place, edges);
  auto first = queries.begin();
  while (first != end) {
    std::size_t upstreams = 0;
    auto last = first;
    while (last != end) {
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
