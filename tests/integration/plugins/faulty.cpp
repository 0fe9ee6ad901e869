// Operators that do what operators must not do, each in a way of its own.

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pawl/operator.hpp"

using namespace pawl::plugin;

namespace {

constexpr const char* kAnything = R"({"type": "object"})";

/// Takes its whole process along, but when a file says that all is well: `with.ok`.
struct Crash {
  static constexpr const char* kName = "crash";
  static constexpr const char* kSummary = "crashes its host";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "how": {"enum": ["abort", "exit", "segv"]}}})";
  void start(Attempt, const Request& request) {
    const std::string with(request.parameters());
    if (with.find("exit") != std::string::npos) ::_exit(0);
    if (with.find("segv") != std::string::npos) {
      ::signal(SIGSEGV, SIG_DFL);  // or a sanitizer reports it
      ::raise(SIGSEGV);
    }
    std::abort();
  }
  void cancel(Attempt) {}
};

/// Never hears that it is cancelled.
struct Deaf {
  static constexpr const char* kName = "deaf";
  static constexpr const char* kSummary = "does not end";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) {
    while (true) ::pause();
  }
};

/// Ends soon after it is cancelled, and claims success.
struct Obedient {
  static constexpr const char* kName = "obedient";
  static constexpr const char* kSummary = "ends when it is cancelled";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request&) {
    attempt.log("waiting\n");
    while (!attempt.is_cancelled()) ::usleep(1000);
    return Result::success();
  }
};

/// Ends when its file `go` is there.
struct Patient {
  static constexpr const char* kName = "patient";
  static constexpr const char* kSummary = "waits for the file `go` in its folder";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request& request) {
    const std::string go = std::string(request.working_dir()) + "/go";
    while (::access(go.c_str(), F_OK) != 0 && !attempt.is_cancelled()) ::usleep(2000);
    return Result::success("\"went\"");
  }
};

struct Thrower {
  static constexpr const char* kName = "thrower";
  static constexpr const char* kSummary = "throws";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) { throw std::out_of_range("no such row"); }
};

/// Ends twice, from two threads, and talks afterwards.
struct Chatter {
  static constexpr const char* kName = "chatter";
  static constexpr const char* kSummary = "says too much";
  static constexpr const char* kSchema = kAnything;
  Chatter() = default;
  Chatter(const Chatter&) = delete;
  Chatter& operator=(const Chatter&) = delete;
  ~Chatter() {
    for (std::thread& thread : threads_) thread.join();
  }
  void start(Attempt attempt, const Request&) {
    threads_.emplace_back([attempt]() mutable {
      attempt.log("first\n");
      attempt.finish(Result::success("1"));
      attempt.finish(Result::failure("too late"));
      attempt.log("too late\n");
      attempt.set_handle("too late");
      attempt.heartbeat();
    });
  }
  void cancel(Attempt) {}

 private:
  std::vector<std::thread> threads_;
};

/// Logs its secret in two halves, and in its error.
struct Leaky {
  static constexpr const char* kName = "leaky";
  static constexpr const char* kSummary = "shows its secret";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "token": {"type": "string", "x-pawl-secret": true}, "plain": {"type": "string"}}})";
  Result run(Attempt& attempt, const Request&) {
    const std::string secret(attempt.secret("TOKEN").value_or("none"));
    attempt.log("token " + secret.substr(0, 5));
    attempt.log(secret.substr(5) + "\n");
    return Result::failure("cannot log in with " + secret, "Denied", "trace\n" + secret);
  }
};

/// Begins something elsewhere, dies once, and finds it again.
struct Remote {
  static constexpr const char* kName = "remote";
  static constexpr const char* kSummary = "finds what it began";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request& request) {
    if (!request.handle().empty())
      return Result::success("\"" + std::string(request.handle()) + "\"");
    attempt.set_handle("job-17");
    std::abort();
  }
};

/// Defers itself three times, counting in its state.
struct Counter {
  static constexpr const char* kName = "counter";
  static constexpr const char* kSummary = "defers itself three times";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    const std::string seen(request.state());
    if (seen.size() == 3) return Result::success("\"" + seen + "\"");
    return Result::deferred(std::chrono::milliseconds(20), seen + "x");
  }
};

}  // namespace

PAWL_PLUGIN("1.2", Crash, Deaf, Obedient, Patient, Thrower, Chatter, Leaky, Remote, Counter)
