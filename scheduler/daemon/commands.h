#pragma once

// What is asked over the control socket, or by the very process that is the scheduler: requests in,
// inputs of the engine out, and answers once what they tell is durable (docs/control.md). On the
// loop; nothing here blocks: the store is asked through the writer's queue.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/work.h"

namespace pawl {

struct ControlRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string> query;
  std::string body;
  std::string actor;  ///< the user who asks
};

/// Takes the answer: a status as in HTTP, and JSON text.
using ControlAnswer = std::function<void(int status, std::string body)>;

/// What the rest of the service does for commands.
struct ServiceHooks {
  std::function<nlohmann::json()> status;
  std::function<Result<void>()> reload;
  /// Lets a starting `serve` take over; refused by one that serves.
  std::function<Result<void>()> hand_over;
  /// The run's definitions must be told anew.
  std::function<void(RunId)> run_changed;
  std::function<bool()> storage_full;
  /// Retention now; with a duration, of all that ended longer ago.
  std::function<void(std::optional<Duration>, std::function<void(Result<std::int64_t>)>)> prune;
  /// Slots that the descriptors of this machine allow.
  std::int64_t slots_max = 0;
};

class Commands {
 public:
  Commands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Epoch epoch, ServiceHooks hooks);
  ~Commands();

  void handle(ControlRequest request, ControlAnswer answer);

  // From the service.
  void on(effect::Reply&& reply);
  void run_ended(RunId run);
  /// Something changed: whoever follows is told soon.
  void changed();

 private:
  using Json = nlohmann::json;
  struct Follower {
    std::string run;
    std::uint64_t version = 0;
    ControlAnswer answer;
    std::unique_ptr<Timer> timer;
  };
  struct LoadedRun {
    RunRow row;
    std::optional<RunSnapshot> snapshot;
    std::optional<JobVersionRow> version;
  };
  struct Load {
    std::vector<LoadedRun> runs;
    std::optional<Error> error;
  };
  struct Command;

  // Runs.
  void submit_file(const ControlRequest& request, const Json& body, ControlAnswer answer);
  void trigger(const ControlRequest& request, const Json& body, ControlAnswer answer);
  void submit(RunRow row, bool force, std::string actor, Json diagnostics, ControlAnswer answer);
  void answer_existing(const RunRow& known, const RunRow& asked, ControlAnswer& answer);

  // Commands on what is there.
  void command(const ControlRequest& request, const Json& body, ControlAnswer answer);
  void run_next();
  void load(const Command& command, std::function<void(Load)> done);
  void apply(Command& command, Load loaded);
  void plan(Command& command, Load loaded);
  void rerun(Command& command, Load loaded);
  Result<std::vector<Target>> targets_of(const Command& command, const Load& loaded);
  void pause_job(const std::string& name, bool pause, const Json& body, ControlAnswer answer);

  // Reading.
  void follow(const std::string& run, const ControlRequest& request, ControlAnswer answer);
  void tell_followers();
  Json progress(RunId run, bool ended) const;
  void follow_stored(const std::string& run, ControlAnswer answer);
  void explain(const ControlRequest& request, ControlAnswer answer);
  std::optional<RunId> open_run(const std::string& name) const;

  Loop& loop_;
  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  ServiceHooks hooks_;
  std::uint64_t first_version_;  ///< progress versions of this scheduler begin here
  std::uint64_t next_token_ = 1;
  std::unordered_map<std::uint64_t, std::function<void(effect::Reply&&)>> replies_;
  std::deque<std::unique_ptr<Command>> queue_;  ///< commands go one after the other
  bool is_busy_ = false;
  std::unordered_map<RunId, std::uint64_t> versions_;
  std::vector<Follower> followers_;
  Timer tell_timer_;
  std::deque<std::pair<std::string, std::string>> ended_;  ///< last words of runs that ended lately
  std::vector<std::unique_ptr<Work>> works_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
