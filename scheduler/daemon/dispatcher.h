#pragma once

// From the decision to start an attempt to the frame that starts it: its task's definition, made
// once and sent once to each worker, and its item, read ahead. On the loop.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugins/worker/frames.h"
#include "scheduler/core/effect.h"
#include "scheduler/core/engine.h"
#include "scheduler/daemon/item_window.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/reader.h"
#include "scheduler/daemon/workers.h"

namespace pawl {

class Dispatcher {
 public:
  /// `failed`: attempts that could not be given to their worker, as results.
  Dispatcher(const Engine& engine, Reader& reader, Workers& workers, const Jobs& jobs,
             std::string home, HomeId home_id, Epoch epoch,
             std::function<void(AttemptResult)> failed);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// A start whose commit is durable. Frames go out with `flush`.
  void start(const effect::StartAttempt& start);
  void on(read::ContextAnswer&& answer);
  void on(const read::ChunkAnswer& answer);
  void on(read::PastAnswer&& answer);
  /// Sends what was collected, a frame for each worker.
  void flush();

  /// The run was changed by a command: what its tasks were told of upstream is told anew.
  void forget_definitions(RunId run);
  /// The same for all runs: settings have changed.
  void forget_definitions();
  /// Nothing of the run starts any more.
  void run_ended(RunId run);
  /// The worker is another process now, or none.
  void worker_gone(WorkerId worker);

 private:
  using Task = std::pair<RunId, TaskIndex>;
  struct Definition {
    DefinitionId id;
    std::uint64_t ticket = 0;             ///< of the question for its context, while it is open
    std::string bytes;                    ///< empty: not made yet
    std::vector<read::Upstream> passing;  ///< that it names and that were not final, as they were
    std::set<WorkerId> known_by;
    std::vector<PendingStart> waiting;
  };

  void send(PendingStart& pending, Definition& definition);
  std::string names_of(const Task& task);
  void ask_for_context(const Task& task, Definition& definition);
  void refuse(const Task& task, const std::string& why);
  bool has_passed(const Task& task, const Definition& definition) const;
  void take_back(const Definition& definition);
  void forget(RunId run);
  void make(const Task& task, Definition& definition, std::string context);
  bool take_item(PendingStart& pending, frame::AttemptStart& out);
  void ask_for_chunks(const Task& task, ItemWindow& window);
  void to_worker(PendingStart pending);
  bool is_live(const effect::StartAttempt& start) const;
  void fail(const effect::StartAttempt& start, Reason reason, std::string message);

  const Engine& engine_;
  Reader& reader_;
  Workers& workers_;
  const Jobs& jobs_;
  std::string home_;
  HomeId home_id_;
  std::function<void(AttemptResult)> failed_;
  std::uint64_t next_id_;
  std::uint64_t next_ticket_ = 1;
  std::map<Task, Definition> definitions_;
  std::optional<RunId>
      run_of_names_;  ///< the run that `names_` are of: the last that was asked for
  std::string names_;
  std::map<Task, ItemWindow> windows_;  ///< of the tasks whose items are started
  std::map<WorkerId, std::vector<frame::AttemptStart>> outgoing_;
  std::vector<std::pair<WorkerId, DefinitionId>> outdated_;  ///< that workers know, and may forget
};

/// An upstream of a task of an open run, as it is now.
read::Upstream upstream_of(const Engine& engine, RunId run, TaskIndex index);

/// What the reader needs to make the names that a task's templates may use.
read::ContextRequest context_request(const Engine& engine, RunId run, TaskIndex task);

/// The items that this one is paired with and names, with their states.
std::vector<read::Upstream> pairs_of(const Engine& engine, const TaskKey& key);

}  // namespace pawl
