#include "plugins/worker/control_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "scheduler/base/text.h"
#include "scheduler/base/words.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;
constexpr std::size_t kLeftoverMax = 10'000;
constexpr Duration kLookEvery{5};
constexpr const char* kNote = "/cgroup";  ///< in a worker's folder: the path of its group

std::string read_text(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  while (file && text.size() < kFileBytesMax) {
    ssize_t got = ::read(file.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

/// 0 or errno. These files take a value with one write.
int write_text(const std::string& path, std::string_view text) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

/// The number behind `key` at the start of a line; 0 when there is none.
std::int64_t number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    return whole_number<std::int64_t>(line).value_or(0);
  }
  return 0;
}

bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(" \n");
    if (text.substr(0, end) == word) return true;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return false;
}

bool is_control_group(const std::string& folder) {
  struct statfs facts {};
  return statfs(folder.c_str(), &facts) == 0 && facts.f_type == CGROUP2_SUPER_MAGIC;
}

/// Where the unified hierarchy is mounted.
std::optional<std::string> mount_point() {
  // … ROOT MOUNT-POINT OPTIONS … - TYPE SOURCE …
  const std::string all = read_text("/proc/self/mountinfo");
  std::string_view rest = all;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find(" - cgroup2 ") == std::string_view::npos) continue;
    for (int field = 0; field < 4; ++field) {
      line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
    }
    return std::string(line.substr(0, line.find(' ')));
  }
  return std::nullopt;
}

/// What systemd writes on a group that it has handed over.
bool is_delegated(const std::string& folder) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value[4] = {};
    if (getxattr(folder.c_str(), name, value, sizeof(value)) == 1 && value[0] == '1') return true;
  }
  return false;
}

/// Where the paths of two groups meet.
std::string common_folder(std::string_view a, std::string_view b) {
  std::size_t end = 0;
  for (std::size_t i = 0; i <= std::min(a.size(), b.size()); ++i) {
    const bool a_ends = i == a.size() || a[i] == '/';
    const bool b_ends = i == b.size() || b[i] == '/';
    if (a_ends && b_ends) end = i;
    if (i == a.size() || i == b.size() || a[i] != b[i]) break;
  }
  return std::string(a.substr(0, end));
}

std::string group_name(const std::string& home, WorkerId worker) {
  char name[32];
  std::snprintf(name, sizeof(name), "pawl-%016llx",
                static_cast<unsigned long long>(XXH3_64bits(home.data(), home.size())));
  return std::string(name) + "-" + std::to_string(worker.value);
}

/// Lets groups below `folder` have a controller. True when they have it.
bool enable(const std::string& folder, const std::string& controller) {
  const std::string file = folder + "/cgroup.subtree_control";
  if (has_word(read_text(file), controller)) return true;
  if (!has_word(read_text(folder + "/cgroup.controllers"), controller)) return false;
  return write_text(file, "+" + controller) == 0;
}

std::vector<std::string> groups_in(const std::string& folder) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  return names;
}

/// Those that can be seen from here: what belongs to another namespace of pids stands there as 0.
std::vector<pid_t> processes_in(const std::string& folder) {
  std::vector<pid_t> pids;
  const std::string all = read_text(folder + "/cgroup.procs");
  std::string_view rest = all;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    const auto pid = whole_number<pid_t>(word);
    if (pid && *pid > 0) pids.push_back(*pid);
  }
  return pids;
}

/// Kernels before 5.14 have no `cgroup.kill`: there one after the other, until nobody is left.
void kill_group(const std::string& folder) {
  if (write_text(folder + "/cgroup.kill", "1") == 0) return;
  for (pid_t pid : processes_in(folder)) ::kill(pid, SIGKILL);
}

/// Removes a group and those in it; false while somebody is in one of them.
bool remove_group(const std::string& folder) {
  for (const std::string& name : groups_in(folder)) ::rmdir((folder + "/" + name).c_str());
  return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

Error refused(const std::string& what, int error) {
  return {ErrorKind::refused, what + ": " + std::strerror(error)};
}

}  // namespace

