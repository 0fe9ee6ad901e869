#pragma once

// The shell around Supervision: starts programs, reads their pipes, reaps them, writes the journal
// and talks to the scheduler. One thread; the pipes and SIGCHLD share one epoll set, which is one
// descriptor of the loop, so a program costs four system calls there and no handle.
//
// What one turn of the loop brings is done in this order, which is the protocol's: begin and end
// records are written, then programs are started, then their pids are written, then frames go out.

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/worker/frames.h"
#include "plugins/worker/journal_writer.h"
#include "plugins/worker/launcher.h"
#include "plugins/worker/oom.h"
#include "plugins/worker/output_keeping.h"
#include "plugins/worker/process_definition.h"
#include "plugins/worker/process_tree.h"
#include "plugins/worker/rendering.h"
#include "plugins/worker/resource_watch.h"
#include "plugins/worker/scheduler_desk.h"
#include "plugins/worker/scratch.h"
#include "plugins/worker/streams.h"
#include "plugins/worker/supervision.h"
#include "plugins/worker/worker.h"
#include "plugins/worker/worker_signals.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class Supervisor {
 public:
  /// Signals that it takes must be blocked. `descriptors`: limit for programs.
  Supervisor(Loop& loop, const WorkerOptions& options, JournalWriter journal, Fd listening,
             const rlimit& descriptors);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

 private:
  /// An attempt from START until its end is recorded.
  struct Attempt {
    frame::AttemptStart start;
    std::shared_ptr<const ProcessDefinition> definition;
    std::optional<Scratch> scratch;
    std::shared_ptr<const Mask> mask;  ///< null before its secrets are read
    std::unique_ptr<AttemptStreams> streams;
    Launch launch;  ///< until it is started
    WallTime started_at;
    JournalEntry journal;
    pid_t pid = 0;
    ResourceUse use;            ///< of its program
    std::string refusal_class;  ///< why it could not be started
    std::string refusal;
    std::string limit_message;  ///< of the limit that it reached
    OutputResult output;
    OutputKeeping keeping;
  };

  // From the scheduler.
  void accept(frame::AttemptStart&& start);

  // Starting.
  Result<void> prepare(Attempt& attempt);
  void start_queued();
  void start_program(AttemptId id, Attempt& attempt);
  void refuse(AttemptId id, Attempt& attempt, Reason reason, std::string error_class,
              std::string message);

  // From programs.
  void on_events();
  void on_pipe(std::uint64_t tag);
  void on_signals();
  void reap();
  void on_exit(const ProcessTree::Exit& exit);
  void clear_trees();
  void watch_limits();
  void keep_output(AttemptId id);
  void watch_pipes();

  // Deciding and reporting.
  void perform();
  void record_end(AttemptId id, const SupervisionAction::Verdict& verdict);
  void describe(const Attempt& attempt, AttemptEnd& end) const;
  void schedule_turn();
  void run_turn();
  void arm_timer();
  void clean_scratch();
  SchedulerDesk::Events desk_events();

  Loop& loop_;
  WorkerOptions options_;
  Supervision supervision_;
  Supervision::Actions actions_;
  ProcessTree tree_;
  ResourceWatch resources_;
  OomWatch oom_;
  ScratchPool scratch_;
  Launcher launcher_;
  Fd null_input_;
  WorkerSignals signals_;
  Fd events_;

  ProcessDefinitions definitions_;
  std::unordered_map<AttemptId, Attempt> attempts_;  ///< not ended
  std::deque<AttemptId> queued_;                     ///< to be started this turn
  /// Started so lately that their pipes are not in `events_` yet, oldest first.
  std::deque<std::pair<AttemptId, MonoTime>> unwatched_;
  std::vector<AttemptId> over_;  ///< their program has ended, their tree not
  bool may_be_more_dead_ = false;
  bool is_turn_scheduled_ = false;
  MonoTime timer_at_;  ///< what `timer_` is armed for
  MonoTime oom_settled_at_;

  Poll poll_;
  Timer timer_;
  Timer watch_timer_;
  Timer limits_timer_;
  Timer scratch_timer_;
  SchedulerDesk desk_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
