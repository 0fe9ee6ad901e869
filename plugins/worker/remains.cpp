#include "plugins/worker/remains.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <unordered_map>

#include "plugins/worker/process_table.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// How long one look waits for the processes it has killed before it looks again.
constexpr Duration kLookAgainAfter{50};

int pidfd_open(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

int pidfd_kill(int pidfd) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0));
}

/// Whose a process is.
struct Belonging {
  std::optional<AttemptId> attempt;  ///< nothing: of a warm program, so of any attempt it served
};

class Search {
 public:
  Search(const std::string& home, const std::string& worker,
         const std::vector<JournalAttempt>& attempts)
      : home_(home), worker_(worker) {
    for (const JournalAttempt& attempt : attempts) {
      wanted_.insert(attempt.attempt.value);
      if (attempt.spawned) sessions_[attempt.spawned->pid] = {attempt.attempt, *attempt.spawned};
    }
  }

  /// Whose a process is, as of now; nothing: none that is to be killed.
  std::optional<Belonging> belonging_of(const ProcessStat& process) const {
    if (process.has_ended() || process.pid == getpid()) return std::nullopt;
    if (auto by_session = by_session_of(process)) return Belonging{by_session};
    if (program_of_process(process.pid, worker_)) return Belonging{};
    if (wanted_.empty()) return std::nullopt;
    auto number = attempt_of_process(process.pid, home_);
    if (number && wanted_.contains(*number)) return Belonging{AttemptId(*number)};
    return std::nullopt;
  }

 private:
  struct Session {
    AttemptId attempt;
    Spawned leader;
  };

  std::optional<AttemptId> by_session_of(const ProcessStat& process) const {
    auto at = sessions_.find(process.session);
    if (at == sessions_.end()) return std::nullopt;
    const Spawned& leader = at->second.leader;
    if (process.start_ticks < leader.ticks_min) return std::nullopt;
    if (is_of_another_home(process.pid, at->second.attempt.value, home_)) return std::nullopt;
    // While it has members a session keeps its number, so a leader of that pid is the session's.
    auto now_leader = process.pid == leader.pid ? process : read_process_stat(leader.pid);
    if (now_leader && (now_leader->start_ticks < leader.ticks_min ||
                       now_leader->start_ticks > leader.ticks_max)) {
      return std::nullopt;
    }
    if (now_leader) return at->second.attempt;
    // The leader is gone. Another session could only have its number after ours was empty; what
    // carries the variables of another attempt is not ours.
    auto number = attempt_of_process(process.pid, home_);
    if (number && *number != at->second.attempt.value) return std::nullopt;
    return at->second.attempt;
  }

  const std::string& home_;
  const std::string& worker_;
  std::set<std::int64_t> wanted_;
  std::unordered_map<pid_t, Session> sessions_;
};

/// One process that was killed, or could not be.
struct Found {
  Belonging belonging;
  Fd pidfd;
};

/// Kills every process of the attempts that is found in one pass.
std::vector<Found> kill_once(const Search& search, std::size_t& killed) {
  std::vector<Found> found;
  for (pid_t pid : all_processes()) {
    auto stat = read_process_stat(pid);
    if (!stat || !search.belonging_of(*stat)) continue;
    Fd pidfd(pidfd_open(pid));
    if (!pidfd) continue;
    // Behind the pidfd it cannot change any more: is it still that process?
    auto again = read_process_stat(pid);
    if (!again || again->start_ticks != stat->start_ticks) continue;
    auto belonging = search.belonging_of(*again);
    if (!belonging) continue;
    if (pidfd_kill(pidfd.get()) == 0) ++killed;
    found.push_back({*belonging, std::move(pidfd)});
  }
  return found;
}

/// Waits until all have ended, at most until `deadline`.
void wait_for(const std::vector<Found>& found, MonoTime deadline) {
  for (const Found& process : found) {
    Duration left = deadline - mono_now();
    if (left <= Duration(0)) return;
    pollfd ready{process.pidfd.get(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(left.count()));
  }
}

}  // namespace

Remains kill_remains(const std::string& home, const std::string& worker,
                     const std::vector<JournalAttempt>& attempts, Duration patience) {
  Remains result;
  Search search(home, worker, attempts);
  const MonoTime deadline = mono_now() + patience;
  while (true) {
    auto found = kill_once(search, result.killed);
    if (found.empty()) return result;
    wait_for(found, std::min(deadline, mono_now() + kLookAgainAfter));
    if (mono_now() < deadline) continue;
    for (const JournalAttempt& attempt : attempts) {
      const bool is_there = std::any_of(found.begin(), found.end(), [&](const Found& process) {
        // A program of its own has left nothing in a warm one.
        return process.belonging.attempt ? *process.belonging.attempt == attempt.attempt
                                         : !attempt.spawned;
      });
      if (is_there) result.alive.push_back(attempt.attempt);
    }
    std::sort(result.alive.begin(), result.alive.end());
    return result;
  }
}

}  // namespace pawl
