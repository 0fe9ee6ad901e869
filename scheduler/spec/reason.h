#pragma once

// Why something is in its state: one word beside a state, spelled here once and the same in code,
// database, JSON, command line and documents. Part of `spec` because users write these words too
// (`retry.on`, `--reason`).

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pawl {

enum class Reason : std::uint8_t {
  none,
  // How an attempt ended; retried unless the job says otherwise.
  exit,      ///< exit code other than 0; the code is the detail (126 and 127 are not retried)
  signal,    ///< ended by a signal; its number is the detail
  oom,       ///< ended by the kernel for memory
  timeout,   ///< attempt time-out
  stalled,   ///< no output and no heartbeat within `stall_timeout`
  error,     ///< an operator's error
  cpu_time,  ///< limit of CPU time reached
  pids,      ///< limit of processes reached
  // How an attempt ended; retried only when named.
  permanent,  ///< the operator says that another attempt is useless
  spawn,      ///< the program could not be started
  template_,  ///< a template could not be rendered
  output,     ///< the output is missing, too large or not what was declared
  // No evidence how it ended; `on_interrupt` decides.
  lost,         ///< the process that ran it died, seen at once
  interrupted,  ///< the same, found at recovery, or while another attempt is to blame
  // Decided by pawl or a person; never retried.
  upstream,
  rule,
  when,
  cancelled,
  total_timeout,
  queue_timeout,
  run_timeout,
  fail_fast,
  stop_after_failures,
  replaced,
  items,
  tolerance,
  poison,
  unkillable,
  restored,
  marked,
  no_worker,
  hooks,
};
inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::hooks) + 1;

/// The word of a reason; empty for `none`.
constexpr std::string_view to_string(Reason reason) {
  constexpr std::array<std::string_view, kReasonCount> kWords = {"",
                                                                 "exit",
                                                                 "signal",
                                                                 "oom",
                                                                 "timeout",
                                                                 "stalled",
                                                                 "error",
                                                                 "cpu_time",
                                                                 "pids",
                                                                 "permanent",
                                                                 "spawn",
                                                                 "template",
                                                                 "output",
                                                                 "lost",
                                                                 "interrupted",
                                                                 "upstream",
                                                                 "rule",
                                                                 "when",
                                                                 "cancelled",
                                                                 "total_timeout",
                                                                 "queue_timeout",
                                                                 "run_timeout",
                                                                 "fail_fast",
                                                                 "stop_after_failures",
                                                                 "replaced",
                                                                 "items",
                                                                 "tolerance",
                                                                 "poison",
                                                                 "unkillable",
                                                                 "restored",
                                                                 "marked",
                                                                 "no_worker",
                                                                 "hooks"};
  return kWords[static_cast<std::size_t>(reason)];
}

/// The reason of a word; nothing when there is no such word. The empty word is `none`.
constexpr std::optional<Reason> reason_from(std::string_view word) {
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (to_string(static_cast<Reason>(i)) == word) return static_cast<Reason>(i);
  }
  return std::nullopt;
}

/// A set of reasons, one bit each.
struct ReasonSet {
  std::uint64_t bits = 0;

  constexpr bool has(Reason r) const { return (bits >> static_cast<unsigned>(r) & 1U) != 0; }
  constexpr void add(Reason r) { bits |= std::uint64_t{1} << static_cast<unsigned>(r); }
  constexpr void remove(Reason r) { bits &= ~(std::uint64_t{1} << static_cast<unsigned>(r)); }
  friend constexpr bool operator==(ReasonSet, ReasonSet) = default;
};

/// Retried unless `retry.on` or `retry.not_on` says otherwise.
constexpr ReasonSet retried_by_default() {
  ReasonSet set;
  for (Reason r : {Reason::exit, Reason::signal, Reason::oom, Reason::timeout, Reason::stalled,
                   Reason::error, Reason::cpu_time, Reason::pids}) {
    set.add(r);
  }
  return set;
}

/// May stand in `retry.on` and `retry.not_on`: how an attempt can end with evidence.
constexpr bool is_retryable_word(Reason r) { return r >= Reason::exit && r <= Reason::output; }

}  // namespace pawl
