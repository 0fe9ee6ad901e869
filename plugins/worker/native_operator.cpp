#include "plugins/worker/native_operator.h"

#include <utility>

#include "plugins/worker/crash_record.h"
#include "plugins/worker/native_bytes.h"
#include "plugins/worker/native_operator_impl.h"
#include "scheduler/base/limits.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

/// Attempts wait here as they would wait for a slot: only their number has to end somewhere.
constexpr BlockingThreads::Limits kThreadLimits{.threads_max = 256, .waiting_max = 1'000'000};
/// What threads have said and the loop has not taken: whoever says more waits.
constexpr std::size_t kQueuedBytesMax = 16u << 20;

/// Of a thread of the pool: what it had used when its attempt began; -1 on other threads.
thread_local std::int64_t cpu_at_start_us = -1;

/// What the plugin is told; it points into the request.
pawl_request asked_of(const OperatorRequest& r) {
  pawl_request asked{};
  asked.size = sizeof(asked);
  asked.parameters = bytes_of(r.parameters);
  asked.job = bytes_of(r.job);
  asked.run = bytes_of(r.run);
  asked.task = bytes_of(r.task);
  asked.item = bytes_of(r.item);
  asked.key = bytes_of(r.key);
  asked.index = r.index == kWhole ? -1 : r.index.value;
  asked.number = r.number;
  asked.idempotency_key = bytes_of(r.idempotency_key);
  asked.deadline_ms = r.deadline ? r.deadline->ms : 0;
  asked.working_dir = bytes_of(r.working_dir);
  asked.output_format = bytes_of(to_string(r.output));
  asked.scratch = bytes_of(r.scratch);
  asked.handle = bytes_of(r.handle);
  asked.state = bytes_of(r.state);
  return asked;
}

}  // namespace

std::int64_t cpu_of_attempt_us() {
  return cpu_at_start_us < 0 ? 0 : thread_cpu_us() - cpu_at_start_us;
}

NativeOperator::Impl::Impl(Loop& loop_in, const pawl_operator* table_in, OperatorEvents& events_in)
    : loop(loop_in),
      table(table_in),
      events(events_in),
      loop_thread(std::this_thread::get_id()),
      wakeup(loop_in, [this] { listen(); }),
      misuse(std::make_shared<NativeMisuse>(text_of(table->name, limits::kNameBytesMax), wakeup)),
      threads(kThreadLimits) {
  fill_host();
}

std::size_t NativeOperator::Impl::Said::bytes() const {
  return sizeof(*this) + text.size() + result.output.size() + result.message.size() +
         result.trace.size() + result.state.size();
}

void NativeOperator::Impl::say(Said&& said) {
  if (is_on_loop() && said.kind != Said::Kind::call) return tell(std::move(said));
  {
    std::unique_lock lock(mutex);
    if (!is_on_loop()) room.wait(lock, [this] { return queued_bytes < kQueuedBytesMax; });
    queued_bytes += said.bytes();
    queue.push_back(std::move(said));
    if (queue.size() > 1) return;
  }
  wakeup.wake();
}

void NativeOperator::Impl::listen() {
  std::deque<Said> heard;
  {
    std::lock_guard lock(mutex);
    heard.swap(queue);
    queued_bytes = 0;
  }
  room.notify_all();
  for (Said& said : heard) tell(std::move(said));
  for (const std::string& note : misuse->take()) events.note(note);
}

void NativeOperator::Impl::tell(Said&& said) {
  switch (said.kind) {
    case Said::Kind::log: return events.log(said.attempt, said.stream, said.text);
    case Said::Kind::begins: return events.begins(said.attempt);
    case Said::Kind::heartbeat: return events.heartbeat(said.attempt);
    case Said::Kind::progress: return events.progress(said.attempt, said.fraction, said.text);
    case Said::Kind::finished:
      attempts.erase(said.attempt);
      return events.finished(said.attempt, std::move(said.result));
    case Said::Kind::call: return said.call();
  }
}

