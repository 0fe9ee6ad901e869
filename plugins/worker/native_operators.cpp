#include "plugins/worker/native_operators.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "plugins/worker/blocking_threads.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/wakeup.h"

namespace pawl {
namespace {

constexpr std::size_t kThreadsMax = 256;
constexpr std::size_t kHandleBytesMax = 4u << 10;
constexpr std::size_t kStateBytesMax = 64u << 10;
constexpr std::int64_t kDeferMsMax = std::int64_t{366} * 24 * 3600 * 1000;
/// Text that threads have logged and the loop has not taken: whoever logs more waits.
constexpr std::size_t kQueuedBytesMax = 16u << 20;

std::string_view view(pawl_bytes bytes) {
  return bytes.data == nullptr ? std::string_view() : std::string_view(bytes.data, bytes.size);
}
pawl_bytes bytes_of(std::string_view text) { return {text.data(), text.size()}; }

/// Text for people from a plugin: at most so long, valid UTF-8.
std::string text_of(pawl_bytes bytes, std::size_t bytes_max) {
  std::string_view text = view(bytes).substr(0, bytes_max);
  return is_utf8(text) ? std::string(text) : escape_for_terminal(text);
}

/// True when the field at `offset` of a table of `size` bytes exists.
bool has_field(std::size_t size, std::size_t offset, std::size_t bytes) {
  return size >= offset + bytes;
}
#define PAWL_HAS(table, field)                                                       \
  has_field((table)->size, offsetof(std::remove_cvref_t<decltype(*(table))>, field), \
            sizeof((table)->field))

/// Of a thread of the pool: what it had used when its attempt began; -1 on other threads.
thread_local std::int64_t cpu_at_start_us = -1;

std::int64_t thread_cpu_us() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::int64_t{used.tv_sec} * 1'000'000 + used.tv_nsec / 1000;
}

}  // namespace

// Libraries --------------------------------------------------------------------------------------

Result<NativeLibrary> NativeLibrary::load(const std::string& path) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::invalid, path + ": " + what};
  };
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return Error{ErrorKind::invalid, why != nullptr ? why : path + ": cannot be loaded"};
  }
  void* symbol = dlsym(library, "pawl_plugin_v1");
  if (symbol == nullptr) return wrong("is no plugin: it does not export pawl_plugin_v1");
  const pawl_plugin* plugin = reinterpret_cast<const pawl_plugin* (*)()>(symbol)();
  if (plugin == nullptr) return wrong("pawl_plugin_v1 returned nothing");
  if (plugin->abi_version != PAWL_ABI_VERSION) {
    return wrong("speaks version " + std::to_string(plugin->abi_version) +
                 " of the operator interface, this pawl version " +
                 std::to_string(PAWL_ABI_VERSION) + ": build it anew");
  }
  if (!PAWL_HAS(plugin, operator_count)) return wrong("its table pawl_plugin is too short");
  NativeLibrary out;
  out.version_ = text_of(plugin->version, 128);
  for (std::size_t i = 0; i < plugin->operator_count; ++i) {
    const pawl_operator* one = plugin->operators[i];
    if (one == nullptr || !PAWL_HAS(one, cancel)) {
      return wrong("its operator number " + std::to_string(i + 1) +
                   " has a table that is too short");
    }
    if ((one->run == nullptr) == (one->start == nullptr)) {
      return wrong("operator " + text_of(one->name, 64) +
                   " must have exactly one of run and start");
    }
    if (one->start != nullptr && one->cancel == nullptr) {
      return wrong("operator " + text_of(one->name, 64) + " has start and no cancel");
    }
    out.operators_.push_back(one);
  }
  if (out.operators_.empty()) return wrong("has no operators");
  return out;
}

std::vector<OperatorDescription> NativeLibrary::describe() const {
  std::vector<OperatorDescription> all;
  for (const pawl_operator* one : operators_) {
    all.push_back({text_of(one->name, limits::kNameBytesMax),
                   text_of(one->summary, limits::kErrorMessageBytesMax),
                   std::string(view(one->schema))});
  }
  return all;
}

