#include "plugins/worker/conformance_attempts.h"

#include <cstdlib>
#include <utility>

#include "plugins/worker/login.h"
#include "plugins/worker/native_operator.h"
#include "plugins/worker/program_pool.h"
#include "plugins/worker/rendering.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/timer.h"

namespace pawl {

namespace {

std::string describe(const OperatorResult& result) {
  const std::string& said = result.message.empty() ? result.error_class : result.message;
  const std::string why = said.empty() ? "" : ": " + escape_for_terminal(said);
  switch (result.outcome) {
    case Outcome::succeeded: return "succeeded";
    case Outcome::failed: return "failed" + why;
    case Outcome::skipped: return "skipped" + why;
    case Outcome::cancelled: return "cancelled";
    case Outcome::deferred: return "deferred for " + format_duration(result.after);
    case Outcome::lost: return "lost";
  }
  return {};
}

/// A task without variables of its own: a program is found as in a job.
std::shared_ptr<const CompiledDefinition> definition_here(const std::string& folder) {
  TaskDefinition task;
  task.job = "conformance";
  task.task = "check";
  task.operator_name = "conformance";
  task.folder = folder;
  for (const std::string_view name : kLoginVariables) {
    const std::string variable(name);
    if (const char* value = std::getenv(variable.c_str())) task.scheduler_env[variable] = value;
  }
  auto compiled = CompiledDefinition::compile(std::move(task), login_defaults());
  return compiled ? std::shared_ptr<const CompiledDefinition>(std::move(*compiled)) : nullptr;
}

}  // namespace

ConformanceAttempts::ConformanceAttempts(const Make& make, std::string parameters,
                                         std::string folder)
    : parameters_(std::move(parameters)),
      folder_(std::move(folder)),
      definition_(definition_here(folder_)),
      operator_(make(*loop_, static_cast<OperatorEvents&>(*this))) {}

ConformanceAttempts::~ConformanceAttempts() {
  if (any_open()) {
    // An operator waits for the threads of its attempts. This process ends without.
    static_cast<void>(operator_.release());
    static_cast<void>(loop_.release());
  }
  operator_.reset();
}

void ConformanceAttempts::start(std::size_t count) {
  has_begun_ = false;
  for (std::size_t i = 0; i < count; ++i) {
    auto request = std::make_shared<OperatorRequest>();
    request->attempt = AttemptId{++last_};
    request->parameters = parameters_;
    request->job = "conformance";
    request->run = "20260101-000000-check";
    request->task = "check";
    request->idempotency_key = "check-" + std::to_string(last_);
    request->working_dir = folder_;
    request->output = OutputFormat::json;
    request->definition = definition_;
    request->scratch = folder_ + "/scratch-" + std::to_string(last_);
    open_.insert(last_);
    operator_->start(std::move(request));
  }
}

void ConformanceAttempts::cancel() {
  // An attempt may end while it is told, so the list is a copy.
  const std::unordered_set<std::int64_t> now = open_;
  for (const std::int64_t attempt : now) operator_->cancel(AttemptId{attempt});
}

void ConformanceAttempts::end(Duration at_most, const std::string& what) {
  is_ending_ = true;
  cancel();
  give_time(at_most);
  if (any_open()) {
    bool are_killed = true;
    const std::unordered_set<std::int64_t> deaf = open_;
    for (const std::int64_t attempt : deaf) {
      are_killed = operator_->kill(AttemptId{attempt}) && are_killed;
    }
    if (are_killed) give_time(at_most);
  }
  is_ending_ = false;
  wait(Duration(0), what);
}

void ConformanceAttempts::until_begun(Duration at_most) {
  bool late = false;
  Timer timer(*loop_, [&late] { late = true; });
  timer.start_after(at_most);
  while (!late && !has_begun_ && any_open()) loop_->run_once(true);
  if (!broken_.empty()) throw ConformanceFailure{broken_};
  if (!has_begun_ && any_open())
    throw ConformanceFailure{"no process of it got ready within " + format_duration(at_most)};
}

void ConformanceAttempts::give_time(Duration span) {
  bool late = false;
  Timer timer(*loop_, [&late] { late = true; });
  timer.start_after(span);
  // What ended at once still has things that the loop puts away.
  loop_->run_once(false);
  while (!late && any_open()) loop_->run_once(true);
}

void ConformanceAttempts::wait(Duration at_most, const std::string& what) {
  give_time(at_most);
  if (any_open()) {
    throw ConformanceFailure{std::to_string(open_.size()) + " of " + std::to_string(last_) +
                             " attempts have not ended " + what};
  }
  if (!broken_.empty()) throw ConformanceFailure{broken_};
}

void ConformanceAttempts::watch_for_second_ends(Duration span) {
  bool late = false;
  Timer timer(*loop_, [&late] { late = true; });
  timer.start_after(span);
  while (!late) loop_->run_once(true);
  if (NativeOperator::late_finishes() > 0) throw ConformanceFailure{"`finish` was called twice"};
  if (ProgramPool::late_finishes() > 0) throw ConformanceFailure{"`finish` was said twice"};
}

void ConformanceAttempts::finished(AttemptId attempt, OperatorResult&& result) {
  open_.erase(attempt.value);
  last_end_ = describe(result);
  const bool never_began = result.reason == Reason::spawn && !is_ending_;
  if (result.breaks_contract || never_began) broken_ = escape_for_terminal(result.message);
  if (result.reason == Reason::lost && !is_ending_) {
    broken_ = "its process died: " + escape_for_terminal(result.message);
  }
}

}  // namespace pawl
