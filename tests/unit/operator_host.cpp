#include "tests/unit/operator_host.h"

#include <dlfcn.h>

#include <atomic>
#include <utility>

#include "plugins/worker/mask.h"
#include "plugins/worker/operator_backend.h"
#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"
#include "scheduler/spec/value_schema.h"
#include "tests/unit/loop_support.h"

namespace {

pawl_bytes bytes(const std::string& text) { return {text.data(), text.size()}; }
std::string text_of(pawl_bytes value) {
  return value.size == 0 ? std::string() : std::string(value.data, value.size);
}

}  // namespace

struct pawl_attempt final : pawl::test::TestAttempt {
  pawl::test::OperatorHost::Impl* host = nullptr;
  pawl::test::Ask ask;
  std::vector<pawl_bytes> environment;
  pawl_request request{};
  std::thread thread;
  std::atomic<bool> cancelled = false;
  std::atomic<bool> finished = false;
  void* data = nullptr;

  mutable std::mutex mutex;  // guards all below
  std::string log_text;
  std::string log_error_text;
  std::string handle_text;
  int heartbeat_count = 0;
  double progress_value = 0;
  std::optional<pawl::test::End> ended;

  std::optional<pawl::test::End> end() const override {
    const std::scoped_lock lock(mutex);
    return ended;
  }
  std::string log() const override {
    const std::scoped_lock lock(mutex);
    return log_text;
  }
  std::string log_error() const override {
    const std::scoped_lock lock(mutex);
    return log_error_text;
  }
  std::string handle() const override {
    const std::scoped_lock lock(mutex);
    return handle_text;
  }
  int heartbeats() const override {
    const std::scoped_lock lock(mutex);
    return heartbeat_count;
  }
  double progress() const override {
    const std::scoped_lock lock(mutex);
    return progress_value;
  }
};

struct pawl_watch {
  std::unique_ptr<pawl::Poll> poll;
  std::unique_ptr<pawl::Timer> timer;
};

namespace pawl::test {

/// What functions that know no attempt are given is the table: it is also the host.
struct OperatorHost::Impl : pawl_host {
  struct Posted {
    void (*function)(void*);
    void* data;
  };

  Loop& loop;
  const pawl_operator* table = nullptr;
  void* self = nullptr;
  std::string refusal;
  Json schema;
  std::string checked;  ///< the parameters that were checked last
  std::list<pawl_attempt> attempts;

  std::mutex mutex;  // guards `posted`
  std::vector<Posted> posted;
  Wakeup wakeup;

