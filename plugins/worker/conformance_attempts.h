#pragma once

// Attempts of one operator in this process, for the checks of its conformance: started, waited for,
// cancelled, counted.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "plugins/worker/operator_backend.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// A check that did not pass, with its reason for the user.
struct ConformanceFailure {
  std::string why;
};

class ConformanceAttempts final : private OperatorEvents {
 public:
  using Make = std::function<std::unique_ptr<OperatorBackend>(Loop&, OperatorEvents&)>;
  /// `folder` is where attempts work.
  ConformanceAttempts(const Make& make, std::string parameters, std::string folder);
  /// Closes the operator. Where attempts are open, which may go on for ever, it is left as it is
  /// instead: the process must end.
  ~ConformanceAttempts() override;

  void start(std::size_t count);
  /// Cancels all that are open and waits until they have ended, as `wait` does. What a host can
  /// end by force, a process beside it, need not listen.
  void end(Duration at_most, const std::string& what);
  /// Turns the loop until none is open; throws ConformanceFailure when it takes longer.
  void wait(Duration at_most, const std::string& what);
  /// Turns the loop until one has begun, or none is open. Throws ConformanceFailure when it takes
  /// longer: no process of a program got ready.
  void until_begun(Duration at_most);
  /// Turns the loop for so long, or until none is open.
  void give_time(Duration span);
  /// Throws ConformanceFailure when a thread of the operator ends something again within `span`.
  void watch_for_second_ends(Duration span);
  bool any_open() const { return !open_.empty(); }
  /// How the last one ended, in words.
  const std::string& last_end() const { return last_end_; }

 private:
  void cancel();
  void log(AttemptId, LogStream, std::string_view) override {}
  void heartbeat(AttemptId) override {}
  void waits(AttemptId) override {}
  void begins(AttemptId) override { has_begun_ = true; }
  void progress(AttemptId, double, std::string_view) override {}
  bool set_handle(AttemptId, std::string_view) override { return true; }
  void finished(AttemptId attempt, OperatorResult&& result) override;
  void note(const std::string&) override {}

  std::string parameters_;
  std::string folder_;
  std::shared_ptr<const CompiledDefinition> definition_;
  std::unique_ptr<Loop> loop_ = std::make_unique<Loop>();
  std::int64_t last_ = 0;
  std::unordered_set<std::int64_t> open_;
  std::string last_end_;
  std::string broken_;  ///< what was wrong with an end
  bool is_ending_ = false;
  bool has_begun_ = false;
  std::unique_ptr<OperatorBackend> operator_;
};

}  // namespace pawl
