#include "cli/checkup.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "cli/when.h"
#include "plugins/worker/control_group.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/home.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"
#include "storage/ballast.h"

namespace pawl {

namespace {

namespace fs = std::filesystem;
using Level = Finding::Level;

constexpr std::uint64_t kRoomWanted = std::uint64_t{1} << 30;
// Below it a scheduler whose disk was full starts nothing, and a new one has no ballast.
constexpr std::uint64_t kRoomNeeded = Ballast::kRoomBytes;
constexpr rlim_t kDescriptorsWanted = 4096;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Finding check_room(const std::string& home) {
  struct statvfs facts {};
  if (statvfs(home.c_str(), &facts) != 0) {
    return {"room", Level::problem, std::strerror(errno), "Check the file system"};
  }
  const std::uint64_t bytes = std::uint64_t{facts.f_bavail} * facts.f_frsize;
  const std::string text = format_bytes(bytes) + " free";
  if (bytes < kRoomNeeded) {
    return {"room", Level::problem, text, "Make room: nothing starts on a full disk. pawl prune"};
  }
  if (bytes < kRoomWanted) {
    return {"room", Level::warning, text, "Make room, or keep less history: pawl prune"};
  }
  if (facts.f_files > 0 && facts.f_favail < 10'000) {
    return {"room", Level::warning, fmt::format("{} files may still be made", facts.f_favail),
            "Remove files: logs need one each. pawl prune"};
  }
  return {"room", Level::good, text, ""};
}

Finding check_file_system(const std::string& home) {
  const Result<std::string_view> network = network_file_system(home);
  if (!network) return {"file system", Level::problem, network.error().message, "Check the folder"};
  if (!network->empty()) {
    return {"file system", Level::problem,
            fmt::format("{}: locks cannot be trusted there", *network),
            "Put the home on a local disk: --home, PAWL_HOME"};
  }
  return {"file system", Level::good, "local", ""};
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

/// The last value of each key of section [Service].
std::map<std::string, std::string> service_settings(std::string_view text) {
  std::map<std::string, std::string> settings;
  std::string section;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      section = line;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (section != "[Service]" || equals == std::string::npos) continue;
    settings[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
  }
  return settings;
}

struct WantedSetting {
  std::string_view key;
  std::array<std::string_view, 3> good;  ///< values that serve; empty ones are none
  std::string_view why;
};

constexpr WantedSetting kWanted[] = {
    {"KillMode", {"process", "", ""}, "else a restart kills the running tasks"},
    {"OOMPolicy", {"continue", "", ""}, "else a task killed for memory takes the service down"},
    {"Delegate", {"yes", "true", "1"}, "else the kernel cannot keep the limits of tasks"},
    {"Restart", {"on-failure", "always", "on-abnormal"}, "else runs wait after a crash"},
};

/// The unit file with its drop-ins behind it.
std::string unit_text(const fs::path& unit) {
  std::string text = read_file(unit.string());
  std::vector<fs::path> drop_ins;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(unit.string() + ".d", error)) {
    if (entry.path().extension() == ".conf") drop_ins.push_back(entry.path());
  }
  std::sort(drop_ins.begin(), drop_ins.end());
  for (const fs::path& drop_in : drop_ins) text += "\n" + read_file(drop_in.string());
  return text;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string_view to_string(Finding::Level level) {
  switch (level) {
    case Level::good: return "good";
    case Level::warning: return "warning";
    case Level::problem: return "problem";
  }
  return "";
}

std::vector<Finding> check_home_folder(const std::string& home) {
  const std::string shown = escape_for_terminal(home);
  struct stat facts {};
  if (stat(home.c_str(), &facts) != 0) {
    if (errno == ENOENT) {
      return {{"home", Level::good, shown + " is not there yet: the first run makes it", ""}};
    }
    return {{"home", Level::problem, fmt::format("{}: {}", shown, std::strerror(errno)),
             "Choose another one: --home, PAWL_HOME"}};
  }
  std::vector<Finding> findings;
  if (!S_ISDIR(facts.st_mode)) {
    return {
        {"home", Level::problem, shown + " is no folder", "Choose another one: --home, PAWL_HOME"}};
  }
  if (facts.st_uid != geteuid()) {
    findings.push_back({"home", Level::problem,
                        fmt::format("{} belongs to user {}", shown, facts.st_uid),
                        "Run as that user, or choose another home"});
  } else if ((facts.st_mode & 077U) != 0) {
    findings.push_back(
        {"home", Level::problem,
         fmt::format("{} is open to others (mode {:04o})", shown, facts.st_mode & 07777U),
         fmt::format("chmod 700 {}", shown)});
  } else if (access(home.c_str(), W_OK | X_OK) != 0) {
    findings.push_back({"home", Level::problem, shown + " cannot be written",
                        fmt::format("chmod 700 {}, or remount it for writing", shown)});
  } else {
    findings.push_back({"home", Level::good, shown, ""});
  }
  if (const std::string other = other_machine_of(home); !other.empty()) {
    findings.push_back({"machine", Level::problem,
                        fmt::format("the home belongs to another one ({})", other),
                        "Move homes by pawl backup and pawl restore; one that came here for good, "
                        "and is used nowhere else, without its file `machine`"});
  }
  findings.push_back(check_file_system(home));
  findings.push_back(check_room(home));
  return findings;
}

std::vector<Finding> check_clock() {
  std::vector<Finding> findings;
  constexpr std::int64_t kNotBefore = 1'735'689'600'000;  // 2025
  timex state{};
  const int kept = adjtimex(&state);
  if (wall_now().ms < kNotBefore) {
    findings.push_back({"clock", Level::problem, "it says " + format_utc(wall_now()),
                        "Set it: timedatectl set-ntp true. Schedules would fire wrongly"});
  } else if (kept == TIME_ERROR || (static_cast<unsigned>(state.status) & STA_UNSYNC) != 0) {
    findings.push_back({"clock", Level::warning, "nobody keeps it in step with the world",
                        "timedatectl set-ntp true, or run chrony"});
  } else {
    findings.push_back({"clock", Level::good, "kept in step", ""});
  }
  cctz::time_zone zone;
  if (cctz::load_time_zone("Europe/Berlin", &zone)) {
    findings.push_back({"time zones", Level::good, "installed", ""});
  } else {
    findings.push_back(
        {"time zones", Level::problem, "the zone files are missing", "apt install tzdata"});
  }
  return findings;
}

std::vector<Finding> check_limits() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < kDescriptorsWanted) {
    return {{"descriptors", Level::warning, fmt::format("at most {} open files", limit.rlim_max),
             "Raise the hard limit: LimitNOFILE= of the unit, or ulimit -Hn"}};
  }
  return {{"descriptors", Level::good,
           limit.rlim_max == RLIM_INFINITY ? "no limit" : fmt::format("{}", limit.rlim_max), ""}};
}

Finding check_limits_of_tasks(const std::string& control_groups) {
  const auto parent = find_control_groups(control_groups);
  const std::string text = "`resources` are kept " + escape_for_terminal(describe_limits(parent));
  if (parent && !check_control_groups(*parent)) {
    return {
        "control groups", Level::warning, text,
        "Setting `control_groups`: a folder (cgroup v2) that programs can be moved to, or none"};
  }
  const KernelLimits kept = kernel_limits(parent);
  if (parent && (!kept.memory || !kept.pids)) {
    return {"control groups", Level::warning, text,
            fmt::format("echo \"+memory +pids\" > {}/cgroup.subtree_control",
                        escape_for_terminal(fs::path(*parent).parent_path().string()))};
  }
  if (parent || control_groups == "none") return {"control groups", Level::good, text, ""};
  return {"control groups", Level::good, text,
          "To have the kernel keep them: Delegate=yes and DelegateSubgroup= in the unit (systemd "
          "254), or a folder of control groups as setting `control_groups`"};
}

std::vector<Finding> judge_unit(const std::string& file, std::string_view text) {
  const std::map<std::string, std::string> settings = service_settings(text);
  std::vector<Finding> findings;
  for (const WantedSetting& wanted : kWanted) {
    const auto found = settings.find(std::string(wanted.key));
    const std::string value = found == settings.end() ? "" : found->second;
    const bool good = !value.empty() &&
                      std::find(wanted.good.begin(), wanted.good.end(), value) != wanted.good.end();
    if (good) continue;
    findings.push_back(
        {"unit file", Level::problem,
         fmt::format("{}: {} {}", file, wanted.key,
                     value.empty() ? "is not set" : "is " + escape_for_terminal(value)),
         fmt::format("{}={}: {}", wanted.key, wanted.good.front(), wanted.why)});
  }
  if (findings.empty()) findings.push_back({"unit file", Level::good, file, ""});
  return findings;
}

std::vector<Finding> check_unit_files() {
  std::vector<std::string> folders = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
                                      "/usr/lib/systemd/system"};
  const std::string config = environment("XDG_CONFIG_HOME");
  const std::string home = environment("HOME");
  if (!config.empty()) folders.push_back(config + "/systemd/user");
  if (config.empty() && !home.empty()) folders.push_back(home + "/.config/systemd/user");
  std::vector<Finding> findings;
  for (const std::string& folder : folders) {
    const fs::path unit = fs::path(folder) / "pawl.service";
    std::error_code error;
    if (!fs::exists(unit, error)) continue;
    const auto judged = judge_unit(unit.string(), unit_text(unit));
    findings.insert(findings.end(), judged.begin(), judged.end());
  }
  if (findings.empty()) findings.push_back({"unit file", Level::good, "none is installed", ""});
  return findings;
}

Finding check_workers(const std::string& workers_folder) {
  std::int64_t alive = 0;
  std::int64_t left = 0;
  std::string unread;  // one of those of which nobody can tell
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(workers_folder, error)) {
    const Result<bool> held = FileLock::is_held((entry.path() / "lock").string());
    if (!held) {
      unread = held.error().message;
    } else {
      (*held ? alive : left) += 1;
    }
  }
  std::string text = counted(alive, "worker") + " alive";
  if (left > 0) {
    text +=
        fmt::format(", {} ended: the next start reads what they noted and clears it away", left);
  }
  if (!unread.empty()) {
    return {"workers", Level::warning, text + "; of another one nobody can tell: " + unread,
            "Make the lock readable for the user of the scheduler: until then what its worker "
            "ran counts as running"};
  }
  return {"workers", Level::good, text, ""};
}

}  // namespace pawl
