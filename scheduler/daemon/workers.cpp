#include "scheduler/daemon/workers.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include "scheduler/base/words.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {
namespace {

constexpr int kMissesTold = 3;                         ///< one may be bad luck
constexpr Duration kYoung = std::chrono::seconds(10);  ///< dying sooner counts as a failed start
constexpr Duration kHostLooksEvery = std::chrono::minutes(1);
constexpr int kReplaceDelayShiftMax = 6;  ///< 2^6 s between tries at the most

/// Of one library. The scheduler needs a core of its own when hosts have that much to do.
std::size_t hosts_max(const Settings::Hosts& settings) {
  if (settings.per_library > 0) return settings.per_library;
  return std::max(2U, std::thread::hardware_concurrency()) - 1;
}

std::optional<WorkerId> worker_id_from(const std::string& name) {
  const auto number = whole_number<std::int64_t>(name);
  return number && *number > 0 ? std::optional(WorkerId{*number}) : std::nullopt;
}

}  // namespace

Workers::Workers(Loop& loop, Options options, Events events)
    : loop_(loop),
      options_(std::move(options)),
      events_(std::move(events)),
      demand_(loop, [this](const std::string& plugin) { start_host(plugin); }),
      replace_timer_(loop, [this] { keep_running(); }),
      retire_timer_(loop, [this] { retire_idle_hosts(); }),
      child_signal_(loop, SIGCHLD, [this] { reap(); }) {}

Workers::~Workers() {
  *alive_ = false;
  flush();
}

std::string Workers::folder_of(WorkerId id) const {
  return options_.folder + "/" + std::to_string(id.value);
}

std::unique_ptr<Timer> Workers::look_timer(WorkerId id) {
  return std::make_unique<Timer>(loop_, [this, id] {
    if (Peer* peer = find(id)) look_after(*peer);
  });
}

Workers::Peer* Workers::find(WorkerId id) {
  auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : it->second.get();
}

// At start ---------------------------------------------------------------------------------------

void Workers::recover(const std::vector<WorkerId>& referenced) {
  is_recovering_ = true;
  std::vector<WorkerId> ids = referenced;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
    if (auto id = worker_id_from(entry.path().filename())) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (!ids.empty()) highest_found_ = ids.back();

  for (WorkerId id : ids) {
    const std::string folder = folder_of(id);
    auto peer = std::make_unique<Peer>(folder, WorkerWays::of_folder(folder), options_.patience);
    peer->id = id;
    peer->is_found = true;
    peer->since = mono_now();
    peer->timer = look_timer(id);
    peers_.emplace(id, std::move(peer));
  }
  for (WorkerId id : ids) {
    if (Peer* peer = find(id)) look_after(*peer);
  }
  check_settled();
}

void Workers::settle(Peer& peer) {
  if (!peer.is_found || peer.has_settled) return;
  peer.has_settled = true;
  check_settled();
}

void Workers::check_settled() {
  if (!is_recovering_) return;
  for (const auto& [id, peer] : peers_) {
    if (peer->is_found && !peer->has_settled) return;
  }
  is_recovering_ = false;
  // Ends that came with the last answer are told first.
  loop_.defer([this, alive = alive_] {
    if (*alive) events_.settled();
  });
}

// Starting ---------------------------------------------------------------------------------------

void Workers::keep_running() {
  keeps_running_ = true;
  std::size_t have = asked_ids_;
  for (const auto& [id, peer] : peers_) {
    if (!is_host(*peer) && is_coming_or_up(*peer)) ++have;
  }
  for (; have < options_.count; ++have) {
    ++asked_ids_;
    ask_for_id("");
  }
}

void Workers::ask_for_id(const std::string& plugin) {
  events_.new_id(highest_found_, [this, alive = alive_, plugin](std::optional<WorkerId> id) {
    if (!*alive) return;
    if (plugin.empty()) --asked_ids_;
    if (id) spawn(*id, plugin);
  });
}

// Hosts ------------------------------------------------------------------------------------------

