#include "scheduler/loop/process_stat.h"

#include <array>
#include <string>

#include "scheduler/base/words.h"

namespace pawl {

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  return parse_process_stat(read_small_file("/proc/" + std::to_string(pid) + "/stat"));
}

std::optional<ProcessStat> read_process_stat(const Fd& stat) {
  return parse_process_stat(read_small_file(stat));
}

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // pid (name) state parent …; a name may hold blanks and parentheses.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(name_end + 1);
  const auto pid = whole_number<pid_t>(next_word(text));
  const std::string_view state = next_word(rest);
  if (!pid || state.size() != 1) return std::nullopt;

  // What follows, by its number in proc(5).
  enum Field : std::uint8_t {
    parent = 4,
    group = 5,
    session = 6,
    minor_faults = 10,
    major_faults = 12,
    user_time = 14,
    system_time = 15,
    children_user_time = 16,
    children_system_time = 17,
    threads = 20,
    start_time = 22,
    resident = 24,
  };
  std::array<std::int64_t, resident + 1> fields{};
  for (std::size_t i = parent; i <= resident; ++i) {
    const auto number = whole_number<std::int64_t>(next_word(rest));
    if (!number) return std::nullopt;
    fields[i] = *number;
  }
  ProcessStat stat;
  stat.pid = *pid;
  stat.parent = static_cast<pid_t>(fields[parent]);
  stat.group = static_cast<pid_t>(fields[group]);
  stat.session = static_cast<pid_t>(fields[session]);
  stat.state = state.front();
  stat.start_ticks = static_cast<std::uint64_t>(fields[start_time]);
  stat.children_cpu_ticks =
      static_cast<std::uint64_t>(fields[children_user_time] + fields[children_system_time]);
  stat.cpu_ticks =
      static_cast<std::uint64_t>(fields[user_time] + fields[system_time]) + stat.children_cpu_ticks;
  stat.faults = static_cast<std::uint64_t>(fields[minor_faults] + fields[major_faults]);
  stat.threads = fields[threads];
  stat.resident_pages = fields[resident];
  return stat;
}

}  // namespace pawl
