#pragma once

// Where a worker, of whatever class, speaks with its scheduler: the greeting, what it is told, what
// became of its attempts until the scheduler has it durably, and when there is no reason to stay.
//
// The order of a turn is the protocol's: `flush` writes the journal, what is to be started is
// started, `send` says what the journal has.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "plugins/worker/frames.h"
#include "plugins/worker/journal_writer.h"
#include "plugins/worker/scheduler_link.h"
#include "plugins/worker/worker.h"
#include "plugins/worker/worker_log.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class SchedulerDesk {
 public:
  struct Events {
    std::function<void(frame::Define&&)> define;
    std::function<void(frame::AttemptStart&&)> start;
    std::function<void(const frame::Stop&)> stop;
    std::function<void(DefinitionId)> undefine;
    /// The outcome is durable: true when the attempt had ended and is not known any more.
    std::function<bool(AttemptId)> forget;
    /// Another scheduler than before: its numbers of definitions begin anew.
    std::function<void()> new_epoch;
    /// Attempts that have not ended, for STATUS.
    std::function<std::vector<frame::KnownAttempt>()> open_attempts;
    /// Something is to be done: call `flush` and `send` soon.
    std::function<void()> wake;
    /// All that was told is executed when this returns.
    std::function<void()> execute_all;
  };

  SchedulerDesk(Loop& loop, const WorkerOptions& options, JournalWriter journal, Fd listening,
                std::vector<std::string> operators, Events events);
  ~SchedulerDesk();
  SchedulerDesk(const SchedulerDesk&) = delete;
  SchedulerDesk& operator=(const SchedulerDesk&) = delete;

  JournalWriter& journal() { return journal_; }

  void began(AttemptId attempt, std::int32_t pid, WallTime started_at);
  /// Told soon, unless a later one takes its place; not at all when nobody is connected.
  void progress(AttemptId attempt, double fraction, std::string_view text);
  /// In the journal when this returns true, and told soon, unless a later one takes its place.
  bool set_handle(AttemptId attempt, JournalEntry& entry, std::string_view handle);
  /// Appended to the journal, told, and kept until it is forgotten.
  void ended(AttemptEnd&& end, JournalEntry&& entry);
  /// No more attempts: told now and to whoever connects later.
  void drain();

  /// Writes the journal; on an error it is noted, and tried again in a second.
  bool flush();
  /// Says what is durable here, as far as there is room.
  void send();
  /// Ends the loop when nothing is left to do. `open`: attempts that have not ended.
  void check_idle(std::size_t open);
  /// An attempt comes back after it deferred itself: what is known of its earlier stay is not
  /// needed any more, because the scheduler would not have started it again before that was
  /// durable.
  void comes_back(AttemptId attempt, std::int32_t stay);
  /// A signal asks to end: as soon as nothing runs and nobody is connected.
  void terminate(const std::string& why);
  bool is_draining() const { return drains_ || is_shut_down_; }

  /// A line for the worker's log; what is said again and again is told once, and how often.
  void note(const std::string& text);

 private:
  /// What is to be said is made when it is said: of a handle only the newest is.
  struct EndOf {
    AttemptId attempt;
  };
  struct HandleOf {
    AttemptId attempt;
  };
  using Report = std::variant<Frame, EndOf, HandleOf>;
  struct Ended {
    AttemptEnd end;
    JournalEntry entry;
  };
  struct KeptHandle {
    std::string text;
    bool is_told = false;  ///< or nobody is connected
  };
  void on_frame(Frame&& frame);
  void on_connected(bool is_new_epoch);
  void forget(AttemptId attempt, std::int32_t stay);
  void tell_progress();
  bool send_report(const Report& report);
  void write_note(const std::string& text);
  void tell_repeats();

  Loop& loop_;
  WorkerOptions options_;
  Events events_;
  JournalWriter journal_;
  std::unordered_map<AttemptId, Ended> ended_;               ///< not forgotten
  std::unordered_map<AttemptId, KeptHandle> handles_;        ///< of attempts not forgotten
  std::deque<Report> reports_;                               ///< to be sent, in this order
  std::int64_t last_serial_ = 0;                             ///< of handles
  std::unordered_map<AttemptId, frame::Progress> progress_;  ///< not told yet
  bool drains_ = false;
  bool is_shut_down_ = false;   ///< by SHUTDOWN
  bool is_terminated_ = false;  ///< by a signal
  WorkerLog log_;
  std::string last_note_;
  std::uint64_t repeats_ = 0;   ///< of the last note, not told
  std::size_t note_bytes_ = 0;  ///< since the log was last looked at
  Timer idle_timer_;
  Timer retry_timer_;
  Timer progress_timer_;
  std::optional<SchedulerLink> link_;
};

}  // namespace pawl
