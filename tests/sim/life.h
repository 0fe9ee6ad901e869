#pragma once

// One life of the simulator: what lives in it, and the steps it goes. Private to the simulator.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/base/check.h"
#include "scheduler/core/effect_gate.h"
#include "scheduler/core/engine.h"
#include "scheduler/core/trigger_rule.h"
#include "tests/sim/disk_store.h"
#include "tests/sim/job_text.h"
#include "tests/sim/model_store.h"
#include "tests/sim/random.h"
#include "tests/sim/simulator.h"
#include "tests/sim/world.h"

namespace pawl::sim {

/// What a worker's journal says of an attempt, and its process, while it lives.
struct Record {
  effect::StartAttempt start;
  bool has_begun = false;  ///< the begin record is written
  bool is_alive = false;   ///< the process runs
  bool is_stopped = false;
  std::optional<AttemptResult> end;  ///< the end record
};

struct Worker {
  WorkerId id;
  std::int64_t boot = 0;
  bool is_alive = true;
  std::deque<Effect> inbox;  ///< sent, not yet executed
  std::map<AttemptId, Record> journal;
};

struct Batch {
  std::uint64_t sequence = 0;
  Mutations mutations;
  bool by_person = false;
};

/// A start as the scheduler decided it, under one rate.
struct RatedStart {
  std::uint64_t sequence = 0;
  std::int64_t boot = 0;
  Now at;
  bool is_dated = true;  ///< the calendar did not step since
};

/// What an operator was started for, and how far it came, as it saw it itself.
struct Entry {
  effect::StartAttempt start;
  bool has_ended = false;
  bool has_succeeded = false;
  bool is_asleep = false;  ///< it ended its stay in a deferral
  std::string state_text;  ///< and left this
};

class Life {
 public:
  Life(std::uint64_t seed, Planted planted, bool has_disk);
  Tale live();
  Tale live(const Scenario& scenario, std::int64_t cut_at, Remains remains);

 private:
  Tale told();
  void begin();
  void open_world();
  void start_engine();
  std::vector<RunSnapshot> open_runs();
  JobVersionRow version_row(VersionId id) const;
  void handle(const Input& input, bool by_person = false);
  void feed(const Input& input, bool by_person);
  /// The step that the last one has asked for.
  void go_on();
  /// Makes the first `count` batches durable and lets their effects go; false when the power went
  /// instead.
  bool commit(std::size_t count);
  static std::vector<Mutations> group_of(const std::deque<Batch>& queue, std::size_t from,
                                         std::size_t count);
  void perform(const Effect& effect);
  void send(WorkerId to, const Effect& effect);
  void answer(const effect::Prepare& prepare);
  void pass(Duration time);
  void deliver_answer();
  void deliver_results();
  void step();
  /// No more faults, but for a cut that was set before: every run must end.
  void quiet_phase(Act act = Act::nothing);

  // life_people.cpp
  /// A job that fires every few seconds, with any catch-up and overlap.
  void define_scheduled();
  void define(JobSpec job);
  JobSpec random_job(int number);
  /// The engine may have dropped a definition that nothing in memory uses.
  void know(VersionId id);
  void submit();
  void submit_first();
  void command();
  /// What people do in a scenario, once its moment has come.
  void act_out(Act act, int step);

  // life_workers.cpp
  void add_worker();
  /// A worker executes the first thing it was sent.
  void execute(Worker& worker);
  void spawn(Worker& worker, const effect::StartAttempt& start);
  bool entry_exists(AttemptId attempt) const;
  Entry& entry(AttemptId attempt);
  /// A process of the worker ends, and the end is in its journal before anybody hears of it.
  void end_one(Worker& worker);
  /// The worker dies and takes its processes along. What its journal says is told by whoever reads
  /// it: now, or after the next start.
  void kill_worker(Worker& worker);
  /// The fate of an attempt of a worker that is dead, or that answers after a restart.
  std::optional<AttemptResult> fate(const Worker& worker, AttemptId attempt, bool seen_dying);
  /// The running scheduler learns of a death.
  void bury(WorkerId id);
  Worker& worker_of(WorkerId id);
  void look_after_workers();

