#pragma once

// Commands on runs that are there: cancel, resume, rerun, mark, dismiss, pause, unpause, and what
// they would do. One after the other: a snapshot that a command is handed must not be older than
// what the command before it did. On the loop; the store is asked through the writer's queue.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/daemon/followers.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/replies.h"
#include "scheduler/daemon/request.h"
#include "scheduler/daemon/submissions.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"
#include "scheduler/spec/shared_job.h"

namespace pawl {

class RunCommands {
 public:
  /// `run_changed`: the run's definitions must be told to workers anew.
  RunCommands(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Replies& replies,
              Submissions& submissions, Followers& followers,
              std::function<void(RunId)> run_changed);
  ~RunCommands();
  RunCommands(const RunCommands&) = delete;
  RunCommands& operator=(const RunCommands&) = delete;

  /// `POST /v1/commands`.
  void handle(const ControlRequest& request, const nlohmann::json& body, ControlAnswer answer);
  /// Whether runs are being read for a command.
  bool is_busy() const { return is_busy_; }

 private:
  using Json = nlohmann::json;
  struct Command;
  struct LoadedRun {
    RunRow row;
    std::optional<RunSnapshot> snapshot;
    SharedJob job;
    // When it shall go on with another definition.
    std::string text;                     ///< of `job`
    std::optional<JobVersionRow> newest;  ///< with that one; none: with what was handed in
    std::string objection;                ///< why it does not, and what would work; empty: it does
  };
  using Loaded = std::vector<LoadedRun>;
  using Newest = std::map<std::string, VersionId>;  ///< the version of each job
  /// Definitions to be stored, for runs by their place in what was loaded.
  struct Redefined {
    struct Run {
      std::size_t place;
      std::string text;
      SharedJob job;
    };
    std::vector<Run> runs;
    Json differences = Json::array();
  };

  static Result<std::unique_ptr<Command>> read(const ControlRequest& request, const Json& body);
  void run_next();
  void finish(Command& command, Result<Loaded> loaded, Json differences);
  void fail(Command& command, const Error& error);

  void load_rows(const std::shared_ptr<Command>& command);
  void load_jobs(const std::shared_ptr<Command>& command, const std::shared_ptr<Loaded>& loaded);
  void load_rest(const std::shared_ptr<Command>& command, const std::shared_ptr<Loaded>& loaded);
  static Result<void> load_run(Store& store, const LoadOptions& options, bool redefines,
                               const std::optional<Newest>& newest, LoadedRun& run);
  void carry_out(const std::shared_ptr<Command>& command, const std::shared_ptr<Loaded>& loaded);
  static Result<std::vector<Target>> targets_of(const Command& command, const Loaded& loaded);

  void redefine_runs(const std::shared_ptr<Command>& command,
                     const std::shared_ptr<Loaded>& loaded);
  static Result<Redefined> redefined_of(Loaded& loaded, const Json& given,
                                        const ParseOptions& reading);
  void store_next(const std::shared_ptr<Command>& command, const std::shared_ptr<Loaded>& loaded,
                  const std::shared_ptr<Redefined>& redefined);

  static Json take_objections(Command& command, Loaded& loaded);
  void know(const Loaded& loaded);
  void apply(Command& command, Loaded loaded);
  static Result<Input> input_of(const Command& command, std::vector<Target> targets,
                                std::vector<RunSnapshot> snapshots);
  void rerun(Command& command, const Loaded& loaded);
  void plan(Command& command, Loaded loaded, Json differences);
  Json plan_of_resume(const Command& command, const std::vector<Target>& targets, Loaded loaded);

  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  Replies& replies_;
  Submissions& submissions_;
  Followers& followers_;
  std::function<void(RunId)> run_changed_;
  std::deque<std::unique_ptr<Command>> queue_;
  bool is_busy_ = false;
  Works works_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
