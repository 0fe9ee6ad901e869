#pragma once

// The warm processes of one program and the attempts that share them: who runs where, when another
// process is started, and when one has to go.
//
// A process that dies takes its attempts: they are `lost`. An attempt that waits here for a process
// has not begun, and one that a program gives back (`return`) has not either: both go to another
// process, as nothing of them was done.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugins/worker/mask.h"
#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "plugins/worker/program_process.h"
#include "plugins/worker/program_spec.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class ProgramPool : private ProgramProcess::Listener, private ProgramHost::Owner {
 public:
  ProgramPool(Loop& loop, ProgramHost& host, OperatorEvents& events, ProgramSpec spec);
  /// Asks idle processes to end and kills the others; their attempts are not told of.
  ~ProgramPool() override;
  ProgramPool(const ProgramPool&) = delete;
  ProgramPool& operator=(const ProgramPool&) = delete;

  void start(ProgramRequest request);
  void cancel(AttemptId attempt);
  void kill(AttemptId attempt);

  /// Asks processes to end that have had nothing to do since `since`.
  void end_idle(MonoTime since);
  /// Adds since when each process has nothing to do that has nothing to do.
  void add_idle(std::vector<MonoTime>& since) const;
  /// Has neither processes nor attempts.
  bool is_empty() const { return processes_.empty() && attempts_.empty(); }

  /// How often programs of this process have ended an attempt that they did not have: ended before.
  static std::uint64_t late_finishes();

 private:
  struct Attempt {
    ProgramRequest request;
    ProgramProcess* process = nullptr;  ///< null while it waits
    int returns = 0;
    bool is_cancelled = false;
  };
  struct Process {
    std::unique_ptr<ProgramProcess> process;
    bool was_ready = false;
    bool has_exited = false;
    std::string end;                ///< how it exited, for people
    std::set<std::string> secrets;  ///< values, of all attempts that it was given
    std::unique_ptr<const Mask> mask = std::make_unique<const Mask>(std::vector<std::string>());
    MaskStream errors{*mask};            ///< what may be shown of its standard error
    std::string open_line;               ///< of what it said for nobody that is known
    std::uint64_t strange_messages = 0;  ///< about attempts that it does not have
  };

  void on_message(ProgramProcess& process, ProgramMessage&& message) override;
  void on_undelivered(ProgramProcess& process, AttemptId id) override;
  void on_error_text(ProgramProcess& process, std::string_view text) override;
  void on_exited(ProgramProcess& process) override;
  bool has_killed(AttemptId process) const override;
  void on_exit(const ProcessTree::Exit& exit) override;
  void on_gone(AttemptId process) override;

  Attempt* find(const ProgramProcess& process, AttemptId attempt);
  void finish(AttemptId attempt, OperatorResult&& result);
  void finished(ProgramProcess& process, program_message::Finish&& message);
  void returned(ProgramProcess& process, AttemptId attempt);
  void add_secrets(Process& process, const OperatorRequest& request);
  void tell_errors(ProgramProcess& process, std::string_view shown);
  void tell_rest_of_errors(ProgramProcess& process);
  std::string hidden(const ProgramProcess& process, std::string_view text) const;
  void hide_in(const ProgramProcess& process, OperatorResult& result) const;
  void note(const ProgramProcess& process, const std::string& text);

  void schedule_turn();
  void run_turn();
  void start_processes();
  void start_process();
  void failed_to_start(const std::string& message, const std::string& trace);
  bool may_serve(const ProgramProcess& process, bool was_ready) const;
  std::size_t room() const;
  std::size_t room_of(const ProgramProcess& process) const;
  ProgramProcess* free_process() const;
  static bool is_idle(const ProgramProcess& process);
  void give(ProgramProcess& process, AttemptId attempt, Attempt& what);
  void end_if_used_up(ProgramProcess& process);

  Loop& loop_;
  ProgramHost& host_;
  OperatorEvents& events_;
  ProgramSpec spec_;
  std::unordered_map<AttemptId, Attempt> attempts_;
  std::deque<AttemptId> waiting_;
  std::unordered_map<AttemptId, Process> processes_;  ///< by their id in the tree
  bool is_turn_scheduled_ = false;
  int start_failures_ = 0;                 ///< in a row
  std::optional<MonoTime> failing_since_;  ///< and nobody got ready, nor was failed for it, since
  Timer start_timer_;                      ///< armed: no process is started before it fires
  MonoTime memory_checked_at_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
