// Operators that break the contract, each in one way: what `pawl operators check` must notice.

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "pawl/operator.hpp"

using pawl::plugin::Attempt;
using pawl::plugin::Request;
using pawl::plugin::Result;

namespace {

#define PAWL_BAD(name)                                           \
  static constexpr const char* kName = name;                     \
  static constexpr const char* kSummary = "breaks the contract"; \
  static constexpr const char* kSchema = R"({"type": "object"})";

/// Never ends.
struct Deaf {
  PAWL_BAD("deaf")
  void start(Attempt, const Request&) {}
  void cancel(Attempt) {}
};

/// The same on a thread of its own.
struct Stuck {
  PAWL_BAD("stuck")
  Result run(Attempt&, const Request&) {
    for (;;) ::pause();
  }
};

/// Fails and does not say why.
struct Silent {
  PAWL_BAD("silent")
  Result run(Attempt&, const Request&) { return Result::failure(""); }
};

struct Crashing {
  PAWL_BAD("crashing")
  Result run(Attempt&, const Request&) { std::abort(); }
};

struct Leaking {
  PAWL_BAD("leaking")
  void start(Attempt attempt, const Request&) {
    static std::vector<std::unique_ptr<char[]>> kept;
    kept.push_back(std::make_unique<char[]>(100));
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}
};

struct Twice {
  PAWL_BAD("twice")
  void start(Attempt attempt, const Request&) {
    attempt.finish(Result::success());
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}
};

/// Ends without a result.
struct Empty {
  PAWL_BAD("empty")
  explicit Empty(pawl::plugin::Host host) : host_(host) {}
  void start(Attempt attempt, const Request&) { host_.get()->finish(attempt.get(), nullptr); }
  void cancel(Attempt) {}

 private:
  pawl::plugin::Host host_;
};

/// Ends with what is no outcome.
struct Strange {
  PAWL_BAD("strange")
  void start(Attempt attempt, const Request&) {
    Result result;
    result.outcome = static_cast<pawl_outcome>(7);
    attempt.finish(result);
  }
  void cancel(Attempt) {}
};

/// Two of them are called the same.
struct Twin {
  PAWL_BAD("twin")
  Result run(Attempt&, const Request&) { return Result::success(); }
};
struct OtherTwin : Twin {};

struct Wordless : Twin {
  static constexpr const char* kName = "wordless";
  static constexpr const char* kSummary = "";
};

struct Wordy : Twin {
  static constexpr const char* kName = "wordy";
  static constexpr const char* kSummary = "breaks the contract\nand goes on about it";
};

/// Has one attempt at a time; what comes meanwhile waits for ever.
struct Narrow {
  PAWL_BAD("narrow")
  explicit Narrow(pawl::plugin::Host host) : host_(host) {}
  void start(Attempt attempt, const Request&) {
    if (is_busy_) return;
    is_busy_ = true;
    work_.emplace(host_, std::chrono::milliseconds(1), [this, attempt]() mutable {
      is_busy_ = false;
      attempt.finish(Result::success());
    });
  }
  void cancel(Attempt) {}

 private:
  pawl::plugin::Host host_;
  bool is_busy_ = false;
  std::optional<pawl::plugin::TimeWatch> work_;
};

/// Leaves something behind, of each hundredth attempt: no process may have that much of all.
template <void (*kLeave)()>
struct Seldom {
  void start(Attempt attempt, const Request&) {
    if (++count_ % 100 == 0) kLeave();
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}

 private:
  int count_ = 0;
};

void open_a_file() { (void)::open("/dev/null", O_RDONLY | O_CLOEXEC); }
void start_a_thread() {
  std::thread([] { ::pause(); }).detach();
}

struct Opening : Seldom<open_a_file> {
  PAWL_BAD("opening")
};
struct Staying : Seldom<start_a_thread> {
  PAWL_BAD("staying")
};

/// The one that is as it should be: it ends from a thread of its own.
struct Good {
  static constexpr const char* kName = "good";
  static constexpr const char* kSummary = "ends from a thread of its own";
  static constexpr const char* kSchema = R"({"type": "object"})";
  void start(Attempt attempt, const Request&) {
    std::thread([attempt]() mutable { attempt.finish(Result::success()); }).detach();
  }
  void cancel(Attempt) {}
};

}  // namespace

PAWL_PLUGIN("1", Deaf, Stuck, Silent, Crashing, Leaking, Twice, Empty, Strange, Twin, OtherTwin,
            Wordless, Wordy, Narrow, Opening, Staying, Good)