bool Workers::is_host(const Peer& peer) {
  return !peer.plugin.empty() || (!peer.operators.empty() && peer.operators.front() != "process");
}

bool Workers::is_coming_or_up(const Peer& peer) {
  if (peer.signs.is_silent()) return false;
  return peer.state == State::starting || peer.state == State::greeting || peer.state == State::up;
}

bool Workers::want(const std::string& operator_name) {
  auto plugin = options_.plugins.find(operator_name);
  if (plugin == options_.plugins.end()) return false;
  demand_.want(plugin->second, operator_name);
  return true;
}

void Workers::start_host(const std::string& plugin) {
  ask_for_id(plugin);
  if (!retire_timer_.armed()) retire_timer_.start_after(look_at_hosts_after());
}

Duration Workers::look_at_hosts_after() const {
  return std::min(kHostLooksEvery, options_.hosts.idle);
}

std::string Workers::plugin_of(const Peer& peer) const {
  if (!peer.plugin.empty() || peer.operators.empty()) return peer.plugin;
  const auto plugin = options_.plugins.find(peer.operators.front());
  return plugin == options_.plugins.end() ? "" : plugin->second;
}

/// Of the hosts of a plugin the one with the fewest attempts gets the next ones: when its loop is
/// full, another host takes a part of what follows. For libraries, whose attempts share the loop;
/// warm programs have a bound of their own in each host.
void Workers::spread(const Peer& peer) {
  if (peer.state != State::up || !is_host(peer) || !load_.is_due(peer.id, mono_now())) return;
  const std::string plugin = plugin_of(peer);
  if (!plugin.ends_with(".so")) return;
  const std::optional<Duration> used = loop_cpu_time(peer.pid);
  if (!used || !load_.is_full(peer.id, *used, mono_now())) return;
  const auto hosts = std::count_if(peers_.begin(), peers_.end(), [&](const auto& each) {
    return is_coming_or_up(*each.second) && plugin_of(*each.second) == plugin;
  });
  if (static_cast<std::size_t>(hosts) < hosts_max(options_.hosts))
    demand_.want(plugin, peer.operators.front());
}

/// Hosts that nobody has used for a while end; the next attempt starts one.
void Workers::retire_idle_hosts() {
  bool any = false;
  for (auto& [id, peer] : peers_) {
    if (!is_host(*peer) || peer->state == State::dead) continue;
    any = true;
    if (peer->state != State::up) continue;
    if (!events_.attempts_of(id).empty()) {
      peer->since = mono_now();
    } else if (mono_now() - peer->since >= options_.hosts.idle) {
      retire(*peer);
    }
  }
  if (any) retire_timer_.start_after(look_at_hosts_after());
}

// Settings ---------------------------------------------------------------------------------------

void Workers::change_settings(std::size_t count, const Settings& settings) {
  options_.count = count;
  options_.control_groups = settings.control_groups;
  options_.worker_idle = settings.worker_idle;
  options_.hosts = settings.hosts;
  bool any_host = false;
  for (auto& [id, peer] : peers_) {
    any_host |= is_host(*peer);
    if (peer->state == State::up && peer->ways != ways_of(is_host(*peer))) retire(*peer);
  }
  if (any_host) retire_timer_.start_after(look_at_hosts_after());
  retire_surplus();
  if (keeps_running_) keep_running();
}

void Workers::change_plugins(std::map<std::string, std::string> plugins) {
  options_.plugins = std::move(plugins);
  for (auto& [id, peer] : peers_) {
    if (peer->state == State::up && is_host(*peer)) {
      retire(*peer);
    } else {
      peer->has_old_plugins = true;  // of one that is on its way, too: it may have read them
    }
  }
}

/// It ends what it has, and gets nothing more.
void Workers::retire(Peer& peer) {
  peer.state = State::draining;
  events_.drains(peer.id);
  send(peer, frame::Shutdown{});
}

