#include "plugins/worker/program_operator.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

std::size_t idle_processes_max() { return 4 * static_cast<std::size_t>(default_processes()); }

}  // namespace

/// Keeps account of which attempts are open, between the pools and the host.
class ProgramOperators::Books : public OperatorEvents {
 public:
  Books(OperatorEvents& host, std::unordered_map<AttemptId, ProgramPool*>& attempts)
      : host_(host), attempts_(attempts) {}

  void log(AttemptId attempt, LogStream stream, std::string_view text) override {
    host_.log(attempt, stream, text);
  }
  void heartbeat(AttemptId attempt) override { host_.heartbeat(attempt); }
  void waits(AttemptId attempt) override { host_.waits(attempt); }
  void begins(AttemptId attempt) override { host_.begins(attempt); }
  void progress(AttemptId attempt, double fraction, std::string_view text) override {
    host_.progress(attempt, fraction, text);
  }
  bool set_handle(AttemptId attempt, std::string_view handle) override {
    return host_.set_handle(attempt, handle);
  }
  void finished(AttemptId attempt, OperatorResult&& result) override {
    attempts_.erase(attempt);
    host_.finished(attempt, std::move(result));
  }
  void note(const std::string& text) override { host_.note(text); }

 private:
  OperatorEvents& host_;
  std::unordered_map<AttemptId, ProgramPool*>& attempts_;
};

ProgramOperators::ProgramOperators(Loop& loop, ProgramHost& host,
                                   std::unique_ptr<ProgramSource> source, OperatorEvents& events,
                                   Duration idle_after)
    : loop_(loop),
      host_(host),
      events_(events),
      source_(std::move(source)),
      idle_after_(idle_after),
      books_(std::make_unique<Books>(events, attempts_)),
      idle_timer_(loop, [this] { end_idle(); }) {}

ProgramOperators::~ProgramOperators() = default;

void ProgramOperators::start(std::shared_ptr<const OperatorRequest> attempt) {
  const AttemptId id = attempt->attempt;
  ProgramRequest request{attempt, attempt->environment()};
  auto key = source_->key(request);
  if (!key) return refuse(id, key.error().message);
  auto [at, is_new] = pools_.try_emplace(std::move(*key));
  if (is_new) {
    auto spec = source_->spec(request);
    if (!spec) {
      pools_.erase(at);
      return refuse(id, spec.error().message);
    }
    at->second = std::make_unique<ProgramPool>(loop_, host_, *books_, std::move(*spec));
    end_surplus();
  }
  attempts_[id] = at->second.get();
  at->second->start(std::move(request));
  if (!idle_timer_.armed()) idle_timer_.start_after(idle_after_);
}

void ProgramOperators::refuse(AttemptId attempt, std::string message) {
  events_.finished(attempt, failed_result(Reason::permanent, std::move(message)));
}

ProgramPool* ProgramOperators::pool_of(AttemptId attempt) const {
  const auto at = attempts_.find(attempt);
  return at == attempts_.end() ? nullptr : at->second;
}

void ProgramOperators::cancel(AttemptId attempt) {
  if (ProgramPool* pool = pool_of(attempt)) pool->cancel(attempt);
}

bool ProgramOperators::kill(AttemptId attempt) {
  if (ProgramPool* pool = pool_of(attempt)) pool->kill(attempt);
  return true;
}

/// A thousand folders, each with an interpreter of its own, would have a thousand of them at once:
/// those go first that have waited longest.
void ProgramOperators::end_surplus() {
  std::vector<MonoTime> since;
  for (const auto& [key, pool] : pools_) pool->add_idle(since);
  if (since.size() <= idle_processes_max()) return;
  const auto last = since.end() - static_cast<std::ptrdiff_t>(idle_processes_max()) - 1;
  std::nth_element(since.begin(), last, since.end());
  for (auto& [key, pool] : pools_) pool->end_idle(*last);
}

void ProgramOperators::end_idle() {
  for (auto& [key, pool] : pools_) pool->end_idle(mono_now() - idle_after_);
  std::erase_if(pools_, [](const auto& entry) { return entry.second->is_empty(); });
  if (!pools_.empty()) idle_timer_.start_after(idle_after_ / 4);
}

std::unique_ptr<OperatorBackend> make_program_operator(Loop& loop, ProgramHost& host,
                                                       Manifest manifest, OperatorEvents& events) {
  return std::make_unique<ProgramOperators>(
      loop, host, manifest_source(std::move(manifest), default_processes()), events);
}

}  // namespace pawl
