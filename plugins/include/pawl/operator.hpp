// Operators in C++17: a class with a name, a summary, a schema and one function, over
// pawl/operator.h, whose contract holds here too. Standard library only.
//
//     using namespace pawl::plugin;
//     struct Greet {
//       static constexpr const char* kName = "greet";
//       static constexpr const char* kSummary = "Says hello";
//       static constexpr const char* kSchema = R"({"type": "object"})";
//       Result run(Attempt& attempt, const Request& request) {
//         attempt.log("hello\n");
//         return Result::success();
//       }
//     };
//     PAWL_PLUGIN("1.0", Greet)
//
// A class with `Result run(Attempt&, const Request&)` blocks a thread of the host's pool; it may
// have `void cancel(Attempt&)`. A class with `void start(Attempt, const Request&)` and
// `void cancel(Attempt)` is asynchronous: everything on the loop, and `Attempt::finish` ends it. A
// class may have a constructor that takes a `Host`; it is made once per host process, and an
// exception it throws fails every attempt with its text. What `run` or `start` throws fails the
// attempt, with the type's name as the class of the error.
#ifndef PAWL_OPERATOR_HPP
#define PAWL_OPERATOR_HPP

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#if defined(__GNUC__)
#include <cxxabi.h>
#endif

#include "pawl/operator.h"