// Attempts ---------------------------------------------------------------------------------------

namespace {

struct Cell {
  AttemptId id;
  NativeOperator::Impl* owner = nullptr;
  std::shared_ptr<const OperatorRequest> request;
  pawl_request asked{};
  std::atomic<bool> is_cancelled{false};
  std::atomic<void*> data{nullptr};
  std::once_flag environment_made;
  std::vector<std::string> environment;
  std::vector<pawl_bytes> entries;
};

/// The attempts of this process by the number that plugins take for a pointer.
class Registry {
 public:
  pawl_attempt* add(std::shared_ptr<Cell> cell) {
    const std::uintptr_t number = next_.fetch_add(1, std::memory_order_relaxed);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    shard.cells.emplace(number, std::move(cell));
    return reinterpret_cast<pawl_attempt*>(number);
  }
  std::shared_ptr<Cell> find(const pawl_attempt* attempt) {
    const auto number = reinterpret_cast<std::uintptr_t>(attempt);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    auto at = shard.cells.find(number);
    return at == shard.cells.end() ? nullptr : at->second;
  }
  std::shared_ptr<Cell> take(const pawl_attempt* attempt) {
    const auto number = reinterpret_cast<std::uintptr_t>(attempt);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    auto at = shard.cells.extract(number);
    return at.empty() ? nullptr : std::move(at.mapped());
  }

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::uintptr_t, std::shared_ptr<Cell>> cells;
  };
  Shard& shard_of(std::uintptr_t number) { return shards_[number % shards_.size()]; }

  std::atomic<std::uintptr_t> next_{1};
  std::array<Shard, 16> shards_;
};

/// Plugins hold threads that outlive everything: it is never destroyed.
Registry& registry() {
  static Registry* const kOne = new Registry;
  return *kOne;
}

}  // namespace

struct NativeOperator::Impl {
  /// Handed to the plugin; the functions find their way back by it.
  struct Table {
    pawl_host host{};
    Impl* self = nullptr;
  };
  /// What threads of the plugin have said, in order.
  struct Said {
    enum class Kind : std::uint8_t { log, heartbeat, progress, finished, call } kind;
    AttemptId attempt;
    LogStream stream = LogStream::out;
    std::string text;
    double fraction = 0;
    OperatorResult result;
    std::function<void()> call;
  };

  Impl(Loop& loop_in, const pawl_operator* table_in, OperatorEvents& events_in)
      : loop(loop_in),
        table(table_in),
        events(events_in),
        loop_thread(std::this_thread::get_id()),
        wakeup(loop_in, [this] { listen(); }),
        threads(kThreadsMax) {
    fill_host();
  }

  bool is_on_loop() const { return std::this_thread::get_id() == loop_thread; }
  void fill_host();
  void say(Said&& said);
  void listen();
  void tell(Said&& said);
  void finish(std::shared_ptr<Cell> cell, OperatorResult&& result);
  bool open();

  Loop& loop;
  const pawl_operator* table;
  OperatorEvents& events;
  const std::thread::id loop_thread;
  Table host;
  void* self = nullptr;
  bool is_opened = false;
  std::string open_error;
  std::unordered_map<AttemptId, pawl_attempt*> attempts;  ///< loop only
  std::set<int> watched;                                  ///< loop only

  std::mutex mutex;
  std::condition_variable room;
  std::deque<Said> queue;
  std::size_t queued_bytes = 0;
  Wakeup wakeup;
  BlockingThreads threads;
};

}  // namespace pawl

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

void host_log(pawl_attempt* attempt, int stream, pawl_bytes text) {
  auto cell = registry().find(attempt);
  if (!cell) return;
  Said said{Said::Kind::log, cell->id, {}, {}, 0, {}, {}};
  said.stream = stream == PAWL_STDERR ? LogStream::err : LogStream::out;
  said.text = view(text);
  cell->owner->say(std::move(said));
}

