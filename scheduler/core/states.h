#pragma once

// What can be in which state and what moves it. These tables come before all other code: the
// check at run time, the documentation page, the words in SQL and JSON and the exhaustive test are
// made from them. A pair (state, event) that is not listed cannot happen: the engine refuses the
// command, or it is an internal error.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pawl {

// Runs -------------------------------------------------------------------------------------------

enum class RunState : std::uint8_t { queued, running, paused, succeeded, failed, cancelled };
inline constexpr std::array<std::string_view, 6> kRunStateWords = {
    "queued", "running", "paused", "succeeded", "failed", "cancelled"};

enum class RunEvent : std::uint8_t {
  start,    ///< its turn has come; of a paused one: it is being ended, and its hooks run
  pause,    ///< nothing more of it starts; what runs goes on
  unpause,  ///< by a person
  succeed,  ///< all tasks are final; so for the next two
  fail,
  cancel,
  reopen,  ///< by a person: resume, or a mark that lets something run
};
inline constexpr std::array<std::string_view, 7> kRunEventWords = {
    "start", "pause", "unpause", "succeed", "fail", "cancel", "reopen"};

// Tasks, items of mapped tasks, and mapped tasks as wholes ---------------------------------------

enum class TaskState : std::uint8_t {
  waiting,   ///< for what it depends on
  queued,    ///< for a slot
  running,   ///< an attempt is live; of a whole: an item is open
  retrying,  ///< for the delay before its next attempt
  deferred,  ///< its operator asked to be looked at later; no slot, no process
  held,      ///< for a person; counts as failed
  succeeded,
  failed,
  skipped,
  upstream_failed,
  cancelled,
};
inline constexpr std::size_t kTaskStateCount = 11;
inline constexpr std::array<std::string_view, kTaskStateCount> kTaskStateWords = {
    "waiting",   "queued", "running", "retrying",        "deferred", "held",
    "succeeded", "failed", "skipped", "upstream_failed", "cancelled"};

enum class TaskEvent : std::uint8_t {
  queue,    ///< rule met and `when` true; or the retry delay or a deferral is over
  open,     ///< a mapped whole begins to read its items
  start,    ///< an attempt begins
  unstart,  ///< that attempt never started; its number is given back
  retry,    ///< an attempt failed and another follows
  defer,    ///< the attempt sleeps
  succeed,
  fail,
  hold,
  skip,
  upstream_fail,
  cancel,
  reset,           ///< by a person: resume, rerun of a part
  mark_succeeded,  ///< by a person; so for the next two
  mark_failed,
  mark_skipped,
};
inline constexpr std::size_t kTaskEventCount = 16;
inline constexpr std::array<std::string_view, kTaskEventCount> kTaskEventWords = {
    "queue",   "open",           "start",       "unstart",     "retry",         "defer",
    "succeed", "fail",           "hold",        "skip",        "upstream_fail", "cancel",
    "reset",   "mark_succeeded", "mark_failed", "mark_skipped"};

// Attempts ---------------------------------------------------------------------------------------

enum class AttemptState : std::uint8_t {
  starting,  ///< its start is committed
  running,   ///< its worker said that it runs
  stopping,  ///< its end was asked for
  deferred,  ///< asleep; no process
  succeeded,
  failed,
  skipped,
  cancelled,
  lost,         ///< the process that ran it died without a result, seen at once
  interrupted,  ///< the same, found at recovery, or while another attempt is to blame
};
inline constexpr std::size_t kAttemptStateCount = 10;
inline constexpr std::array<std::string_view, kAttemptStateCount> kAttemptStateWords = {
    "starting", "running", "stopping",  "deferred", "succeeded",
    "failed",   "skipped", "cancelled", "lost",     "interrupted"};

enum class AttemptEvent : std::uint8_t {
  begin,  ///< the worker says that it runs
  stop,   ///< a time-out, a cancel
  defer,
  wake,  ///< the deferral is over
  succeed,
  fail,
  skip,
  cancel,
  lose,
  interrupt,
};
inline constexpr std::size_t kAttemptEventCount = 10;
inline constexpr std::array<std::string_view, kAttemptEventCount> kAttemptEventWords = {
    "begin", "stop", "defer", "wake", "succeed", "fail", "skip", "cancel", "lose", "interrupt"};

// Words ------------------------------------------------------------------------------------------

