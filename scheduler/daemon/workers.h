#pragma once

// The scheduler's side of its workers: starts them, finds those that outlived an earlier
// scheduler, speaks with them, and tells what became of the attempts of those that died. Knows
// processes and frames; which attempt goes where is decided elsewhere.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugins/worker/frames.h"
#include "scheduler/base/ids.h"
#include "scheduler/core/input.h"
#include "scheduler/daemon/host_demand.h"
#include "scheduler/daemon/host_load.h"
#include "scheduler/daemon/signs_of_life.h"
#include "scheduler/daemon/worker_fate.h"
#include "scheduler/daemon/worker_process.h"
#include "scheduler/loop/channel.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/signal.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/work.h"
#include "scheduler/spec/settings.h"

namespace pawl {

/// How long an attempt may go on.
struct AttemptBounds {
  std::optional<Duration> left;  ///< until its time-out, never below 0; nothing: none
  Duration grace{};              ///< between SIGTERM and SIGKILL
};

class Workers {
 public:
  struct Options {
    std::string folder;   ///< `<home>/workers`
    std::string home;     ///< absolute
    std::string program;  ///< path of this program
    /// Of pawl, and of the words between it and workers: a worker of another one of either finishes
    /// what it has and gets nothing new.
    std::string version;
    std::uint32_t protocol = kProtocolVersion;
    Epoch epoch;
    std::uint64_t program_descriptors = 0;  ///< soft limit for programs; ours was raised
    std::size_t count = 2;                  ///< supervisors that take attempts
    std::string control_groups = "auto";    ///< for attempts with limits (control_group.h)
    Duration worker_idle = std::chrono::seconds(60);
    Settings::Hosts hosts;
    /// By operator: the plugin that a host loads for it. Operators of one plugin share a host.
    std::map<std::string, std::string> plugins;
    SignsOfLife::Patience patience;
  };

  /// What it tells. All from the loop.
  struct Events {
    std::function<void(WorkerId, std::vector<std::string> operators)> up;  ///< takes attempts
    std::function<void(WorkerId)> drains;                                  ///< takes no more
    std::function<void(WorkerId)> gone;  ///< dead, and `ended` told the fate of all it had
    std::function<void(std::vector<AttemptResult>)> ended;
    std::function<void(AttemptId, WallTime)> began;
    std::function<void(input::AttemptHandle)> handle;
    std::function<void(frame::Progress)> progress;
    /// The attempts that the scheduler believes the worker has.
    std::function<std::vector<StayOfAttempt>(WorkerId)> attempts_of;
    std::function<AttemptBounds(AttemptId)> bounds_of;
    /// A number for a new worker that is higher than `above`, later; nothing when there is none to
    /// be had.
    std::function<void(WorkerId above, std::function<void(std::optional<WorkerId>)>)> new_id;
    /// Every worker found at start has answered, is known to be dead, or is given up for now.
    std::function<void()> settled;
    std::function<void(std::string)> problem;  ///< a line for the operator
  };

  Workers(Loop& loop, Options options, Events events);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Looks at what earlier schedulers left. `referenced`: workers that live attempts name, also
  /// those whose folder is gone. Ends with `settled`.
  void recover(const std::vector<WorkerId>& referenced);

  /// Starts workers until `count` take attempts, and replaces those that die, with back-off.
  void keep_running();

  /// Starts a host for the operator, unless one is on its way; after failures with back-off. Its
  /// `up` follows. False: no plugin has that operator.
  bool want(const std::string& operator_name);

  // To one worker. What is said to one that is not connected is dropped: whoever connects again
  // tells its state anew, and is told. Only stops are remembered: an attempt that goes on is
  // stopped as soon as its worker answers, and if it does not, a minute after its grace
  // (docs/decisions.md) the worker is killed; with `force` at once.
  void define(WorkerId worker, DefinitionId id, const std::string& bytes);
  void undefine(WorkerId worker, DefinitionId id);
  void start(WorkerId worker, std::vector<frame::AttemptStart> attempts);
  void stop(WorkerId worker, AttemptId attempt, Reason reason, bool force);
  void forget(WorkerId worker, const std::vector<frame::DurableEnd>& ends);
  /// What was said goes out now instead of at the end of the turn.
  void flush();

  /// Workers that run otherwise than the settings now say take no more attempts, and others follow;
  /// so do more, or fewer, than there are.
  void change_settings(std::size_t count, const Settings& settings);
  /// `plugins` as in the options. Hosts take no more attempts, and fresh ones follow: files of
  /// plugins may have changed.
  void change_plugins(std::map<std::string, std::string> plugins);

  /// Lets workers without attempts end now. Those with attempts go on and end when idle.
  void dismiss_idle();

  struct View {
    WorkerId id;
    std::string state;  ///< `starting`, `up`, `draining`, `silent`, `dead`
    pid_t pid = 0;
    std::string version;
  };
  std::vector<View> view() const;
  /// Those who live and have not answered in time.
  std::vector<View> silent() const;

 private:
  /// Pause between tries to reach one that is starting.
  static constexpr Duration kConnectEvery = std::chrono::milliseconds(5);
  /// Pause between looks at one that does not answer, or that cannot be judged.
  static constexpr Duration kLookEvery = std::chrono::seconds(1);

