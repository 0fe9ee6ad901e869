// The functions that plugins call (pawl_host of pawl/operator.h), on any thread.

#include <sys/stat.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <utility>

#include "plugins/worker/native_bytes.h"
#include "plugins/worker/native_operator_impl.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"

/// What plugins hold of a watch.
struct pawl_watch {
  pawl::NativeOperator::Impl* owner = nullptr;
  int fd = -1;
  std::unique_ptr<pawl::Poll> poll;
  std::unique_ptr<pawl::Timer> timer;
};

namespace pawl {
namespace {

using Impl = NativeOperator::Impl;
using Said = Impl::Said;

Impl* impl_of(const pawl_host* host) { return reinterpret_cast<const Impl::Table*>(host)->self; }

/// For calls that do something: null, and noted, when they come too late.
std::shared_ptr<NativeAttempt> find_for(pawl_attempt* attempt, const char* call) {
  auto cell = native_attempts().find(attempt);
  if (!cell) native_attempts().note_late(attempt, call);
  return cell;
}

void note_wrong(NativeAttempt& cell, std::string_view what) {
  if (!cell.has_misuse.exchange(true)) cell.misuse->note(cell.id, what);
}

void host_log(pawl_attempt* attempt, int stream, pawl_bytes text) {
  auto cell = find_for(attempt, "log");
  if (!cell) return;
  if (stream != PAWL_STDOUT && stream != PAWL_STDERR)
    note_wrong(*cell, "log got a stream that does not exist; PAWL_STDOUT is taken");
  cell->owner->say({.kind = Said::Kind::log,
                    .attempt = cell->id,
                    .stream = stream == PAWL_STDERR ? LogStream::err : LogStream::out,
                    .text = std::string(view(text))});
}

void host_heartbeat(pawl_attempt* attempt) {
  if (auto cell = find_for(attempt, "heartbeat"))
    cell->owner->say({.kind = Said::Kind::heartbeat, .attempt = cell->id});
}

void host_progress(pawl_attempt* attempt, double fraction, pawl_bytes text) {
  auto cell = find_for(attempt, "progress");
  if (!cell) return;
  const bool is_fraction = fraction >= 0 && fraction <= 1;
  if (!is_fraction) note_wrong(*cell, "progress got a fraction outside of 0 to 1; 0 is taken");
  const double bounded = is_fraction ? fraction : 0;
  cell->owner->say({.kind = Said::Kind::progress,
                    .attempt = cell->id,
                    .text = text_of(text, kToldTextBytesMax),
                    .fraction = bounded});
}

int host_is_cancelled(const pawl_attempt* attempt) {
  auto cell = native_attempts().find(attempt);
  return !cell || cell->is_cancelled.load(std::memory_order_relaxed) ? 1 : 0;
}

int host_secret(const pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  auto cell = native_attempts().find(attempt);
  if (!cell) return 0;
  auto at = cell->request->secrets.find(std::string(view(name)));
  if (at == cell->request->secrets.end()) return 0;
  *value = bytes_of(at->second);
  return 1;
}

std::size_t host_environment(pawl_attempt* attempt, const pawl_bytes** entries) {
  auto cell = native_attempts().find(attempt);
  if (!cell) return 0;
  std::call_once(cell->environment_made, [&] {
    cell->environment = cell->request->environment();
    for (const std::string& entry : cell->environment) cell->entries.push_back(bytes_of(entry));
  });
  *entries = cell->entries.data();
  return cell->entries.size();
}

int host_variable(pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  auto cell = native_attempts().find(attempt);
  if (!cell) return 0;
  if (!view(name).starts_with("PAWL_")) {
    const auto found = cell->request->variable(view(name));
    if (found) *value = bytes_of(*found);
    return found ? 1 : 0;
  }
  const pawl_bytes* entries = nullptr;
  const std::size_t count = host_environment(attempt, &entries);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view entry = view(entries[i]);
    const std::size_t equals = entry.find('=');
    if (entry.substr(0, equals) != view(name)) continue;
    *value = bytes_of(entry.substr(equals + 1));
    return 1;
  }
  return 0;
}

int host_set_handle(pawl_attempt* attempt, pawl_bytes handle) {
  auto cell = find_for(attempt, "set_handle");
  if (!cell) return 0;
  Impl& owner = *cell->owner;
  if (owner.is_on_loop()) return owner.events.set_handle(cell->id, view(handle)) ? 1 : 0;
  auto kept = std::make_shared<std::promise<bool>>();
  auto answer = kept->get_future();
  owner.say({.kind = Said::Kind::call,
             .attempt = cell->id,
             .call = [&owner, id = cell->id, text = std::string(view(handle)), kept] {
               kept->set_value(owner.events.set_handle(id, text));
             }});
  return answer.get() ? 1 : 0;
}

OperatorResult result_of(const pawl_result& result) {
  if (!PAWL_HAS(&result, state)) {
    return broken_result("the operator's result has a table that is too short");
  }
  OperatorResult out;
  out.use.cpu_us = cpu_of_attempt_us();
  out.error_class = text_of(result.error_class, kToldTextBytesMax);
  out.message = text_of(result.message, kToldTextBytesMax);
  out.trace = text_of(result.trace, kToldTextBytesMax);
  switch (result.outcome) {
    case PAWL_SUCCEEDED:
      out.outcome = Outcome::succeeded;
      out.output = view(result.output);
      return out;
    case PAWL_FAILED:
      out.outcome = Outcome::failed;
      out.reason = Reason::error;
      return out;
    case PAWL_FAILED_FOR_GOOD:
      out.outcome = Outcome::failed;
      out.reason = Reason::permanent;
      return out;
    case PAWL_SKIPPED: out.outcome = Outcome::skipped; return out;
    case PAWL_DEFERRED: {
      OperatorResult deferred = deferred_result(result.after_ms, std::string(view(result.state)));
      deferred.use.cpu_us = out.use.cpu_us;
      return deferred;
    }
    default: break;
  }
  OperatorResult broken = broken_result("the operator ended with an outcome that does not exist: " +
                                        std::to_string(static_cast<int>(result.outcome)));
  broken.use.cpu_us = out.use.cpu_us;
  return broken;
}

std::atomic<std::uint64_t> late_finish_count{0};

void host_finish(pawl_attempt* attempt, const pawl_result* result) {
  auto cell = native_attempts().take(attempt);
  if (!cell) {
    late_finish_count.fetch_add(1, std::memory_order_relaxed);
    return native_attempts().note_late(attempt, "finish");
  }
  Impl& owner = *cell->owner;
  owner.finish(std::move(cell), result != nullptr
                                    ? result_of(*result)
                                    : broken_result("the operator ended without a result"));
}

void host_set_data(pawl_attempt* attempt, void* data) {
  if (auto cell = native_attempts().find(attempt)) cell->data = data;
}

void* host_data(const pawl_attempt* attempt) {
  auto cell = native_attempts().find(attempt);
  return cell ? cell->data.load() : nullptr;
}

PollEvents poll_events(int events) {
  PollEvents wanted;
  wanted.readable = (events & PAWL_READABLE) != 0;
  wanted.writable = (events & PAWL_WRITABLE) != 0;
  return wanted;
}

pawl_watch* host_watch_fd(const pawl_host* host, int fd, int events, void (*on_ready)(void*, int),
                          void* data) {
  Impl* owner = impl_of(host);
  struct stat what {};
  // What epoll refuses, and what is watched already, would be an error of the loop.
  if (!owner->is_on_loop() || on_ready == nullptr || fstat(fd, &what) != 0 ||
      S_ISREG(what.st_mode) || S_ISDIR(what.st_mode) || !owner->watched.insert(fd).second) {
    return nullptr;
  }
  auto watch = std::make_unique<pawl_watch>();
  watch->owner = owner;
  watch->fd = fd;
  watch->poll = std::make_unique<Poll>(owner->loop, fd, [on_ready, data](PollEvents ready) {
    const int bits =
        (ready.readable || ready.closed ? PAWL_READABLE : 0) | (ready.writable ? PAWL_WRITABLE : 0);
    on_ready(data, bits);
  });
  watch->poll->watch(poll_events(events));
  return watch.release();
}

void host_change_fd(pawl_watch* watch, int events) {
  if (watch != nullptr && watch->poll) watch->poll->watch(poll_events(events));
}

pawl_watch* host_watch_time(const pawl_host* host, std::int64_t after_ms, void (*on_time)(void*),
                            void* data) {
  Impl* owner = impl_of(host);
  if (!owner->is_on_loop() || on_time == nullptr || after_ms < 0 || after_ms > kDeferralMax.count())
    return nullptr;
  auto watch = std::make_unique<pawl_watch>();
  watch->owner = owner;
  watch->timer = std::make_unique<Timer>(owner->loop, [on_time, data] { on_time(data); });
  watch->timer->start_after(Duration(after_ms));
  return watch.release();
}

void host_unwatch(pawl_watch* watch) {
  std::unique_ptr<pawl_watch> owned(watch);
  if (owned && owned->fd >= 0) owned->owner->watched.erase(owned->fd);
}

void host_post(const pawl_host* host, void (*function)(void*), void* data) {
  impl_of(host)->say({.kind = Said::Kind::call, .call = [function, data] { function(data); }});
}

std::size_t host_hide(const pawl_attempt* attempt, char* text, std::size_t size, int is_cut) {
  auto cell = native_attempts().find(attempt);
  if (!cell || text == nullptr) return 0;
  const Mask* mask = cell->request->mask.get();
  if (mask == nullptr || mask->empty()) return size;
  const std::string_view whole(text, size);
  const std::string hidden = is_cut != 0 ? mask->hide_beginning(whole) : mask->hide(whole);
  hidden.copy(text, size);
  return hidden.size();
}

}  // namespace

void NativeOperator::Impl::fill_host() {
  host.self = this;
  pawl_host& h = host.host;
  h.size = sizeof(h);
  h.abi_version = PAWL_ABI_VERSION;
  h.log = host_log;
  h.heartbeat = host_heartbeat;
  h.progress = host_progress;
  h.is_cancelled = host_is_cancelled;
  h.secret = host_secret;
  h.environment = host_environment;
  h.variable = host_variable;
  h.set_handle = host_set_handle;
  h.finish = host_finish;
  h.set_data = host_set_data;
  h.data = host_data;
  h.watch_fd = host_watch_fd;
  h.change_fd = host_change_fd;
  h.watch_time = host_watch_time;
  h.unwatch = host_unwatch;
  h.post = host_post;
  h.hide = host_hide;
}

std::uint64_t NativeOperator::late_finishes() {
  return late_finish_count.load(std::memory_order_relaxed);
}

}  // namespace pawl
