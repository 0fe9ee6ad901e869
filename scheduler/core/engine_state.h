#pragma once

// The engine's memory as a whole (engine_model.h has its parts), and its steps. Private to
// scheduler/core: engine.h is the door. The methods are in the files that name what they are about:
// engine.cpp (inputs in, steps out), engine_runs.cpp, engine_tasks.cpp, engine_items.cpp,
// engine_pairs.cpp, engine_attempts.cpp, engine_dispatch.cpp, engine_rates.cpp, engine_calls.cpp,
// engine_commands.cpp, engine_resume_plan.cpp, engine_resume.cpp, engine_repeats.cpp,
// engine_hooks.cpp, engine_schedules.cpp, engine_sleep.cpp, engine_recovery.cpp, engine_views.cpp,
// engine_explain.cpp.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/core/engine.h"
#include "scheduler/core/engine_model.h"
#include "scheduler/core/retry.h"
#include "scheduler/core/schedule.h"
#include "scheduler/core/timers.h"

namespace pawl {

/// In an alarm: the sleepers of a mapped task, by the one that wakes first.
inline constexpr ItemIndex kSleepers{-2};
/// In an alarm: a rate that has a token again; its number is in the place of the task.
inline constexpr ItemIndex kTokens{-3};

/// The worker of attempts that the scheduler itself sees to (operator `job`).
inline constexpr WorkerId kSelf{0};

/// Longer than anybody waits, and far from the end of the clock's range.
inline constexpr Duration kWaitMax = std::chrono::hours(24 * 365 * 100);

/// What `queue_timeout` says of a task, or of the items of one that never started.
inline constexpr const char* kNoSlot = "no slot within its queue_timeout";

class Engine::State {
 public:
  State(EngineCounters counters, std::size_t step_max) : counters_(counters), step_max_(step_max) {
    pools_[kDefaultPool].limit = 4;
  }

  Step handle(const Input& input, Now now);
  std::optional<MonoTime> next_deadline() const;

  // engine_views.cpp
  static TaskView task_view(const Node& node);
  static RunStates states(const Run& run);
  std::vector<Explanation> explain(const Target& target, Now now) const;
  std::vector<PoolView> pools(Now now) const;
  struct Holding {
    std::int64_t slots = 0;
    const Live* oldest = nullptr;
  };
  std::map<std::pair<RunId, TaskIndex>, Holding> holders_of(const Pool& pool) const;
  std::vector<PoolView::Next> next_of(const Pool& pool) const;
  struct Explainer;
  std::vector<Effect> regenerate_effects() const;
  Result<std::vector<PlanLine>> plan_resume(const input::Resume& resume) const;

  const Run* find(RunId id) const {
    auto it = runs_.find(id);
    return it == runs_.end() ? nullptr : it->second.get();
  }
  Run* find(RunId id) {
    auto it = runs_.find(id);
    return it == runs_.end() ? nullptr : it->second.get();
  }

  /// One that is known to be there.
  Run& at(RunId id) {
    Run* run = find(id);
    PAWL_CHECK(run != nullptr);
    return *run;
  }

 private:
  friend class Engine;
  struct Place {
    RunId run;
    TaskIndex task;
  };
  struct MoveDetail {
    Reason reason = Reason::none;
    std::int32_t detail = 0;
    std::string error;
    AttemptId live_after;
    WallTime ended_at{};  ///< before now, when its end was told late; 0: now
  };
  /// What a resume does to one task.
  struct ResumePart {
    enum class Kind : std::uint8_t { failed_items, following_items, all, stale };
    TaskIndex task;
    Kind kind = Kind::all;
    std::vector<std::int64_t> items;  ///< for some items: these only, if not empty
    bool is_of_items() const { return kind == Kind::failed_items || kind == Kind::following_items; }
  };
  using ResumeParts = std::vector<ResumePart>;

