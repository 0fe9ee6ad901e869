#include "plugins/worker/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "scheduler/base/words.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// An environment is at most a quarter of the largest stack: enough for any that can be met.
constexpr std::size_t kEnvironmentBytesMax = 8u << 20;

constexpr std::size_t kLimitsBytesMax = 16u << 10;
/// A mark: 23 bits of the home's hash above 40 bits of the attempt, so never `unlimited`.
constexpr unsigned kMarkAttemptBits = 40;
constexpr std::uint64_t kMarkAttemptMask = (std::uint64_t{1} << kMarkAttemptBits) - 1;
/// The highest bit of those, which no attempt's number reaches, says that it is the mark of a
/// program: 38 bits of its host's hash, 23 above it and 15 below, then 24 bits of its number.
constexpr std::uint64_t kMarkIsProgram = std::uint64_t{1} << (kMarkAttemptBits - 1);
constexpr unsigned kMarkProgramBits = 24;
constexpr std::uint64_t kMarkProgramMask = (std::uint64_t{1} << kMarkProgramBits) - 1;

/// Up to `bytes_max` of a file of /proc; nothing when it cannot be read.
std::optional<std::string> read_file(const char* path, std::size_t bytes_max) {
  Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::string text;
  char buffer[4096];
  while (text.size() < bytes_max) {
    ssize_t got = ::read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

std::string proc_path(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

/// Bytes; the line of a number of kB begins with `name`.
std::optional<std::int64_t> memory_in_line(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(at + name.size());
  const auto kilobytes = whole_number<std::int64_t>(next_word(rest));
  return kilobytes ? std::optional(*kilobytes * 1024) : std::nullopt;
}

std::optional<std::uint64_t> mark_in_limits(std::string_view limits) {
  constexpr std::string_view kLine = "\nMax file locks ";
  std::size_t at = limits.find(kLine);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = limits.substr(at + kLine.size());
  return whole_number<std::uint64_t>(next_word(rest));
}

/// The value of the last variable that begins with `name`, which ends in `=`; empty when none does.
std::string_view variable_of(std::string_view environment, std::string_view name) {
  std::string_view value;
  while (!environment.empty()) {
    std::size_t end = environment.find('\0');
    std::string_view entry = environment.substr(0, end);
    environment.remove_prefix(end == std::string_view::npos ? environment.size() : end + 1);
    if (entry.starts_with(name)) value = entry.substr(name.size());
  }
  return value;
}

}  // namespace

std::optional<std::int64_t> proportional_memory_bytes(pid_t pid) {
  auto text = read_file(proc_path(pid, "smaps_rollup").c_str(), 16u << 10);
  if (!text || text->empty()) return std::nullopt;
  return memory_in_line(*text, "\nPss:").value_or(0) +
         memory_in_line(*text, "\nSwapPss:").value_or(0);
}

Fd open_of_process(pid_t pid, const char* name) {
  const int mode = std::string_view(name) == "clear_refs" ? O_WRONLY : O_RDONLY;
  return Fd(::open(proc_path(pid, name).c_str(), mode | O_CLOEXEC));
}

std::optional<std::int64_t> peak_memory_bytes(const Fd& status) {
  return memory_in_line(read_small_file(status), "\nVmHWM:");
}

bool reset_peak_memory(const Fd& clear_refs) {
  return clear_refs && ::pwrite(clear_refs.get(), "5", 1, 0) == 1;
}

std::optional<std::int64_t> attempt_in_environment(std::string_view environment,
                                                   std::string_view home) {
  if (variable_of(environment, "PAWL_HOME=") != home) return std::nullopt;
  return whole_number<std::int64_t>(variable_of(environment, "PAWL_ATTEMPT_ID="));
}

std::uint64_t attempt_mark(std::int64_t attempt, std::string_view home) {
  const std::uint64_t hash = XXH3_64bits(home.data(), home.size());
  return (hash >> (kMarkAttemptBits + 1)) << kMarkAttemptBits |
         (static_cast<std::uint64_t>(attempt) & kMarkAttemptMask);
}

std::optional<std::int64_t> attempt_in_limits(std::string_view limits, std::string_view home) {
  auto mark = mark_in_limits(limits);
  if (!mark) return std::nullopt;
  const auto attempt = static_cast<std::int64_t>(*mark & kMarkAttemptMask);
  return *mark == attempt_mark(attempt, home) ? std::optional(attempt) : std::nullopt;
}

std::uint64_t program_mark(std::int64_t program, std::string_view host) {
  const std::uint64_t hash = XXH3_64bits(host.data(), host.size()) >> 1;
  return (hash & ~(kMarkIsProgram | kMarkProgramMask)) | kMarkIsProgram |
         (static_cast<std::uint64_t>(program) & kMarkProgramMask);
}

std::optional<std::int64_t> program_in_limits(std::string_view limits, std::string_view host) {
  auto mark = mark_in_limits(limits);
  if (!mark) return std::nullopt;
  const auto program = static_cast<std::int64_t>(*mark & kMarkProgramMask);
  return *mark == program_mark(program, host) ? std::optional(program) : std::nullopt;
}

std::optional<std::int64_t> program_of_process(pid_t pid, std::string_view host) {
  auto limits = read_file(proc_path(pid, "limits").c_str(), kLimitsBytesMax);
  return limits ? program_in_limits(*limits, host) : std::nullopt;
}

bool is_of_another_home(pid_t pid, std::int64_t attempt, const std::string& home) {
  auto limits = read_file(proc_path(pid, "limits").c_str(), kLimitsBytesMax);
  auto mark = limits ? mark_in_limits(*limits) : std::nullopt;
  if (!mark || *mark == attempt_mark(attempt, home)) return false;
  // Or the home was moved since the program was started: then the old one is gone.
  auto environment = read_file(proc_path(pid, "environ").c_str(), kEnvironmentBytesMax);
  if (!environment) return true;
  const std::string named(variable_of(*environment, "PAWL_HOME="));
  std::error_code failed;
  return named.empty() || (std::filesystem::exists(named, failed) &&
                           !std::filesystem::equivalent(named, home, failed));
}

std::optional<std::int64_t> attempt_of_process(pid_t pid, std::string_view home) {
  auto limits = read_file(proc_path(pid, "limits").c_str(), kLimitsBytesMax);
  if (limits) {
    if (auto marked = attempt_in_limits(*limits, home)) return marked;
  }
  auto environment = read_file(proc_path(pid, "environ").c_str(), kEnvironmentBytesMax);
  if (!environment) return std::nullopt;
  return attempt_in_environment(*environment, home);
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc"), closedir);
  if (dir == nullptr) return pids;
  while (const dirent* entry = readdir(dir.get())) {
    if (const auto pid = whole_number<pid_t>(entry->d_name)) pids.push_back(*pid);
  }
  return pids;
}

std::optional<pid_t> newest_process() {
  // "0.20 0.18 0.12 1/80 11206"
  const std::string text = read_small_file("/proc/loadavg");
  std::string_view rest = text;
  std::string_view last;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) last = word;
  return whole_number<pid_t>(last);
}

std::vector<pid_t> own_children() {
  // The only process that reaps them is this one, so none leaves the list while it is read.
  static const std::string kPath =
      proc_path(getpid(), "task/") + std::to_string(getpid()) + "/children";
  std::vector<pid_t> children;
  auto text = read_file(kPath.c_str(), std::size_t{64} << 20);
  if (!text) {
    // A kernel without that file.
    for (pid_t pid : all_processes()) {
      auto stat = read_process_stat(pid);
      if (stat && stat->parent == getpid()) children.push_back(pid);
    }
    return children;
  }
  std::string_view rest = *text;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (const auto pid = whole_number<pid_t>(word)) children.push_back(*pid);
  }
  return children;
}

}  // namespace pawl
