#pragma once

// The machine's own facts: its clocks, which boot this is, which process that is, and entropy.
// Only the rim of the program calls these; the core is handed their values.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "scheduler/base/time.h"

namespace pawl {

/// Both clocks, read one after the other.
Now read_clocks();
MonoTime mono_now();
WallTime wall_now();
/// Microseconds of CPU time that the calling thread has used. Costs a system call.
std::int64_t thread_cpu_us();

/// Names this boot of the kernel (a UUID). Where the kernel does not tell, a text that no other
/// process has, so that nothing is ever taken for this boot by mistake.
const std::string& boot_id();

/// Names this machine's installation (`/etc/machine-id`); empty where there is none.
std::string machine_id();

/// When the process started, in clock ticks since boot; nothing when there is no such process.
/// A zombie still has one.
std::optional<std::uint64_t> process_start_time(pid_t pid);

/// One process over all boots: a pid alone is reused.
struct ProcessIdentity {
  std::string boot_id;
  pid_t pid = 0;
  std::uint64_t start_time = 0;

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

ProcessIdentity own_identity();

/// True while that very process exists, as a zombie too.
bool exists(const ProcessIdentity& process);

/// `BOOT_ID PID START_TIME`, and back. Reading is total.
std::string format_identity(const ProcessIdentity& process);
std::optional<ProcessIdentity> parse_identity(std::string_view text);

/// Fills `bytes` from the kernel's generator.
void random_bytes(std::span<std::byte> bytes);
std::uint64_t random_u64();

}  // namespace pawl
