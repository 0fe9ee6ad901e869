#include "scheduler/spec/job.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <queue>

#include "scheduler/base/check.h"
#include "scheduler/base/spread.h"

namespace pawl {

std::string_view to_string(TriggerRule rule) {
  switch (rule) {
    case TriggerRule::all_success: return "all_success";
    case TriggerRule::all_failed: return "all_failed";
    case TriggerRule::all_done: return "all_done";
    case TriggerRule::one_success: return "one_success";
    case TriggerRule::one_failed: return "one_failed";
    case TriggerRule::one_done: return "one_done";
    case TriggerRule::none_failed: return "none_failed";
    case TriggerRule::none_skipped: return "none_skipped";
    case TriggerRule::none_failed_min_one_success: return "none_failed_min_one_success";
    case TriggerRule::all_skipped: return "all_skipped";
    case TriggerRule::all_done_min_one_success: return "all_done_min_one_success";
    case TriggerRule::always: return "always";
  }
  return "";
}

std::string_view to_string(Backoff v) {
  switch (v) {
    case Backoff::exponential: return "exponential";
    case Backoff::linear: return "linear";
    case Backoff::fixed: return "fixed";
  }
  return "";
}

std::string_view to_string(Jitter v) {
  switch (v) {
    case Jitter::equal: return "equal";
    case Jitter::full: return "full";
    case Jitter::none: return "none";
  }
  return "";
}

std::string_view to_string(OnInterrupt v) {
  switch (v) {
    case OnInterrupt::retry: return "retry";
    case OnInterrupt::fail: return "fail";
    case OnInterrupt::hold: return "hold";
  }
  return "";
}

std::string_view to_string(OutputFormat v) {
  switch (v) {
    case OutputFormat::none: return "none";
    case OutputFormat::text: return "text";
    case OutputFormat::json: return "json";
    case OutputFormat::jsonl: return "jsonl";
  }
  return "";
}

std::string_view to_string(ItemFormat v) {
  switch (v) {
    case ItemFormat::jsonl: return "jsonl";
    case ItemFormat::json: return "json";
    case ItemFormat::csv: return "csv";
    case ItemFormat::lines: return "lines";
  }
  return "";
}

std::string_view to_string(CatchupPolicy v) {
  switch (v) {
    case CatchupPolicy::none: return "none";
    case CatchupPolicy::latest: return "latest";
    case CatchupPolicy::all: return "all";
  }
  return "";
}

std::string_view to_string(Overlap v) {
  switch (v) {
    case Overlap::queue: return "queue";
    case Overlap::skip: return "skip";
    case Overlap::replace: return "replace";
    case Overlap::allow: return "allow";
  }
  return "";
}

std::string_view to_string(HookKind v) {
  switch (v) {
    case HookKind::on_success: return "on_success";
    case HookKind::on_failure: return "on_failure";
    case HookKind::on_exit: return "on_exit";
  }
  return "";
}

std::int64_t Tolerance::of(std::int64_t items) const {
  if (!is_percent) return static_cast<std::int64_t>(value);
  const double share = value * static_cast<double>(items) / 100.0;
  // Few decimals are exact as doubles: 0.57 % of 10,000 comes to a little less than 57.
  constexpr double kInexact = 1e-6;
  const double nearest = std::round(share);
  return static_cast<std::int64_t>(std::abs(share - nearest) < kInexact ? nearest
                                                                        : std::floor(share));
}

Duration retry_delay(const RetryPolicy& policy, std::int64_t attempt) {
  const double n = static_cast<double>(std::max<std::int64_t>(attempt, 1));
  const double base = static_cast<double>(policy.delay.count());
  double delay = base;
  switch (policy.backoff) {
    case Backoff::fixed: break;
    case Backoff::linear: delay = base * n; break;
    case Backoff::exponential:
      // A zero delay stays zero, where zero times infinity would be no number.
      delay = base == 0 ? 0 : base * std::pow(policy.multiplier, n - 1);
      break;
  }
  const double cap = static_cast<double>(policy.max_delay.count());
  return delay < cap ? Duration(std::llround(delay)) : policy.max_delay;
}

Duration jittered_retry_delay(const RetryPolicy& policy, std::int64_t attempt,
                              std::uint64_t random) {
  const std::int64_t delay = retry_delay(policy, attempt).count();
  if (policy.jitter == Jitter::none || delay <= 0)
    return Duration(std::max<std::int64_t>(delay, 0));
  const std::int64_t least = policy.jitter == Jitter::full ? 0 : delay / 2;
  const auto spread = static_cast<std::uint64_t>(delay - least) + 1;
  return Duration(least + static_cast<std::int64_t>(scaled_below(random, spread)));
}

namespace {

/// Downstream tasks of every task, in one array: those of t are at [begin[t], begin[t + 1]).
struct Followers {
  std::vector<std::size_t> begin;
  std::vector<std::uint32_t> tasks;
};

Followers followers_of(const JobSpec& job) {
  Followers out;
  out.begin.assign(job.tasks.size() + 1, 0);
  for (const TaskSpec& task : job.tasks) {
    for (const Dependency& d : task.depends_on) ++out.begin[d.task.value + 1];
  }
  for (std::size_t i = 1; i < out.begin.size(); ++i) out.begin[i] += out.begin[i - 1];
  out.tasks.resize(out.begin.back());
  std::vector<std::size_t> next(out.begin.begin(), out.begin.end() - 1);
  for (std::uint32_t t = 0; t < job.tasks.size(); ++t) {
    for (const Dependency& d : job.tasks[t].depends_on) out.tasks[next[d.task.value]++] = t;
  }
  return out;
}

}  // namespace

std::vector<TaskIndex> partial_topological_order(const JobSpec& job) {
  const Followers followers = followers_of(job);
  std::vector<std::size_t> open(job.tasks.size());
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  for (std::uint32_t t = 0; t < job.tasks.size(); ++t) {
    open[t] = job.tasks[t].depends_on.size();
    if (open[t] == 0) ready.push(t);
  }
  std::vector<TaskIndex> order;
  order.reserve(job.tasks.size());
  while (!ready.empty()) {
    const std::uint32_t t = ready.top();
    ready.pop();
    order.emplace_back(t);
    for (std::size_t i = followers.begin[t]; i < followers.begin[t + 1]; ++i) {
      if (--open[followers.tasks[i]] == 0) ready.push(followers.tasks[i]);
    }
  }
  return order;
}

std::vector<TaskIndex> topological_order(const JobSpec& job) {
  std::vector<TaskIndex> order = partial_topological_order(job);
  PAWL_CHECK(order.size() == job.tasks.size());
  return order;
}

std::vector<std::int32_t> levels(const JobSpec& job) {
  std::vector<std::int32_t> level(job.tasks.size(), 0);
  for (const TaskIndex t : topological_order(job)) {
    for (const Dependency& d : job.tasks[t.value].depends_on) {
      level[t.value] = std::max(level[t.value], level[d.task.value] + 1);
    }
  }
  return level;
}

}  // namespace pawl
