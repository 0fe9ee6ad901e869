#pragma once

// A scheduler's whole life from one seed: the real engine and effect gate, a store that loses what
// was not committed, workers with journals, people who give commands, and everything that may die
// dying at random. After each step what must hold is checked; after the faults comes a quiet phase
// in which every run must end. The same seed gives the same life.

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/power_disk.h"

namespace pawl::sim {

/// A mistake put in on purpose, to show that the simulator would find it.
enum class Planted : std::uint8_t {
  nothing,
  start_before_commit,  ///< effects do not wait for their batch
  no_compare,           ///< the store does not compare what it changes
  count_never_started,  ///< an attempt that never started is told as one that was interrupted
  success_by_default,   ///< no evidence counts as success
  spawn_before_begin,   ///< the process starts before its begin record is written
  fire_by_the_clock,    ///< a start goes on from what the clock says, not from where it was
  place_before_run,     ///< a fire's run is not in the commit of its schedule's place
  no_sync,              ///< a commit does not wait for the disk
  full_buckets,         ///< after a restart no rate knows what it counted
};

struct Tale {
  std::string broken;  ///< what did not hold, with the step; empty: all held
  std::int64_t steps = 0;
  std::int64_t runs = 0;
  std::int64_t processes = 0;     ///< started by workers
  std::int64_t crashes = 0;       ///< of the scheduler
  std::int64_t lost_batches = 0;  ///< that a crash took
  std::int64_t reboots = 0;       ///< of the machine
  std::int64_t worker_deaths = 0;
  std::int64_t adopted = 0;    ///< attempts that ran on over a crash
  std::int64_t told_late = 0;  ///< ends taken from a journal after a crash
  std::int64_t never_started = 0;
  std::int64_t interrupted = 0;
  std::int64_t refused_batches = 0;  ///< of a second scheduler, by the store
  std::int64_t commands = 0;
  std::int64_t deferred = 0;       ///< stays that ended in a deferral
  std::int64_t woken = 0;          ///< attempts that went on after one
  std::int64_t paired = 0;         ///< attempts of items that waited for an item
  std::int64_t hooks = 0;          ///< attempts of hooks
  std::int64_t rated = 0;          ///< starts that took a token of a rate
  std::int64_t throttled = 0;      ///< times that all tokens of a rate were out after a start
  std::int64_t calls = 0;          ///< runs that a task of another job made
  std::int64_t calls_resumed = 0;  ///< of them: that went on later
  std::int64_t handles_found = 0;  ///< by the next stay or the next attempt
  std::int64_t fires = 0;          ///< that made a run, on time
  std::int64_t caught_up = 0;      ///< that made one later
  std::int64_t dropped_fires = 0;
  std::int64_t versions_told_again = 0;  ///< the engine had dropped them
  std::int64_t cut_commits = 0;  ///< commits of the real store that power or a kill cut short
  std::int64_t operations = 0;   ///< of a scenario: changes of the disk
};

/// Lives one life. Never throws.
Tale simulate(std::uint64_t seed, Planted planted = Planted::nothing);
/// The same over the real store, on a disk in memory that loses what was not synced.
Tale simulate_on_disk(std::uint64_t seed, Planted planted = Planted::nothing);

/// What a person does in a scenario: cancels the last run in its middle, and resumes it.
enum class Act : std::uint8_t { nothing, cancel_and_resume };

/// A small story that always goes the same way, up to the fault.
struct Scenario {
  std::string_view name;
  std::string_view job;  ///< as in job_text.h
  int runs = 1;
  Act act = Act::nothing;
};

/// Plays a scenario over the real store to its end. The power goes at operation `cut_at` of the
/// disk (0: never) and comes back; where everything remains, it was the scheduler's process alone.
Tale play(const Scenario& scenario, std::int64_t cut_at, Remains remains,
          Planted planted = Planted::nothing);

}  // namespace pawl::sim
