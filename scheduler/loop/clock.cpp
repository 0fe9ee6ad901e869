#include "scheduler/loop/clock.h"

#include <fcntl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "scheduler/base/check.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

std::int64_t read_ms(clockid_t clock) {
  timespec now{};
  PAWL_CHECK(clock_gettime(clock, &now) == 0);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

/// A small file of the kernel; empty when it cannot be read.
std::string read_small(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return {};
  std::array<char, 4096> buffer;
  const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
  return n <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(n));
}

std::string first_word(std::string_view text) {
  return std::string(text.substr(0, text.find_first_of(" \t\r\n")));
}

/// Takes the next word off the front; empty at the end.
std::string_view next_word(std::string_view& text) {
  const std::size_t begin = text.find_first_not_of(" \n");
  if (begin == std::string_view::npos) return {};
  const std::size_t end = text.find_first_of(" \n", begin);
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  return word;
}

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return number;
}

std::string make_boot_id() {
  std::string id = first_word(read_small("/proc/sys/kernel/random/boot_id"));
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
Now read_clocks() { return Now{.mono = mono_now(), .wall = wall_now()}; }

const std::string& boot_id() {
  static const std::string kBootId = make_boot_id();
  return kBootId;
}

std::string machine_id() { return first_word(read_small("/etc/machine-id")); }

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  const std::string stat = read_small("/proc/" + std::to_string(pid) + "/stat");
  // The second field is the program's name in brackets, which may itself hold brackets and blanks.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  std::string_view rest = std::string_view(stat).substr(name_end + 1);
  constexpr int kFieldsBefore = 19;  // state is field 3, the start time field 22
  for (int i = 0; i < kFieldsBefore; ++i) next_word(rest);
  return whole_number<std::uint64_t>(next_word(rest));
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
