#pragma once

// What /proc says of processes. Every read is of one moment; a pid is an identity only together
// with its start time.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl {

struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';               ///< as in /proc/PID/stat; Z and X have ended
  std::uint64_t start_ticks = 0;  ///< since boot
  bool has_ended() const { return state == 'Z' || state == 'X'; }
};

/// Nothing when there is no such process.
std::optional<ProcessStat> read_process_stat(pid_t pid);

/// Reads the text of /proc/PID/stat; the program's name in it may hold anything. Total.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

/// The attempt whose variables a process carries: PAWL_HOME is `home`, and PAWL_ATTEMPT_ID a
/// number. Nothing when it carries none, or its environment cannot be read.
std::optional<std::int64_t> attempt_of_environment(pid_t pid, std::string_view home);

/// The same of the bytes of an environment.
std::optional<std::int64_t> attempt_in_environment(std::string_view environment,
                                                   std::string_view home);

/// All pids there are.
std::vector<pid_t> all_processes();

/// Children of this process's main thread, zombies included, orphans that it inherited as a
/// subreaper included. Complete when nobody else reaps meanwhile.
std::vector<pid_t> own_children();

}  // namespace pawl
