#include "plugins/worker/launcher.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "scheduler/base/check.h"

namespace pawl {
namespace {

constexpr std::size_t kStackBytes = 64u << 10;

// The thread sanitizer takes a child in its parent's memory for the thread that made it, and then
// reports races that are none. Under it the child has a copy of that memory, all but its stack.
#ifdef __SANITIZE_THREAD__
constexpr int kCloneFlags = CLONE_VFORK | SIGCHLD;
constexpr int kStackSharing = MAP_SHARED;
#else
constexpr int kCloneFlags = CLONE_VM | CLONE_VFORK | SIGCHLD;
constexpr int kStackSharing = MAP_PRIVATE;
#endif

enum class Step { none, session, group, streams, limit, nice, folder, execute };

/// Where the child says why it failed: at the far end of its stack.
struct ChildReport {
  Step failed = Step::none;
  int error = 0;
};

/// What the child reads.
struct ChildPlan {
  const char* folder;
  const char* const* candidates;  ///< paths to try, null at the end
  char* const* argv;
  char* const* env;
  LaunchStreams streams;
  const rlimit* descriptors;
  rlimit locks;
  const LaunchLimits* limits;
  bool dies_with_parent;
  ChildReport* report;
};

int fail(const ChildPlan& plan, Step step, int error) {
  *plan.report = {step, error};
  return 127;
}

/// Dispositions survive exec only when they are `ignore`; the worker ignores exactly these.
void reset_signals() {
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &normal, nullptr);
  sigaction(SIGXFSZ, &normal, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// As execvp: the first that can be executed; of errors, EACCES says more than ENOENT.
int execute(const ChildPlan& plan) {
  int error = ENOENT;
  for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
    execve(*path, plan.argv, plan.env);
    if (errno == EACCES) {
      error = EACCES;
    } else if (errno != ENOENT && errno != ENOTDIR) {
      return errno;
    }
  }
  return error;
}

/// Runs in the child, on its own stack, in the parent's memory: system calls only.
int run_child(void* argument) {
  const ChildPlan& plan = *static_cast<ChildPlan*>(argument);
  if (setsid() < 0) return fail(plan, Step::session, errno);
  const int entrance = plan.limits->group_entrance;
  if (entrance >= 0 && write(entrance, "0", 1) != 1) return fail(plan, Step::group, errno);
  if (plan.dies_with_parent) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (dup2(plan.streams.input, 0) < 0 || dup2(plan.streams.output, 1) < 0 ||
      dup2(plan.streams.error, 2) < 0) {
    return fail(plan, Step::streams, errno);
  }
  if (setrlimit(RLIMIT_NOFILE, plan.descriptors) != 0) return fail(plan, Step::limit, errno);
  // Where the mark may not be set, its processes are known by other signs.
  setrlimit(RLIMIT_LOCKS, &plan.locks);
  const auto& nice = plan.limits->nice;
  if (nice && setpriority(PRIO_PROCESS, 0, *nice) != 0) {
    return fail(plan, Step::nice, errno);
  }
  if (chdir(plan.folder) != 0) return fail(plan, Step::folder, errno);
  reset_signals();
  return fail(plan, Step::execute, execute(plan));
}

std::string_view path_variable(const std::vector<std::string>& env) {
  constexpr std::string_view kPath = "PATH=";
  for (const std::string& entry : env) {
    if (entry.starts_with(kPath)) return std::string_view(entry).substr(kPath.size());
  }
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

std::string explain(const ChildReport& report, const Launch& launch) {
  const std::string& program = launch.argv.front();
  std::string why = std::strerror(report.error);
  switch (report.failed) {
    case Step::none: return "cannot start " + program + ": " + why;
    case Step::session: return "cannot make a session for " + program + ": " + why;
    case Step::group: return "cannot put " + program + " into its control group: " + why;
    case Step::streams: return "cannot connect the streams of " + program + ": " + why;
    case Step::limit: return "cannot set the descriptor limit of " + program + ": " + why;
    case Step::nice:
      return "cannot set resources.nice of " + program + ": " + why +
             (report.error == EACCES || report.error == EPERM
                  ? ". Below 0 needs a right (CAP_SYS_NICE, or LimitNICE= of the unit)"
                  : "");
    case Step::folder: return "cannot enter working_dir " + launch.working_dir + ": " + why;
    case Step::execute: break;
  }
  std::string text = "cannot start " + program + ": " + why;
  bool is_searched = program.find('/') == std::string::npos;
  if (report.error == ENOENT && is_searched) {
    text += ". It is in none of the folders of PATH: " + std::string(path_variable(launch.env));
  } else if (report.error == ENOENT && !program.starts_with('/')) {
    text += ". It was looked for from " + launch.working_dir;
  } else if (report.error == ENOENT) {
    text += ". It, or the interpreter named in its first line, is missing";
  } else if (report.error == ENOEXEC) {
    text += ". A script needs a first line such as #!/bin/sh";
  } else if (report.error == E2BIG) {
    text +=
        ". Arguments and environment together are too large: hand the data over in a file or "
        "by stdin";
  } else if (report.error == EACCES) {
    text += ". Is it executable (chmod +x), also for this user?";
  }
  return text;
}

}  // namespace

Launcher::Launcher(const rlimit& descriptors, Parting parting)
    : descriptors_(descriptors), parting_(parting) {
  getrlimit(RLIMIT_LOCKS, &locks_);
  stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                kStackSharing | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  PAWL_CHECK(stack_ != MAP_FAILED);
}

Launcher::~Launcher() { munmap(stack_, kStackBytes); }

pid_t Launcher::start(const Launch& launch, const LaunchStreams& streams,
                      const LaunchLimits& limits, std::uint64_t mark, LaunchFailure& failure) {
  auto paths = program_candidates(launch.argv.front(), path_variable(launch.env));
  auto candidates = pointers(paths);
  auto argv = pointers(launch.argv);
  auto env = pointers(launch.env);
  ChildPlan plan{launch.working_dir.c_str(),
                 candidates.data(),
                 argv.data(),
                 env.data(),
                 streams,
                 &descriptors_,
                 {mark, locks_.rlim_max},
                 &limits,
                 parting_ == Parting::with_parent,
                 static_cast<ChildReport*>(stack_)};
  *plan.report = {};
  char* stack_top = static_cast<char*>(stack_) + kStackBytes;
  pid_t pid = clone(run_child, stack_top, kCloneFlags, &plan);
  if (pid < 0) {
    plan.report->error = errno;
  } else if (plan.report->failed == Step::none) {
    return pid;
  } else {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  failure.error = plan.report->error;
  failure.message = explain(*plan.report, launch);
  return -1;
}

std::vector<std::string> program_candidates(const std::string& program, std::string_view path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> all;
  while (true) {
    std::size_t colon = path.find(':');
    std::string_view folder = path.substr(0, colon);
    // An empty folder is the working folder, as in shells.
    all.push_back(folder.empty() ? program : std::string(folder) + "/" + program);
    if (colon == std::string_view::npos) return all;
    path.remove_prefix(colon + 1);
  }
}

Fd stdin_of(std::string_view text) {
  Fd input(memfd_create("stdin", MFD_CLOEXEC));
  while (input && !text.empty()) {
    ssize_t written = ::write(input.get(), text.data(), text.size());
    if (written <= 0) break;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (input && text.empty() && ::lseek(input.get(), 0, SEEK_SET) == 0) return input;
  const int error = errno;
  input.reset();
  errno = error;
  return input;
}

std::string errno_name(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : "error " + std::to_string(error);
}

}  // namespace pawl
