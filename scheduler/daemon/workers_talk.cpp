// Connections to workers: reaching them, what is said to them, and what they say.

#include <algorithm>
#include <utility>

#include "scheduler/daemon/workers.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/unix_socket.h"

namespace pawl {
namespace {

/// A start of ours, or of the other side, takes longer than an answer.
constexpr Duration kSilentAfter = SignsOfLife::Patience{}.answer;

}  // namespace

/// Tries to reach a worker, or finds out that it is dead; of one that was reached, that it is not
/// there any more.
void Workers::look_after(Peer& peer) {
  if (peer.state == State::dead) return learn_fate(peer);
  if (peer.state == State::up || peer.state == State::draining) return look_for_signs(peer);
  const bool is_starting = peer.is_child && peer.pid != 0;
  if (!is_starting && is_dead(peer)) return bury(peer);
  look_at_silent(peer);
  if (peer.pid == 0) {
    const auto holder = FileLock::last_holder(peer.folder + "/lock");
    if (holder && *holder) peer.pid = (*holder)->pid;
  }
  if (peer.channel) {
    // Connected, and no answer yet.
    if (peer.state == State::silent) {
      peer.channel.reset();
    } else if (mono_now() - peer.since >= kSilentAfter) {
      fell_silent(peer, "holds its lock and does not answer");
      peer.channel.reset();
      peer.state = State::silent;
      settle(peer);
    }
    peer.timer->start_after(kLookEvery);
    return;
  }
  connect(peer);
}

void Workers::connect(Peer& peer) {
  auto socket = connect_unix(peer.folder + "/sock");
  if (socket) {
    greet(peer, std::move(*socket));
    return;
  }
  const bool was_silent = peer.state == State::silent;
  if (!was_silent && mono_now() - peer.since >= kSilentAfter) {
    fell_silent(peer, "cannot be reached: " + socket.error().message);
    peer.state = State::silent;
    settle(peer);
  }
  peer.timer->start_after(peer.state == State::silent ? kLookEvery : kConnectEvery);
}

void Workers::greet(Peer& peer, Fd socket) {
  const WorkerId id = peer.id;
  if (peer.state != State::silent) {
    peer.since = mono_now();
    peer.state = State::greeting;
  }
  peer.named.clear();
  peer.unsent.clear();
  peer.channel = std::make_unique<Channel>(
      loop_, std::move(socket), [this, id](std::string_view message) { on_message(id, message); },
      [this, id](ChannelEnd) { on_closed(id); });
  peer.channel->on_drained([this, id] {
    if (Peer* p = find(id)) flush_unsent(*p);
  });
  send(peer, frame::Hello{options_.protocol, options_.epoch, options_.version});
  peer.timer->start_after(kSilentAfter);
}

void Workers::send(Peer& peer, const Frame& frame) {
  if (!peer.channel || !peer.channel->open()) return;
  std::vector<std::string> bodies = encode_frame(frame);
  for (std::string& body : bodies) {
    // One who does not read is waited for: what it has not been told it did not start.
    if (!peer.unsent.empty() || !peer.channel->send(body)) peer.unsent.push_back(std::move(body));
  }
}

void Workers::flush_unsent(Peer& peer) {
  while (!peer.unsent.empty() && peer.channel && peer.channel->send(peer.unsent.front()))
    peer.unsent.pop_front();
}

void Workers::define(WorkerId worker, DefinitionId id, const std::string& bytes) {
  if (Peer* peer = find(worker)) send(*peer, frame::Define{id, bytes});
}

void Workers::undefine(WorkerId worker, DefinitionId id) {
  if (Peer* peer = find(worker)) send(*peer, frame::Undefine{id});
}

void Workers::start(WorkerId worker, std::vector<frame::AttemptStart> attempts) {
  Peer* peer = find(worker);
  if (peer == nullptr) return;
  send(*peer, frame::Start{std::move(attempts)});
  watch(*peer);
  spread(*peer);
}

void Workers::stop(WorkerId worker, AttemptId attempt, Reason reason, bool force) {
  Peer* peer = find(worker);
  if (peer == nullptr || peer->state == State::dead) return;
  AskedStop& stop =
      peer->stops.try_emplace(attempt, AskedStop{reason, force, mono_now()}).first->second;
  stop.force = stop.force || force;
  send(*peer, frame::Stop{attempt, reason, force});
  if (peer->signs.is_silent()) bound(*peer, attempt);
}

void Workers::forget(WorkerId worker, const std::vector<frame::DurableEnd>& ends) {
  Peer* peer = find(worker);
  if (peer == nullptr) return;
  for (const frame::DurableEnd& end : ends) peer->unforgotten.erase({end.attempt, end.stay});
  if (peer->state != State::dead) {
    send(*peer, frame::Forget{ends});
  } else if (peer->is_fate_known && peer->unforgotten.empty()) {
    remove_folder(*peer);
  }
}

void Workers::flush() {
  for (auto& [id, peer] : peers_) {
    if (peer->channel) peer->channel->flush();
  }
}

void Workers::dismiss_idle() {
  keeps_running_ = false;
  for (auto& [id, peer] : peers_) {
    if (peer->channel && events_.attempts_of(id).empty()) send(*peer, frame::Shutdown{});
  }
  flush();
}

void Workers::tell(AttemptResult&& result) {
  if (Peer* peer = find(result.worker)) peer->unforgotten.emplace(result.attempt, result.stay);
  results_.push_back(std::move(result));
  if (results_are_deferred_) return;
  results_are_deferred_ = true;
  loop_.defer([this, alive = alive_] {
    if (!*alive) return;
    results_are_deferred_ = false;
    events_.ended(std::exchange(results_, {}));
  });
}

void Workers::on_message(WorkerId id, std::string_view message) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  auto frame = decode_frame(message);
  if (!frame) {
    events_.problem("worker " + std::to_string(id.value) +
                    " sent garbage: " + frame.error().message);
    peer->channel->close();
    on_closed(id);
    return;
  }
  const bool is_met = peer->state == State::up || peer->state == State::draining;
  if (is_met && peer->signs.heard()) answers_again(*peer);
  if (const auto* ended = std::get_if<frame::Ended>(&*frame)) {
    peer->stops.erase(ended->end.attempt);
    tell(result_of(id, ended->end));
  } else if (const auto* began = std::get_if<frame::Began>(&*frame)) {
    events_.began(began->attempt, began->started_at);
  } else if (auto* handle = std::get_if<frame::Handle>(&*frame)) {
    events_.handle({handle->attempt, id, handle->serial, std::move(handle->handle)});
  } else if (auto* progress = std::get_if<frame::Progress>(&*frame)) {
    events_.progress(std::move(*progress));
  } else if (std::holds_alternative<frame::Drains>(*frame)) {
    if (std::exchange(peer->state, State::draining) == State::up) events_.drains(id);
  } else if (const auto* welcome = std::get_if<frame::Welcome>(&*frame)) {
    peer->pid = welcome->pid;
    peer->version = welcome->version;
    peer->protocol = welcome->protocol;
    peer->operators = welcome->operators;
    if (!welcome->accepted) {
      events_.problem("worker " + std::to_string(id.value) + " follows a newer scheduler");
      peer->channel->close();
      on_closed(id);
    }
  } else if (const auto* status = std::get_if<frame::Status>(&*frame)) {
    on_status(*peer, *status);
  }
}

