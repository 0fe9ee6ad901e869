#include "scheduler/daemon/operator_loader.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "plugins/worker/library_harm.h"
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
/// Processes that are asked at once: one that hangs holds up none of the others.
constexpr std::size_t kAtOnce = 32;

/// A plugin that is asked what it is, through `pawl worker --describe`.
struct Asked {
  const std::string& plugin;
  pid_t pid = -1;
  Fd process;  ///< readable when it has ended
  Fd answers;  ///< which something that it has left behind may hold open
  std::string answer;
  std::string failure;  ///< why it was not asked, or was given up
};

bool start(const std::string& program, Asked& asked) {
  const auto fail = [&asked](const std::string& what, int error) {
    asked.failure = asked.plugin + ": " + what + ": " + std::strerror(error);
    return false;
  };
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail("no pipe to be had", errno);
  asked.answers.reset(ends[0]);
  const Fd theirs(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::array<std::string, 4> words = {program, "worker", "--describe", asked.plugin};
  std::array<char*, 5> argv = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                               nullptr};
  const int error =
      posix_spawn(&asked.pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail("cannot start " + program, error);
  asked.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, asked.pid, 0)));
  if (!asked.process) return fail("no descriptor to be had", errno);
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail("a pipe", errno);
  return true;
}

/// What has come of its answer.
void read_some(Asked& asked) {
  std::array<char, 16384> buffer;
  while (asked.answers) {
    const ssize_t got = ::read(asked.answers.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return asked.answers.reset();
    asked.answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (asked.answer.size() <= kAnswerBytesMax) continue;
    asked.failure = asked.plugin + ": says more than 4 MiB of what it is";
    asked.answers.reset();
  }
}

/// What it says of itself. It has ended, or is given up.
Result<std::vector<OperatorInfo>> verdict(Asked& asked) {
  int status = 0;
  if (asked.pid > 0) {
    if (!asked.failure.empty()) ::kill(asked.pid, SIGKILL);
    while (::waitpid(asked.pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (!asked.failure.empty()) return Error{ErrorKind::invalid, asked.failure};
  auto all = OperatorCatalog::read(asked.answer, asked.plugin.substr(0, asked.plugin.rfind('/')));
  const std::size_t end = asked.answer.find_last_not_of('\n') + 1;
  if (!all && end > 0) {
    return Error{ErrorKind::invalid, status != 0 ? asked.answer.substr(0, end)
                                                 : asked.plugin + ": " + all.error().message};
  }
  if (const auto harm = harm_of_library(status, all.ok()))
    return Error{ErrorKind::invalid, asked.plugin + ": " + *harm};
  return all;
}

/// What plugins say of themselves, in their order: side by side, and all of them within one time.
std::vector<Result<std::vector<OperatorInfo>>> ask(const std::string& program,
                                                   const std::vector<std::string>& plugins) {
  std::vector<Asked> all;
  all.reserve(plugins.size());
  for (const std::string& plugin : plugins) all.push_back({plugin, -1, Fd(), Fd(), "", ""});
  const MonoTime until = mono_now() + kAnswerWithin;
  std::vector<Asked*> open;
  auto next = all.begin();
  while (!open.empty() || next != all.end()) {
    for (; next != all.end() && open.size() < kAtOnce; ++next) {
      if (start(program, *next)) open.push_back(&*next);
    }
    const Duration left = until - mono_now();
    if (left <= Duration{0}) break;
    std::vector<pollfd> ready;
    for (const Asked* one : open) {
      ready.push_back({one->process.get(), POLLIN, 0});
      ready.push_back({one->answers.get(), POLLIN, 0});
    }
    if (::poll(ready.data(), ready.size(), static_cast<int>(left.count())) <= 0) continue;
    for (std::size_t i = open.size(); i-- > 0;) {
      const bool has_ended = ready[2 * i].revents != 0;
      if (has_ended || ready[2 * i + 1].revents != 0) read_some(*open[i]);
      if (has_ended || !open[i]->failure.empty())
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  for (Asked* one : open) {
    const bool has_spoken = !one->answer.empty();
    one->failure =
        one->plugin + (has_spoken ? ": said what it is and did not end its process in 30 s"
                                  : ": did not say in 30 s what it is");
  }
  for (; next != all.end(); ++next)
    next->failure = next->plugin + ": was not asked what it is, as others did not say it in 30 s";
  std::vector<Result<std::vector<OperatorInfo>>> verdicts;
  for (Asked& one : all) verdicts.push_back(verdict(one));
  return verdicts;
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
      for (auto& found : ask(program, plugins_in(own))) add(catalog, std::move(found), problem);
    }
  }
  if (home.empty()) return catalog;
  for (auto& found : ask(program, plugins_in(home + "/plugins")))
    add(catalog, std::move(found), problem);
  return catalog;
}

}  // namespace pawl