std::optional<std::string> own_control_group() {
  const std::string groups = read_text("/proc/self/cgroup");
  const std::size_t at = groups.find("0::");
  auto mount = mount_point();
  if (at == std::string::npos || !mount) return std::nullopt;
  std::string path = groups.substr(at + 3, groups.find('\n', at) - at - 3);
  return path == "/" ? *mount : *mount + path;
}

std::optional<std::string> find_control_groups(std::string_view setting) {
  if (setting == "none") return std::nullopt;
  if (setting != "auto") return std::string(setting);
  const auto own = own_control_group();
  if (!own) return std::nullopt;
  const std::string above = std::filesystem::path(*own).parent_path();
  const bool is_ours = is_control_group(above) && is_delegated(above) &&
                       ::access(above.c_str(), W_OK) == 0 &&
                       read_text(above + "/cgroup.procs").empty();
  return is_ours ? std::optional(above) : std::nullopt;
}

Result<void> check_control_groups(const std::string& parent) {
  if (!is_control_group(parent)) {
    return Error{ErrorKind::refused, parent + " is no control group (cgroup v2)"};
  }
  const std::string type = read_text(parent + "/cgroup.type");
  if (type.find("threaded") != std::string::npos || type.find("invalid") != std::string::npos) {
    return Error{ErrorKind::refused, parent + " is a control group of threads (cgroup.type)"};
  }
  const auto own = own_control_group();
  const std::string gate = common_folder(own.value_or(parent), parent) + "/cgroup.procs";
  if (::access(gate.c_str(), W_OK) == 0) return {};
  return Error{ErrorKind::refused, "programs cannot be moved from " + own.value_or("here") +
                                       " to " + parent + ": " + gate + ": " + std::strerror(errno)};
}

// One group --------------------------------------------------------------------------------------

std::int64_t ControlGroup::cpu_us() const {
  return number_of(read_text(folder_ + "/cpu.stat"), "usage_usec ");
}

std::int64_t ControlGroup::peak_memory_bytes() const {
  return number_of(read_text(folder_ + "/memory.peak"), "");
}

std::int64_t ControlGroup::oom_kills() const {
  return number_of(read_text(folder_ + "/memory.events"), "oom_kill ");
}

std::int64_t ControlGroup::memory_shortages() const {
  return number_of(read_text(folder_ + "/memory.events"), "oom ");
}

std::int64_t ControlGroup::refused_forks() const {
  return number_of(read_text(folder_ + "/pids.events"), "max ");
}

std::vector<pid_t> ControlGroup::processes() const { return processes_in(folder_); }

bool ControlGroup::is_empty() const {
  return number_of(read_text(folder_ + "/cgroup.events"), "populated ") == 0;
}

void ControlGroup::kill() const { kill_group(folder_); }

// A worker's groups ------------------------------------------------------------------------------

