// Programs per second of one real supervisor process, driven over its socket without a scheduler:
// START and FORGET in batches, a window of attempts open. Beside it what the kernel asks for
// (posix_spawn and waitpid one after the other, alone and with the two pipes of an output), and
// xargs -P2.
//
//   bench_supervisor [tasks] [window]

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "plugins/worker/definition.h"
#include "plugins/worker/frames.h"
#include "plugins/worker/worker.h"
#include "scheduler/loop/channel.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/unix_socket.h"

namespace {

using namespace pawl;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// CPU that a process itself has used, in seconds.
double cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/schedstat");
  double ns = 0;
  file >> ns;
  return ns / 1e9;
}

/// The part of it that was spent in pawl's code and not in the kernel's, in seconds.
double user_cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string field;
  for (int i = 1; i < 14; ++i) file >> field;
  double ticks = 0;
  file >> ticks;
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

struct Figures {
  double seconds = 0;
  double worker_cpu = 0;
  double worker_user_cpu = 0;
  std::int64_t failed = 0;
};

/// Runs `count` attempts of one task through the worker, `window` at a time.
class Driver {
 public:
  Driver(const std::string& home, const std::string& with, std::int64_t count, std::int64_t window)
      : count_(count), window_(window) {
    definition_.home = home;
    definition_.run = "20261120-225801-bench1";
    definition_.job = "bench";
    definition_.task = "noop";
    definition_.with = with;
    definition_.folder = "/";
    definition_.log_dir = home + "/logs";
    definition_.scheduler_env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", "/root"}};
  }

  Figures run(const std::string& socket, pid_t worker, std::int64_t epoch) {
    Result<Fd> connected = connect_unix(socket);
    while (!connected) {
      usleep(1000);
      connected = connect_unix(socket);
    }
    channel_ = std::make_unique<Channel>(
        loop_, std::move(*connected), [this](std::string_view body) { on_message(body); },
        [this](ChannelEnd) { loop_.stop(); });
    send(frame::Hello{kProtocolVersion, Epoch(epoch), "bench"});
    first_ = epoch * 100'000'000;
    double cpu = cpu_of(worker);
    double user_cpu = user_cpu_of(worker);
    double from = seconds_now();
    loop_.run();
    Figures figures{seconds_now() - from, cpu_of(worker) - cpu, user_cpu_of(worker) - user_cpu,
                    failed_};
    channel_.reset();
    return figures;
  }

 private:
  void send(const Frame& frame) {
    for (const std::string& body : encode_frame(frame)) {
      if (!channel_->send(body)) std::abort();
    }
  }

  void on_message(std::string_view body) {
    auto frame = decode_frame(body);
    if (!frame) std::abort();
    if (std::holds_alternative<frame::Status>(*frame)) {
      send(frame::Define{DefinitionId(1), encode_definition(definition_)});
      start_more();
    }
    const auto* ended = std::get_if<frame::Ended>(&*frame);
    if (ended == nullptr) return;
    if (ended->end.outcome != Outcome::succeeded) ++failed_;
    if (forget_.empty()) {
      loop_.defer([this] { end_turn(); });
    }
    forget_.push_back({ended->end.attempt, ended->end.stay});
    ++ended_;
  }

  void end_turn() {
    send(frame::Forget{std::move(forget_)});
    forget_.clear();
    start_more();
    channel_->flush();
    if (ended_ == count_) loop_.stop();
  }

  void start_more() {
    frame::Start start;
    while (started_ < count_ && started_ - ended_ < window_) {
      frame::AttemptStart attempt;
      attempt.attempt = AttemptId(first_ + ++started_);
      attempt.definition = DefinitionId(1);
      attempt.item = ItemIndex(started_);
      attempt.payload = R"({"id":17,"region":"jp"})";
      attempt.idempotency_key = "bench-" + std::to_string(started_);
      start.attempts.push_back(std::move(attempt));
    }
    if (!start.attempts.empty()) send(start);
  }

