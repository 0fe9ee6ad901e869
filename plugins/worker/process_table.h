#pragma once

// What /proc says of processes, beside process_stat.h. Every read is of one moment.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/loop/fd.h"
#include "scheduler/loop/process_stat.h"

namespace pawl {

/// A process that was started. Its start time lies in [`ticks_min`, `ticks_max`], in clock ticks
/// since boot as in /proc/PID/stat: read around the start, because asking /proc costs as much as
/// the start itself.
struct Spawned {
  pid_t pid = 0;  ///< leader of a session and group of its own
  std::uint64_t ticks_min = 0;
  std::uint64_t ticks_max = 0;
  friend bool operator==(const Spawned&, const Spawned&) = default;
};

/// Memory of a process with its part of what it shares with others, and what of it is swapped out.
/// Slow where it is large. Nothing when it may not be asked, or is gone.
std::optional<std::int64_t> proportional_memory_bytes(pid_t pid);

/// A file of /proc/PID, to be asked again and again; whatever becomes of the number, it is that
/// process. `clear_refs` is opened to be written. None when there is no such process.
Fd open_of_process(pid_t pid, const char* name);

/// The most memory that a process has had in RAM since `reset_peak_memory`, or ever; of its open
/// `status`. Nothing when it may not be asked, or has ended.
std::optional<std::int64_t> peak_memory_bytes(const Fd& status);

/// Its peak counts from now; by its open `clear_refs`. False when it may not be, or has ended.
bool reset_peak_memory(const Fd& clear_refs);

/// The attempt that a process says it belongs to, whatever session it is in: by the mark in its
/// limits, else by the variables it carries. Nothing when it has neither, or cannot be read.
std::optional<std::int64_t> attempt_of_process(pid_t pid, std::string_view home);

/// The mark of an attempt: the soft limit of file locks that its program starts with. Linux has not
/// looked at that limit since 2.4, and nothing changes it by chance: not a fork, not setsid, not an
/// empty environment.
std::uint64_t attempt_mark(std::int64_t attempt, std::string_view home);

/// The attempt of a mark in the text of /proc/PID/limits; nothing when the mark is not this home's.
std::optional<std::int64_t> attempt_in_limits(std::string_view limits, std::string_view home);

/// The mark of a warm program of a host, in the same limit: no attempt has it. Program 0 is the
/// host itself, for what its libraries start. `host`: the folder
/// of its worker, or another name of its own.
std::uint64_t program_mark(std::int64_t program, std::string_view host);

/// The program of a mark in the text of /proc/PID/limits; nothing when the mark is not this host's.
std::optional<std::int64_t> program_in_limits(std::string_view limits, std::string_view host);

/// The warm program of a host that a process is, or was started by, whatever session it is in.
/// Nothing when it has no mark, or cannot be read.
std::optional<std::int64_t> program_of_process(pid_t pid, std::string_view host);

/// Whether a process that is in the session of `attempt` belongs to another home all the same: this
/// one is a copy, taken while that one lived.
bool is_of_another_home(pid_t pid, std::int64_t attempt, const std::string& home);

/// The attempt in the bytes of an environment: PAWL_HOME is `home`, PAWL_ATTEMPT_ID a number.
std::optional<std::int64_t> attempt_in_environment(std::string_view environment,
                                                   std::string_view home);

/// All pids there are, ascending. No moment: what is born or ends meanwhile may be in it or not.
/// This process is always among them: an empty list was not to be had, and errno says why.
std::vector<pid_t> all_processes();

/// The number that was given last to a process or thread. Nothing when the system does not say.
std::optional<pid_t> newest_process();

/// Children of this process's main thread, zombies included, orphans that it inherited as a
/// subreaper included. Complete when nobody else reaps meanwhile.
std::vector<pid_t> own_children();

}  // namespace pawl
