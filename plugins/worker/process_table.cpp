#include "plugins/worker/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>

#define XXH_INLINE_ALL
#include <xxhash.h>

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

/// Takes the next word of `text`; empty at its end.
std::string_view next_word(std::string_view& text) {
  std::size_t from = text.find_first_not_of(" \t\n");
  if (from == std::string_view::npos) return text = {}, std::string_view{};
  std::size_t to = text.find_first_of(" \t\n", from);
  std::string_view word = text.substr(from, to == std::string_view::npos ? to : to - from);
  text = to == std::string_view::npos ? std::string_view{} : text.substr(to);
  return word;
}

template <typename Int>
bool parse_number(std::string_view word, Int& out) {
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
  return error == std::errc{} && end == word.data() + word.size() && !word.empty();
}

/// Bytes; the line of a number of kB begins with `name`.
std::optional<std::int64_t> memory_in_line(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(at + name.size());
  std::int64_t kilobytes = 0;
  if (!parse_number(next_word(rest), kilobytes)) return std::nullopt;
  return kilobytes * 1024;
}

std::optional<std::uint64_t> mark_in_limits(std::string_view limits) {
  constexpr std::string_view kLine = "\nMax file locks ";
  std::size_t at = limits.find(kLine);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = limits.substr(at + kLine.size());
  std::uint64_t mark = 0;
  if (!parse_number(next_word(rest), mark)) return std::nullopt;
  return mark;
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

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // pid (name) state parent group session …; a name may hold blanks and parentheses.
  std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  ProcessStat stat;
  std::string_view head = text;
  if (!parse_number(next_word(head), stat.pid)) return std::nullopt;
  std::string_view rest = text.substr(name_end + 1);
  std::string_view state = next_word(rest);
  if (state.size() != 1) return std::nullopt;
  stat.state = state.front();
  if (!parse_number(next_word(rest), stat.parent) || !parse_number(next_word(rest), stat.group) ||
      !parse_number(next_word(rest), stat.session)) {
    return std::nullopt;
  }
  // The fields behind the session, by their numbers in proc(5).
  constexpr int kSession = 6;
  constexpr int kUserTime = 14;  // then system time, and both of children
  constexpr int kWaitedUserTime = 16;
  constexpr int kWaitedSystemTime = 17;
  constexpr int kThreads = 20;
  constexpr int kStartTime = 22;
  constexpr int kResident = 24;
  for (int field = kSession + 1; field <= kResident; ++field) {
    const std::string_view word = next_word(rest);
    bool is_good = true;
    if (field >= kUserTime && field <= kWaitedSystemTime) {
      std::uint64_t ticks = 0;
      is_good = parse_number(word, ticks);
      stat.cpu_ticks += ticks;
      if (field >= kWaitedUserTime) stat.children_cpu_ticks += ticks;
    } else if (field == kThreads) {
      is_good = parse_number(word, stat.threads);
    } else if (field == kStartTime) {
      is_good = parse_number(word, stat.start_ticks);
    } else if (field == kResident) {
      is_good = parse_number(word, stat.resident_pages);
    }
    if (!is_good) return std::nullopt;
  }
  return stat;
}

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  auto text = read_file(proc_path(pid, "stat").c_str(), 4096);
  if (!text) return std::nullopt;
  return parse_process_stat(*text);
}

std::optional<std::int64_t> proportional_memory_bytes(pid_t pid) {
  auto text = read_file(proc_path(pid, "smaps_rollup").c_str(), 16u << 10);
  if (!text || text->empty()) return std::nullopt;
  return memory_in_line(*text, "\nPss:").value_or(0) + memory_in_line(*text, "\nSwapPss:").value_or(0);
}

std::optional<std::int64_t> peak_memory_bytes(pid_t pid) {
  auto text = read_file(proc_path(pid, "status").c_str(), 16u << 10);
  return text ? memory_in_line(*text, "\nVmHWM:") : std::nullopt;
}

bool reset_peak_memory(pid_t pid) {
  const Fd file(::open(proc_path(pid, "clear_refs").c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), "5", 1) == 1;
}

std::optional<std::int64_t> attempt_in_environment(std::string_view environment,
                                                   std::string_view home) {
  std::int64_t attempt = 0;
  const bool is_ours = variable_of(environment, "PAWL_HOME=") == home;
  if (!is_ours || !parse_number(variable_of(environment, "PAWL_ATTEMPT_ID="), attempt)) {
    return std::nullopt;
  }
  return attempt;
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
    pid_t pid = 0;
    if (parse_number(entry->d_name, pid)) pids.push_back(pid);
  }
  return pids;
}

std::optional<pid_t> newest_process() {
  const auto text = read_file("/proc/loadavg", 256);
  if (!text) return std::nullopt;
  // "0.20 0.18 0.12 1/80 11206"
  std::string_view rest = *text;
  std::string_view last;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) last = word;
  pid_t pid = 0;
  return parse_number(last, pid) ? std::optional(pid) : std::nullopt;
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
    pid_t pid = 0;
    if (parse_number(word, pid)) children.push_back(pid);
  }
  return children;
}

}  // namespace pawl