/// Those with the fewest attempts first.
void Workers::retire_surplus() {
  if (!keeps_running_) return;
  std::vector<std::pair<std::size_t, Peer*>> up;
  for (auto& [id, peer] : peers_) {
    if (peer->state == State::up && !is_host(*peer) && !peer->signs.is_silent())
      up.emplace_back(events_.attempts_of(id).size(), peer.get());
  }
  if (up.size() <= options_.count) return;
  std::stable_sort(up.begin(), up.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < up.size() - options_.count; ++i) retire(*up[i].second);
}

WorkerWays Workers::ways_of(bool is_host) const {
  return {options_.control_groups, options_.worker_idle, is_host ? &options_.hosts : nullptr};
}

std::vector<std::string> Workers::operators_of(const std::string& plugin) const {
  std::vector<std::string> names;
  for (const auto& [name, path] : options_.plugins) {
    if (path == plugin) names.push_back(name);
  }
  return names;
}

void Workers::spawn(WorkerId id, const std::string& plugin) {
  auto owned = std::make_unique<Peer>(folder_of(id), ways_of(!plugin.empty()), options_.patience);
  owned->id = id;
  owned->plugin = plugin;
  owned->since = mono_now();
  owned->timer = look_timer(id);
  Peer& peer = *peers_.emplace(id, std::move(owned)).first->second;
  const Result<pid_t> pid = start_worker(
      {options_.program, options_.home, peer.folder, id, options_.program_descriptors, plugin,
       plugin.empty() ? std::vector<std::string>{} : operators_of(plugin), peer.ways});
  if (!pid) {
    events_.problem("cannot start a worker: " + pid.error().message + ". Trying again");
    bury(peer);
    return;
  }
  peer.is_child = true;
  peer.pid = *pid;
  peer.timer->start_after(kConnectEvery);
}

void Workers::reap() {
  for (auto& [id, peer] : peers_) {
    if (!peer->is_child || peer->pid == 0) continue;
    int status = 0;
    if (waitpid(peer->pid, &status, WNOHANG) != peer->pid) continue;
    peer->is_child = false;
    if (peer->state == State::starting) peer->timer->start_after(Duration{0});
  }
}

void Workers::replace_later() {
  if (!keeps_running_) return;
  const int shift = std::min(failures_in_a_row_, kReplaceDelayShiftMax);
  const Duration delay = failures_in_a_row_ == 0 ? Duration{0} : Duration(500LL << shift);
  replace_timer_.start_after(delay);
}

// The dead ---------------------------------------------------------------------------------------

/// Its lock says so, once it is read and free. One that cannot be read says nothing.
bool Workers::is_dead(Peer& peer) {
  const Result<bool> held = FileLock::is_held(peer.folder + "/lock");
  if (!held) {
    cannot_judge(peer, "cannot tell whether it lives: " + held.error().message, "");
    return false;
  }
  peer.is_unreadable = false;
  return !*held;
}

/// Its attempts stay as they are until it can be; said once.
void Workers::cannot_judge(Peer& peer, const std::string& why, const std::string& remedy) {
  if (std::exchange(peer.is_unreadable, true)) return;
  events_.problem("worker " + std::to_string(peer.id.value) + ": " + why +
                  ". What it runs counts as running, and it is looked at again every second" +
                  remedy);
}

void Workers::bury(Peer& peer) {
  if (peer.state == State::dead) return;
  // Of one that an earlier scheduler left and that never answered this one, nobody saw the death.
  peer.death = peer.was_met || !peer.is_found ? WorkerDeath::seen : WorkerDeath::unseen;
  if (peer.was_killed) peer.death = WorkerDeath::of_silence;
  peer.died_at = wall_now();
  const bool was_told = peer.state == State::draining;  // or ends by itself, to be replaced
  const bool was_young = mono_now() - peer.since < kYoung && !peer.is_found && !was_told;
  if (was_young && peer.plugin.empty()) ++failures_in_a_row_;
  peer.state = State::dead;
  peer.timer->cancel();
  peer.signs.heard();
  peer.stops.clear();
  load_.forget(peer.id);
  if (peer.is_child && peer.pid != 0) reap();
  if (peer.plugin.empty()) {
    replace_later();
  } else {
    miss(peer, demand_.died(peer.plugin, was_young));
  }
  peer.work = std::make_unique<Work>(loop_, Work::Pace::slow);
  learn_fate(peer);
}