  // Inputs (engine.cpp, and where the noun is at home).
  void on(const input::AddVersion& in);
  void on(const input::Recover& in);
  void on(const input::Recovered& in);
  void on(const input::Submit& in);
  void on(const input::SubmitAll& in);
  void on(const input::SetSchedule& in);
  void on(const input::RemoveSchedule& in);
  void on(const input::PauseJob& in);
  void on(const input::Cancel& in);
  void on(const input::Resume& in);
  void on(const input::Mark& in);
  void on(const input::Dismiss& in);
  void on(const input::Pause& in);
  void on(const input::Unpause& in);
  void on(const input::WorkerUp& in);
  void on(const input::WorkerDrains& in);
  void on(const input::WorkerGone& in);
  void on(const input::AttemptBegan& in);
  void on(const input::AttemptsEnded& in);
  void on(const input::AttemptHandle& in);
  void on(const input::CallJob& in);
  void on(const input::Prepared& in);
  void on(const input::ItemsRead& in);
  void on(const input::SetPool& in);
  void on(const input::RecoverRates& in);
  void on(const input::HoldStarts& in);
  void on(const input::RunDurable& in);
  void on(const input::Tick& in);

  // engine.cpp
  void settle();
  bool has_bulk() const;
  void settle_bulk();
  void write_changes();
  void forget_marked();
  void unpin(Version& version, VersionId id);
  void keep_idle(Version& version, VersionId id);
  void drop_idle_versions();
  void drop_pools(const std::string& job);
  bool is_full() const {
    return step_.mutations.size() + changed_together_ >= step_max_ || looked_at_ >= kLookedAtMax;
  }
  /// For what works off very much: the other half of a step is for all that waits beside it.
  bool is_half_full() const {
    return step_.mutations.size() + changed_together_ >= (step_max_ + 1) / 2 ||
           looked_at_ >= kLookedAtMax / 2;
  }
  template <typename M>
  void change(M&& mutation) {
    step_.mutations.emplace_back(std::forward<M>(mutation));
  }
  /// A change that is filled in where it lies: rows are large.
  template <typename M>
  M& add() {
    return std::get<M>(step_.mutations.emplace_back(std::in_place_type<M>));
  }
  template <typename E>
  void act(E&& effect) {
    step_.effects.emplace_back(std::forward<E>(effect));
  }
  void record(const std::string& actor, std::string verb, const Target& target, std::string text);
  void record_of_job(const std::string& job, const std::string& actor, std::string verb,
                     std::string text);
  void counts_changed(Run& run);
  void mapped_changed(Run& run, TaskIndex task);

  // engine_schedules.cpp
  struct Activity;
  void pause_job(const std::string& job, bool pause, const std::string& note,
                 const std::string& actor);
  void unpin(JobSchedule& s);
  void write_schedule(JobSchedule& s);
  void fire_due();
  void fire_next(JobSchedule& s);
  WallTime newest_missed(const JobSchedule& s, WallTime bound) const;
  void judge_missed(JobSchedule& s, WallTime newest);
  static WallTime before_last(const JobSchedule& s, WallTime newest, std::int64_t count);
  void drop(const JobSchedule& s, WallTime after, WallTime through, DropReason reason);
  void fire_on_time(JobSchedule& s);
  void make_run(JobSchedule& s, Trigger trigger);
  bool is_busy(const std::string& job);
  std::vector<Run*> waiting_runs(const Activity& activity);
  static bool is_of_schedule(const Run& run);
  void take_from_queue(Run& run, DropReason reason);
  void shorten_queue(const JobSchedule& s);
  void replace_runs(const JobSchedule& s);
  void count_failures(const Run& run);

  // engine_runs.cpp
  Run& accept(RunRow row, Version& version, bool force);
  void move_run(Run& run, RunEvent event, Reason reason);
  void write_run(Run& run);
  void admit(Run& run);
  void admit_due();
  void admit_next();
  void look_at_all(Run& run);
  void leave(Run& run);
  void start_run(Run& run);
  void wake(Run& run);
  void pause(Run& run, const std::string& actor, const std::string& note);
  void unpause(Run& run, const std::string& actor);
  void go_on(Run& run, const std::string& actor);
  struct RunVerdict {
    RunEvent event = RunEvent::succeed;
    Reason reason = Reason::none;
  };
  RunVerdict judge_run(const Run& run) const;
  void end_run(Run& run, RunState state, Reason reason);
  void finish_run_if_done(Run& run);
  void clear_run_timer(Run& run);
  void forget(RunId id);
  void begin_stopping(Run& run, Reason reason);
  void cancel_rest(Run& run, Reason reason, bool force);
  void cancel_tasks(RunId id);
  void arm_run_timers(Run& run);
  std::int64_t active_limit(const Run& run) const;

