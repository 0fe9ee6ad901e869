#pragma once

// What is asked over the control socket, or by the very process that is the scheduler: each route
// finds its way to who answers it (docs/control.md). On the loop; nothing here blocks: the store is
// asked through the writer's queue. Answers come once what they tell is durable.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/daemon/backfills.h"
#include "scheduler/daemon/followers.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/replies.h"
#include "scheduler/daemon/request.h"
#include "scheduler/daemon/retainer.h"
#include "scheduler/daemon/run_commands.h"
#include "scheduler/daemon/submissions.h"
#include "scheduler/daemon/workers.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

/// Why no attempt starts, whatever is queued.
struct Hold {
  std::string kind;  ///< kDraining, `storage_full`, `long_reader`
  std::string text;
};
inline constexpr std::string_view kDraining = "draining";

/// What the rest of the service does for commands.
struct ServiceHooks {
  std::function<nlohmann::json()> status;
  std::function<Result<void>()> reload;
  /// Lets a starting `serve` take over; refused by one that serves.
  std::function<Result<void>()> hand_over;
  /// The run's definitions must be told anew.
  std::function<void(RunId)> run_changed;
  std::function<bool()> storage_full;
  /// And nothing at all can be written until there is room.
  std::function<bool()> waits_for_room;
  std::function<std::vector<Hold>()> holds;
  std::function<std::vector<Workers::View>()> silent_workers;
  /// Retention now, or what is asked for.
  std::function<void(std::optional<Retainer::Asked>, Retainer::Done)> prune;
  /// What those attempts (numbers with commas between them) say of how far they are.
  std::function<nlohmann::json(std::string_view attempts)> progress;
  /// Slots that the descriptors of this machine allow.
  std::int64_t slots_max = 0;
};

class Commands {
 public:
  Commands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Epoch epoch, ServiceHooks hooks);

  void handle(ControlRequest request, ControlAnswer answer);

  /// Whether ended runs are being read to be changed.
  bool reads_runs() const { return run_commands_.is_busy(); }

  // From the service.
  void on(effect::Reply&& reply) { replies_.on(std::move(reply)); }
  void run_ended(RunId run) { followers_.run_ended(run); }
  /// Something changed: whoever follows is told soon.
  void changed() { followers_.changed(); }

 private:
  using Json = nlohmann::json;
  void get(const ControlRequest& request, ControlAnswer answer);
  void post(ControlRequest request, ControlAnswer answer);
  void post(const ControlRequest& request, Result<Json> read, ControlAnswer answer);
  void explain(const ControlRequest& request, const ControlAnswer& answer);
  Json reasons(const Target& target) const;
  void pause_job(const std::string& name, bool pause, const Json& body, const std::string& actor,
                 ControlAnswer answer);
  void prune(const Json& body, const ControlAnswer& answer);

  Pump& pump_;
  Jobs& jobs_;
  Works works_;
  ServiceHooks hooks_;
  Replies replies_;
  Followers followers_;
  Submissions submissions_;
  Backfills backfills_;
  RunCommands run_commands_;
};

}  // namespace pawl
