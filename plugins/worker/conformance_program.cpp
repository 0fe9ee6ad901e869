#include "plugins/worker/conformance_program.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "plugins/worker/manifest.h"
#include "plugins/worker/process_table.h"
#include "plugins/worker/program_operator.h"
#include "scheduler/base/check.h"

namespace pawl {
namespace {

Fd watched_children() {
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

std::string host_name() { return "programs of " + std::to_string(::getpid()); }

std::unique_ptr<ProgramHost> make_host(Loop& loop) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  return std::make_unique<ProgramHost>(loop, host_name(), descriptors);
}

}  // namespace

std::size_t processes_of_programs() {
  const std::vector<pid_t> all = all_processes();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](pid_t pid) {
    return program_of_process(pid, host_name()).has_value();
  }));
}

LoneProgramOperator::LoneProgramOperator(Loop& loop, Manifest manifest, OperatorEvents& events)
    : signals_(watched_children()),
      host_(make_host(loop)),
      program_(make_program_operator(loop, *host_, std::move(manifest), events)),
      signal_poll_(loop, signals_.get(), [this](PollEvents) {
        signalfd_siginfo info;
        while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
        }
        host_->schedule_reaping();
      }) {
  PAWL_CHECK(static_cast<bool>(signals_));
  signal_poll_.watch({.readable = true});
}

LoneProgramOperator::~LoneProgramOperator() {
  program_.reset();
  host_.reset();
}

void LoneProgramOperator::start(std::shared_ptr<const OperatorRequest> request) {
  program_->start(std::move(request));
}
void LoneProgramOperator::cancel(AttemptId attempt) { program_->cancel(attempt); }
bool LoneProgramOperator::kill(AttemptId attempt) { return program_->kill(attempt); }

}  // namespace pawl