  // engine_hooks.cpp
  static bool is_due(const Run& run, TaskIndex hook);
  static bool has_hooks_for(const Run& run, RunState outcome);
  static std::vector<TaskIndex> hooks_of(const Run& run);
  static void count_hooks(Run& run);
  void begin_hooks(Run& run, RunState outcome, Reason reason);
  void look_at_hooks(Run& run);
  void evaluate_hook(Run& run, TaskIndex hook);
  void cancel_hooks(Run& run, bool force);
  void reset_hooks(Run& run);
  void settle_hooks(Run& run);
  /// Why nothing more of the task starts; hooks run whatever ended the tasks.
  static Reason stop_reason(const Run& run, TaskIndex task) {
    return run.is_hook(task) ? Reason::none : run.stopping;
  }
  /// What an open run's row says beside its state.
  static Reason standing_reason(const Run& run) {
    return run.runs_hooks() ? Reason::hooks : run.stopping;
  }

  /// It is being cancelled, or ended by a limit; its hooks are still to come.
  static bool is_stopping(const Run& run) {
    return run.stopping != Reason::none && !run.runs_hooks();
  }

  // engine_tasks.cpp
  void move(Run& run, TaskKey key, Piece& work, TaskEvent event, MoveDetail&& detail);
  void write(Run& run, TaskKey key, Piece& work, TaskState expected, AttemptId expected_attempt,
             std::string&& error);
  static void fill(TaskRow& row, TaskKey key, const Piece& work);
  void node_moved(Run& run, TaskIndex task, TaskState from, TaskState to);
  void look_at(RunId run, TaskIndex task) { pending_.push_back({run, task}); }
  void evaluate(Run& run, TaskIndex task);
  void prepare(Run& run, TaskIndex task);
  void queue_node(Run& run, TaskIndex task);
  void cancel_node(Run& run, TaskIndex task, Reason reason, bool force);
  void check_fail_fast(Run& run, TaskIndex task);
  void on_timer(const Alarm& timer);
  void stop_preparing(Run& run, TaskIndex task);
  void set_timer(TaskKey key, Piece& work, TimerKind kind, Duration delay, bool persist);
  void set_alarm(const Alarm& alarm);
  bool is_meant(const Alarm& alarm);
  void arm_queue_timer(Run& run, TaskKey key, Piece& work);
  void arm_queue_timers(Run& run);
  /// The piece of a task or an awake item; nothing when there is none in memory.
  static const Piece* find_awake(const Run& run, TaskKey key);
  static Piece* find_awake(Run& run, TaskKey key);
  /// The same, and an item that sleeps wakes up for it.
  Piece* find_work(Run& run, TaskKey key);
  MonoTime due_of(const TimerRow& row) const;

  // engine_sleep.cpp
  void fall_asleep(Run& run, TaskKey key, Piece& work, TimerKind kind, Duration delay);
  static bool restore_asleep(Mapped& mapped, TaskKey key, const Piece& work, MonoTime due);
  void arm_sleepers(Run& run, TaskIndex task);
  Piece& become_piece(Run& run, TaskKey key, const Sleeper& sleeper);
  void wake_first(Run& run, TaskIndex task);
  void wake_for_command(Run& run, TaskIndex task, const std::vector<std::uint32_t>& items);
  void wake_for_command(std::span<const Target> targets);
  Piece* wake_for_command(Run& run, TaskKey key);

