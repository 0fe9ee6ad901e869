#include "scheduler/daemon/signs_of_life.h"

#include <algorithm>
#include <utility>

namespace pawl {

bool SignsOfLife::ask(MonoTime now) {
  if (is_silent()) return false;
  if (unanswered_ == kAsks) return fall_silent(now);
  ++unanswered_;
  return false;
}

bool SignsOfLife::fall_silent(MonoTime now) {
  if (is_silent()) return false;
  silent_since_ = looked_at_ = now;
  return true;
}

bool SignsOfLife::heard() {
  const bool was_silent = is_silent();
  *this = SignsOfLife(patience_);
  return was_silent;
}

void SignsOfLife::ought_to_end(MonoTime at) {
  if (is_ended_) return;
  at = at + patience_.end;
  due_ = due_ ? std::min(*due_, at) : at;
}

void SignsOfLife::end_at_once() {
  if (!is_ended_) due_ = silent_since_;
}

SignsOfLife::Look SignsOfLife::look(MonoTime now) {
  // Looks are not that far apart while this process runs.
  const Duration unseen = now - looked_at_ - patience_.answer;
  looked_at_ = now;
  if (due_ && unseen > Duration(0)) due_ = *due_ + unseen;
  if (!is_silent() || !due_ || now < *due_) return Look::wait;
  due_.reset();
  if (std::exchange(is_ended_, true)) return Look::outlives;
  due_ = now + patience_.end;
  return Look::end;
}

void SignsOfLife::not_ended() {
  is_ended_ = false;
  due_ = looked_at_;
}

}  // namespace pawl