void host_heartbeat(pawl_attempt* attempt) {
  if (auto cell = registry().find(attempt))
    cell->owner->say({Said::Kind::heartbeat, cell->id, {}, {}, 0, {}, {}});
}

void host_progress(pawl_attempt* attempt, double fraction, pawl_bytes text) {
  auto cell = registry().find(attempt);
  if (!cell) return;
  const double bounded = fraction >= 0 && fraction <= 1 ? fraction : 0;
  cell->owner->say({Said::Kind::progress, cell->id, {}, text_of(text, 1024), bounded, {}, {}});
}

int host_is_cancelled(const pawl_attempt* attempt) {
  auto cell = registry().find(attempt);
  return !cell || cell->is_cancelled.load(std::memory_order_relaxed) ? 1 : 0;
}

int host_secret(const pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  auto cell = registry().find(attempt);
  if (!cell) return 0;
  auto at = cell->request->secrets.find(std::string(view(name)));
  if (at == cell->request->secrets.end()) return 0;
  *value = bytes_of(at->second);
  return 1;
}

std::size_t host_environment(pawl_attempt* attempt, const pawl_bytes** entries) {
  auto cell = registry().find(attempt);
  if (!cell) return 0;
  std::call_once(cell->environment_made, [&] {
    cell->environment = cell->request->environment();
    for (const std::string& entry : cell->environment) cell->entries.push_back(bytes_of(entry));
  });
  *entries = cell->entries.data();
  return cell->entries.size();
}

int host_variable(pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  auto cell = registry().find(attempt);
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
  auto cell = registry().find(attempt);
  if (!cell || handle.size > kHandleBytesMax || !is_utf8(view(handle))) return 0;
  Impl& owner = *cell->owner;
  if (owner.is_on_loop()) return owner.events.set_handle(cell->id, view(handle)) ? 1 : 0;
  auto kept = std::make_shared<std::promise<bool>>();
  auto answer = kept->get_future();
  owner.say({Said::Kind::call,
             cell->id,
             {},
             {},
             0,
             {},
             [&owner, id = cell->id, text = std::string(view(handle)), kept] {
               kept->set_value(owner.events.set_handle(id, text));
             }});
  return answer.get() ? 1 : 0;
}

std::atomic<std::uint64_t> late_finish_count{0};

void host_finish(pawl_attempt* attempt, const pawl_result* result) {
  auto cell = registry().take(attempt);
  if (!cell) late_finish_count.fetch_add(1, std::memory_order_relaxed);
  if (!cell || result == nullptr) return;
  OperatorResult out;
  if (!PAWL_HAS(result, state)) {
    out.outcome = Outcome::failed;
    out.reason = Reason::permanent;
    out.message = "the operator's result has a table that is too short";
    NativeOperator::Impl& owner = *cell->owner;
    return owner.finish(std::move(cell), std::move(out));
  }
  if (cpu_at_start_us >= 0) out.cpu_us = thread_cpu_us() - cpu_at_start_us;
  out.error_class = text_of(result->error_class, 128);
  out.message = text_of(result->message, limits::kErrorMessageBytesMax);
  out.trace = text_of(result->trace, limits::kJournalInlineBytesMax);
  switch (result->outcome) {
    case PAWL_SUCCEEDED:
      out.outcome = Outcome::succeeded;
      out.output = view(result->output);
      break;
    case PAWL_FAILED:
      out.outcome = Outcome::failed;
      out.reason = Reason::error;
      break;
    case PAWL_FAILED_FOR_GOOD:
      out.outcome = Outcome::failed;
      out.reason = Reason::permanent;
      break;
    case PAWL_SKIPPED: out.outcome = Outcome::skipped; break;
    case PAWL_DEFERRED:
      out.outcome = Outcome::deferred;
      out.after = Duration(result->after_ms);
      out.state = view(result->state);
      if (result->after_ms < 0 || result->after_ms > kDeferMsMax ||
          out.state.size() > kStateBytesMax) {
        out = {};
        out.outcome = Outcome::failed;
        out.reason = Reason::permanent;
        out.message = "the operator deferred itself by an impossible time, or with over 64 KiB";
      }
      break;
    default:
      out.outcome = Outcome::failed;
      out.reason = Reason::permanent;
      out.message = "the operator ended with an outcome that does not exist";
  }
  Impl* owner = cell->owner;
  owner->finish(std::move(cell), std::move(out));
}