void NativeOperator::Impl::finish(std::shared_ptr<NativeAttempt> cell, OperatorResult&& result) {
  if (is_on_loop()) {
    attempts.erase(cell->id);
    return events.finished(cell->id, std::move(result));
  }
  say({.kind = Said::Kind::finished, .attempt = cell->id, .result = std::move(result)});
}

/// Once, for the attempt that needs it first; false: it cannot work, and `open_error` says why.
bool NativeOperator::Impl::open(AttemptId first) {
  if (std::exchange(is_opened, true)) return open_error.empty();
  if (table->open == nullptr) return true;
  pawl_bytes message{};
  const WorksFor working(first);
  if (table->open(&host.host, &self, &message) == 0) return true;
  open_error = text_of(message, limits::kErrorMessageBytesMax);
  if (open_error.empty()) open_error = "the operator cannot work here, and does not say why";
  return false;
}

NativeOperator::NativeOperator(Loop& loop, const pawl_operator* table, OperatorEvents& events)
    : impl_(std::make_unique<Impl>(loop, table, events)) {}

NativeOperator::~NativeOperator() {
  if (impl_->is_opened && impl_->open_error.empty() && impl_->table->close != nullptr)
    impl_->table->close(impl_->self);
}

void NativeOperator::start(std::shared_ptr<const OperatorRequest> request) {
  Impl& impl = *impl_;
  const AttemptId id = request->attempt;
  if (!impl.open(id)) {
    return impl.events.finished(id, failed_result(Reason::error, impl.open_error));
  }
  auto cell = std::make_shared<NativeAttempt>();
  cell->id = id;
  cell->owner = &impl;
  cell->asked = asked_of(*request);
  cell->request = std::move(request);
  cell->misuse = impl.misuse;
  pawl_attempt* attempt = native_attempts().add(cell);
  impl.attempts[id] = attempt;
  if (impl.table->start != nullptr) {
    const WorksFor working(id);
    impl.table->start(impl.self, attempt, &cell->asked);
    return;
  }
  // Before a thread may take it; that it begins is heard after this.
  cell->waits = true;
  const auto is_taken = impl.threads.hand_over([&impl, cell, attempt] {
    if (cell->is_taken.exchange(true)) return;
    if (cell->waits) impl.say({.kind = Impl::Said::Kind::begins, .attempt = cell->id});
    cpu_at_start_us = thread_cpu_us();
    {
      const WorksFor working(cell->id);
      impl.table->run(impl.self, attempt, &cell->asked);
    }
    auto unfinished = native_attempts().take(attempt);
    if (!unfinished) return;
    OperatorResult none = broken_result("the operator returned without a result");
    none.use.cpu_us = cpu_of_attempt_us();
    impl.finish(std::move(unfinished), std::move(none));
  });
  if (!is_taken) {
    native_attempts().take(attempt);
    return impl.finish(std::move(cell), failed_result(Reason::spawn, is_taken.error().message));
  }
  cell->waits = !*is_taken;
  if (!*is_taken) impl.events.waits(id);
}

OperatorBackend::Place NativeOperator::place() const {
  return impl_->table->start != nullptr ? Place::loop : Place::thread;
}

void NativeOperator::cancel(AttemptId id) {
  auto at = impl_->attempts.find(id);
  if (at == impl_->attempts.end()) return;
  pawl_attempt* attempt = at->second;
  auto cell = native_attempts().find(attempt);
  if (!cell || cell->is_cancelled.exchange(true)) return;
  if (impl_->table->start == nullptr && !cell->is_taken.exchange(true)) {
    native_attempts().take(attempt);
    constexpr const char* kWhy = "it was cancelled before a thread was free for it";
    return impl_->finish(std::move(cell), failed_result(Reason::lost, kWhy));
  }
  if (impl_->table->cancel == nullptr) return;
  const WorksFor working(id);
  impl_->table->cancel(impl_->self, attempt);
}

}  // namespace pawl