  enum class State { starting, greeting, up, draining, silent, dead };
  struct AskedStop {
    Reason reason = Reason::none;
    bool force = false;
    MonoTime at;
  };
  struct Peer {
    Peer(std::string its_folder, WorkerWays its_ways, SignsOfLife::Patience patience)
        : folder(std::move(its_folder)), ways(std::move(its_ways)), signs(patience) {}
    bool has_given_up(AttemptId attempt) const {
      return std::any_of(given_up.begin(), given_up.end(),
                         [&](const StayOfAttempt& one) { return one.attempt == attempt; });
    }
    WorkerId id;
    /// `silent`: without a connection that it has answered on. One that has answered once and then
    /// falls silent stays what it is, and so does its connection: it may go on any time.
    State state = State::starting;
    std::string folder;
    std::string version;
    std::string plugin;                  ///< of a host that we started; empty: a supervisor
    std::vector<std::string> operators;  ///< as it said
    WorkerWays ways;                     ///< that it was started with
    SignsOfLife signs;
    std::map<AttemptId, AskedStop> stops;  ///< of attempts that have not ended
    std::uint32_t protocol = 0;            ///< that it speaks
    pid_t pid = 0;
    bool is_child = false;  ///< ours to reap
    bool is_found = false;  ///< from an earlier scheduler; settles recovery
    bool has_settled = false;
    int misses = 0;              ///< of a host that never came up, and those before it
    bool was_met = false;        ///< it answered this scheduler
    bool was_killed = false;     ///< by us, because it was silent
    bool is_unreadable = false;  ///< what would tell whether it lives, or what became of it
    WorkerDeath death = WorkerDeath::seen;  ///< of a dead one
    WallTime died_at;
    bool is_fate_known = false;
    MonoTime since;                ///< of its state
    bool has_old_plugins = false;  ///< their files may have changed since it loaded them
    std::unique_ptr<Channel> channel;
    std::unique_ptr<Timer> timer;
    std::unique_ptr<Work> work;
    std::vector<std::pair<AttemptId, std::int32_t>> named;  ///< by STATUS so far
    /// Attempts, and stays, whose ends were told and are not known to be durable, and of a dead one
    /// those that it had. What it noted of them is all there is: its folder stays until this is
    /// empty.
    std::set<std::pair<AttemptId, std::int32_t>> unforgotten;
    std::vector<StayOfAttempt> given_up;  ///< ended here as `unkillable`, while it still lives
    std::deque<std::string> unsent;       ///< bodies that the channel did not take yet
  };

  void miss(Peer& peer, const std::optional<HostDemand::Missed>& missed);
  void tell_missed(Peer& peer, const std::string& end);
  static bool is_host(const Peer& peer);
  static bool is_coming_or_up(const Peer& peer);
  void ask_for_id(const std::string& plugin);
  std::string plugin_of(const Peer& peer) const;
  void start_host(const std::string& plugin);
  void spread(const Peer& peer);
  void retire_idle_hosts();
  Duration look_at_hosts_after() const;
  void retire(Peer& peer);
  void retire_surplus();
  WorkerWays ways_of(bool is_host) const;
  std::vector<std::string> operators_of(const std::string& plugin) const;
  std::string folder_of(WorkerId id) const;
  std::unique_ptr<Timer> look_timer(WorkerId id);
  void spawn(WorkerId id, const std::string& plugin);
  void connect(Peer& peer);
  void greet(Peer& peer, Fd socket);
  void on_message(WorkerId id, std::string_view message);
  void on_closed(WorkerId id);
  void on_status(Peer& peer, const frame::Status& status);
  void look_after(Peer& peer);
  void watch(Peer& peer);
  void look_for_signs(Peer& peer);
  void look_at_silent(Peer& peer);
  void fell_silent(Peer& peer, const std::string& how);
  void bound(Peer& peer, AttemptId attempt);
  void answers_again(Peer& peer);
  void end(Peer& peer);
  void give_up(Peer& peer);
  bool is_dead(Peer& peer);
  void cannot_judge(Peer& peer, const std::string& why, const std::string& remedy);
  void bury(Peer& peer);
  void learn_fate(Peer& peer);
  void fate_learned(Peer& peer, Result<std::vector<AttemptResult>>&& fate);
  void remove_folder(Peer& peer);
  void settle(Peer& peer);
  void check_settled();
  void send(Peer& peer, const Frame& frame);
  void flush_unsent(Peer& peer);
  void tell(AttemptResult&& result);
  void replace_later();
  void reap();
  Peer* find(WorkerId id);

  Loop& loop_;
  Options options_;
  Events events_;
  std::map<WorkerId, std::unique_ptr<Peer>> peers_;
  HostDemand demand_;
  HostLoad load_;
  std::vector<AttemptResult> results_;  ///< of this turn
  bool results_are_deferred_ = false;
  bool keeps_running_ = false;
  bool is_recovering_ = false;
  std::size_t asked_ids_ = 0;
  WorkerId highest_found_;  ///< a new worker never moves into a folder that lies there
  int failures_in_a_row_ = 0;
  Timer replace_timer_;
  Timer retire_timer_;
  Signal child_signal_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
