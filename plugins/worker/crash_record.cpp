#include "plugins/worker/crash_record.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace pawl {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
constexpr std::size_t kStackBytes = 64u << 10;
/// Two numbers, a space and a line's end.
constexpr std::size_t kTextBytesMax = 48;

// Read by a signal handler: nothing that needs a lock or a constructor.
thread_local std::int64_t working_for = 0;  ///< 0: nobody; so it stands in the record
std::atomic<int> record_file{-1};
pid_t recording_process = 0;
thread_local bool is_loop_thread = false;
std::atomic<std::int64_t> loop_working_for{0};
std::atomic<Wakeup*> waiting_loop{nullptr};
std::atomic<bool> has_loop_turned{false};
std::atomic<void (*)()> last_act{nullptr};

constexpr int kLoopLooks = 200;
constexpr timespec kBetweenLooks{0, 5'000'000};

/// A handler needs a stack of its own where the thread's has run out.
class HandlerStack {
 public:
  HandlerStack() {
    stack_t there{};
    // A sanitizer has given the thread one.
    if (sigaltstack(nullptr, &there) != 0 || (there.ss_flags & SS_DISABLE) == 0) return;
    memory_ = std::make_unique_for_overwrite<char[]>(kStackBytes);
    stack_t ours{};
    ours.ss_sp = memory_.get();
    ours.ss_size = kStackBytes;
    sigaltstack(&ours, nullptr);
  }
  ~HandlerStack() {
    if (!memory_) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  HandlerStack(const HandlerStack&) = delete;
  HandlerStack& operator=(const HandlerStack&) = delete;

 private:
  std::unique_ptr<char[]> memory_;
};

/// In place of a signal's number.
constexpr int kDeaf = -1;
constexpr int kBlocked = -2;

/// Its digits into `text` from `at` on; nothing but arithmetic, as a handler may run anywhere.
std::size_t append_digits(std::array<char, kTextBytesMax>& text, std::size_t at,
                          std::uint64_t number) {
  std::array<char, 20> reversed{};
  std::size_t count = 0;
  do {
    reversed[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count > 0) text[at++] = reversed[--count];
  return at;
}

/// A child of this process that crashes, or exits, before it runs another program is not this one.
void leave_word(int signal) {
  if (::getpid() != recording_process) return;
  const int file = record_file.exchange(-1);
  if (file < 0) return;
  std::array<char, kTextBytesMax> text{};
  std::size_t size = append_digits(text, 0, static_cast<std::uint64_t>(working_for));
  text[size++] = ' ';
  size = append_digits(text, size, static_cast<std::uint64_t>(signal));
  text[size++] = '\n';
  [[maybe_unused]] ssize_t written = ::write(file, text.data(), size);
}

/// Of a thread that ends the process: a turn of the loop, unless the loop's own thread is that one.
void wait_for_loop() {
  if (is_loop_thread || ::getpid() != recording_process) return;
  Wakeup* const loop = waiting_loop;
  if (loop == nullptr) return;
  loop->wake();
  for (int look = 0; look < kLoopLooks && !has_loop_turned; ++look) {
    ::nanosleep(&kBetweenLooks, nullptr);
  }
}

void act_last() {
  void (*const act)() = last_act;
  if (act != nullptr && ::getpid() == recording_process) act();
}

/// It ends the process as it would have without us: it waits until this returns, and then nothing
/// catches it.
void on_crash(int signal) {
  leave_word(signal);
  wait_for_loop();
  act_last();
  ::raise(signal);
}

void on_exit() {
  leave_word(0);
  wait_for_loop();
  // Without its lock: whoever holds that may be the one that does not end.
  ::fflush_unlocked(stdout);
  act_last();
}

std::string record_path(const std::string& worker_folder) { return worker_folder + "/crash"; }

}  // namespace

std::optional<Crash> read_crash(const std::string& worker_folder) {
  std::ifstream file(record_path(worker_folder));
  Crash crash;
  std::int64_t attempt = 0;
  int number = 0;
  if (!(file >> attempt >> number) || attempt < 0) return std::nullopt;
  if (attempt > 0) crash.attempt = AttemptId(attempt);
  if (number > 0) {
    crash.how = Crash::How::signal;
    crash.signal = number;
  } else if (number < 0) {
    crash.how = number == kDeaf ? Crash::How::deaf : Crash::How::blocked;
    file >> crash.who;
  }
  return crash;
}

void record_crashes(const std::string& worker_folder) {
  const int file = ::open(record_path(worker_folder).c_str(),
                          O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  recording_process = ::getpid();
  record_file = file;
  for (int number : kSignals) {
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
    ::sigaction(number, &action, nullptr);
  }
  std::atexit(on_exit);
}

void stop_recording_crashes() { record_file = -1; }

void record_own_end(std::optional<AttemptId> attempt, Crash::How how, std::string_view who) {
  const int file = record_file.exchange(-1);
  if (file < 0) return;
  const int number = how == Crash::How::deaf ? kDeaf : kBlocked;
  const std::string text = std::to_string(attempt ? attempt->value : 0) + ' ' +
                           std::to_string(number) + ' ' + std::string(who) + '\n';
  [[maybe_unused]] const ssize_t written = ::write(file, text.data(), text.size());
}

std::optional<AttemptId> loop_works_for() {
  const std::int64_t attempt = loop_working_for;
  return attempt > 0 ? std::optional(AttemptId(attempt)) : std::nullopt;
}

CrashPause::CrashPause(Loop& loop)
    : loop_(loop), wakeup_(loop, [this] {
        // At the end of the turn, all that had been said before is heard.
        loop_.defer([] { has_loop_turned = true; });
      }) {
  is_loop_thread = true;
  waiting_loop = &wakeup_;
}

CrashPause::~CrashPause() { waiting_loop = nullptr; }

void set_last_act(void (*act)()) { last_act = act; }

WorksFor::WorksFor(AttemptId attempt) {
  static thread_local HandlerStack stack;
  working_for = attempt.value;
  if (is_loop_thread) loop_working_for = attempt.value;
}

WorksFor::~WorksFor() {
  working_for = 0;
  if (is_loop_thread) loop_working_for = 0;
}

}  // namespace pawl
