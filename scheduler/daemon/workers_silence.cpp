// Workers that live and do not answer: how that is found out, and what is done with them.

#include <utility>

#include "scheduler/base/text.h"
#include "scheduler/daemon/workers.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {
namespace {

std::string name_of(WorkerId id, pid_t pid) {
  return "worker " + std::to_string(id.value) + " (pid " + std::to_string(pid) + ")";
}

}  // namespace

/// From its first attempt to its last one it is asked. One without any is left asleep.
void Workers::watch(Peer& peer) {
  const bool can_answer = peer.protocol >= kProtocolWithPing;
  if (can_answer && !peer.timer->armed()) peer.timer->start_after(peer.signs.ask_every());
}

void Workers::look_for_signs(Peer& peer) {
  if (peer.signs.is_silent()) {
    look_at_silent(peer);
  } else if (events_.attempts_of(peer.id).empty()) {
    return;
  } else if (peer.signs.ask(mono_now())) {
    const bool took_attempts = peer.state == State::up;
    fell_silent(peer, "has not answered for " + format_duration(options_.patience.answer));
    if (took_attempts) events_.drains(peer.id);
  } else {
    send(peer, frame::Ping{});
  }
  peer.timer->start_after(peer.signs.ask_every());
}

/// It is not counted on any more: others take what it would have got.
void Workers::fell_silent(Peer& peer, const std::string& how) {
  events_.problem(name_of(peer.id, peer.pid) + " " + how +
                  ": it gets nothing new; what it runs goes on");
  peer.signs.fall_silent(mono_now());
  for (const StayOfAttempt& one : events_.attempts_of(peer.id)) bound(peer, one.attempt);
  const bool was_coming = peer.state == State::starting || peer.state == State::greeting;
  if (is_host(peer)) {
    if (!was_coming || peer.plugin.empty()) return;
    miss(peer, demand_.died(peer.plugin, true));
  } else if (keeps_running_) {
    keep_running();
  }
}

/// By when a silent one ought to have ended that attempt.
void Workers::bound(Peer& peer, AttemptId attempt) {
  const AttemptBounds bounds = events_.bounds_of(attempt);
  const auto stop = peer.stops.find(attempt);
  if (stop == peer.stops.end()) {
    if (bounds.left) peer.signs.ought_to_end(mono_now() + *bounds.left + bounds.grace);
  } else if (stop->second.force) {
    peer.signs.end_at_once();
  } else {
    peer.signs.ought_to_end(stop->second.at + bounds.grace);
  }
}

void Workers::look_at_silent(Peer& peer) {
  switch (peer.signs.look(mono_now())) {
    case SignsOfLife::Look::wait: break;
    case SignsOfLife::Look::end: end(peer); break;
    case SignsOfLife::Look::outlives: give_up(peer); break;
  }
}

/// It was stopped, or busy, and goes on: what was said meanwhile it has read before this.
void Workers::answers_again(Peer& peer) {
  if (peer.state != State::up) return;
  events_.up(peer.id, peer.operators);
  retire_surplus();
}

/// What it leaves behind is searched for and ended once its lock is free, as of any that died.
void Workers::end(Peer& peer) {
  const Result<void> killed = FileLock::kill_holder(peer.folder + "/lock");
  if (!killed && killed.error().kind == ErrorKind::home_unusable) {
    cannot_judge(peer, "it ought to be over and is not killed: " + killed.error().message, "");
    peer.signs.not_ended();
    return;
  }
  peer.was_killed = killed.ok();
  events_.problem(name_of(peer.id, peer.pid) +
                  " does not answer and has an attempt that ought to be over: " +
                  (killed ? "it is killed" : "it cannot be killed: " + killed.error().message));
}

/// SIGKILL waits until the kernel lets go of it (a disk that hangs, a frozen group), and it will do
/// nothing of its own before that. Who resumes its tasks knows whether they may run again.
void Workers::give_up(Peer& peer) {
  for (const auto& [id, stay] : events_.attempts_of(peer.id)) {
    AttemptResult result;
    result.attempt = id;
    result.stay = stay;
    result.worker = peer.id;
    result.outcome = AttemptResult::Outcome::failed;
    result.reason = Reason::unkillable;
    result.ended_at = wall_now();
    result.failure.message = name_of(peer.id, peer.pid) + " is still there a minute after SIGKILL";
    tell(std::move(result));
    peer.given_up.push_back({id, stay});
  }
}

}  // namespace pawl
