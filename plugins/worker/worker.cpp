#include "plugins/worker/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "plugins/worker/crash_record.h"
#include "plugins/worker/host.h"
#include "plugins/worker/journal_writer.h"
#include "plugins/worker/log_file.h"
#include "plugins/worker/loop_watchdog.h"
#include "plugins/worker/process_table.h"
#include "plugins/worker/supervisor.h"
#include "plugins/worker/worker_signals.h"
#include "scheduler/base/result.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/fork_guard.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/unix_socket.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4U
#endif

namespace pawl {
namespace {

/// Signals that are read from a descriptor are blocked; everything else is as in a login shell, so
/// that programs get it so. Two stay ignored and are reset for programs: a scheduler that goes must
/// not end the worker, nor a limit of file sizes.
void set_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  // The two that glibc keeps to itself: posix_spawn, which started us, leaves them ignored.
  constexpr std::array<unsigned long, 4> kAsByDefault{};  // struct sigaction, as the kernel has it
  for (int number = __SIGRTMIN; number < SIGRTMIN; ++number)
    ::syscall(SYS_rt_sigaction, number, kAsByDefault.data(), nullptr, sizeof(unsigned long));
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  const sigset_t blocked = worker_signals();
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

/// Raises the limit for the worker, which needs two descriptors per program; returns the limit that
/// programs get.
rlimit set_descriptor_limit(std::uint64_t program_descriptors) {
  rlimit given{};
  getrlimit(RLIMIT_NOFILE, &given);
  rlimit raised = given;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  if (program_descriptors > 0) {
    given.rlim_cur = std::min<rlim_t>(program_descriptors, given.rlim_max);
  }
  return given;
}

/// Standard input from nowhere, output and error into the worker's log; nothing that was inherited
/// reaches programs.
Result<void> set_descriptors(const std::string& log) {
  Fd null(::open("/dev/null", O_RDONLY));
  Fd out(::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_NOFOLLOW, 0600));
  if (!null || !out) {
    return Error{ErrorKind::home_unusable, "cannot write " + log + ": " + std::strerror(errno)};
  }
  if (dup2(null.get(), 0) < 0 || dup2(out.get(), 1) < 0 || dup2(out.get(), 2) < 0) {
    return Error{ErrorKind::home_unusable,
                 std::string("cannot set descriptors: ") + std::strerror(errno)};
  }
  // One of the three may have been closed when we were started.
  for (Fd* fd : {&null, &out}) {
    if (fd->get() <= 2) fd->release();
  }
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  return {};
}

/// What libraries of a host start is known by it when the host is dead (remains.h): as program 0,
/// which no warm program is.
void mark_children(const std::string& folder) {
  rlimit locks{};
  getrlimit(RLIMIT_LOCKS, &locks);
  locks.rlim_cur = program_mark(0, folder);
  setrlimit(RLIMIT_LOCKS, &locks);
}

Result<void> make_folder(const std::string& folder) {
  if (make_folders_of(folder + "/lock")) return {};
  return Error{ErrorKind::home_unusable, "cannot make " + folder + ": " + std::strerror(errno)};
}

/// Nothing is lost with a host that has no attempts; what it holds is its lock, for which whoever
/// looks after workers waits.
void limit_end_of_host(const WorkerOptions& options) {
  // Standard error may end before the process does.
  const int log = ::open(worker_log_path(worker_folder(options.home, options.id)).c_str(),
                         O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  limit_end(options.end_within, [log] {
    static constexpr char kText[] =
        "an operator does not close, or its library does not end: this host is killed\n";
    [[maybe_unused]] const ssize_t written = ::write(log, kText, sizeof(kText) - 1);
    ::kill(::getpid(), SIGKILL);
  });
}

Result<void> run(const WorkerOptions& options) {
  const bool is_host = options.worker_class == "host";
  if (!is_host && options.worker_class != "supervisor") {
    return Error{ErrorKind::invalid, "unknown worker class '" + options.worker_class + "'"};
  }
  const std::string folder = worker_folder(options.home, options.id);
  if (auto made = make_folder(folder); !made) return made;
  auto lock = FileLock::try_take(folder + "/lock");
  if (!lock) return lock.error();
  if (auto set = set_descriptors(worker_log_path(folder)); !set) return set;
  set_signals();
  if (getsid(0) != getpid()) setsid();
  // Whoever loses its parent among what programs start becomes our child, and is found.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return Error{ErrorKind::home_unusable,
                 std::string("PR_SET_CHILD_SUBREAPER: ") + std::strerror(errno)};
  }
  // A folder that another process could remove or unmount is no place to stay in.
  if (chdir("/") != 0) return Error{ErrorKind::home_unusable, "cannot enter /"};
  rlimit descriptors = set_descriptor_limit(options.program_descriptors);
  auto journal = JournalWriter::open(folder);
  if (!journal) return journal.error();
  auto listening = listen_unix(folder + "/sock");
  if (!listening) return listening.error();
  {
    Loop loop;
    if (is_host) {
      mark_children(folder);
      const ForkGuard lock_guard(lock->fd());
      const ForkGuard listening_guard(listening->get());
      OperatorHost host(loop, options, std::move(*journal), std::move(*listening), descriptors);
      loop.run();
      stop_recording_crashes();
      limit_end_of_host(options);
    } else {
      Supervisor supervisor(loop, options, std::move(*journal), std::move(*listening), descriptors);
      loop.run();
    }
  }
  ::unlink((folder + "/sock").c_str());
  return {};
}

}  // namespace

void write_worker_note(WorkerId worker, const std::string& text) {
  const std::string line = format_utc(wall_now()) + " worker " + std::to_string(worker.value) +
                           ": " + escape_for_terminal(text) + "\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string worker_folder(const std::string& home, WorkerId id) {
  return home + "/workers/" + std::to_string(id.value);
}

std::string worker_log_path(const std::string& worker_folder) { return worker_folder + "/log"; }

int worker_main(const WorkerOptions& options) {
  auto done = run(options);
  if (done) return 0;
  std::fprintf(stderr, "pawl: worker %lld: %s\n", static_cast<long long>(options.id.value),
               done.error().message.c_str());
  return exit_code(done.error().kind);
}

}  // namespace pawl
