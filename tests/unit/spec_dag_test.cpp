// Cycles and ancestors of a job's graph, against what a plain search says.

#include <algorithm>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/spread.h"
#include "scheduler/spec/dag.h"

namespace pawl {
namespace {

using Numbers = std::vector<std::uint32_t>;

/// Task i depends on those in `upstreams[i]`.
JobSpec graph(const std::vector<Numbers>& upstreams) {
  JobSpec job;
  for (const Numbers& ups : upstreams) {
    TaskSpec task;
    for (std::uint32_t up : ups) task.depends_on.push_back({TaskIndex{up}, false});
    job.tasks.push_back(task);
  }
  return job;
}

std::vector<Numbers> cycles_of(const JobSpec& job) {
  std::vector<Numbers> all;
  for (const auto& cycle : find_cycles(job)) {
    all.emplace_back();
    for (TaskIndex task : cycle) all.back().push_back(task.value);
  }
  return all;
}

bool depends_on(const JobSpec& job, std::uint32_t task, std::uint32_t upstream, Edges edges) {
  std::set<std::uint32_t> seen;
  Numbers open = {task};
  while (!open.empty()) {
    const std::uint32_t here = open.back();
    open.pop_back();
    for (const Dependency& one : job.tasks[here].depends_on) {
      if (edges == Edges::each && !one.each) continue;
      if (one.task.value == upstream) return true;
      if (seen.insert(one.task.value).second) open.push_back(one.task.value);
    }
  }
  return false;
}

std::vector<AncestorQuery> all_pairs(const JobSpec& job) {
  std::vector<AncestorQuery> queries;
  for (std::uint32_t task = 0; task < job.tasks.size(); ++task) {
    for (std::uint32_t up = 0; up < job.tasks.size(); ++up) {
      AncestorQuery query;
      query.task = TaskIndex{task};
      query.upstream = TaskIndex{up};
      queries.push_back(query);
    }
  }
  return queries;
}

}  // namespace

TEST_CASE("a graph without a cycle has none, however its tasks are ordered in the file") {
  CHECK(cycles_of(graph({})).empty());
  CHECK(cycles_of(graph({{}})).empty());
  CHECK(cycles_of(graph({{1, 2}, {2}, {}, {0, 1, 2}})).empty());
}

TEST_CASE("each knot of tasks gives one cycle, in the order of the file") {
  CHECK(cycles_of(graph({{}, {2}, {1}, {1}})).size() == 1);
  CHECK(cycles_of(graph({{1}, {0}, {3}, {2}})).size() == 2);
  // One knot, though several ways lead round.
  CHECK(cycles_of(graph({{1, 2}, {0}, {0, 1}})).size() == 1);
}

TEST_CASE("of random graphs each task of a cycle depends on the one before it") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::uint32_t count = 2 + static_cast<std::uint32_t>(seed % 7);
    std::vector<Numbers> upstreams(count);
    for (std::uint64_t edge = 0; edge < count + seed % 3; ++edge) {
      const std::uint64_t random = mixed(seed * 100 + edge);
      const auto task = static_cast<std::uint32_t>(scaled_below(random, count));
      const auto step = static_cast<std::uint32_t>(1 + scaled_below(mixed(random), count - 1));
      upstreams[task].push_back((task + step) % count);
    }
    const JobSpec job = graph(upstreams);
    CAPTURE(seed);
    bool has_cycle = false;
    for (std::uint32_t task = 0; task < count; ++task)
      has_cycle = has_cycle || depends_on(job, task, task, Edges::all);
    const auto cycles = cycles_of(job);
    CHECK(cycles.empty() == !has_cycle);
    for (const Numbers& cycle : cycles) {
      for (std::size_t i = 0; i < cycle.size(); ++i) {
        const std::uint32_t before = cycle[(i + cycle.size() - 1) % cycle.size()];
        const Numbers& ups = upstreams[cycle[i]];
        CHECK(std::find(ups.begin(), ups.end(), before) != ups.end());
      }
      CHECK(std::set<std::uint32_t>(cycle.begin(), cycle.end()).size() == cycle.size());
    }
  }
}

TEST_CASE("what must be final before a task starts is what can be reached upwards") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    JobSpec job = graph(std::vector<Numbers>(9));
    for (std::uint64_t edge = 0; edge < 12; ++edge) {
      const std::uint64_t random = mixed(seed * 1000 + edge);
      const auto task = static_cast<std::uint32_t>(1 + scaled_below(random, 8));
      const auto up = static_cast<std::uint32_t>(scaled_below(mixed(random), task));
      // In the file they stand in any order.
      job.tasks[(task * 4) % 9].depends_on.push_back({TaskIndex{(up * 4) % 9}, random % 2 == 0});
    }
    for (Edges edges : {Edges::all, Edges::each}) {
      auto queries = all_pairs(job);
      answer_ancestor_queries(job, queries, edges);
      for (const AncestorQuery& query : queries) {
        CAPTURE(seed, query.task.value, query.upstream.value);
        CHECK(query.holds == depends_on(job, query.task.value, query.upstream.value, edges));
      }
    }
  }
}

TEST_CASE("more upstreams than one pass takes are answered all the same") {
  std::vector<Numbers> chain(1100);
  for (std::uint32_t task = 1; task < chain.size(); ++task) chain[task] = {task - 1};
  const JobSpec job = graph(chain);
  std::vector<AncestorQuery> queries(chain.size());
  for (std::uint32_t up = 0; up < chain.size(); ++up) {
    queries[up].task = TaskIndex{600};
    queries[up].upstream = TaskIndex{up};
  }
  answer_ancestor_queries(job, queries);
  for (std::uint32_t up = 0; up < chain.size(); ++up) CHECK(queries[up].holds == (up < 600));
}

}  // namespace pawl
