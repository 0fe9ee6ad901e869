#include "scheduler/core/trigger_rule.h"

namespace pawl {

void Tally::add(TaskState state, int by) {
  auto count = [by](std::uint32_t& field) { field += static_cast<std::uint32_t>(by); };
  switch (state) {
    case TaskState::waiting:
    case TaskState::queued:
    case TaskState::running:
    case TaskState::retrying:
    case TaskState::deferred: count(open); return;
    case TaskState::succeeded: count(succeeded); return;
    case TaskState::skipped: count(skipped); return;
    case TaskState::upstream_failed:
      count(upstream_failed);
      count(failed);
      return;
    case TaskState::held:
    case TaskState::failed:
    case TaskState::cancelled: count(failed); return;
  }
}

Decision decide(TriggerRule rule, const Tally& t) {
  if (t.total() == 0) return Decision::run;
  const bool all_final = t.open == 0;
  auto at_the_end = [all_final](Decision d) { return all_final ? d : Decision::wait; };

  switch (rule) {
    case TriggerRule::all_success:
      if (t.failed > 0) return Decision::upstream_failed;
      return at_the_end(t.skipped > 0 ? Decision::skip : Decision::run);
    case TriggerRule::all_failed:
      if (t.succeeded > 0 || t.skipped > 0) return Decision::skip;
      return at_the_end(Decision::run);
    case TriggerRule::all_done: return at_the_end(Decision::run);
    case TriggerRule::one_success:
      if (t.succeeded > 0) return Decision::run;
      return at_the_end(t.failed > 0 ? Decision::upstream_failed : Decision::skip);
    case TriggerRule::one_failed:
      if (t.failed > 0) return Decision::run;
      return at_the_end(Decision::skip);
    case TriggerRule::one_done:
      if (t.succeeded > 0 || t.failed > t.upstream_failed) return Decision::run;
      return at_the_end(Decision::skip);
    case TriggerRule::none_failed:
      if (t.failed > 0) return Decision::upstream_failed;
      return at_the_end(Decision::run);
    case TriggerRule::none_skipped:
      if (t.skipped > 0) return Decision::skip;
      return at_the_end(Decision::run);
    case TriggerRule::none_failed_min_one_success:
      if (t.failed > 0) return Decision::upstream_failed;
      return at_the_end(t.succeeded > 0 ? Decision::run : Decision::skip);
    case TriggerRule::all_skipped:
      if (t.succeeded > 0 || t.failed > 0) return Decision::skip;
      return at_the_end(Decision::run);
    case TriggerRule::all_done_min_one_success:
      if (t.skipped > 0) return Decision::skip;
      return at_the_end(t.succeeded > 0 ? Decision::run : Decision::upstream_failed);
    case TriggerRule::always: return Decision::run;
  }
  return Decision::wait;
}

}  // namespace pawl