namespace pawl::plugin {

inline pawl_bytes to_bytes(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(pawl_bytes bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

/// The longest deferral, and the longest that a TimeWatch takes.
inline constexpr std::chrono::milliseconds kWaitMax = std::chrono::hours(24 * 366);

/// How an attempt ends.
struct Result {
  pawl_outcome outcome = PAWL_SUCCEEDED;
  std::string output;
  std::string error_class;
  std::string message;
  std::string trace;
  std::chrono::milliseconds after{0};
  std::string state;

  static Result success(std::string output = {}) {
    Result result;
    result.output = std::move(output);
    return result;
  }
  /// Retried as the task says.
  static Result failure(std::string message, std::string error_class = {}, std::string trace = {}) {
    Result result;
    result.outcome = PAWL_FAILED;
    result.message = std::move(message);
    result.error_class = std::move(error_class);
    result.trace = std::move(trace);
    return result;
  }
  /// Another attempt would fail in the same way.
  static Result permanent(std::string message, std::string error_class = {},
                          std::string trace = {}) {
    Result result = failure(std::move(message), std::move(error_class), std::move(trace));
    result.outcome = PAWL_FAILED_FOR_GOOD;
    return result;
  }
  static Result skipped(std::string message = {}) {
    Result result;
    result.outcome = PAWL_SKIPPED;
    result.message = std::move(message);
    return result;
  }
  /// Look again later, without a slot meanwhile; `state` comes back as Request::state. Beyond
  /// `kWaitMax` the attempt fails for good.
  static Result deferred(std::chrono::milliseconds after, std::string state = {}) {
    Result result;
    result.outcome = PAWL_DEFERRED;
    result.after = after;
    result.state = std::move(state);
    return result;
  }
};

/// An attempt: a pointer and the host's functions for it. Copied freely.
class Attempt {
 public:
  Attempt(const pawl_host* host, pawl_attempt* attempt) : host_(host), attempt_(attempt) {}

  void log(std::string_view text) { host_->log(attempt_, PAWL_STDOUT, to_bytes(text)); }
  void log_error(std::string_view text) { host_->log(attempt_, PAWL_STDERR, to_bytes(text)); }
  void heartbeat() { host_->heartbeat(attempt_); }
  void progress(double fraction, std::string_view text = {}) {
    host_->progress(attempt_, fraction, to_bytes(text));
  }
  bool is_cancelled() const { return host_->is_cancelled(attempt_) != 0; }
  std::optional<std::string_view> secret(std::string_view name) const {
    pawl_bytes value{};
    if (host_->secret(attempt_, to_bytes(name), &value) == 0) return std::nullopt;
    return to_view(value);
  }
  /// `text` with the task's secrets hidden. For who shows a part of a text or another form of it:
  /// what is left of a secret then is not found any more. Empty in a host that is older than this.
  std::string hidden(std::string_view text) const { return hide(text, 0); }
  /// The same of the beginning of a text: without what may be the beginning of a secret at its end.
  std::string hidden_beginning(std::string_view text) const { return hide(text, 1); }
  bool set_handle(std::string_view handle) {
    return host_->set_handle(attempt_, to_bytes(handle)) != 0;
  }
  void set_data(void* data) { host_->set_data(attempt_, data); }
  template <class T>
  T* data() const {
    return static_cast<T*>(host_->data(attempt_));
  }
  /// The attempt is over, and this object means nothing any more.
  void finish(const Result& result) {
    pawl_result out{};
    out.size = sizeof(out);
    out.outcome = result.outcome;
    out.output = to_bytes(result.output);
    out.error_class = to_bytes(result.error_class);
    out.message = to_bytes(result.message);
    out.trace = to_bytes(result.trace);
    out.after_ms = result.after.count();
    out.state = to_bytes(result.state);
    host_->finish(attempt_, &out);
  }
  pawl_attempt* get() const { return attempt_; }

 private:
  std::string hide(std::string_view text, int is_cut) const {
    if (host_->size < offsetof(pawl_host, hide) + sizeof(host_->hide)) return {};
    std::string out(text);
    out.resize(host_->hide(attempt_, out.data(), out.size(), is_cut));
    return out;
  }

  const pawl_host* host_;
  pawl_attempt* attempt_;
};

/// What an attempt is to do; see pawl_request. Views are good until the attempt is finished.
class Request {
 public:
  Request(const pawl_host* host, pawl_attempt* attempt, const pawl_request* request)
      : host_(host), attempt_(attempt), request_(request) {}
  std::string_view parameters() const { return to_view(request_->parameters); }
  std::string_view job() const { return to_view(request_->job); }
  std::string_view run() const { return to_view(request_->run); }
  std::string_view task() const { return to_view(request_->task); }
  std::string_view item() const { return to_view(request_->item); }
  std::string_view key() const { return to_view(request_->key); }
  std::int64_t index() const { return request_->index; }
  std::int64_t number() const { return request_->number; }
  std::string_view idempotency_key() const { return to_view(request_->idempotency_key); }
  std::string_view working_dir() const { return to_view(request_->working_dir); }
  std::string_view output_format() const { return to_view(request_->output_format); }
  std::string_view scratch() const { return to_view(request_->scratch); }
  std::string_view handle() const { return to_view(request_->handle); }
  std::string_view state() const { return to_view(request_->state); }
  std::optional<std::chrono::system_clock::time_point> deadline() const {
    if (request_->deadline_ms == 0) return std::nullopt;
    return std::chrono::system_clock::time_point(std::chrono::milliseconds(request_->deadline_ms));
  }
  /// The value of a variable that a program of this task would have; nothing when it is not set.
  std::optional<std::string_view> variable(std::string_view name) const {
    pawl_bytes value{};
    if (host_->variable(attempt_, to_bytes(name), &value) == 0) return std::nullopt;
    return to_view(value);
  }
  const pawl_request* get() const { return request_; }

 private:
  const pawl_host* host_;
  pawl_attempt* attempt_;
  const pawl_request* request_;
};

/// The host, as far as no attempt is concerned. Copied freely.
class Host {
 public:
  explicit Host(const pawl_host* host) : host_(host) {}
  /// Any thread: `function` is called on the loop soon. It must not throw.
  void post(std::function<void()> function) const {
    auto owned = std::make_unique<std::function<void()>>(std::move(function));
    host_->post(
        host_,
        [](void* data) {
          std::unique_ptr<std::function<void()>> call(static_cast<std::function<void()>*>(data));
          (*call)();
        },
        owned.release());
  }
  const pawl_host* get() const { return host_; }

 private:
  const pawl_host* host_;
};

/// A descriptor that the loop watches as long as this lives. [loop]
class FdWatch {
 public:
  FdWatch(Host host, int fd, int events, std::function<void(int events)> on_ready)
      : host_(host), on_ready_(std::move(on_ready)) {
    watch_ = host.get()->watch_fd(
        host.get(), fd, events,
        [](void* data, int ready) {
          // What is called may destroy the watch.
          auto call = static_cast<FdWatch*>(data)->on_ready_;
          call(ready);
        },
        this);
    if (watch_ == nullptr) throw std::runtime_error("a descriptor cannot be watched");
  }
  ~FdWatch() { host_.get()->unwatch(watch_); }
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  void change(int events) { host_.get()->change_fd(watch_, events); }

 private:
  Host host_;
  std::function<void(int)> on_ready_;
  pawl_watch* watch_;
};

/// A timer that fires once, unless it is destroyed before. [loop]
class TimeWatch {
 public:
  /// Throws std::bad_alloc also when `after` is negative or beyond `kWaitMax`.
  TimeWatch(Host host, std::chrono::milliseconds after, std::function<void()> on_time)
      : host_(host), on_time_(std::move(on_time)) {
    watch_ = host.get()->watch_time(
        host.get(), after.count(),
        [](void* data) {
          auto call = static_cast<TimeWatch*>(data)->on_time_;
          call();
        },
        this);
    if (watch_ == nullptr) throw std::bad_alloc();
  }
  ~TimeWatch() { host_.get()->unwatch(watch_); }
  TimeWatch(const TimeWatch&) = delete;
  TimeWatch& operator=(const TimeWatch&) = delete;

 private:
  Host host_;
  std::function<void()> on_time_;
  pawl_watch* watch_;
};

namespace detail {

inline std::string class_of(const std::exception& error) {
#if defined(__GNUC__)
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), std::free);
  if (status == 0 && name) return name.get();
#endif
  return typeid(error).name();
}

template <class T, class = void>
struct Blocks : std::false_type {};
template <class T>
struct Blocks<T, std::void_t<decltype(std::declval<T&>().run(std::declval<Attempt&>(),
                                                            std::declval<const Request&>()))>>
    : std::true_type {};

template <class T, class = void>
struct CancelsBlocking : std::false_type {};
template <class T>
struct CancelsBlocking<T, std::void_t<decltype(std::declval<T&>().cancel(std::declval<Attempt&>()))>>
    : std::true_type {};

template <class T>
struct Adapter {
  struct Self {
    const pawl_host* host;
    std::optional<T> made;
    std::string error;
  };

  static std::unique_ptr<Self> make(const pawl_host* host) {
    auto owned = std::make_unique<Self>();
    owned->host = host;
    if constexpr (std::is_constructible_v<T, Host>) {
      owned->made.emplace(Host(host));
    } else {
      owned->made.emplace();
    }
    return owned;
  }
  static int open(const pawl_host* host, void** self, pawl_bytes* message) {
    static std::string why;
    try {
      try {
        *self = make(host).release();
        return 0;
      } catch (const std::exception& error) {
        why = error.what();
      } catch (...) {
        why = "the operator's constructor threw something that is no std::exception";
      }
    } catch (const std::bad_alloc&) {
      why.clear();  // not even for the words of it
    }
    *message = to_bytes(why);
    return 1;
  }
  static void close(void* self) { delete static_cast<Self*>(self); }

  static void run(void* self, pawl_attempt* attempt, const pawl_request* request) {
    auto* us = static_cast<Self*>(self);
    Attempt wrapped(us->host, attempt);
    Result result;
    try {
      result = us->made->run(wrapped, Request(us->host, attempt, request));
    } catch (const std::exception& error) {
      result = Result::failure(error.what(), class_of(error));
    } catch (...) {
      result = Result::failure("the operator threw something that is no std::exception");
    }
    wrapped.finish(result);
  }
  static void start(void* self, pawl_attempt* attempt, const pawl_request* request) {
    auto* us = static_cast<Self*>(self);
    Attempt wrapped(us->host, attempt);
    try {
      us->made->start(wrapped, Request(us->host, attempt, request));
    } catch (const std::exception& error) {
      wrapped.finish(Result::failure(error.what(), class_of(error)));
    } catch (...) {
      wrapped.finish(Result::failure("the operator threw something that is no std::exception"));
    }
  }
  static void cancel(void* self, pawl_attempt* attempt) {
    auto* us = static_cast<Self*>(self);
    Attempt wrapped(us->host, attempt);
    try {
      us->made->cancel(wrapped);
    } catch (...) {
      // It was asked to end; the host ends it after the grace.
    }
  }

  static const pawl_operator* table() {
    static const pawl_operator made = [] {
      pawl_operator out{};
      out.size = sizeof(out);
      out.name = to_bytes(T::kName);
      out.summary = to_bytes(T::kSummary);
      out.schema = to_bytes(T::kSchema);
      out.open = &Adapter::open;
      out.close = &Adapter::close;
      if constexpr (Blocks<T>::value) {
        out.run = &Adapter::run;
        if constexpr (CancelsBlocking<T>::value) out.cancel = &Adapter::cancel;
      } else {
        out.start = &Adapter::start;
        out.cancel = &Adapter::cancel;
      }
      return out;
    }();
    return &made;
  }
};

template <class... T>
const pawl_plugin* plugin_of(const char* version) {
  static const pawl_operator* const operators[] = {Adapter<T>::table()...};
  static const pawl_plugin made = [version] {
    pawl_plugin out{};
    out.abi_version = PAWL_ABI_VERSION;
    out.size = sizeof(out);
    out.version = to_bytes(version);
    out.operators = operators;
    out.operator_count = sizeof...(T);
    return out;
  }();
  return &made;
}

}  // namespace detail
}  // namespace pawl::plugin

/// Exports the operators of this library: PAWL_PLUGIN("1.0", First, Second).
#define PAWL_PLUGIN(version, ...) \
  extern "C" const pawl_plugin* pawl_plugin_v1(void) { \
    return ::pawl::plugin::detail::plugin_of<__VA_ARGS__>(version); \
  }

#endif  // PAWL_OPERATOR_HPP
