#include "scheduler/loop/clock.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

#include "scheduler/base/check.h"
#include "scheduler/base/words.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/process_stat.h"

namespace pawl {
namespace {

std::int64_t read_us(clockid_t clock) {
  timespec now{};
  PAWL_CHECK(clock_gettime(clock, &now) == 0);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

std::int64_t read_ms(clockid_t clock) { return read_us(clock) / 1000; }

std::string first_word(std::string_view text) {
  return std::string(text.substr(0, text.find_first_of(" \t\r\n")));
}

std::string make_boot_id() {
  std::string id = first_word(read_small_file("/proc/sys/kernel/random/boot_id"));
  if (!id.empty()) return id;
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "unknown-%016llx%016llx",
                static_cast<unsigned long long>(random_u64()),
                static_cast<unsigned long long>(random_u64()));
  return text.data();
}

}  // namespace

MonoTime mono_now() { return MonoTime{read_ms(CLOCK_BOOTTIME)}; }
WallTime wall_now() { return WallTime{read_ms(CLOCK_REALTIME)}; }
std::int64_t thread_cpu_us() { return read_us(CLOCK_THREAD_CPUTIME_ID); }
Now read_clocks() { return Now{.mono = mono_now(), .wall = wall_now()}; }

const std::string& boot_id() {
  static const std::string kBootId = make_boot_id();
  return kBootId;
}

std::string machine_id() { return first_word(read_small_file("/etc/machine-id")); }

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  const auto stat = read_process_stat(pid);
  return stat ? std::optional(stat->start_ticks) : std::nullopt;
}

ProcessIdentity own_identity() {
  const pid_t pid = ::getpid();
  return {.boot_id = boot_id(), .pid = pid, .start_time = process_start_time(pid).value_or(0)};
}

bool exists(const ProcessIdentity& process) {
  return process.boot_id == boot_id() && process_start_time(process.pid) == process.start_time;
}

std::string format_identity(const ProcessIdentity& process) {
  return process.boot_id + " " + std::to_string(process.pid) + " " +
         std::to_string(process.start_time);
}

std::optional<ProcessIdentity> parse_identity(std::string_view text) {
  const std::string_view boot = next_word(text);
  const auto pid = whole_number<pid_t>(next_word(text));
  const auto start_time = whole_number<std::uint64_t>(next_word(text));
  if (boot.empty() || !pid || *pid <= 0 || !start_time || !next_word(text).empty()) return {};
  return ProcessIdentity{.boot_id = std::string(boot), .pid = *pid, .start_time = *start_time};
}

void random_bytes(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
    if (n < 0) {
      PAWL_CHECK(errno == EINTR);
      continue;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

std::uint64_t random_u64() {
  std::uint64_t number = 0;
  random_bytes(std::as_writable_bytes(std::span(&number, 1)));
  return number;
}

}  // namespace pawl
