#include "scheduler/daemon/worker_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>

extern char** environ;

namespace pawl {
namespace {

constexpr const char* kWaysFile = "/ways";  ///< in a worker's folder; a word a line

std::vector<std::string> words_of(const WorkerCommand& command) {
  std::vector<std::string> words = {
      command.program, "worker",
      "--home",        command.home,
      "--id",          std::to_string(command.id.value),
      "--class",       command.plugin.empty() ? "supervisor" : "host"};
  if (command.program_descriptors > 0) {
    words.insert(words.end(), {"--descriptors", std::to_string(command.program_descriptors)});
  }
  const std::vector<std::string>& ways = command.ways.words();
  words.insert(words.end(), ways.begin(), ways.end());
  if (!command.plugin.empty()) words.insert(words.end(), {"--plugin", command.plugin});
  for (const std::string& name : command.operators) words.insert(words.end(), {"--operator", name});
  return words;
}

// Attempts of a host begin and end in bursts of thousands: of what they free the C library would
// keep 7 pieces of each size at hand, and their memory would lie in thousands of small pages
// (docs/decisions.md). It reads this when a program starts.
constexpr const char* kTunables = "GLIBC_TUNABLES=";
constexpr const char* kHostTunables =
    "GLIBC_TUNABLES=glibc.malloc.tcache_count=1000:glibc.malloc.hugetlb=1";

/// Ours; for a host with `tunables`, unless the user has set some.
std::vector<char*> environment_of(std::string& tunables, bool is_host) {
  std::vector<char*> all;
  bool has_tunables = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    all.push_back(*entry);
    has_tunables |= std::string_view(*entry).starts_with(kTunables);
  }
  if (is_host && !has_tunables) all.push_back(tunables.data());
  all.push_back(nullptr);
  return all;
}

/// How the process is started, released with it.
struct Spawning {
  posix_spawnattr_t attributes{};
  posix_spawn_file_actions_t actions{};

  explicit Spawning(const std::string& log) {
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;
};

}  // namespace

WorkerWays::WorkerWays(const std::string& control_groups, Duration idle,
                       const Settings::Hosts* hosts)
    : words_({"--control-groups", control_groups, "--idle-ms", std::to_string(idle.count())}) {
  if (hosts == nullptr) return;
  if (hosts->recycle_after > 0)
    words_.insert(words_.end(), {"--recycle-after", std::to_string(hosts->recycle_after)});
  if (hosts->memory_bytes > 0)
    words_.insert(words_.end(), {"--memory-max", std::to_string(hosts->memory_bytes)});
}

WorkerWays WorkerWays::of_folder(const std::string& folder) {
  WorkerWays ways;
  std::ifstream file(folder + kWaysFile);
  for (std::string word; std::getline(file, word);) ways.words_.push_back(std::move(word));
  return ways;
}

void WorkerWays::keep_in(const std::string& folder) const {
  std::ofstream file(folder + kWaysFile);
  for (const std::string& word : words_) file << word << '\n';
}

Result<pid_t> start_worker(const WorkerCommand& command) {
  ::mkdir(command.folder.c_str(), 0700);
  command.ways.keep_in(command.folder);

  const Spawning how(command.folder + "/log");
  std::vector<std::string> words = words_of(command);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string tunables = kHostTunables;
  const std::vector<char*> environment = environment_of(tunables, !command.plugin.empty());
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command.program.c_str(), &how.actions, &how.attributes,
                                argv.data(), environment.data());
  if (error != 0) return Error{ErrorKind::failed, std::strerror(error)};
  return pid;
}

}  // namespace pawl