/// The worker has told all it knows: what it does not name never started.
void Workers::on_status(Peer& peer, const frame::Status& status) {
  for (const frame::KnownAttempt& known : status.attempts)
    peer.named.emplace_back(known.attempt, known.stay);
  const bool is_asked = peer.state == State::greeting || peer.state == State::silent;
  if (!status.complete || !is_asked) return;
  std::sort(peer.named.begin(), peer.named.end());
  for (const auto& [id, stay] : events_.attempts_of(peer.id)) {
    if (std::binary_search(peer.named.begin(), peer.named.end(), std::pair(id, stay))) continue;
    AttemptResult result;
    result.attempt = id;
    result.stay = stay;
    result.worker = peer.id;
    result.outcome = AttemptResult::Outcome::never_started;
    result.ended_at = wall_now();
    peer.stops.erase(id);
    tell(std::move(result));
  }
  // It may not have read those of an earlier connection.
  for (const auto& [id, stop] : peer.stops) send(peer, frame::Stop{id, stop.reason, stop.force});
  peer.named.clear();
  peer.was_met = true;
  peer.signs.heard();
  peer.timer->cancel();
  peer.since = mono_now();
  // The files of plugins may be others than those that a host of an earlier scheduler has loaded,
  // or one that did not answer when they were read again.
  const bool has_old_plugins = is_host(peer) && (peer.is_found || peer.has_old_plugins);
  const bool is_as_now = peer.ways == ways_of(is_host(peer)) && !has_old_plugins;
  const bool is_like_us = peer.version == options_.version && peer.protocol == options_.protocol;
  if (is_like_us && is_as_now) {
    peer.state = State::up;
    if (peer.plugin.empty()) {
      failures_in_a_row_ = 0;
    } else {
      demand_.came_up(peer.plugin);
    }
    events_.up(peer.id, peer.operators);
    retire_surplus();
  } else {
    retire(peer);
    if (keeps_running_) keep_running();
  }
  watch(peer);
  settle(peer);
}

void Workers::on_closed(WorkerId id) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  peer->channel.reset();
  peer->unsent.clear();
  if (peer->state == State::up) events_.drains(id);
  if (is_dead(*peer)) return bury(*peer);
  // Alive without a connection: garbage on the wire, or a refusal. Or nobody can tell. Ask again.
  peer->state = State::silent;
  peer->signs.fall_silent(mono_now());
  for (const StayOfAttempt& one : events_.attempts_of(id)) bound(*peer, one.attempt);
  peer->timer->start_after(kLookEvery);
  settle(*peer);
  // Whether it comes back, nobody can tell either.
  if (peer->is_unreadable && keeps_running_) keep_running();
}

}  // namespace pawl
