#pragma once

// A host for one operator, in the test's own process: loads the shared library as a worker does and
// offers all of pawl/operator.h over the test's loop. What the real host checks (the schema, one
// `finish` per attempt, the bounds of what it carries) is checked here too and ends the test.

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "pawl/operator.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/wakeup.h"

namespace pawl::test {

/// What an attempt is to do; what a test does not name is plain and valid.
struct Ask {
  std::string with = "{}";  ///< JSON text, rendered; must fit the operator's schema
  std::string output = "json";
  std::string job = "job";
  std::string run = "run-1";
  std::string task = "task";
  std::string item;
  std::string key;
  std::int64_t index = -1;
  std::int64_t number = 1;
  std::string idempotency_key = "key-of-the-work";
  std::int64_t deadline_ms = 0;
  std::string working_dir = "/tmp";
  std::string scratch = "/tmp";
  std::vector<std::string> environment;
  std::string handle;
  std::string state;
  std::map<std::string, std::string> secrets;
  std::function<void()> on_end = {};  ///< called once it has ended, on whatever thread ends it
};

/// How an attempt ended.
struct End {
  pawl_outcome outcome = PAWL_SUCCEEDED;
  std::string output;
  std::string error_class;
  std::string message;
  std::string trace;
  Duration after{};
  std::string state;
};

/// An attempt under way or over. All may be asked at any time, on the loop's thread.
class TestAttempt {
 public:
  virtual ~TestAttempt() = default;
  /// Nothing until it has ended.
  virtual std::optional<End> end() const = 0;
  virtual std::string log() const = 0;        ///< of both streams
  virtual std::string log_error() const = 0;  ///< of standard error alone
  virtual std::string handle() const = 0;
  virtual int heartbeats() const = 0;
  virtual double progress() const = 0;
};

class OperatorHost {
 public:
  /// Loads `operators/PLUGIN.so` of the build and opens the operator of that name. A library or an
  /// operator that is not there, or a schema that pawl would refuse, is an internal error.
  OperatorHost(Loop& loop, const std::string& plugin, const std::string& name);
  /// Cancels what is open and waits for its end, then closes the operator.
  ~OperatorHost();
  OperatorHost(const OperatorHost&) = delete;
  OperatorHost& operator=(const OperatorHost&) = delete;

  /// Why the operator's `open` refused; empty when it did not.
  const std::string& refusal() const;
  /// Why `with` does not fit the schema; nothing when it fits. Nothing is started.
  std::optional<std::string> violation(const std::string& with) const;

  /// Begins an attempt; it may have ended when this returns. It lives as long as the host, or until
  /// `forget`.
  TestAttempt& start(const Ask& ask);
  void cancel(TestAttempt& attempt);
  /// Begins an attempt and turns the loop until it has ended (20 seconds at most).
  End run(const Ask& ask);
  /// As `run`, and again after each deferral at once, with its state, until it ends otherwise.
  End run_through(Ask ask, int deferrals_max = 1000);
  /// Drops an attempt that has ended.
  void forget(TestAttempt& attempt);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl::test
