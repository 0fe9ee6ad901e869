#pragma once

// One warm process: its three pipes, its lines, and the wish to end it. What it says and what that
// means is its pool's.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "plugins/worker/launcher.h"
#include "plugins/worker/process_meter.h"
#include "plugins/worker/process_tree.h"
#include "plugins/worker/program_protocol.h"
#include "plugins/worker/program_spec.h"
#include "plugins/worker/streams.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class ProgramProcess {
 public:
  /// What its pool hears of it. None of these may destroy the process.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_message(ProgramProcess& process, ProgramMessage&& message) = 0;
    /// It wrote to its standard error.
    virtual void on_error_text(ProgramProcess& process, std::string_view text) = 0;
    /// It has not got this attempt and gets nothing more: it reads no longer.
    virtual void on_undelivered(ProgramProcess& process, AttemptId attempt) = 0;
    /// It has exited and is to be reaped.
    virtual void on_exited(ProgramProcess& process) = 0;
  };

  enum class Phase : std::uint8_t {
    starting,
    ready,
    draining,  ///< takes no more attempts, and is asked to end when it has none
    ending,    ///< was asked to end
    killed,    ///< was sent SIGKILL
  };

  /// `id` names it in `tree`, which takes it once it has started.
  ProgramProcess(Loop& loop, ProcessTree& tree, AttemptId id, Listener& listener);
  ~ProgramProcess();
  ProgramProcess(const ProgramProcess&) = delete;
  ProgramProcess& operator=(const ProgramProcess&) = delete;

  /// Starts it and says hello; kills it when it is not ready in time. `mark`: as of Launcher.
  /// Errors: failed, for the user; where there is a `pid` nevertheless, that process was killed and
  /// is still to be reaped.
  Result<void> start(Launcher& launcher, const ProgramSpec& spec, std::uint64_t mark);

  AttemptId id() const { return id_; }
  pid_t pid() const { return pid_; }
  Phase phase() const { return phase_; }
  MonoTime started_at() const { return started_at_; }
  MonoTime last_used() const { return last_used_; }
  bool can_cancel() const { return can_cancel_; }
  const std::unordered_set<AttemptId>& attempts() const { return attempts_; }
  std::int64_t finished_count() const { return finished_; }
  /// Why it was killed; empty when nobody here killed it.
  const std::string& kill_reason() const { return kill_reason_; }
  /// The last bytes of its standard error since it had nothing to do; empty when several attempts
  /// could have said them.
  std::string_view last_words() const {
    return meter_->is_shared() ? std::string_view() : std::string_view(last_words_);
  }
  /// Keeps them. `text`: what it wrote, with secrets hidden.
  void add_last_words(std::string_view text) { keep_last(last_words_, text); }
  /// What it has used since it was given its attempt; where others could have used it too, but a
  /// bound of its memory. `told_bound`: the bound by its own word; 0: it has not said any.
  ResourceUse use(std::int64_t told_bound = 0);
  /// Its resident memory; 0 when it cannot be told.
  std::uint64_t resident_bytes() const;

  void set_ready(bool can_cancel);
  /// Its `start` is the last line of `outgoing`.
  void add(AttemptId attempt);
  void remove(AttemptId attempt);

  /// A buffer for lines to it; they go out with `flush`, or later as the pipe takes them.
  std::string& outgoing() { return outgoing_; }
  void flush();
  /// Tells it whether the handle that it has named is kept. Who goes on naming some and does not
  /// read the answers is killed.
  void answer_handle(AttemptId attempt, bool is_kept);
  /// Reads what it has written to its standard error up to now.
  void read_errors();
  /// It has exited, having used `life` in all: reads what it had still said.
  void read_rest(const ResourceUse& life);

  void drain();
  /// Asks it to end, and kills it when it does not within `grace`.
  void end(Duration grace);
  void kill(std::string reason);

 private:
  void read_messages();
  void take_lines();
  void on_input_ready();
  void close_input();
  void clear_outgoing();
  /// Kills it and listens to it no longer.
  void fail(std::string reason);
  void kill_after(Duration time, std::string_view reason);

  Loop& loop_;
  ProcessTree& tree_;
  AttemptId id_;
  Listener& listener_;
  Phase phase_ = Phase::starting;
  pid_t pid_ = -1;
  MonoTime started_at_;
  MonoTime last_used_;
  bool can_cancel_ = false;
  bool is_broken_ = false;  ///< what it says is not listened to any more
  bool is_input_closing_ = false;
  std::int64_t finished_ = 0;
  std::unordered_set<AttemptId> attempts_;
  std::string kill_reason_;
  std::string last_words_;
  std::optional<ProcessMeter> meter_;
  std::optional<ResourceUse> life_;  ///< of all its life, which is over
  std::string outgoing_;
  std::size_t written_ = 0;  ///< of `outgoing_`
  /// Attempts whose `start` is in `outgoing_`, and where it ends there.
  std::vector<std::pair<AttemptId, std::size_t>> outgoing_starts_;
  std::size_t answered_bytes_ = 0;  ///< of answers, since `outgoing_` was empty
  std::string incoming_;
  std::size_t scanned_ = 0;  ///< of `incoming_`: no newline before it
  Fd input_;
  Fd output_;
  Fd errors_;
  Fd pidfd_;
  std::unique_ptr<Poll> input_poll_;
  std::unique_ptr<Poll> output_poll_;
  std::unique_ptr<Poll> errors_poll_;
  std::unique_ptr<Poll> exit_poll_;
  Timer timer_;  ///< kills it
  std::string_view timer_reason_;
};

}  // namespace pawl
