#pragma once

// Who may start beside whom in a host, so that its death can be blamed on one attempt.
//
// When a process dies with many attempts and nothing names the one that did it, all of them are
// suspects: lost once, twice, more often. A suspect is watched for a moment after its start, in
// which an attempt that kills its process mostly does so, and nothing fresh starts meanwhile. Those
// that were lost once are watched many at a time, those that were lost again fewer, and then one at
// a time. What has lived through its moment (limits::kSuspectWatchedFor) is no suspect any more: it
// hinders nobody, however long it runs, and a death after that is blamed on those that are watched.
// So a culprit among thousands is found in a few deaths and minutes. A suspect also waits until the
// last fresh start is a moment ago.
//
// No clock and no process; the same calls give the same answers.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "scheduler/base/ids.h"
#include "scheduler/base/time.h"

namespace pawl {

class Suspects {
 public:
  /// Suspects that are watched at once with one that was lost so often in a row (at least once).
  static constexpr std::size_t at_once(std::int32_t losses) {
    if (losses <= 1) return 64;
    return losses == 2 ? 8 : 1;
  }

  /// Whether an attempt that was lost so often in a row (0: it is no suspect) may start now.
  bool may_start(std::int32_t losses, MonoTime now);
  /// It starts now, as it may.
  void started(AttemptId attempt, std::int32_t losses, MonoTime now);
  /// It has ended, however.
  void ended(AttemptId attempt);

  /// Whether it is watched, and nothing else is.
  bool is_watched_alone(AttemptId attempt, MonoTime now);
  /// When somebody who may not start now may be asked about again, if nothing ends before.
  std::optional<MonoTime> next_change(MonoTime now);

 private:
  struct Watched {
    std::int32_t losses = 1;
    MonoTime until;
  };
  void let_go(MonoTime now);

  std::unordered_map<AttemptId, Watched> watched_;  ///< at most `at_once(1)`
  std::size_t others_ = 0;                          ///< that run
  MonoTime fresh_until_;  ///< when the last fresh start is long enough ago
};

}  // namespace pawl