  // engine_items.cpp
  struct WholeVerdict {
    TaskEvent event = TaskEvent::succeed;
    Reason reason = Reason::none;
  };
  void open_mapped(Run& run, TaskIndex task);
  void item_moved(Run& run, TaskKey key, const Piece& work, TaskState from, TaskState to);
  void settle_rest(Run& run, TaskIndex task, TaskState state, Reason reason);
  void cancel_items(Run& run, TaskIndex task, Reason reason, bool force);
  void item_ended(Run& run, TaskIndex task);
  static bool has_lost_upstream(const Run& run, TaskIndex task);
  WholeVerdict judge_whole(const Run& run, TaskIndex task) const;
  void finish_mapped_if_done(Run& run, TaskIndex task);
  static std::int64_t needed_from(const Run& run, TaskIndex task);
  void tell_upstreams(Run& run, TaskIndex task);
  void write_mapped(Run& run, TaskIndex task);
  void reopen_mapped(Run& run, TaskIndex task);
  void queue_item(Run& run, TaskKey key, Piece& work);
  void queue_some(Run& run, TaskIndex task);
  void settle_items(Run& run, TaskIndex task);
  void settle_some(Run& run, TaskIndex task);
  static bool may_grow(const Run& run, TaskIndex task);
  static std::int64_t take_ready(Mapped& mapped);

  // engine_pairs.cpp
  struct Pair {
    RunId run;
    TaskIndex task;
    std::int64_t item = 0;
  };
  static bool has_items(const Run& run, TaskIndex source);
  static TaskState item_state(const Run& run, TaskIndex task, std::int64_t item);
  static Decision decide_pair(const Run& run, TaskIndex task, std::int64_t item);
  static std::optional<TaskIndex> only_pair(const Run& run, TaskIndex task);
  static bool ends_short(const Run& run, TaskIndex task, std::int64_t items);
  static bool never_started(const Run& run, TaskIndex task, std::int64_t item);
  static Piece& become_piece(Mapped& mapped, std::int64_t item);
  static void release_blank(Mapped& mapped, std::int64_t item);
  void evaluate_paired(Run& run, TaskIndex task);
  void grow_paired(Run& run, TaskIndex task);
  void tell_sharers(Run& run, TaskIndex source);
  void tell_paired(Run& run, TaskIndex task);
  void start_sweep(Run& run, TaskIndex task, std::int64_t from);
  void sweep_some(const Place& place);
  void pin_released(Run& run, TaskIndex task, std::int64_t item);
  void settle_blank(Run& run, TaskIndex task, TaskIndex upstream);
  void look_at_pair(Run& run, TaskIndex task, std::int64_t item);
  void decide_item(Run& run, TaskIndex task, std::int64_t item, TaskEvent event, Reason reason);
  void release_item(Run& run, TaskIndex task, std::int64_t item);
  void call_back_pairs(Run& run, TaskIndex task, std::int64_t item);
  void restore_paired(Run& run, TaskIndex task);

  // engine_attempts.cpp
  void end_attempt(const AttemptResult& result);
  static bool is_of_earlier_stay(const AttemptResult& result, const Live& live);
  void take_back(const Live& live, Piece& work, AttemptId id);
  void take_back_stay(const Live& live, Piece& work, AttemptId id);
  void end_asleep(TaskKey key, AttemptId id, TaskEvent event, Reason reason);
  void record_end(const AttemptResult& result, const Live& live, AttemptVerdict verdict);
  void follow_end(const AttemptResult& result, const Live& live, AttemptVerdict verdict,
                  Piece& work);
  void release(const Live& live);
  void stop_attempt(AttemptId id, Reason reason, bool force);
  static effect::StartAttempt start_of(AttemptId id, const Live& live);
  static void fill(AttemptRow& row, AttemptId id, const Live& live);