Result<std::unique_ptr<ControlGroups>> ControlGroups::open(const std::string& parent,
                                                           const std::string& home, WorkerId worker,
                                                           const std::string& worker_folder) {
  std::unique_ptr<ControlGroups> groups(new ControlGroups());
  groups->folder_ = parent + "/" + group_name(home, worker);
  // Noted first: what is not noted would never be removed.
  const std::string note = worker_folder + kNote;
  Fd file(::open(note.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file || ::write(file.get(), groups->folder_.data(), groups->folder_.size()) !=
                   static_cast<ssize_t>(groups->folder_.size())) {
    return refused("cannot write " + note, errno);
  }
  if (::mkdir(groups->folder_.c_str(), 0755) != 0 && errno != EEXIST) {
    return refused("cannot make the control group " + groups->folder_, errno);
  }
  auto reaches_attempts = [&](const std::string& controller) {
    return enable(parent, controller) && enable(groups->folder_, controller);
  };
  groups->has_memory_ = reaches_attempts("memory");
  groups->has_pids_ = reaches_attempts("pids");
  return groups;
}

ControlGroups::~ControlGroups() {
  sweep();
  ::rmdir(folder_.c_str());
}

Result<ControlGroup> ControlGroups::make(AttemptId attempt, const Resources& limits) {
  sweep();
  ControlGroup group;
  group.folder_ = folder_ + "/" + std::to_string(attempt.value);
  if (::mkdir(group.folder_.c_str(), 0755) != 0 && errno != EEXIST) {
    return refused("cannot make the control group " + group.folder_, errno);
  }
  auto set = [&](const char* file, const std::string& value) {
    return write_text(group.folder_ + file, value);
  };
  int error = 0;
  if (limits.memory_bytes > 0 && has_memory_) {
    group.keeps_memory_ = true;
    error = set("/memory.max", std::to_string(limits.memory_bytes));
    // Files that only some kernels have. Swap would make the limit one of speed; what is left of an
    // attempt after the kernel chose one of its processes is of no use.
    set("/memory.swap.max", "0");
    set("/memory.oom.group", "1");
  }
  if (error == 0 && limits.pids > 0 && has_pids_) {
    group.keeps_pids_ = true;
    error = set("/pids.max", std::to_string(limits.pids));
  }
  if (error == 0) {
    group.entrance_.reset(::open((group.folder_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (!group.entrance_) error = errno;
  }
  if (error == 0) return group;
  ::rmdir(group.folder_.c_str());
  return refused("cannot set the limits of the control group " + group.folder_, error);
}

void ControlGroups::remove(ControlGroup&& group) {
  group.entrance_.reset();
  // A process that has just died may hold it for a moment.
  leftover_.push_back(std::move(group.folder_));
  sweep();
}

void ControlGroups::sweep() {
  std::erase_if(leftover_, [](const std::string& folder) { return remove_group(folder); });
  if (leftover_.size() > kLeftoverMax) leftover_.clear();  // the worker's end takes them all
}

void remove_control_groups(const std::string& worker_folder, const std::string& home,
                           WorkerId worker, Duration patience) {
  const std::string folder = read_text(worker_folder + kNote);
  // In a copy of a home the note names the group of the original, whose worker may live.
  if (!folder.ends_with("/" + group_name(home, worker)) || !is_control_group(folder)) return;
  const MonoTime deadline = mono_now() + patience;
  while (true) {
    kill_group(folder);
    for (const std::string& name : groups_in(folder)) kill_group(folder + "/" + name);
    if (remove_group(folder) || mono_now() >= deadline) return;
    std::this_thread::sleep_for(kLookEvery);
  }
}

KernelLimits kernel_limits(const std::optional<std::string>& parent) {
  if (!parent || !check_control_groups(*parent)) return {};
  const std::string controllers = read_text(*parent + "/cgroup.controllers");
  return {has_word(controllers, "memory"), has_word(controllers, "pids")};
}

std::optional<KernelLimits> kernel_limits_of_worker(const std::string& worker_folder) {
  const std::string group = read_text(worker_folder + kNote);
  // The note of one that has ended stays; its group does not.
  if (group.empty() || ::access(group.c_str(), F_OK) != 0) return std::nullopt;
  const std::string handed_down = read_text(group + "/cgroup.subtree_control");
  return KernelLimits{has_word(handed_down, "memory"), has_word(handed_down, "pids")};
}

std::string describe_limits(const std::optional<std::string>& parent) {
  static const std::string kLooking = "by looking at the processes ten times a second";
  if (!parent) return kLooking;
  if (const Result<void> fine = check_control_groups(*parent); !fine) {
    return kLooking + ", for " + fine.error().message;
  }
  const KernelLimits kept = kernel_limits(parent);
  std::string missing = kept.memory ? "" : "memory";
  if (!kept.pids) missing += missing.empty() ? "pids" : ", pids";
  std::string text = "by control groups in " + *parent;
  if (!missing.empty()) text += "; without controller " + missing + ", looked at instead";
  return text;
}

}  // namespace pawl
