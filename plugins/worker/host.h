#pragma once

// A worker that runs operators: shared libraries in this process, and programs beside it that stay
// warm. Thousands of attempts at once on one loop; what an operator does wrong ends this process
// and its attempts, nothing else.
//
// What one turn of the loop brings is done in the protocol's order, as in supervisor.h: begin
// records are written, then operators are started, ends are written, then frames go out.
//
// An attempt that was lost may be what took its host along: suspects.h says beside whom it starts.
//
// Who does not listen. An operator that has not ended when its grace is over can only be ended with
// this process. So the host takes no more attempts, lets the others end for a while, writes down
// how those ended that did not listen, and is gone.

#include <sys/resource.h>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugins/worker/crash_record.h"
#include "plugins/worker/loaded_operators.h"
#include "plugins/worker/lone_attempt.h"
#include "plugins/worker/loop_share.h"
#include "plugins/worker/operator_backend.h"
#include "plugins/worker/output_keeping.h"
#include "plugins/worker/own_output.h"
#include "plugins/worker/scheduler_desk.h"
#include "plugins/worker/scratch_sweep.h"
#include "plugins/worker/streams.h"
#include "plugins/worker/supervision.h"
#include "plugins/worker/suspects.h"
#include "plugins/worker/worker.h"
#include "plugins/worker/worker_log.h"
#include "plugins/worker/worker_signals.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

class LoopWatchdog;

class OperatorHost final : private OperatorEvents {
 public:
  /// Loads `options.plugins`; one that cannot be loaded is noted, and attempts of its operators
  /// fail with the reason.
  OperatorHost(Loop& loop, const WorkerOptions& options, JournalWriter journal, Fd listening,
               const rlimit& descriptors);
  ~OperatorHost() override;
  OperatorHost(const OperatorHost&) = delete;
  OperatorHost& operator=(const OperatorHost&) = delete;

 private:
  struct Definition {
    std::shared_ptr<const CompiledDefinition> compiled;
    OperatorBackend* backend = nullptr;
    const CompiledSchema* schema = nullptr;  ///< of its parameters
    std::optional<SeriesCheck> renderings;  ///< of its templates, which must fit; none: it has none
    std::weak_ptr<const Mask> mask;         ///< of the last attempt: secrets seldom change
    std::string error;                      ///< attempts of it cannot be started, and this is why
    Reason reason = Reason::spawn;
  };
  struct Attempt {
    frame::AttemptStart start;
    std::shared_ptr<Definition> definition;
    std::shared_ptr<const OperatorRequest> request;
    std::shared_ptr<const Mask> mask;
    std::unique_ptr<AttemptStreams> streams;  ///< from the first byte of its log on
    WallTime started_at;
    JournalEntry journal;
    bool is_running = false;  ///< the backend has it
    LoopShare share;
    OperatorResult result;
    OutputResult output;
    OutputKeeping keeping;
    std::string refusal;

    bool is_at(OperatorBackend::Place place) const {
      return definition && definition->backend && definition->backend->place() == place;
    }
  };

  SchedulerDesk::Events desk_events();
  void define(frame::Define&& define);
  Result<void> compile(const std::string& bytes, Definition& made);
  void accept(frame::AttemptStart&& start);
  void stop(const frame::Stop& stop);
  Result<void> prepare(AttemptId id, Attempt& attempt);
  void refuse(AttemptId id, Attempt& attempt, Reason reason, std::string message);
  void start_queued();
  void start(AttemptId id, Attempt& attempt);
  void stopped_running(AttemptId id, Attempt& attempt);

  // From operators.
  void log(AttemptId id, LogStream stream, std::string_view text) override;
  void heartbeat(AttemptId id) override;
  void waits(AttemptId id) override;
  void begins(AttemptId id) override;
  void progress(AttemptId id, double fraction, std::string_view text) override;
  bool set_handle(AttemptId id, std::string_view handle) override;
  void finished(AttemptId id, OperatorResult&& result) override;
  void note(const std::string& text) override;

  void touch(AttemptId id, Attempt& attempt);
  void divide_loop();
  void keep_output(AttemptId id, Attempt& attempt);
  void perform();
  void kill(AttemptId id);
  void record_end(AttemptId id, const SupervisionAction::Verdict& verdict);
  void describe(const Attempt& attempt, AttemptEnd& end) const;
  void schedule_turn();
  void run_turn();
  void arm_timer();
  void on_signals();
  bool has_grown();
  void check_recycling();
  [[noreturn]] void end_process();

  WorkerLogKeeper log_keeper_;  // first: what goes after it may print
  OwnOutput own_output_;        // and may print secrets
  Loop& loop_;
  WorkerOptions options_;
  std::string folder_;
  std::map<std::string, std::string> login_defaults_;
  Supervision supervision_;
  Supervision::Actions actions_;
  LoadedOperators operators_;
  ScratchSweep scratches_;
  std::unordered_map<DefinitionId, std::shared_ptr<Definition>> definitions_;
  std::map<const CompiledSchema*, std::string> fitting_;  ///< literal parameters that fitted last
  std::unordered_map<AttemptId, Attempt> attempts_;       ///< not ended
  std::deque<AttemptId> queued_;                          ///< accepted, not begun
  std::set<AttemptId> deaf_;                              ///< did not listen: end with the process
  LoopShares shares_;
  LoneAttempt lone_;
  std::optional<std::int64_t> memory_bound_;  ///< of this process, once an end of the turn needs it
  MonoTime divided_at_;
  Suspects suspects_;
  std::size_t running_ = 0;
  std::uint64_t begun_ = 0;
  MonoTime memory_looked_at_;
  MonoTime timer_at_;
  bool is_turn_scheduled_ = false;
  const std::shared_ptr<const Mask> no_mask_ = std::make_shared<const Mask>(Mask({}));
  WorkerSignals signals_;
  Poll signal_poll_;
  CrashPause crash_pause_;
  Timer timer_;
  Timer suspects_timer_;
  Timer retire_timer_;
  std::optional<SchedulerDesk> desk_;  ///< from when the plugins are loaded on
  std::unique_ptr<LoopWatchdog> watchdog_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