constexpr std::string_view to_string(RunState s) {
  return kRunStateWords[static_cast<std::size_t>(s)];
}
constexpr std::string_view to_string(RunEvent e) {
  return kRunEventWords[static_cast<std::size_t>(e)];
}
constexpr std::string_view to_string(TaskState s) {
  return kTaskStateWords[static_cast<std::size_t>(s)];
}
constexpr std::string_view to_string(TaskEvent e) {
  return kTaskEventWords[static_cast<std::size_t>(e)];
}
constexpr std::string_view to_string(AttemptState s) {
  return kAttemptStateWords[static_cast<std::size_t>(s)];
}
constexpr std::string_view to_string(AttemptEvent e) {
  return kAttemptEventWords[static_cast<std::size_t>(e)];
}

namespace detail {
template <typename Enum, std::size_t N>
constexpr std::optional<Enum> from_word(const std::array<std::string_view, N>& words,
                                        std::string_view word) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == word) return static_cast<Enum>(i);
  }
  return std::nullopt;
}
}  // namespace detail

constexpr std::optional<RunState> run_state_from(std::string_view word) {
  return detail::from_word<RunState>(kRunStateWords, word);
}
constexpr std::optional<TaskState> task_state_from(std::string_view word) {
  return detail::from_word<TaskState>(kTaskStateWords, word);
}
constexpr std::optional<AttemptState> attempt_state_from(std::string_view word) {
  return detail::from_word<AttemptState>(kAttemptStateWords, word);
}

constexpr bool is_final(RunState s) { return s >= RunState::succeeded; }
constexpr bool is_final(TaskState s) { return s >= TaskState::held; }
constexpr bool is_final(AttemptState s) { return s >= AttemptState::succeeded; }

/// Events that only a person causes; nothing else leaves a final state.
constexpr bool is_by_person(RunEvent e) { return e == RunEvent::reopen || e == RunEvent::unpause; }
constexpr bool is_by_person(TaskEvent e) { return e >= TaskEvent::reset; }
constexpr bool is_by_person(AttemptEvent) { return false; }

// Transitions ------------------------------------------------------------------------------------

template <typename State, typename Event>
struct Transition {
  State from;
  Event on;
  State to;
};

using RunTransition = Transition<RunState, RunEvent>;
using TaskTransition = Transition<TaskState, TaskEvent>;
using AttemptTransition = Transition<AttemptState, AttemptEvent>;

inline constexpr auto kRunTransitions = std::to_array<RunTransition>({
    {RunState::queued, RunEvent::start, RunState::running},
    {RunState::queued, RunEvent::pause, RunState::paused},
    {RunState::running, RunEvent::pause, RunState::paused},
    {RunState::paused, RunEvent::unpause, RunState::queued},
    {RunState::paused, RunEvent::start, RunState::running},
    {RunState::queued, RunEvent::fail, RunState::failed},
    {RunState::queued, RunEvent::cancel, RunState::cancelled},
    {RunState::running, RunEvent::succeed, RunState::succeeded},
    {RunState::running, RunEvent::fail, RunState::failed},
    {RunState::running, RunEvent::cancel, RunState::cancelled},
    {RunState::paused, RunEvent::succeed, RunState::succeeded},
    {RunState::paused, RunEvent::fail, RunState::failed},
    {RunState::paused, RunEvent::cancel, RunState::cancelled},
    {RunState::succeeded, RunEvent::reopen, RunState::queued},
    {RunState::failed, RunEvent::reopen, RunState::queued},
    {RunState::cancelled, RunEvent::reopen, RunState::queued},
});