  // engine_calls.cpp
  static bool waits_for_call(const Run& run, TaskKey key, const Piece& work);
  std::vector<Run*> called_by(TaskKey key);
  std::vector<RunId> awaited_by(const Run& run) const;
  void call_opened(const Run& run);
  void call_ended(const Run& run);
  void look_at_calls(const Run& run);
  void wake_calls(const Run& run);
  void call_returned(TaskKey key);
  const Live& begin_stay(Run& run, TaskKey key, Piece& work);
  void stop_call(Run& run, TaskKey key, Piece& work, Reason reason, bool force);
  void cancel_calls(TaskKey key, bool force);
  void wait_for(const Run& called, AttemptId id);
  Result<Run*> begin_call(const Live& live, const input::CallJob& in);
  Result<Run*> go_on_with(const Live& live, const input::CallJob& in);
  /// Runs that wait for each other, as far as they were followed.
  struct Circle {
    std::vector<RunId> path;
    std::int64_t looks = 0;
  };
  /// Whose turns a run waits for: a job's name, and whether it is of a backfill.
  using LineKey = std::pair<std::string, bool>;
  static std::string circle_text(const std::string& job);
  static std::int64_t turns_of(const JobSpec& job);
  bool would_circle(const Live& live, const std::string& job, std::int64_t turns) const;
  bool is_line_stuck(const LineKey& line, std::int64_t turns, Circle& circle) const;
  bool is_stuck(const Run& run, Circle& circle) const;

  // engine_dispatch.cpp
  void dispatch();
  bool dispatch_lane(Lane& lane);
  void park(Run& run, TaskIndex task);
  void unpark(const std::string& operator_name);
  bool is_startable(const Run& run, TaskIndex task) const;
  void make_ready(Run& run, TaskIndex task);
  void activate(Lane& lane);
  void activate_sharers(const Lane& lane);
  void heads_changed(const Node& node) { heads_changed_ |= node.line && node.line->is_shared(); }
  std::optional<Head> first_of(Line& line);
  std::optional<Head> head(Lane& lane);
  Verdict verdict_of(Lane& lane, const Head& head);
  Verdict judge_head(Lane& lane, const Head& head);
  bool goes_first(Lane& lane, const Head& head);
  bool is_too_wide(const Run& run, TaskIndex task);
  void start_next(Run& run, TaskIndex task, Line& line, WorkerId worker);
  Lane& lane_of(Run& run, TaskIndex task);
  Line& line_of(Run& run, TaskIndex task);
  static PoolKey pool_key(const Run& run, const std::string& name);
  static bool is_own_pool(const Run& run, const PoolKey& key) {
    return run.row.default_slots > 0 && key == kDefaultPool;
  }
  static void take_slots(const Lane& lane, const TaskSpec& spec, std::int64_t times);
  using Lanes = std::map<std::pair<RunId, std::vector<PoolKey>>, std::unique_ptr<Lane>>;
  Lanes::iterator drop_lane(Lanes::iterator lane);
  void set_pool(const PoolKey& key, const PoolSpec& spec);

  // engine_rates.cpp
  RateLimit& rate_limit(const RateKey& key);
  RateLimit* rate_of_task(const Run& run, TaskIndex task);
  void set_rate(RateLimit& rate, const Rate& now);
  void set_pool_rate(const PoolKey& key, Pool& pool, const std::optional<Rate>& rate);
  void take_token(RateLimit& rate);
  void look_at_rate(RateLimit& rate);
  void open_rate(RateLimit& rate);
  void shut_rate(RateLimit& rate);
  void list(Line& line);
  Verdict judge_token(RateLimit& rate, const Lane& lane, const Head& head);
  RateLimit* find_rate(const Alarm& alarm) const;
  void write_rate(RateLimit& rate);
  static void drop_rated(Lane& lane, const std::string& job);
  void drop_idle_rates();
  static bool has_own_numbers(const TaskSpec& spec, ItemIndex item) {
    return item != kWhole && spec.map && spec.map->max_concurrent > 0 && !spec.calls_job();
  }
  /// Items of the task that may run, or wait for runs of theirs, at once; 0: no limit.
  static std::int64_t items_at_once(const TaskSpec& spec);
  static std::int64_t items_under_way(const TaskSpec& spec, const Mapped& mapped);
  /// The least busy of those that take the operator.
  std::optional<WorkerId> pick_worker(const std::string& operator_name) const;

