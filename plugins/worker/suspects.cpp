#include "plugins/worker/suspects.h"

#include <algorithm>

#include "scheduler/base/limits.h"

namespace pawl {

void Suspects::let_go(MonoTime now) {
  others_ += std::erase_if(watched_, [now](const auto& one) { return one.second.until <= now; });
}

bool Suspects::may_start(std::int32_t losses, MonoTime now) {
  let_go(now);
  if (losses == 0) return watched_.empty();
  if (others_ > 0 && now < fresh_until_) return false;
  std::size_t room = at_once(losses);
  for (const auto& [attempt, one] : watched_) room = std::min(room, at_once(one.losses));
  return watched_.size() < room;
}

void Suspects::started(AttemptId attempt, std::int32_t losses, MonoTime now) {
  if (losses > 0) {
    watched_[attempt] = {losses, now + limits::kSuspectWatchedFor};
    return;
  }
  ++others_;
  fresh_until_ = now + limits::kSuspectWatchedFor;
}

void Suspects::ended(AttemptId attempt) {
  if (watched_.erase(attempt) == 0) --others_;
}

bool Suspects::is_watched_alone(AttemptId attempt, MonoTime now) {
  let_go(now);
  return watched_.size() == 1 && watched_.contains(attempt);
}

std::optional<MonoTime> Suspects::next_change(MonoTime now) {
  let_go(now);
  std::optional<MonoTime> next;
  if (others_ > 0 && now < fresh_until_) next = fresh_until_;
  for (const auto& [attempt, one] : watched_) {
    if (!next || one.until < *next) next = one.until;
  }
  return next;
}

}  // namespace pawl