/// What became of a dead worker's attempts; off the loop's thread.
void Workers::learn_fate(Peer& peer) {
  std::vector<StayOfAttempt> attempts = events_.attempts_of(peer.id);
  for (const auto& [id, stay] : attempts) peer.unforgotten.emplace(id, stay);
  // What is left of these is ended, too; how they ended was told.
  attempts.insert(attempts.end(), peer.given_up.begin(), peer.given_up.end());
  struct Learned {
    Result<std::vector<AttemptResult>> fate{std::vector<AttemptResult>()};
    std::string end;
  };
  auto learned = std::make_shared<Learned>();
  peer.work->start(
      [learned, folder = peer.folder, home = options_.home, id = peer.id, attempts,
       death = peer.death, died_at = peer.died_at] {
        learned->fate = fate_of_attempts(folder, home, id, attempts, death, died_at);
        learned->end = end_of_host(folder);
      },
      [this, alive = alive_, learned, id = peer.id] {
        if (!*alive) return;
        Peer* dead = find(id);
        if (dead == nullptr) return;
        if (dead->misses == kMissesTold) tell_missed(*dead, learned->end);
        fate_learned(*dead, std::move(learned->fate));
      });
}

/// Somebody waited for a host that is dead, or silent, before it came up.
void Workers::miss(Peer& peer, const std::optional<HostDemand::Missed>& missed) {
  if (!missed) return;
  peer.misses = missed->in_a_row;
  want(missed->operator_name);
}

/// Once in a row: it is tried again as long as somebody waits.
void Workers::tell_missed(Peer& peer, const std::string& end) {
  events_.problem(peer.plugin + ": the processes that load it do not come up, " +
                  std::to_string(peer.misses) + " in a row; the last one " + end +
                  ". Its operators wait, and it is tried again");
  peer.misses = 0;  // its fate may be asked for again
}

void Workers::fate_learned(Peer& peer, Result<std::vector<AttemptResult>>&& fate) {
  if (!fate) {
    cannot_judge(peer,
                 "it is dead, and nobody can tell how what it ran ended: " + fate.error().message,
                 ". If its files cannot be read ever again, move " + peer.folder +
                     " away: what it ran is interrupted then");
    settle(peer);
    peer.timer->start_after(kLookEvery);
    return;
  }
  peer.is_fate_known = true;
  std::vector<AttemptResult> results = *std::move(fate);
  std::erase_if(results,
                [&](const AttemptResult& result) { return peer.has_given_up(result.attempt); });
  if (!results.empty()) events_.ended(std::move(results));
  events_.gone(peer.id);
  settle(peer);
  if (peer.unforgotten.empty()) remove_folder(peer);
}

/// Off the loop's thread: results that were too large for a frame lie there, as many as there were.
void Workers::remove_folder(Peer& peer) {
  settle(peer);
  // Until its fate is known the folder is read; then this is asked again.
  peer.work->start(
      [folder = peer.folder] {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
      },
      [this, alive = alive_, id = peer.id] {
        if (*alive) peers_.erase(id);
      });
}

// Views ------------------------------------------------------------------------------------------

std::vector<Workers::View> Workers::view() const {
  std::vector<View> out;
  for (const auto& [id, peer] : peers_) {
    View view{id, "", peer->pid, peer->version};
    switch (peer->state) {
      case State::starting:
      case State::greeting: view.state = "starting"; break;
      case State::up: view.state = "up"; break;
      case State::draining: view.state = "draining"; break;
      case State::silent: view.state = "silent"; break;
      case State::dead: view.state = "dead"; break;
    }
    if (peer->signs.is_silent()) view.state = "silent";
    out.push_back(std::move(view));
  }
  return out;
}

std::vector<Workers::View> Workers::silent() const {
  std::vector<View> out = view();
  std::erase_if(out, [](const View& view) { return view.state != "silent"; });
  return out;
}

}  // namespace pawl
