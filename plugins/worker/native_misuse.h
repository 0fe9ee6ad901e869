#pragma once

// What operators do that their interface forbids and that is only ignored: their authors find it in
// the log of the worker, once of each attempt.

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/base/ids.h"
#include "scheduler/loop/wakeup.h"

namespace pawl {

/// Notes about one operator, from any thread. It outlives the operator, as its threads may.
class NativeMisuse {
 public:
  /// Of an operator in all its life: an author needs one, and a log has an end.
  static constexpr std::size_t kNotesMax = 100;

  /// `wakeup`: there is something to `take`; good until `close`.
  NativeMisuse(std::string operator_name, Wakeup& wakeup)
      : operator_name_(std::move(operator_name)), wakeup_(&wakeup) {}

  void note(AttemptId attempt, std::string_view what) {
    const std::lock_guard lock(mutex_);
    if (wakeup_ == nullptr || noted_ > kNotesMax) return;
    untold_.push_back(noted_++ < kNotesMax
                          ? "operator " + operator_name_ + ", attempt " +
                                std::to_string(attempt.value) + ": " + std::string(what)
                          : "operator " + operator_name_ + ": no more of that is noted");
    wakeup_->wake();
  }

  /// For the log, each once.
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(untold_, {});
  }

  /// The operator goes: nothing is noted any more.
  void close() {
    const std::lock_guard lock(mutex_);
    wakeup_ = nullptr;
  }

 private:
  std::mutex mutex_;
  const std::string operator_name_;
  Wakeup* wakeup_;
  std::size_t noted_ = 0;
  std::vector<std::string> untold_;  ///< at most `kNotesMax` and one
};

}  // namespace pawl