  Loop loop_;
  std::unique_ptr<Channel> channel_;
  TaskDefinition definition_;
  std::vector<frame::DurableEnd> forget_;
  std::int64_t count_;
  std::int64_t window_;
  std::int64_t first_ = 0;
  std::int64_t started_ = 0;
  std::int64_t ended_ = 0;
  std::int64_t failed_ = 0;
};

void print(const char* name, std::int64_t window, std::int64_t count, const Figures& figures) {
  std::printf(
      "%-22s window %3lld  %7.0f tasks/s  %5.1f us own CPU per task, %4.1f of it not the "
      "kernel's%s\n",
      name, static_cast<long long>(window), static_cast<double>(count) / figures.seconds,
      figures.worker_cpu * 1e6 / static_cast<double>(count),
      figures.worker_user_cpu * 1e6 / static_cast<double>(count),
      figures.failed > 0 ? "  FAILURES" : "");
  std::fflush(stdout);
}

/// The least that anybody pays who starts a program and waits for its end.
Figures spawn_alone(std::int64_t count, bool has_pipes) {
  Figures figures;
  std::string program = "/bin/true";
  char* arguments[] = {program.data(), nullptr};
  char* environment[] = {nullptr};
  const double cpu = cpu_of(getpid());
  const double user_cpu = user_cpu_of(getpid());
  const double from = seconds_now();
  for (std::int64_t i = 0; i < count; ++i) {
    int pipes[2][2] = {{-1, -1}, {-1, -1}};
    for (auto& ends : pipes) {
      if (has_pipes && pipe2(ends, O_CLOEXEC) != 0) std::abort();
    }
    pid_t pid = 0;
    int status = -1;
    const bool began =
        posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments, environment) == 0;
    if (!began || waitpid(pid, &status, 0) != pid || status != 0) ++figures.failed;
    for (const auto& ends : pipes) {
      for (int end : ends) {
        if (end >= 0) close(end);
      }
    }
  }
  figures.seconds = seconds_now() - from;
  figures.worker_cpu = cpu_of(getpid()) - cpu;
  figures.worker_user_cpu = user_cpu_of(getpid()) - user_cpu;
  return figures;
}

void compare(const char* name, const std::string& command, std::int64_t count) {
  double from = seconds_now();
  if (std::system(command.c_str()) != 0) std::printf("%s failed\n", name);
  std::printf("%-22s             %7.0f tasks/s\n", name,
              static_cast<double>(count) / (seconds_now() - from));
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t count = argc > 1 ? std::atoll(argv[1]) : 10'000;
  std::int64_t only_window = argc > 2 ? std::atoll(argv[2]) : 0;
  char home_template[] = "/tmp/pawl-bench-XXXXXX";
  const std::string home = mkdtemp(home_template);
  WorkerOptions options;
  options.home = home;
  options.id = WorkerId(1);
  options.version = "bench";
  pid_t worker = fork();
  if (worker == 0) _exit(worker_main(options));

  const std::string socket = worker_folder(home, options.id) + "/sock";
  std::int64_t epoch = 0;
  for (std::int64_t window : {1, 4, 16, 64}) {
    if (only_window > 0 && window != only_window) continue;
    Driver plain(home, R"({"command":["/bin/true"]})", count, window);
    print("/bin/true", window, count, plain.run(socket, worker, ++epoch));
    Driver shell(home, R"({"command":["sh","-c","echo hello"]})", count, window);
    print("sh -c 'echo hello'", window, count, shell.run(socket, worker, ++epoch));
  }
  print("posix_spawn alone", 1, count, spawn_alone(count, false));
  print("the same, two pipes", 1, count, spawn_alone(count, true));
  const std::string numbers = "seq " + std::to_string(count) + " | xargs -P2 -n1 ";
  compare("xargs -P2 /bin/true", numbers + "/bin/true", count);
  compare("xargs -P2 sh", numbers + "sh -c 'echo hello' > /dev/null", count);

  kill(worker, SIGTERM);
  waitpid(worker, nullptr, 0);
  if (std::system(("rm -rf " + home).c_str()) != 0) std::printf("%s stays\n", home.c_str());
  return 0;
}
