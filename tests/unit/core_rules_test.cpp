// Trigger rules against the table of the documentation, written a second time here.

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

#include "scheduler/core/trigger_rule.h"
#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;

namespace {

const TaskState kFinals[] = {TaskState::succeeded,       TaskState::failed, TaskState::skipped,
                             TaskState::upstream_failed, TaskState::held,   TaskState::cancelled};

/// What the documentation says once all upstreams are final.
Decision by_the_book(TriggerRule rule, const std::vector<TaskState>& ups) {
  const auto n = static_cast<std::ptrdiff_t>(ups.size());
  const auto s = std::count(ups.begin(), ups.end(), TaskState::succeeded);
  const auto k = std::count(ups.begin(), ups.end(), TaskState::skipped);
  const auto u = std::count(ups.begin(), ups.end(), TaskState::upstream_failed);
  const auto f = n - s - k;
  const Decision run = Decision::run, skip = Decision::skip, fail = Decision::upstream_failed;
  switch (rule) {
    case TriggerRule::all_success: return s == n ? run : f > 0 ? fail : skip;
    case TriggerRule::all_failed: return f == n ? run : skip;
    case TriggerRule::all_done: return run;
    case TriggerRule::one_success: return s > 0 ? run : f > 0 ? fail : skip;
    case TriggerRule::one_failed: return f > 0 ? run : skip;
    case TriggerRule::one_done: return s > 0 || f > u ? run : skip;
    case TriggerRule::none_failed: return f > 0 ? fail : run;
    case TriggerRule::none_failed_min_one_success: return f > 0 ? fail : s > 0 ? run : skip;
    case TriggerRule::none_skipped: return k > 0 ? skip : run;
    case TriggerRule::all_skipped: return k == n ? run : skip;
    case TriggerRule::all_done_min_one_success: return k > 0 ? skip : s > 0 ? run : fail;
    case TriggerRule::always: return run;
  }
  return Decision::wait;
}

template <typename Each>
void for_all_outcomes(std::size_t n, Each each) {
  std::vector<std::size_t> pick(n, 0);
  while (true) {
    std::vector<TaskState> states;
    for (std::size_t p : pick) states.push_back(kFinals[p]);
    each(states);
    std::size_t i = 0;
    while (i < n && ++pick[i] == std::size(kFinals)) pick[i++] = 0;
    if (i == n) return;
  }
}

}  // namespace

TEST_CASE(
    "each rule decides by its table, in whatever order up to four upstreams end, and never twice "
    "differently") {
  for (std::size_t n = 1; n <= 4; ++n) {
    for_all_outcomes(n, [&](const std::vector<TaskState>& states) {
      std::vector<std::size_t> order(n);
      std::iota(order.begin(), order.end(), 0);
      do {
        for (std::size_t r = 0; r < kTriggerRuleCount; ++r) {
          const auto rule = static_cast<TriggerRule>(r);
          Tally tally;
          tally.open = static_cast<std::uint32_t>(n);
          Decision first = decide(rule, tally);
          if (rule != TriggerRule::always) REQUIRE(first == Decision::wait);
          for (std::size_t i : order) {
            tally.add(TaskState::running, -1);
            tally.add(states[i], +1);
            const Decision now = decide(rule, tally);
            if (first != Decision::wait)
              REQUIRE((now == first || rule == TriggerRule::one_success ||
                       rule == TriggerRule::one_done || rule == TriggerRule::one_failed));
            if (first == Decision::wait) first = now;
          }
          INFO(to_string(rule));
          REQUIRE(first == by_the_book(rule, states));
        }
      } while (std::next_permutation(order.begin(), order.end()));
    });
  }
}

TEST_CASE("a task without upstreams runs, whatever its rule") {
  for (std::size_t r = 0; r < kTriggerRuleCount; ++r)
    CHECK(decide(static_cast<TriggerRule>(r), Tally{}) == Decision::run);
}

