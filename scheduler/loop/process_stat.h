#pragma once

// What /proc/PID/stat says of a process. A pid is an identity only together with its start time.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "scheduler/loop/fd.h"

namespace pawl {

/// Clock ticks of /proc: a hundred a second on every machine that Linux runs programs on.
inline constexpr std::int64_t kMicrosecondsPerTick = 10'000;

struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';               ///< as in /proc/PID/stat; Z and X have ended
  std::uint64_t start_ticks = 0;  ///< since boot
  std::uint64_t cpu_ticks = 0;    ///< user and system, of it and of children that it waited for
  std::uint64_t children_cpu_ticks = 0;  ///< the children's part of it
  std::uint64_t faults = 0;  ///< pages that it touched and did not have: its memory grows by them
  std::int64_t threads = 0;
  std::int64_t resident_pages = 0;
  bool has_ended() const { return state == 'Z' || state == 'X'; }
  /// By SIGSTOP or a terminal, or held by a debugger.
  bool is_stopped() const { return state == 'T' || state == 't'; }
};

/// Nothing when there is no such process.
std::optional<ProcessStat> read_process_stat(pid_t pid);
/// The same of its open file.
std::optional<ProcessStat> read_process_stat(const Fd& stat);

/// Reads the text of /proc/PID/stat; the program's name in it may hold anything. Total.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

}  // namespace pawl