  // engine_commands.cpp
  using Snapshots = std::unordered_map<RunId, const RunSnapshot*>;
  static Snapshots index_of(const std::vector<RunSnapshot>& loaded);
  const RunSnapshot* adopt(RunId id, const Snapshots& loaded);
  const RunSnapshot* adopt_once(RunId id, const Snapshots& loaded, Snapshots& adopted);
  void learn_states(Run& run, const RunSnapshot& snapshot);
  CommandResult mark_one(Run& run, const Target& target, TaskState state,
                         const RunSnapshot* snapshot);
  /// Items, from the first up to the end, whose failures are dismissed together.
  struct Dismissed {
    RunId run;
    TaskIndex task;
    std::int64_t first = 0;
    std::int64_t end = 0;
  };
  /// A dismissal whose items go in steps of their own; then it is answered.
  struct Dismissal {
    std::deque<Dismissed> left;
    effect::Reply reply;
  };
  CommandResult dismiss_one(Run& run, const Target& target, const RunSnapshot* snapshot,
                            std::deque<Dismissed>& items);
  std::int64_t dismiss_whole(Run& run, TaskIndex task);
  std::int64_t dismiss_run(Run& run);
  void dismiss_some();
  /// A cancel of very many targets; it is answered after the last.
  struct Cancellation {
    input::Cancel in;
    std::vector<CommandResult> results;
    std::size_t awake = 0;  ///< items of so many targets do not sleep, or did not lately
  };
  void cancel_targets();
  CommandResult cancel_one(const Target& target, bool force);
  void judge_whole_anew(Run& run, TaskIndex task);
  void release_followers(Run& run, TaskIndex task, const RunSnapshot* snapshot);
  void settle_marked(Run& run, RunState before);
  void forget_unopened(const std::vector<RunSnapshot>& loaded,
                       const std::unordered_set<RunId>& changed = {});

  // engine_resume_plan.cpp
  class ResumeSelector;
  static Result<ResumeParts> select_resume(const Run& run, const std::vector<Target>& targets,
                                           const input::Resume& in, const RunSnapshot* snapshot);
  static std::vector<PlanLine> lines_of(const Run& run, const ResumeParts& parts);

  // engine_resume.cpp
  void apply_resume(Run& run, const ResumeParts& parts, const RunSnapshot* snapshot);
  void reopen(Run& run, bool hooks_only);
  static void open_row(Run& run);
  void call_back_followers(Run& run, TaskIndex task);
  void call_back_waiting(Run& run, TaskIndex task);
  void reset_node(Run& run, TaskIndex task, const RunSnapshot* snapshot);
  void reset_items(Run& run, const ResumePart& part, const RunSnapshot* snapshot);
  void repeat_pairs(Run& run, TaskIndex task, std::int64_t item, const RunSnapshot* snapshot);

  // engine_repeats.cpp
  void begin_repeat(Run& run, TaskIndex task, Repeat repeat, const MappedSnapshot* snapshot);
  void begin_cancel(Run& run, TaskIndex task, Reason reason);
  void end_repeat(Run& run, TaskIndex task);
  void repeat_some(const Place& place);
  void repeat_rows(Run& run, TaskIndex task);
  void cancel_some(Run& run, TaskIndex task);
  void cancel_awake(Run& run, TaskKey key, Piece& work);
  void repeat_failed(Run& run, const TaskRow& row);
  void repeat_any(Run& run, const TaskRow& row);
  void unsettle_rest(Run& run, TaskIndex task);

  // engine_recovery.cpp
  Run& restore(const RunSnapshot& snapshot);
  void restore_sweep(Run& run, TaskIndex task);
  void restore_mapped(Run& run, const MappedSnapshot& snapshot,
                      const std::vector<TimerRow>& timers);
  bool restore_sleeper(Mapped& mapped, const TaskRow& item, const std::vector<TimerRow>& timers,
                       std::size_t& next_timer);
  Piece work_of(const TaskRow& row);

  // So far it may rise unwritten.
  static constexpr std::int64_t kLowWaterStep = 1'000;
  // Nodes looked at in one step: bounds a step that changes little and reads much.
  static constexpr std::int64_t kLookedAtMax = 200'000;
  // Targets of a cancel whose items are woken together: each time all that sleep are looked at.
  static constexpr std::size_t kWokenTogether = 32'768;
  // To free a definition costs as much as to look at so many nodes.
  static constexpr std::int64_t kLooksPerVersion = 200;

