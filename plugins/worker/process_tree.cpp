#include "plugins/worker/process_tree.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pawl {
namespace {

std::int64_t cpu_of(const rusage& usage) {
  auto us = [](const timeval& t) { return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_usec; };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

/// The kernel counts the memory that a child shared with us until its exec as its own, so of a peak
/// that is not above ours only that is known. Ours only rises, so it is asked for when it matters.
ResourceUse use_of(const rusage& usage) {
  static long own_peak = 0;
  if (usage.ru_maxrss > own_peak) {
    rusage own{};
    getrusage(RUSAGE_SELF, &own);
    own_peak = own.ru_maxrss;
  }
  ResourceUse use;
  use.cpu_us = cpu_of(usage);
  (usage.ru_maxrss > own_peak ? use.peak_memory_bytes : use.memory_bound_bytes) =
      std::int64_t{usage.ru_maxrss} * 1024;
  return use;
}

ProgramExit exit_of(int status) {
  ProgramExit exit;
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
  return exit;
}

}  // namespace

void ProcessTree::add(AttemptId attempt, const Spawned& process) {
  programs_[attempt] = {process, false, 0};
  leaders_[process.pid] = attempt;
  sessions_[process.pid] = attempt;
}

bool ProcessTree::reap(std::size_t count_max, std::vector<Exit>& exits) {
  for (std::size_t count = 0; count < count_max; ++count) {
    siginfo_t info{};
    // Looked at before it is reaped: until then its pid, and so its group, cannot be anybody else.
    int found = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    if (found != 0 || info.si_pid == 0) return false;
    ++reaped_;
    auto leader = leaders_.find(info.si_pid);
    if (leader != leaders_.end()) {
      reap_leader(info.si_pid, leader->second, exits);
    } else {
      reap_stray(info.si_pid);
    }
  }
  return true;
}

void ProcessTree::reap_leader(pid_t pid, AttemptId attempt, std::vector<Exit>& exits) {
  ::kill(-pid, SIGKILL);
  int status = 0;
  rusage usage{};
  if (wait4(pid, &status, 0, &usage) != pid) return;
  leaders_.erase(pid);
  programs_[attempt].is_over = true;
  exits.push_back({attempt, exit_of(status), use_of(usage)});
}

void ProcessTree::reap_stray(pid_t pid) {
  auto known = strays_.find(pid);
  Stray stray = known != strays_.end() ? known->second : classify(pid);
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  strays_.erase(pid);
  if (!stray.attempt) return;
  auto program = programs_.find(*stray.attempt);
  if (program != programs_.end()) program->second.stray_cpu_us += cpu_of(usage);
}

ProcessTree::Stray ProcessTree::classify(pid_t pid) const {
  Stray stray;
  auto stat = read_process_stat(pid);
  if (!stat) return stray;
  stray.start_ticks = stat->start_ticks;
  if (auto session = sessions_.find(stat->session); session != sessions_.end()) {
    stray.attempt = session->second;
  } else if (auto number = signs_(pid)) {
    stray.attempt = AttemptId(*number);
  }
  return stray;
}

ProcessTree::Stray& ProcessTree::known_stray(pid_t pid) {
  auto [at, is_new] = strays_.try_emplace(pid);
  if (is_new) at->second = classify(pid);
  return at->second;
}

ProcessTree::Census ProcessTree::census() {
  std::unordered_map<pid_t, ProcessStat> all;
  for (pid_t pid : all_processes()) {
    if (auto stat = read_process_stat(pid)) all.emplace(pid, *stat);
  }
  // Up from each to the first that is known, then the same answer for all on the way.
  std::unordered_map<pid_t, std::optional<AttemptId>> owners;
  std::vector<pid_t> way;
  Census census;
  for (const auto& [start, stat] : all) {
    std::optional<AttemptId> owner;
    way.clear();
    for (pid_t pid = start; way.size() <= all.size();) {
      if (auto known = owners.find(pid); known != owners.end()) {
        owner = known->second;
        break;
      }
      way.push_back(pid);
      auto process = all.find(pid);
      if (auto leader = leaders_.find(pid); leader != leaders_.end()) {
        owner = leader->second;
        break;
      }
      if (process == all.end()) break;
      if (process->second.parent == getpid()) {
        owner = known_stray(pid).attempt;
        break;
      }
      pid = process->second.parent;
    }
    for (pid_t pid : way) owners[pid] = owner;
    if (owner) census[*owner].push_back(stat);
  }
  return census;
}

std::int64_t ProcessTree::cpu_of_strays(AttemptId attempt) const {
  auto program = programs_.find(attempt);
  return program == programs_.end() ? 0 : program->second.stray_cpu_us;
}

bool ProcessTree::is_doomed(const Stray& stray) const {
  if (stray.attempt) {
    auto program = programs_.find(*stray.attempt);
    return program == programs_.end() || program->second.is_over;
  }
  return std::none_of(programs_.begin(), programs_.end(), [&](const auto& entry) {
    const Program& program = entry.second;
    return !program.is_over && program.process.ticks_min <= stray.start_ticks;
  });
}

void ProcessTree::signal(AttemptId attempt, int number) const {
  auto program = programs_.find(attempt);
  if (program == programs_.end() || program->second.is_over) return;
  ::kill(-program->second.process.pid, number);
}

void ProcessTree::kill(AttemptId attempt) {
  signal(attempt, SIGKILL);
  for (const auto& [pid, stray] : strays_) {
    if (stray.attempt == attempt) ::kill(pid, SIGKILL);
  }
}

std::vector<AttemptId> ProcessTree::clear(const std::vector<AttemptId>& over) {
  std::vector<Stray> dying;
  for (pid_t pid : own_children()) {
    if (leaders_.contains(pid)) continue;
    const Stray& stray = known_stray(pid);
    if (!is_doomed(stray)) continue;
    // Ours and not reaped, so the pid is still that process; a zombie takes no harm.
    ::kill(pid, SIGKILL);
    dying.push_back(stray);
  }
  std::vector<AttemptId> gone;
  for (AttemptId attempt : over) {
    bool has_left_something = std::any_of(dying.begin(), dying.end(), [&](const Stray& stray) {
      return stray.attempt ? *stray.attempt == attempt : may_be_of(stray, attempt);
    });
    if (!has_left_something) gone.push_back(attempt);
  }
  return gone;
}

bool ProcessTree::may_be_of(const Stray& stray, AttemptId attempt) const {
  auto program = programs_.find(attempt);
  return program != programs_.end() && program->second.process.ticks_min <= stray.start_ticks;
}

std::int64_t ProcessTree::remove(AttemptId attempt, bool is_gone) {
  auto program = programs_.find(attempt);
  if (program == programs_.end()) return 0;
  std::int64_t cpu_us = program->second.stray_cpu_us;
  program->second.is_over = true;
  if (!is_gone) return cpu_us;  // what is left of it stays known, so that it is reaped and killed
  auto session = sessions_.find(program->second.process.pid);
  if (session != sessions_.end() && session->second == attempt) sessions_.erase(session);
  programs_.erase(program);
  return cpu_us;
}

}  // namespace pawl