  Impl(Loop& its_loop, const std::string& plugin, const std::string& name);
  ~Impl();
  void fill_table();
  void run_posted();
  bool all_ended() const;
};

namespace {

void host_log(pawl_attempt* attempt, int stream, pawl_bytes text) {
  PAWL_CHECK(!attempt->finished);
  const std::scoped_lock lock(attempt->mutex);
  attempt->log_text += text_of(text);
  if (stream == PAWL_STDERR) attempt->log_error_text += text_of(text);
}

void host_heartbeat(pawl_attempt* attempt) {
  const std::scoped_lock lock(attempt->mutex);
  ++attempt->heartbeat_count;
}

void host_progress(pawl_attempt* attempt, double fraction, pawl_bytes) {
  const std::scoped_lock lock(attempt->mutex);
  attempt->progress_value = fraction;
}

int host_is_cancelled(const pawl_attempt* attempt) { return attempt->cancelled ? 1 : 0; }

int host_secret(const pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  const auto found = attempt->ask.secrets.find(text_of(name));
  if (found == attempt->ask.secrets.end()) return 0;
  *value = bytes(found->second);
  return 1;
}

std::size_t host_hide(const pawl_attempt* attempt, char* text, std::size_t size, int is_cut) {
  std::vector<std::string> secrets;
  for (const auto& [name, value] : attempt->ask.secrets) secrets.push_back(value);
  const Mask mask(std::move(secrets));
  const std::string_view whole(text, size);
  const std::string hidden = is_cut != 0 ? mask.hide_beginning(whole) : mask.hide(whole);
  hidden.copy(text, size);
  return hidden.size();
}

std::size_t host_environment(pawl_attempt* attempt, const pawl_bytes** entries) {
  *entries = attempt->environment.data();
  return attempt->environment.size();
}

int host_variable(pawl_attempt* attempt, pawl_bytes name, pawl_bytes* value) {
  const std::string wanted = std::string(name.data, name.size) + "=";
  for (const pawl_bytes& entry : attempt->environment) {
    if (!std::string_view(entry.data, entry.size).starts_with(wanted)) continue;
    *value = {entry.data + wanted.size(), entry.size - wanted.size()};
    return 1;
  }
  return 0;
}

int host_set_handle(pawl_attempt* attempt, pawl_bytes handle) {
  if (handle.size > 4096) return 0;
  const std::scoped_lock lock(attempt->mutex);
  attempt->handle_text = text_of(handle);
  return 1;
}

void host_finish(pawl_attempt* attempt, const pawl_result* result) {
  const bool twice = attempt->finished.exchange(true);
  PAWL_CHECK(!twice);
  PAWL_CHECK(result->state.size <= (64u << 10));
  PAWL_CHECK(result->outcome != PAWL_DEFERRED ||
             (result->after_ms >= 0 && result->after_ms <= kDeferralMax.count()));
  End end{result->outcome,          text_of(result->output), text_of(result->error_class),
          text_of(result->message), text_of(result->trace),  Duration(result->after_ms),
          text_of(result->state)};
  {
    const std::scoped_lock lock(attempt->mutex);
    attempt->ended = std::move(end);
  }
  if (attempt->ask.on_end) attempt->ask.on_end();
  attempt->host->wakeup.wake();
}

void host_set_data(pawl_attempt* attempt, void* data) { attempt->data = data; }
void* host_data(const pawl_attempt* attempt) { return attempt->data; }

PollEvents events_of(int events) {
  PollEvents out;
  out.readable = (events & PAWL_READABLE) != 0;
  out.writable = (events & PAWL_WRITABLE) != 0;
  return out;
}

OperatorHost::Impl& impl_of(const pawl_host* host) {
  return *const_cast<OperatorHost::Impl*>(static_cast<const OperatorHost::Impl*>(host));
}

pawl_watch* host_watch_fd(const pawl_host* host, int fd, int events, void (*on_ready)(void*, int),
                          void* data) {
  auto watch = std::make_unique<pawl_watch>();
  watch->poll = std::make_unique<Poll>(impl_of(host).loop, fd, [on_ready, data](PollEvents ready) {
    on_ready(data, (ready.readable ? PAWL_READABLE : 0) | (ready.writable ? PAWL_WRITABLE : 0));
  });
  watch->poll->watch(events_of(events));
  return watch.release();
}

void host_change_fd(pawl_watch* watch, int events) { watch->poll->watch(events_of(events)); }

pawl_watch* host_watch_time(const pawl_host* host, std::int64_t after_ms, void (*on_time)(void*),
                            void* data) {
  if (after_ms < 0 || after_ms > kDeferralMax.count()) return nullptr;
  auto watch = std::make_unique<pawl_watch>();
  watch->timer = std::make_unique<Timer>(impl_of(host).loop, [on_time, data] { on_time(data); });
  watch->timer->start_after(Duration(after_ms));
  return watch.release();
}

void host_unwatch(pawl_watch* watch) { delete watch; }

void host_post(const pawl_host* host, void (*function)(void*), void* data) {
  OperatorHost::Impl& impl = impl_of(host);
  {
    const std::scoped_lock lock(impl.mutex);
    impl.posted.push_back({function, data});
  }
  impl.wakeup.wake();
}

const pawl_operator* find_operator(const std::string& plugin, const std::string& name) {
  const std::string path = std::string(PAWL_OPERATORS_DIR) + "/" + plugin + ".so";
  // Never unloaded: what leaked in it must keep its names for the sanitizers.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) std::fprintf(stderr, "%s\n", ::dlerror());
  PAWL_CHECK(library != nullptr);
  void* symbol = ::dlsym(library, "pawl_plugin_v1");
  PAWL_CHECK(symbol != nullptr);
  const pawl_plugin* table = reinterpret_cast<const pawl_plugin* (*)()>(symbol)();
  PAWL_CHECK(table->abi_version == PAWL_ABI_VERSION);
  for (std::size_t i = 0; i < table->operator_count; ++i) {
    if (text_of(table->operators[i]->name) == name) return table->operators[i];
  }
  check_failed("the library has this operator", path.c_str(), 0);
}

void fill_request(pawl_attempt& attempt) {
  const Ask& ask = attempt.ask;
  for (const std::string& entry : ask.environment) attempt.environment.push_back(bytes(entry));
  pawl_request& request = attempt.request;
  request.size = sizeof(request);
  request.parameters = bytes(ask.with);
  request.job = bytes(ask.job);
  request.run = bytes(ask.run);
  request.task = bytes(ask.task);
  request.item = bytes(ask.item);
  request.key = bytes(ask.key);
  request.index = ask.index;
  request.number = ask.number;
  request.idempotency_key = bytes(ask.idempotency_key);
  request.deadline_ms = ask.deadline_ms;
  request.working_dir = bytes(ask.working_dir);
  request.output_format = bytes(ask.output);
  request.scratch = bytes(ask.scratch);
  request.handle = bytes(ask.handle);
  request.state = bytes(ask.state);
}

}  // namespace

OperatorHost::Impl::Impl(Loop& its_loop, const std::string& plugin, const std::string& name)
    : pawl_host{},
      loop(its_loop),
      table(find_operator(plugin, name)),
      wakeup(its_loop, [this] { run_posted(); }) {
  fill_table();
  schema = Json::parse(text_of(table->schema));
  for (const SchemaError& error : check_operator_schema(schema)) {
    std::fprintf(stderr, "%s: %s\n", error.pointer.c_str(), error.message.c_str());
  }
  PAWL_CHECK(check_operator_schema(schema).empty());
  PAWL_CHECK((table->run == nullptr) != (table->start == nullptr));
  pawl_bytes message{};
  if (table->open != nullptr && table->open(this, &self, &message) != 0) {
    refusal = message.size == 0 ? "no reason given" : text_of(message);
  }
}

OperatorHost::Impl::~Impl() {
  for (pawl_attempt& attempt : attempts) {
    if (attempt.finished || attempt.cancelled.exchange(true) || table->cancel == nullptr) continue;
    table->cancel(self, &attempt);
  }
  PAWL_CHECK(run_until(loop, [this] { return all_ended(); }));
  for (pawl_attempt& attempt : attempts) {
    if (attempt.thread.joinable()) attempt.thread.join();
  }
  run_posted();
  if (refusal.empty() && table->close != nullptr) table->close(self);
}

void OperatorHost::Impl::fill_table() {
  pawl_host::size = sizeof(pawl_host);
  abi_version = PAWL_ABI_VERSION;
  log = host_log;
  heartbeat = host_heartbeat;
  progress = host_progress;
  is_cancelled = host_is_cancelled;
  secret = host_secret;
  environment = host_environment;
  variable = host_variable;
  set_handle = host_set_handle;
  finish = host_finish;
  set_data = host_set_data;
  data = host_data;
  watch_fd = host_watch_fd;
  change_fd = host_change_fd;
  watch_time = host_watch_time;
  unwatch = host_unwatch;
  post = host_post;
  hide = host_hide;
}

void OperatorHost::Impl::run_posted() {
  std::vector<Posted> due;
  {
    const std::scoped_lock lock(mutex);
    due.swap(posted);
  }
  for (const Posted& call : due) call.function(call.data);
}

bool OperatorHost::Impl::all_ended() const {
  for (const pawl_attempt& attempt : attempts) {
    if (!attempt.finished) return false;
  }
  return true;
}

OperatorHost::OperatorHost(Loop& loop, const std::string& plugin, const std::string& name)
    : impl_(std::make_unique<Impl>(loop, plugin, name)) {}
OperatorHost::~OperatorHost() = default;

const std::string& OperatorHost::refusal() const { return impl_->refusal; }

std::optional<std::string> OperatorHost::violation(const std::string& with) const {
  return schema_violation(impl_->schema, Json::parse(with));
}

TestAttempt& OperatorHost::start(const Ask& ask) {
  PAWL_CHECK(impl_->refusal.empty());
  // The same parameters are checked once: a check reads the whole schema.
  const bool is_new = std::exchange(impl_->checked, ask.with) != ask.with;
  if (const auto wrong = is_new ? violation(ask.with) : std::nullopt) {
    std::fprintf(stderr, "%s: %s\n", ask.with.c_str(), wrong->c_str());
    check_failed("the parameters fit the schema", __FILE__, __LINE__);
  }
  pawl_attempt& attempt = impl_->attempts.emplace_back();
  attempt.host = impl_.get();
  attempt.ask = ask;
  fill_request(attempt);
  const pawl_operator* table = impl_->table;
  void* self = impl_->self;
  if (table->start != nullptr) {
    table->start(self, &attempt, &attempt.request);
  } else {
    attempt.thread = std::thread([table, self, &attempt] {
      table->run(self, &attempt, &attempt.request);
      PAWL_CHECK(attempt.finished);
    });
  }
  return attempt;
}

void OperatorHost::cancel(TestAttempt& attempt) {
  auto& its = static_cast<pawl_attempt&>(attempt);
  if (its.finished || its.cancelled.exchange(true) || impl_->table->cancel == nullptr) return;
  impl_->table->cancel(impl_->self, &its);
}

End OperatorHost::run(const Ask& ask) {
  TestAttempt& attempt = start(ask);
  PAWL_CHECK(run_until(impl_->loop, [&] { return attempt.end().has_value(); }));
  End end = *attempt.end();
  forget(attempt);
  return end;
}

End OperatorHost::run_through(Ask ask, int deferrals_max) {
  for (int deferrals = 0;; ++deferrals) {
    End end = run(ask);
    if (end.outcome != PAWL_DEFERRED || deferrals == deferrals_max) return end;
    ask.state = end.state;
  }
}

void OperatorHost::forget(TestAttempt& attempt) {
  auto& its = static_cast<pawl_attempt&>(attempt);
  PAWL_CHECK(its.finished);
  if (its.thread.joinable()) its.thread.join();
  impl_->attempts.remove_if([&its](const pawl_attempt& one) { return &one == &its; });
}

}  // namespace pawl::test
