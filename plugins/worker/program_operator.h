#pragma once

// Operators that are programs: processes that stay warm and take one attempt after the other as
// lines of JSON (docs/plugins.md). Each process leads a session and group of its own, dies with the
// host, and is killed with all that it started.

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "plugins/worker/manifest.h"
#include "plugins/worker/operator_backend.h"
#include "plugins/worker/program_host.h"
#include "plugins/worker/program_pool.h"
#include "plugins/worker/program_spec.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"

namespace pawl {

class ProgramOperators : public OperatorBackend {
 public:
  /// A process that has had nothing to do for `idle_after` ends, and so do those with nothing to do
  /// that are too many: four times as many of all kinds together as one kind may have by itself.
  ProgramOperators(Loop& loop, ProgramHost& host, std::unique_ptr<ProgramSource> source,
                   OperatorEvents& events, Duration idle_after = std::chrono::minutes(1));
  /// Ends all its processes; those that run an attempt at once.
  ~ProgramOperators() override;
  ProgramOperators(const ProgramOperators&) = delete;
  ProgramOperators& operator=(const ProgramOperators&) = delete;

  void start(std::shared_ptr<const OperatorRequest> attempt) override;
  /// Sent to programs that said they listen to it; of others nothing happens.
  void cancel(AttemptId attempt) override;
  /// Kills the process of the attempt: its other attempts are `lost` too.
  bool kill(AttemptId attempt) override;
  Place place() const override { return Place::program; }

 private:
  class Books;

  ProgramPool* pool_of(AttemptId attempt) const;
  void refuse(AttemptId attempt, std::string message);
  void end_surplus();
  void end_idle();

  Loop& loop_;
  ProgramHost& host_;
  OperatorEvents& events_;
  std::unique_ptr<ProgramSource> source_;
  Duration idle_after_;
  std::unordered_map<AttemptId, ProgramPool*> attempts_;
  std::unique_ptr<Books> books_;
  std::map<std::string, std::unique_ptr<ProgramPool>> pools_;
  Timer idle_timer_;
};

/// The operator of a manifest.
std::unique_ptr<OperatorBackend> make_program_operator(Loop& loop, ProgramHost& host,
                                                       Manifest manifest, OperatorEvents& events);

}  // namespace pawl
