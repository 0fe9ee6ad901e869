#pragma once

// One engine in a world that does what it says: a store that is durable at once, workers that run
// what they are told, readers that have their items at hand. After every step everything that must
// hold is checked, among it that an engine restored from the store is the same. What does not hold
// throws BrokenInvariant.

#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/engine.h"
#include "tests/sim/job_text.h"
#include "tests/sim/model_store.h"
#include "tests/sim/service.h"

namespace pawl::sim {

using Outcome = AttemptResult::Outcome;

struct BrokenInvariant : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// How an attempt ends, where it matters.
struct End {
  Outcome outcome = Outcome::succeeded;
  Reason reason = Reason::none;  ///< failed: exit
  int exit_code = 1;
  bool stop_seen = true;  ///< where a stop was sent
  bool may_be_cause = true;
  Duration look_again_after{};
  std::string state_text = {};
};

/// How a resume is asked for, for `World::resume`.
inline const auto kFrom = [](input::Resume& r) { r.from = true; };
inline const auto kOnly = [](input::Resume& r) { r.only = true; };
inline const auto kDownstream = [](input::Resume& r) { r.downstream = true; };

class World {
 public:
  World();

  /// Makes the definition known.
  VersionId define(std::string_view text);
  VersionId define(JobSpec job);
  /// Makes it known again, where the engine has dropped it.
  void know(VersionId version);
  /// Submits a run of it.
  RunId start(std::string_view text);
  RunId start(VersionId version, const std::function<void(RunRow&)>& change = {},
              bool force = false);

  /// Serves the job by its schedule, or by another one than before; after a restart too.
  VersionId serve(std::string_view text) { return serve(job_from_text(text)); }
  VersionId serve(JobSpec job);
  void remove(const std::string& job);
  void pause_job(const std::string& job, bool pause = true, std::string note = "");
  /// Runs of a backfill, one for each of these fires.
  void backfill(VersionId version, const std::vector<WallTime>& fires, std::int64_t max_active = 1,
                bool stands_for_fire = true);

  /// Ends the live attempt of a task, `name` or `name:item`.
  void finish(RunId run, const std::string& task, const End& end);
  void finish(RunId run, const std::string& task, Outcome outcome);
  /// Its stay in the worker ends; it is to be looked at again after `delay`.
  void defer(RunId run, const std::string& task, Duration delay, std::string state_text = "");
  void set_handle(RunId run, const std::string& task, std::string text);
  /// Ends all live attempts of the run so, until nothing of it is live.
  void finish_all(RunId run, Outcome outcome = Outcome::succeeded);
  void pass(Duration time);

  void cancel(RunId run, const std::string& task = "", bool force = false);
  void resume(RunId run, const std::string& task = "",
              const std::function<void(input::Resume&)>& change = {});
  void mark(RunId run, const std::string& task, TaskState state);
  void dismiss(RunId run, const std::string& task = "");
  void dismiss_itself(RunId run);
  void pause(RunId run);
  void unpause(RunId run);

  void handle(const Input& input, bool by_person = false);
  /// The scheduler dies and comes back; what it wrote is there. With `new_boot` the machine did.
  void restart(bool new_boot = false, bool recover = true);
  void recovered();

  /// `a=failed b=upstream_failed c=running`, from memory or, when it has left, from the store.
  std::string states(RunId run) const;
  std::string state(RunId run) const;  ///< of the run: `failed`, `failed:run_timeout`
  std::string task(RunId run, const std::string& name) const;     ///< `failed:exit:1`
  std::string items(RunId run, const std::string& task) const;    ///< `succeeded=3 failed=1`
  std::string explain(RunId run, const std::string& task) const;  ///< lines, by newline
  std::string last_reply() const;                                 ///< `ok`, or why not
  TaskRow row(RunId run, const std::string& task) const;
  AttemptId live(RunId run, const std::string& task) const;  ///< 0: none
  Target target(RunId run, const std::string& task) const;
  TaskKey key(RunId run, const std::string& task) const;
  std::size_t live_count() const { return running.size(); }
  /// The workers are gone, and what they had with them.
  void lose_running() {
    running.clear();
    busy_.clear();
  }
  std::vector<std::string> plan(RunId run, const std::string& task = "",
                                const std::function<void(input::Resume&)>& change = {}) const;

  Engine engine;
  ModelStore store;
  Now now{MonoTime{1'000'000}, WallTime{1'795'000'000'000}};
  std::map<VersionId, JobSpec> jobs;
  std::map<AttemptId, effect::StartAttempt> running;  ///< what workers have, in order
  std::map<AttemptId, Reason> stopped;
  std::vector<effect::HandleStored> handles;  ///< all answers, ever
  std::vector<effect::StartAttempt> starts;   ///< all, ever
  std::vector<MonoTime> started_at;           ///< of each of them
  std::vector<effect::Prepare> unanswered;    ///< when `answers` is false
  std::vector<effect::StartAttempt> calls;    ///< of operator `job`, when `answers_calls` is false
  std::vector<RunId> ended;
  std::set<RunId> unreadable;       ///< left alone at a restart
  std::vector<std::string> paused;  ///< jobs, by the engine itself
  std::vector<WorkerId> workers{WorkerId{1}};
  std::map<std::string, Served> served;
  std::vector<std::string> wanted;  ///< operators that nobody took
  effect::Reply reply;
  std::int64_t default_slots = 4;
  bool answers = true;        ///< Prepare is answered at once, with all items
  bool answers_calls = true;  ///< attempts of operator `job` are answered at once
  bool checks = true;         ///< the dear invariants, after every step
  bool forgets = true;        ///< ended runs leave memory at once
  std::size_t mutations = 0;  ///< of the last input, ticks included
  std::size_t steps = 0;

  void answer(const effect::Prepare& prepare, std::int64_t items, std::string error = "",
              bool complete = true);
  /// Answers an attempt of operator `job` by what the store says now.
  void answer(const effect::StartAttempt& call);
  /// The newest run that the task made; 0: none.
  RunId called(RunId run, const std::string& task) const;
  void check();

 private:
  void perform(const Effect& effect);
  AttemptResult result_of(AttemptId id, const End& end) const;
  void answer_later(const effect::StartAttempt& call);
  void handle_inbox();
  void dismiss(const Target& what);
  std::vector<RunSnapshot> loaded(const std::vector<Target>& targets) const;
  const JobSpec& job(RunId run) const { return jobs.at(store.runs.at(run).version); }

  std::uint64_t token_ = 0;
  std::int64_t handle_serial_ = 0;
  std::vector<Input> inbox_;
  std::set<TaskKey> busy_;  ///< of `running`
  bool has_more_ = false;
  bool is_recovered_ = false;
  std::set<RunId> dormant_;
};

}  // namespace pawl::sim
