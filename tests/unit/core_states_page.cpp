#include "tests/unit/core_states_page.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "scheduler/core/retry.h"
#include "scheduler/core/states.h"
#include "scheduler/core/trigger_rule.h"
#include "scheduler/spec/job.h"

namespace pawl {
namespace {

std::string code(std::string_view word) { return "`" + std::string(word) + "`"; }

/// One row per state: by each event, the state that follows.
template <typename State, typename Event, typename Table>
std::string transitions(const Table& table, std::size_t states, std::size_t events) {
  std::string out = "| state | event → next state | by a person |\n| --- | --- | --- |\n";
  for (std::size_t s = 0; s < states; ++s) {
    const auto from = static_cast<State>(s);
    std::array<std::string, 2> cells;
    for (std::size_t e = 0; e < events; ++e) {
      const auto on = static_cast<Event>(e);
      const auto to = next(from, on);
      if (!to) continue;
      std::string& cell = cells[is_by_person(on) ? 1 : 0];
      if (!cell.empty()) cell += ", ";
      cell += std::string(to_string(on)) + " → " + code(to_string(*to));
    }
    out += "| " + (is_final(from) ? "**" + code(to_string(from)) + "**" : code(to_string(from))) +
           " | " + cells[0] + " | " + cells[1] + " |\n";
  }
  (void)table;
  return out;
}

/// All ways in which `n` upstreams can be: by what came of them.
std::vector<Tally> tallies(std::uint32_t n) {
  std::vector<Tally> out;
  for (std::uint32_t open = 0; open <= n; ++open) {
    for (std::uint32_t s = 0; s + open <= n; ++s) {
      for (std::uint32_t f = 0; f + s + open <= n; ++f) {
        for (std::uint32_t u = 0; u <= f; ++u) out.push_back({open, s, f, u, n - open - s - f});
      }
    }
  }
  return out;
}

/// What three upstreams have in common whenever the rule decides so, in words; made by asking the
/// rule about every combination.
std::string words_for(TriggerRule rule, Decision wanted) {
  struct Description {
    const char* text;
    bool (*holds)(const Tally&);
  };
  static constexpr auto kAllFinal = [](const Tally& t) { return t.open == 0; };
  static constexpr Description kDescriptions[] = {
      {"at once", [](const Tally&) { return true; }},
      {"first S", [](const Tally& t) { return t.succeeded > 0; }},
      {"first F", [](const Tally& t) { return t.failed > 0; }},
      {"first K", [](const Tally& t) { return t.skipped > 0; }},
      {"first S or K", [](const Tally& t) { return t.succeeded > 0 || t.skipped > 0; }},
      {"first S or F", [](const Tally& t) { return t.succeeded > 0 || t.failed > 0; }},
      {"first S or F other than upstream_failed",
       [](const Tally& t) { return t.succeeded > 0 || t.failed > t.upstream_failed; }},
      {"all final", [](const Tally& t) { return kAllFinal(t); }},
      {"all S", [](const Tally& t) { return t.succeeded == t.total(); }},
      {"all F", [](const Tally& t) { return t.failed == t.total(); }},
      {"all K", [](const Tally& t) { return t.skipped == t.total(); }},
      {"all final, no F", [](const Tally& t) { return kAllFinal(t) && t.failed == 0; }},
      {"all final, no K", [](const Tally& t) { return kAllFinal(t) && t.skipped == 0; }},
      {"all final, none such",
       [](const Tally& t) {
         return kAllFinal(t) && t.succeeded == 0 && t.failed == t.upstream_failed;
       }},
      {"all final, no F, some S",
       [](const Tally& t) { return kAllFinal(t) && t.failed == 0 && t.succeeded > 0; }},
      {"all final, no F, some K",
       [](const Tally& t) { return kAllFinal(t) && t.failed == 0 && t.skipped > 0; }},
      {"all final, no S, some F",
       [](const Tally& t) { return kAllFinal(t) && t.succeeded == 0 && t.failed > 0; }},
      {"all final, no K, some S",
       [](const Tally& t) { return kAllFinal(t) && t.skipped == 0 && t.succeeded > 0; }},
      {"all final, no K, no S",
       [](const Tally& t) { return kAllFinal(t) && t.skipped == 0 && t.succeeded == 0; }},
  };
  const std::vector<Tally> all = tallies(3);
  const bool is_ever = std::any_of(all.begin(), all.end(),
                                   [&](const Tally& t) { return decide(rule, t) == wanted; });
  if (!is_ever) return "never";
  for (const Description& d : kDescriptions) {
    const bool fits = std::all_of(all.begin(), all.end(), [&](const Tally& t) {
      return d.holds(t) == (decide(rule, t) == wanted);
    });
    if (fits) return d.text;
  }
  return "no words for it";
}

std::string rules() {
  std::string out = "| rule | runs | upstream_failed | skipped |\n| --- | --- | --- | --- |\n";
  for (std::size_t r = 0; r < kTriggerRuleCount; ++r) {
    const auto rule = static_cast<TriggerRule>(r);
    out += "| " + code(to_string(rule)) + " | " + words_for(rule, Decision::run) + " | " +
           words_for(rule, Decision::upstream_failed) + " | " + words_for(rule, Decision::skip) +
           " |\n";
  }
  return out;
}

std::string reasons() {
  std::string out = "| reason | retried |\n| --- | --- |\n";
  for (std::size_t r = 1; r < kReasonCount; ++r) {
    const auto reason = static_cast<Reason>(r);
    const char* retried = "never";
    if (retried_by_default().has(reason)) {
      retried = reason == Reason::exit ? "unless `retry` says otherwise; not 126 and 127"
                                       : "unless `retry` says otherwise";
    } else if (is_retryable_word(reason)) {
      retried = "only when `retry.on` names it";
    } else if (reason == Reason::lost || reason == Reason::interrupted) {
      retried = "`on_interrupt` decides";
    }
    out += "| " + code(to_string(reason)) + " | " + retried + " |\n";
  }
  return out;
}

}  // namespace

std::string states_page() {
  std::string out;
  out += "# States\n\n";
  out +=
      "This page is printed from the tables in `scheduler/core/states.h`, which the scheduler "
      "checks every change against. "
      "Final states are bold: only a person leaves them. What is not listed cannot happen.\n\n";
  out += "## Runs\n\n" + transitions<RunState, RunEvent>(kRunTransitions, 6, 7) + "\n";
  out += "## Tasks\n\nAlso items of mapped tasks, and mapped tasks as wholes.\n\n" +
         transitions<TaskState, TaskEvent>(kTaskTransitions, kTaskStateCount, kTaskEventCount) +
         "\n";
  out += "## Attempts\n\n" +
         transitions<AttemptState, AttemptEvent>(kAttemptTransitions, kAttemptStateCount,
                                                 kAttemptEventCount) +
         "\n";
  out +=
      "## Trigger rules\n\n"
      "S is a succeeded upstream; F one that is failed, upstream_failed, held or cancelled; K a "
      "skipped one. "
      "All final: nothing upstream is open. The result does not depend on the order in which "
      "upstreams end. "
      "A task without dependencies starts at once, whatever its rule.\n\n" +
      rules() + "\n";
  out += "## Reasons\n\nThe word beside a state that says why. " +
         std::to_string(kPoisonInterruptions) + " interruptions within " +
         std::to_string(std::chrono::duration_cast<std::chrono::hours>(kPoisonWindow).count()) +
         " hours of which the task could be the cause hold it as `poison`, and so do " +
         std::to_string(kLossesInARow) + " attempts in a row that were `lost`.\n\n" + reasons();
  return out;
}

}  // namespace pawl