  // So many rates are kept before those that nobody needs are looked for.
  static constexpr std::size_t kRatesIdleMax = 64;

  /// The runs of one job, those of backfills apart: how many are active, and who waits for its
  /// turn, by class and in order. Those who left the queue meanwhile are skipped when their turn
  /// comes.
  struct Activity {
    std::int64_t active = 0;
    std::map<std::int64_t, std::deque<RunId>> waiting;
  };
  static LineKey line_of(const Run& run) {
    return {run.row.job, run.row.trigger == Trigger::backfill};
  }
  struct Worker {
    WorkerId id;
    std::vector<std::string> operators;
    bool accepts = true;
    std::int64_t live = 0;
  };

  EngineCounters counters_;
  std::size_t step_max_;
  bool is_recovered_ = false;
  bool holds_starts_ = false;
  Now now_;
  Step step_;
  std::int64_t looked_at_ = 0;
  std::size_t changed_together_ = 0;  ///< rows that mutations of many rows change in this step

  std::unordered_map<VersionId, std::unique_ptr<Version>> versions_;
  std::unordered_map<std::string, std::int64_t> versions_of_;  ///< how many of `versions_`, by job
  std::deque<std::pair<MonoTime, VersionId>> idle_versions_;   ///< without a run, since when
  std::unordered_map<RunId, std::unique_ptr<Run>> runs_;
  std::unordered_map<std::string, RunId> run_names_;  ///< of `runs_`
  std::unordered_map<AttemptId, Live> live_;
  std::unordered_map<std::string, RunId> requests_;
  std::deque<std::string> old_requests_;  ///< of runs that left, oldest first
  std::unordered_map<RunId, std::int32_t>
      left_;  ///< runs that left lately: how often they were resumed
  std::deque<RunId> left_order_;
  std::map<LineKey, Activity> jobs_;
  std::deque<LineKey> freed_;                     ///< of which an active run ended
  std::set<std::pair<WallTime, RunId>> delayed_;  ///< runs with a `start_at` in the future
  std::map<PoolKey, Pool> pools_;
  std::map<PoolKey, VersionId> pool_versions_;  ///< who said the limit of a job's own pool
  Lanes lanes_;  ///< by the run that owns a pool of it (0: none) and the pools
  std::map<RateKey, RateLimit> rates_;
  std::unordered_map<std::uint32_t, RateLimit*> rates_by_number_;
  std::uint32_t last_rate_ = 0;
  std::size_t drop_rates_at_ = kRatesIdleMax;
  std::uint64_t last_turn_ = 0;
  std::uint64_t judgement_ = 0;  ///< of `Lane::judged_at`: raised when something starts
  bool heads_changed_ = false;   ///< of lanes that share pools, perhaps
  std::vector<Place> too_wide_;  ///< tasks that want more slots than a pool has
  std::deque<Lane*> active_;     ///< lanes that take turns
  std::vector<Worker> workers_;
  std::map<std::string, std::vector<Place>> parked_;  ///< by operator: they wait for a worker
  Timers timers_;
  JobSchedules schedules_;
  std::set<std::pair<TaskKey, RunId>> calls_;  ///< open runs, by the task or item that made them
  std::deque<TaskKey> returns_;                ///< whose run has ended, perhaps
  std::deque<Place> pending_;                  ///< tasks whose rule wants looking at
  std::deque<Place> repeats_;  ///< mapped tasks of which a resume or a cancel is under way
  std::deque<Dismissal> dismissals_;
  std::deque<Cancellation> cancellations_;
  std::deque<RunId> cancelled_;  ///< runs whose tasks are being cancelled
  std::deque<Pair> pairs_;       ///< items whose pairs may have ended
  std::deque<Place> sweeps_;     ///< mapped tasks of which all that waits is looked at
  std::vector<RunId> changed_;   ///< runs whose counts changed in this step
  std::vector<Place> changed_mapped_;
  std::vector<RateLimit*> changed_rates_;
  std::vector<RunId> forget_;  ///< runs that leave memory with this step
  std::uint32_t last_stamp_ = 0;
};

}  // namespace pawl