inline constexpr auto kTaskTransitions = std::to_array<TaskTransition>({
    {TaskState::waiting, TaskEvent::queue, TaskState::queued},
    {TaskState::waiting, TaskEvent::open, TaskState::running},
    {TaskState::waiting, TaskEvent::fail, TaskState::failed},
    {TaskState::waiting, TaskEvent::skip, TaskState::skipped},
    {TaskState::waiting, TaskEvent::upstream_fail, TaskState::upstream_failed},
    {TaskState::waiting, TaskEvent::cancel, TaskState::cancelled},
    {TaskState::queued, TaskEvent::start, TaskState::running},
    {TaskState::queued, TaskEvent::fail, TaskState::failed},
    {TaskState::queued, TaskEvent::cancel, TaskState::cancelled},
    {TaskState::running, TaskEvent::unstart, TaskState::queued},
    {TaskState::running, TaskEvent::retry, TaskState::retrying},
    {TaskState::running, TaskEvent::defer, TaskState::deferred},
    {TaskState::running, TaskEvent::succeed, TaskState::succeeded},
    {TaskState::running, TaskEvent::fail, TaskState::failed},
    {TaskState::running, TaskEvent::hold, TaskState::held},
    {TaskState::running, TaskEvent::skip, TaskState::skipped},
    {TaskState::running, TaskEvent::upstream_fail, TaskState::upstream_failed},
    {TaskState::running, TaskEvent::cancel, TaskState::cancelled},
    {TaskState::retrying, TaskEvent::queue, TaskState::queued},
    {TaskState::retrying, TaskEvent::fail, TaskState::failed},
    {TaskState::retrying, TaskEvent::cancel, TaskState::cancelled},
    {TaskState::deferred, TaskEvent::queue, TaskState::queued},
    {TaskState::deferred, TaskEvent::fail, TaskState::failed},
    {TaskState::deferred, TaskEvent::skip, TaskState::skipped},
    {TaskState::deferred, TaskEvent::cancel, TaskState::cancelled},
    {TaskState::held, TaskEvent::reset, TaskState::waiting},
    {TaskState::succeeded, TaskEvent::reset, TaskState::waiting},
    {TaskState::failed, TaskEvent::reset, TaskState::waiting},
    {TaskState::skipped, TaskEvent::reset, TaskState::waiting},
    {TaskState::upstream_failed, TaskEvent::reset, TaskState::waiting},
    {TaskState::cancelled, TaskEvent::reset, TaskState::waiting},
    {TaskState::waiting, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::queued, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::retrying, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::held, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::failed, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::skipped, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::upstream_failed, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::cancelled, TaskEvent::mark_succeeded, TaskState::succeeded},
    {TaskState::waiting, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::queued, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::retrying, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::held, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::succeeded, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::skipped, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::upstream_failed, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::cancelled, TaskEvent::mark_failed, TaskState::failed},
    {TaskState::waiting, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::queued, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::retrying, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::held, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::succeeded, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::failed, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::upstream_failed, TaskEvent::mark_skipped, TaskState::skipped},
    {TaskState::cancelled, TaskEvent::mark_skipped, TaskState::skipped},
});

inline constexpr auto kAttemptTransitions = std::to_array<AttemptTransition>({
    {AttemptState::starting, AttemptEvent::begin, AttemptState::running},
    {AttemptState::starting, AttemptEvent::stop, AttemptState::stopping},
    {AttemptState::starting, AttemptEvent::defer, AttemptState::deferred},
    {AttemptState::starting, AttemptEvent::succeed, AttemptState::succeeded},
    {AttemptState::starting, AttemptEvent::fail, AttemptState::failed},
    {AttemptState::starting, AttemptEvent::skip, AttemptState::skipped},
    {AttemptState::starting, AttemptEvent::cancel, AttemptState::cancelled},
    {AttemptState::starting, AttemptEvent::lose, AttemptState::lost},
    {AttemptState::starting, AttemptEvent::interrupt, AttemptState::interrupted},
    {AttemptState::running, AttemptEvent::stop, AttemptState::stopping},
    {AttemptState::running, AttemptEvent::defer, AttemptState::deferred},
    {AttemptState::running, AttemptEvent::succeed, AttemptState::succeeded},
    {AttemptState::running, AttemptEvent::fail, AttemptState::failed},
    {AttemptState::running, AttemptEvent::skip, AttemptState::skipped},
    {AttemptState::running, AttemptEvent::cancel, AttemptState::cancelled},
    {AttemptState::running, AttemptEvent::lose, AttemptState::lost},
    {AttemptState::running, AttemptEvent::interrupt, AttemptState::interrupted},
    {AttemptState::stopping, AttemptEvent::succeed, AttemptState::succeeded},
    {AttemptState::stopping, AttemptEvent::fail, AttemptState::failed},
    {AttemptState::stopping, AttemptEvent::skip, AttemptState::skipped},
    {AttemptState::stopping, AttemptEvent::cancel, AttemptState::cancelled},
    {AttemptState::stopping, AttemptEvent::lose, AttemptState::lost},
    {AttemptState::stopping, AttemptEvent::interrupt, AttemptState::interrupted},
    {AttemptState::deferred, AttemptEvent::wake, AttemptState::starting},
    {AttemptState::deferred, AttemptEvent::fail, AttemptState::failed},
    {AttemptState::deferred, AttemptEvent::skip, AttemptState::skipped},
    {AttemptState::deferred, AttemptEvent::cancel, AttemptState::cancelled},
});

