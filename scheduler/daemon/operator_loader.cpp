#include "scheduler/daemon/operator_loader.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "plugins/worker/python_schema.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/job_operator.h"

extern char** environ;

namespace pawl {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds(30);
constexpr std::size_t kAnswerBytesMax = 4u << 20;
constexpr std::size_t kPluginsMax = 1'000;

/// All that a child writes until it ends, or nothing when that takes too long.
std::optional<std::string> read_answer(int pipe) {
  std::string answer;
  const MonoTime until = mono_now() + kAnswerWithin;
  std::array<char, 16384> buffer;
  while (answer.size() <= kAnswerBytesMax) {
    const Duration left = until - mono_now();
    if (left <= Duration{0}) return std::nullopt;
    pollfd ready{pipe, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
    if (got == 0) return answer;
    if (got < 0) return std::nullopt;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return std::nullopt;
}

/// What a plugin says of itself, through `pawl worker --describe`.
Result<std::vector<OperatorInfo>> ask(const std::string& program, const std::string& plugin) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorKind::invalid, "no pipe to be had"};
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::array<std::string, 4> words = {program, "worker", "--describe", plugin};
  std::array<char*, 5> argv = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                               nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Error{ErrorKind::invalid, plugin + ": cannot start " + program};
  theirs.reset();
  const auto answer = read_answer(ours.get());
  if (!answer) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!answer) return Error{ErrorKind::invalid, plugin + ": did not say in 30 s what it is"};
  if (WIFSIGNALED(status)) {
    return Error{ErrorKind::invalid, plugin + ": crashed when it was loaded (signal " +
                                         std::to_string(WTERMSIG(status)) + ")"};
  }
  if (WEXITSTATUS(status) != 0) {
    const std::size_t end = answer->find_last_not_of('\n') + 1;
    return Error{ErrorKind::invalid, answer->substr(0, end)};
  }
  auto all = OperatorCatalog::read(*answer, plugin.substr(0, plugin.rfind('/')));
  if (!all) return Error{ErrorKind::invalid, plugin + ": " + all.error().message};
  return all;
}

std::vector<std::string> plugins_in(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string path = entry.path().string();
    const bool is_plugin = path.ends_with(".so") || path.ends_with(".json");
    if (is_plugin && entry.path().filename() != "catalog.json" && paths.size() < kPluginsMax)
      paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Beside the program as it was built, or where it was installed.
std::string own_folder(const std::string& program) {
  const std::filesystem::path here = std::filesystem::path(program).parent_path();
  for (const char* relative : {"../operators", "../" PAWL_OPERATORS_DIR}) {
    std::error_code failed;
    const std::filesystem::path folder = std::filesystem::canonical(here / relative, failed);
    if (!failed && std::filesystem::is_directory(folder, failed)) return folder.string();
  }
  return "";
}

void add(OperatorCatalog& catalog, Result<std::vector<OperatorInfo>> found,
         const std::function<void(std::string)>& problem) {
  if (!found) return problem(found.error().message + ": this plugin is left out");
  for (OperatorInfo& one : *found) {
    const std::string name = one.name;
    const std::string plugin = one.plugin;
    if (!catalog.add(std::move(one)))
      problem(plugin + ": there is an operator " + name + " already; this one is left out");
  }
}

}  // namespace

OperatorCatalog load_operators(const std::string& program, const std::string& home,
                               const std::function<void(std::string)>& problem) {
  OperatorCatalog catalog;
  catalog.add({std::string(kPythonOperator), std::string(kPythonSummary),
               Json::parse(python_schema(), nullptr, false), std::string(kPythonPlugin)});
  catalog.add({std::string(kJobOperator), std::string(kJobOperatorSummary),
               Json::parse(kJobOperatorSchema, nullptr, false), ""});
  if (const std::string own = own_folder(program); !own.empty()) {
    std::ifstream file(own + "/catalog.json");
    std::ostringstream text;
    text << file.rdbuf();
    auto known = OperatorCatalog::read(text.str(), own);
    if (known) {
      add(catalog, std::move(known), problem);
    } else {
      for (const std::string& plugin : plugins_in(own)) add(catalog, ask(program, plugin), problem);
    }
  }
  if (home.empty()) return catalog;
  for (const std::string& plugin : plugins_in(home + "/plugins"))
    add(catalog, ask(program, plugin), problem);
  return catalog;
}

}  // namespace pawl
