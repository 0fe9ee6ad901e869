#include "plugins/worker/remains.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "plugins/worker/process_table.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// How long one look waits for the processes it has killed before it looks again.
constexpr Duration kLookAgainAfter{50};
/// Passes in a row that find nothing and yet prove nothing, because other processes come and go
/// faster than they are looked at. What would still hide would have to outrun each of them.
constexpr int kEmptyPassesMax = 10;

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
  Fd pidfd;  ///< none: the system gave none
};

/// What one pass over all processes saw.
struct Pass {
  std::vector<Found> found;
  bool is_complete = true;  ///< every process there was could be looked at
  int error_code = 0;       ///< of a lack of descriptors, for which one could not be killed
};

/// Passes over all processes, until one proves that none of ours is left.
///
/// A process of ours is there because another of ours forked it: the worker is dead and starts
/// none. So if one lives, the list of a pass holds one, and it either is found or ends before it is
/// looked at, perhaps after a fork that the list does not show. A pass in which every process of
/// the list was looked at while it lived, and was not ours, therefore proves that none is left. One
/// that ended unseen spoils the pass, but not when an earlier pass has looked at it: what was not
/// ours then has no children of ours. That is why a busy machine, on which something always ends,
/// comes to an end too: what is new since the last pass is looked at first, right behind the list.
///
/// The list itself is no moment either. It is read by rising number, so a child is met behind its
/// parent, unless the numbers have begun anew and it got one below the place that was reached. So
/// when any process was born during the pass, it takes a second one that sees the same.
class Passes {
 public:
  explicit Passes(const Search& search) : search_(search) {}

  /// Kills every process of the attempts that it finds. Errors: failed.
  Result<Pass> kill_once(std::size_t& killed) {
    Pass pass;
    std::vector<pid_t> pids = all_processes();
    if (pids.empty()) return unknown(errno);
    std::stable_partition(pids.begin(), pids.end(),
                          [&](pid_t pid) { return !strangers_.contains(pid); });
    std::unordered_set<pid_t> strangers;
    for (pid_t pid : pids) {
      if (look_at(pid, pass, killed)) strangers.insert(pid);
    }
    strangers_ = std::move(strangers);
    if (pass.error_code != 0) return unknown(pass.error_code);
    return pass;
  }

 private:
  static Error unknown(int code) {
    return Error{ErrorKind::failed,
                 std::string("cannot look at the processes in /proc: ") + std::strerror(code)};
  }

  /// Whether it is known not to be ours.
  bool look_at(pid_t pid, Pass& pass, std::size_t& killed) {
    auto stat = read_process_stat(pid);
    if (!stat || stat->has_ended()) {
      // What has ended has no more children after this: the next list has all that it had.
      pass.is_complete = pass.is_complete && strangers_.contains(pid);
      return stat.has_value();
    }
    if (!search_.belonging_of(*stat)) return is_same(pid, *stat, pass);
    Fd pidfd(pidfd_open(pid));
    const bool is_gone = !pidfd && errno == ESRCH;
    if (!pidfd && (errno == EMFILE || errno == ENFILE)) pass.error_code = errno;
    // Behind the pidfd it cannot change any more: is it still that process?
    auto again = read_process_stat(pid);
    auto belonging = again && again->start_ticks == stat->start_ticks ? search_.belonging_of(*again)
                                                                      : std::nullopt;
    if (is_gone || !belonging) {
      pass.is_complete = false;
      return false;
    }
    if (pidfd && pidfd_kill(pidfd.get()) == 0) ++killed;
    pass.found.push_back({*belonging, std::move(pidfd)});
    return false;
  }

  /// Its limits and variables could be read only if it still lives: of one that ended meanwhile
  /// they say nothing.
  bool is_same(pid_t pid, const ProcessStat& before, Pass& pass) const {
    if (strangers_.contains(pid)) return true;
    const auto now = read_process_stat(pid);
    const bool is_same = now && !now->has_ended() && now->start_ticks == before.start_ticks;
    pass.is_complete = pass.is_complete && is_same;
    return is_same;
  }

  const Search& search_;
  std::unordered_set<pid_t> strangers_;  ///< of the last pass
};

/// Waits until all have ended, at most until `deadline`.
void wait_for(const std::vector<Found>& found, MonoTime deadline) {
  for (const Found& process : found) {
    // Without a pidfd the time passes.
    Duration left = deadline - mono_now();
    if (left <= Duration(0)) return;
    pollfd ready{process.pidfd.get(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(left.count()));
  }
}

}  // namespace

Result<Remains> kill_remains(const std::string& home, const std::string& worker,
                             const std::vector<JournalAttempt>& attempts, Duration patience) {
  Remains result;
  Search search(home, worker, attempts);
  const MonoTime deadline = mono_now() + patience;
  Passes passes(search);
  int empty = 0;  // passes in a row
  int proofs = 0;
  while (true) {
    const auto born_before = newest_process();
    auto pass = passes.kill_once(result.killed);
    if (!pass) return pass.error();
    const std::vector<Found>& found = pass->found;
    if (found.empty()) {
      const bool was_none_born = born_before && born_before == newest_process();
      if (pass->is_complete && (was_none_born || ++proofs == 2)) return result;
      if (!pass->is_complete) proofs = 0;
      if (++empty == kEmptyPassesMax) return result;
      continue;
    }
    empty = proofs = 0;
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