TEST_CASE("counting an upstream out undoes counting it in") {
  for (std::size_t s = 0; s < kTaskStateCount; ++s) {
    Tally tally;
    tally.add(static_cast<TaskState>(s), +1);
    CHECK(tally.total() == 1);
    tally.add(static_cast<TaskState>(s), -1);
    CHECK(tally.total() == 0);
    CHECK(tally.upstream_failed == 0);
  }
}

namespace {

/// Graphs of `n` nodes where edges go from lower to higher numbers, as bits of `edges`.
std::string graph_text(int n, unsigned edges, TriggerRule rule) {
  std::string text;
  unsigned bit = 0;
  for (int to = 0; to < n; ++to) {
    text += std::string(1, static_cast<char>('a' + to)) + " rule=" + std::string(to_string(rule));
    std::string ups;
    for (int from = 0; from < to; ++from) {
      if ((edges >> bit++ & 1U) == 0) continue;
      if (!ups.empty()) ups += ',';
      ups += static_cast<char>('a' + from);
    }
    text += (ups.empty() ? "" : " after " + ups) + ";";
  }
  return text;
}

/// The final states by the book: in topological order, each from its upstreams.
std::string expected(const JobSpec& job, unsigned failures) {
  std::vector<TaskState> states;
  std::string text;
  for (std::size_t i = 0; i < job.tasks.size(); ++i) {
    std::vector<TaskState> ups;
    for (const Dependency& d : job.tasks[i].depends_on) ups.push_back(states[d.task.value]);
    TaskState state = (failures >> i & 1U) != 0 ? TaskState::failed : TaskState::succeeded;
    if (!ups.empty()) {
      const Decision decision = by_the_book(job.tasks[i].trigger_rule, ups);
      if (decision == Decision::upstream_failed) state = TaskState::upstream_failed;
      if (decision == Decision::skip) state = TaskState::skipped;
    }
    states.push_back(state);
    text += (text.empty() ? "" : " ") + job.tasks[i].id + "=" + std::string(to_string(state));
  }
  return text;
}

}  // namespace

TEST_CASE(
    "all graphs of four nodes end by the book, whichever of them fail and in whichever order") {
  std::size_t runs = 0;
  World w;
  w.checks = false;
  for (std::size_t r = 0; r < kTriggerRuleCount; ++r) {
    const auto rule = static_cast<TriggerRule>(r);
    for (unsigned edges = 0; edges < 64; ++edges) {
      JobSpec job = job_from_text(graph_text(4, edges, rule));
      job.overlap = Overlap::allow;
      job.max_active_runs = 1'000'000;
      const VersionId version = w.define(job);
      for (unsigned failures = 0; failures < 16; ++failures) {
        for (const bool last_first : {false, true}) {
          const RunId run = w.start(version);
          while (w.live_count() > 0) {
            const auto& start = last_first ? w.running.rbegin()->second : w.running.begin()->second;
            const std::string id = job.tasks[start.key.task.value].id;
            const bool fails = (failures >> start.key.task.value & 1U) != 0;
            w.finish(run, id, fails ? Outcome::failed : Outcome::succeeded);
          }
          INFO(graph_text(4, edges, rule) << " failures " << failures);
          REQUIRE(is_final(w.store.runs.at(run).state));
          // Where a rule is early and `always` runs at once, a task may run before what the book
          // looks at is final; the states are the same.
          REQUIRE(w.states(run) == expected(job, failures));
          REQUIRE(w.state(run) ==
                  (w.states(run).find("=failed") == std::string::npos ? "succeeded" : "failed"));
          ++runs;
        }
      }
      // The store of a test grows with its history, and what ended was looked at.
      w.store.tasks.clear();
      w.store.attempts.clear();
      w.store.numbers.clear();
      w.store.events.clear();
      const RunRow last = w.store.runs.rbegin()->second;
      w.store.runs.clear();
      w.store.runs.emplace(last.id, last);
      w.starts.clear();
    }
  }
  CHECK(runs == 12U * 64 * 16 * 2);
}