  // life_faults.cpp
  /// The scheduler dies: what was not committed is gone, or was committed after all; what was sent
  /// arrives in part. A new one recovers.
  void crash(bool is_reboot = false, Remains remains = Remains::everything);
  /// The process or the power goes while the store writes, and what the disk has afterwards says
  /// what was written: how many of the batches on their way.
  std::size_t crash_disk(const std::deque<Batch>& left, std::int64_t boot, Remains remains);
  void recover();
  /// The old scheduler was not dead: its last batch reaches the store after the new one has gone
  /// on from there. The store refuses it for what it compares. (A batch that touches nothing that
  /// changed since is left out here: the epoch in the real store refuses that one.)
  void write_as_zombie();
  void reboot();
  /// The power went in the middle of a commit. Where everything remains, it was the process alone
  /// that died, and its workers live.
  void lose_power(std::size_t under_way);

  // life_checks.cpp
  static bool begins(const Step& step, AttemptId attempt);
  /// No window of a rate has more starts than it says. Over a boot the calendar measures, while it
  /// does not step.
  void count_start(const effect::StartAttempt& start, std::uint64_t sequence);
  /// Their batches are lost, so they never were.
  void uncount_starts(std::uint64_t from);
  void calendar_stepped();
  /// What is taken is what somebody holds, and no pool has more taken than it has.
  void check_slots() const;
  /// No two attempts that run have one number of the same slots, and none has one beyond them.
  void check_slot_numbers() const;
  /// What must hold whenever a process starts, by a ledger that no scheduler can touch.
  void check_start(const effect::StartAttempt& start);
  /// What came of the items that this one is paired with.
  Tally pairs_of(const TaskSpec& task, TaskKey key) const;
  /// In an ended run that no person changed, each item of a paired task came to what the items
  /// before it ask for: it ran, or was decided without running, by the rule and by nothing else.
  void check_pairs() const;
  /// What the store says of the item, or of the whole when the item never started.
  TaskState state_of_pair(RunId run, TaskIndex task, ItemIndex item) const;
  /// A hook runs when what the tasks came to is decided, and asks for it.
  void check_hook(const RunRow& run, const HookSpec& hook);
  /// An operator that was told that its handle is durable finds it again.
  void check_handle(const effect::StartAttempt& start, const AttemptRow& row);
  /// Nothing is on its way to the store: memory and store must be the same.
  void check_quiet();
  /// Fires in (after, through], counted without a calendar.
  std::int64_t fires_between(WallTime after, WallTime through) const;
  /// Each fire up to the place of the schedule has one run or one decision, and nothing else has.
  void check_fires();
  /// Success has its evidence, and every end its beginning.
  void check_evidence();
  void check(const std::string& wrong) const;
  [[noreturn]] void fail(const std::string& what) const { throw BrokenInvariant(what); }

  static constexpr std::int64_t kSlots = 3;
  static constexpr const char* kScheduled = "clockwork";
  Random random_;
  // In every other life a step of the engine is small, so that commands on a few items go on over
  // steps, and something else comes between. With dice of its own.
  Random steps_;
  bool has_small_steps_;
  int in_a_row_ = 0;  ///< steps that asked for more
  Planted planted_;
  std::unique_ptr<DiskStore> disk_;  ///< the real store, where it lives along
  std::optional<Remains> remains_;   ///< of every cut, in a scenario
  std::size_t under_way_ = 0;        ///< batches in the commit that a cut ended
  bool is_cancelled_ = false;
  bool is_resumed_ = false;
  std::optional<Batch> zombie_;  ///< the batch that a crash took
  Tale tale_;
  std::unique_ptr<Engine> engine_;
  EffectGate gate_;
  ModelStore store_;
  std::map<VersionId, JobSpec> jobs_;
  std::map<std::string, Served> served_;
  Duration period_{};  ///< of the scheduled job
  std::deque<Batch> queue_;
  std::uint64_t sequence_ = 0;
  std::uint64_t durable_ = 0;
  bool more_ = false;
  bool is_up_ = false;
  Now now_{MonoTime{1'000'000}, WallTime{1'795'000'000'000}};
  std::int64_t last_worker_ = 0;
  std::vector<Worker> workers_;
  std::vector<WorkerId> dead_;  ///< and the scheduler has not noticed
  std::deque<Input> answers_;   ///< of the readers, on their way
  std::deque<Input> results_;   ///< of the workers, on their way
  std::vector<Entry> ledger_;
  std::map<AttemptId, std::string> durable_handles_;  ///< as operators were told
  std::int64_t last_serial_ = 0;
  std::map<RateKey, std::vector<RatedStart>> rated_;
  std::set<AttemptId> unproved_;  ///< of which nobody knows whether they began
  std::set<RunId> touched_;       ///< by a person, so that tasks may start out of turn
};

}  // namespace pawl::sim