void host_set_data(pawl_attempt* attempt, void* data) {
  if (auto cell = registry().find(attempt)) cell->data = data;
}

void* host_data(const pawl_attempt* attempt) {
  auto cell = registry().find(attempt);
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
  if (!owner->is_on_loop() || on_time == nullptr || after_ms < 0 || after_ms > kDeferMsMax)
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
  impl_of(host)->say({Said::Kind::call, {}, {}, {}, 0, {}, [function, data] { function(data); }});
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
}

void NativeOperator::Impl::say(Said&& said) {
  if (is_on_loop() && said.kind != Said::Kind::call) return tell(std::move(said));
  {
    std::unique_lock lock(mutex);
    if (!is_on_loop()) room.wait(lock, [this] { return queued_bytes < kQueuedBytesMax; });
    queued_bytes += said.text.size();
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
}

void NativeOperator::Impl::tell(Said&& said) {
  switch (said.kind) {
    case Said::Kind::log: return events.log(said.attempt, said.stream, said.text);
    case Said::Kind::heartbeat: return events.heartbeat(said.attempt);
    case Said::Kind::progress: return events.progress(said.attempt, said.fraction, said.text);
    case Said::Kind::finished:
      attempts.erase(said.attempt);
      return events.finished(said.attempt, std::move(said.result));
    case Said::Kind::call: return said.call();
  }
}

void NativeOperator::Impl::finish(std::shared_ptr<Cell> cell, OperatorResult&& result) {
  if (is_on_loop()) {
    attempts.erase(cell->id);
    return events.finished(cell->id, std::move(result));
  }
  say({Said::Kind::finished, cell->id, {}, {}, 0, std::move(result), {}});
}

/// Once; false: it cannot work, and `open_error` says why.
bool NativeOperator::Impl::open() {
  if (std::exchange(is_opened, true)) return open_error.empty();
  if (table->open == nullptr) return true;
  pawl_bytes message{};
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
  if (!impl.open()) {
    OperatorResult refused;
    refused.outcome = Outcome::failed;
    refused.reason = Reason::error;
    refused.message = impl.open_error;
    return impl.events.finished(id, std::move(refused));
  }
  auto cell = std::make_shared<Cell>();
  cell->id = id;
  cell->owner = &impl;
  const OperatorRequest& r = *request;
  pawl_request& asked = cell->asked;
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
  cell->request = std::move(request);
  pawl_attempt* attempt = registry().add(cell);
  impl.attempts[id] = attempt;
  if (impl.table->start != nullptr) {
    impl.table->start(impl.self, attempt, &cell->asked);
    return;
  }
  impl.threads.run([&impl, cell, attempt] {
    cpu_at_start_us = thread_cpu_us();
    impl.table->run(impl.self, attempt, &cell->asked);
    auto unfinished = registry().take(attempt);
    if (!unfinished) return;
    OperatorResult none;
    none.outcome = Outcome::failed;
    none.reason = Reason::permanent;
    none.message = "the operator returned without a result";
    none.cpu_us = thread_cpu_us() - cpu_at_start_us;
    impl.finish(std::move(unfinished), std::move(none));
  });
}

std::uint64_t NativeOperator::late_finishes() {
  return late_finish_count.load(std::memory_order_relaxed);
}

void NativeOperator::cancel(AttemptId id) {
  auto at = impl_->attempts.find(id);
  if (at == impl_->attempts.end()) return;
  pawl_attempt* attempt = at->second;
  auto cell = registry().find(attempt);
  if (!cell || cell->is_cancelled.exchange(true)) return;
  if (impl_->table->cancel != nullptr) impl_->table->cancel(impl_->self, attempt);
}

}  // namespace pawl