namespace detail {

/// next[from][on]: the target state, or `kNowhere`.
inline constexpr std::uint8_t kNowhere = 255;

template <std::size_t States, std::size_t Events, typename Table>
constexpr auto transition_matrix(const Table& table) {
  std::array<std::array<std::uint8_t, Events>, States> next{};
  for (auto& row : next) row.fill(kNowhere);
  for (const auto& t : table) {
    next[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.on)] =
        static_cast<std::uint8_t>(t.to);
  }
  return next;
}

template <typename Table>
constexpr bool one_answer_per_event(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    for (std::size_t j = i + 1; j < table.size(); ++j) {
      if (table[i].from == table[j].from && table[i].on == table[j].on) return false;
    }
  }
  return true;
}

/// Only a person leaves a final state.
template <typename Table>
constexpr bool final_states_stay_final(const Table& table) {
  for (const auto& t : table) {
    if (is_final(t.from) && !is_by_person(t.on)) return false;
  }
  return true;
}

/// The states that can be reached from the first one, as bits.
template <typename Table>
constexpr std::uint32_t reachable(const Table& table, std::uint32_t from) {
  std::uint32_t seen = from;
  for (std::size_t round = 0; round < table.size(); ++round) {
    for (const auto& t : table) {
      if ((seen >> static_cast<unsigned>(t.from) & 1U) != 0)
        seen |= 1U << static_cast<unsigned>(t.to);
    }
  }
  return seen;
}

template <typename State, std::size_t States, typename Table>
constexpr bool every_state_is_reachable(const Table& table) {
  return reachable(table, 1U) == (1U << States) - 1;
}

/// From every open state a final one can be reached without a person.
template <typename State, std::size_t States, typename Table>
constexpr bool no_open_state_is_a_trap(const Table& table) {
  for (std::size_t s = 0; s < States; ++s) {
    if (is_final(static_cast<State>(s))) continue;
    std::uint32_t seen = reachable(table, 1U << s);
    bool escapes = false;
    for (std::size_t f = 0; f < States; ++f) {
      if ((seen >> f & 1U) != 0 && is_final(static_cast<State>(f))) escapes = true;
    }
    if (!escapes) return false;
  }
  return true;
}

inline constexpr auto kRunNext = transition_matrix<6, 7>(kRunTransitions);
inline constexpr auto kTaskNext =
    transition_matrix<kTaskStateCount, kTaskEventCount>(kTaskTransitions);
inline constexpr auto kAttemptNext =
    transition_matrix<kAttemptStateCount, kAttemptEventCount>(kAttemptTransitions);

static_assert(one_answer_per_event(kRunTransitions));
static_assert(one_answer_per_event(kTaskTransitions));
static_assert(one_answer_per_event(kAttemptTransitions));
static_assert(final_states_stay_final(kRunTransitions));
static_assert(final_states_stay_final(kTaskTransitions));
static_assert(final_states_stay_final(kAttemptTransitions));
static_assert(every_state_is_reachable<RunState, 6>(kRunTransitions));
static_assert(every_state_is_reachable<TaskState, kTaskStateCount>(kTaskTransitions));
static_assert(every_state_is_reachable<AttemptState, kAttemptStateCount>(kAttemptTransitions));
static_assert(no_open_state_is_a_trap<RunState, 6>(kRunTransitions));
static_assert(no_open_state_is_a_trap<TaskState, kTaskStateCount>(kTaskTransitions));
static_assert(no_open_state_is_a_trap<AttemptState, kAttemptStateCount>(kAttemptTransitions));

}  // namespace detail

/// The state after `on` in `from`, or nothing when that cannot happen.
constexpr std::optional<RunState> next(RunState from, RunEvent on) {
  auto to = detail::kRunNext[static_cast<std::size_t>(from)][static_cast<std::size_t>(on)];
  if (to == detail::kNowhere) return std::nullopt;
  return static_cast<RunState>(to);
}
constexpr std::optional<TaskState> next(TaskState from, TaskEvent on) {
  auto to = detail::kTaskNext[static_cast<std::size_t>(from)][static_cast<std::size_t>(on)];
  if (to == detail::kNowhere) return std::nullopt;
  return static_cast<TaskState>(to);
}
constexpr std::optional<AttemptState> next(AttemptState from, AttemptEvent on) {
  auto to = detail::kAttemptNext[static_cast<std::size_t>(from)][static_cast<std::size_t>(on)];
  if (to == detail::kNowhere) return std::nullopt;
  return static_cast<AttemptState>(to);
}

}  // namespace pawl
