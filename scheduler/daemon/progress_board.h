#pragma once

// What running attempts say of how far they are: the latest word of each, in memory only. A value
// for people that a crash may lose, so it never touches the store.

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "plugins/worker/frames.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"

namespace pawl {

class ProgressBoard {
 public:
  static constexpr std::size_t kAttemptsMax = 10'000;  ///< nobody reads more

  /// A newer word takes the place of an older one. Of more than kAttemptsMax attempts the
  /// oldest attempts' are dropped.
  void tell(frame::Progress&& progress, WallTime now);
  /// The attempt has ended: its word means nothing any more.
  void erase(AttemptId attempt);
  /// Of those in `attempts` (numbers with commas between them) that have said something: an array
  /// of `attempt_id`, `fraction`, `text`, `at`.
  nlohmann::json of(std::string_view attempts) const;

 private:
  struct Word {
    double fraction = 0;
    std::string text;
    WallTime at;
  };
  std::map<AttemptId, Word> words_;
};

}  // namespace pawl
