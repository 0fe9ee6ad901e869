// Operators that do what operators must not do, each in a way of its own.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pawl/operator.hpp"

using namespace pawl::plugin;

namespace {

constexpr const char* kAnything = R"({"type": "object"})";

/// Takes its whole process along: `exit` without a word.
struct Crash {
  static constexpr const char* kName = "crash";
  static constexpr const char* kSummary = "crashes its host";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "how": {"enum": ["abort", "exit", "leave", "segv"]}}})";
  void start(Attempt, const Request& request) {
    const std::string with(request.parameters());
    std::fputs("no chunk of that size\n", stderr);
    if (with.find("exit") != std::string::npos) ::_exit(0);
    if (with.find("leave") != std::string::npos) std::exit(3);
    if (with.find("segv") != std::string::npos) ::raise(SIGSEGV);
    std::abort();
  }
  void cancel(Attempt) {}
};

/// Crashes its host on a thread that belongs to no attempt, or in a call of the loop that does not.
struct CrashBeside {
  static constexpr const char* kName = "crash_beside";
  static constexpr const char* kSummary = "crashes its host on a thread of its own";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "how": {"enum": ["segv", "terminate", "post"]}}})";
  explicit CrashBeside(Host host) : host_(host) {}
  Result run(Attempt&, const Request& request) {
    const std::string with(request.parameters());
    if (with.find("post") != std::string::npos) {
      host_.post([] { throw std::runtime_error("of a call of the loop"); });
      while (true) ::pause();
    }
    const bool throws = with.find("terminate") != std::string::npos;
    std::thread([throws] {
      if (throws) throw 1;
      ::raise(SIGSEGV);
    }).join();
    return Result::success();
  }

 private:
  Host host_;
};

/// Crashes its host when it is made, for its first attempt.
struct CrashUnmade {
  static constexpr const char* kName = "crash_unmade";
  static constexpr const char* kSummary = "crashes its host when it is opened";
  static constexpr const char* kSchema = kAnything;
  CrashUnmade() { ::raise(SIGSEGV); }
  Result run(Attempt&, const Request&) { return Result::success(); }
};

/// Says something and crashes, on a thread.
struct CrashLate {
  static constexpr const char* kName = "crash_late";
  static constexpr const char* kSummary = "crashes its host after some words";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request&) {
    for (int i = 0; i < 100; ++i) attempt.log("line " + std::to_string(i) + "\n");
    ::raise(SIGSEGV);
    return Result::success();
  }
};

/// Forks without exec, and crashes; what it forked has the end of its run as its name.
struct Split {
  static constexpr const char* kName = "split";
  static constexpr const char* kSummary = "leaves a fork of its host behind";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    constexpr std::size_t kNameBytesMax = 15;
    const std::string run(request.run());
    const std::string name = run.substr(run.size() - std::min(run.size(), kNameBytesMax));
    if (::fork() == 0) {
      ::prctl(PR_SET_NAME, name.c_str());
      while (true) ::pause();
    }
    std::abort();
  }
};

/// Starts a program that takes off session and variables, and crashes.
struct Parent {
  static constexpr const char* kName = "parent";
  static constexpr const char* kSummary = "leaves a program behind";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    const std::string words(request.idempotency_key());
    if (::fork() == 0) {
      ::setsid();
      const char* const none[] = {nullptr};
      ::execle("/bin/sleep", words.c_str(), "1000", nullptr, none);
      ::_exit(127);
    }
    std::abort();
  }
};

/// Never hears that it is cancelled.
struct Deaf {
  static constexpr const char* kName = "deaf";
  static constexpr const char* kSummary = "does not end";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) {
    while (true) ::pause();
  }
};

/// Two milliseconds of a core.
void work_for_a_while() {
  timespec begun{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
  timespec now = begun;
  while ((now.tv_sec - begun.tv_sec) * 1'000'000'000 + now.tv_nsec - begun.tv_nsec < 2'000'000)
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
}

/// Works on the loop.
struct Burner {
  static constexpr const char* kName = "burner";
  static constexpr const char* kSummary = "uses the time of the loop";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt attempt, const Request&) {
    work_for_a_while();
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}
};

/// Works on a thread.
struct Toiler {
  static constexpr const char* kName = "toiler";
  static constexpr const char* kSummary = "uses the time of a thread";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) {
    work_for_a_while();
    return Result::success();
  }
};

/// Has 200 MiB for a while, and gives them back.
struct Filler {
  static constexpr const char* kName = "filler";
  static constexpr const char* kSummary = "needs memory";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) {
    constexpr std::size_t kBytes = 200U << 20;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) return Result::failure("no memory");
    ::munmap(memory, kBytes);
    return Result::success();
  }
};

/// Never gives the loop of its host back.
struct Blocker {
  static constexpr const char* kName = "blocker";
  static constexpr const char* kSummary = "blocks the loop";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt, const Request&) {
    while (true) ::pause();
  }
  void cancel(Attempt) {}
};

/// Ends well, and does not give the loop back afterwards.
struct Squatter {
  static constexpr const char* kName = "squatter";
  static constexpr const char* kSummary = "blocks the loop when it has nothing to do";
  static constexpr const char* kSchema = kAnything;
  explicit Squatter(Host host) : host_(host) {}
  void start(Attempt attempt, const Request& request) {
    go_ = std::string(request.working_dir()) + "/go";
    attempt.finish(Result::success());
    look();
  }
  void cancel(Attempt) {}

 private:
  void look() {
    watch_.emplace(host_, std::chrono::milliseconds(2), [this] {
      if (::access(go_.c_str(), F_OK) != 0) return look();
      while (true) ::pause();
    });
  }

  Host host_;
  std::string go_;
  std::optional<TimeWatch> watch_;
};

/// Never gives the loop back when it is made, for its first attempt.
struct Unmade {
  static constexpr const char* kName = "unmade";
  static constexpr const char* kSummary = "blocks the loop when it is opened";
  static constexpr const char* kSchema = kAnything;
  Unmade() {
    while (true) ::pause();
  }
  Result run(Attempt&, const Request&) { return Result::success(); }
};

/// Does what it is asked, and never ends.
struct Lingerer {
  static constexpr const char* kName = "lingerer";
  static constexpr const char* kSummary = "does not close";
  static constexpr const char* kSchema = kAnything;
  Lingerer() = default;
  Lingerer(const Lingerer&) = delete;
  Lingerer& operator=(const Lingerer&) = delete;
  ~Lingerer() {
    while (true) ::pause();
  }
  Result run(Attempt&, const Request&) { return Result::success(); }
};

/// Stops its host; who lets it go on finds it done.
struct Stopper {
  static constexpr const char* kName = "stopper";
  static constexpr const char* kSummary = "stops its process";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt attempt, const Request&) {
    ::raise(SIGSTOP);
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}
};

/// Keeps 20 MiB of each attempt for good.
struct Hoarder {
  static constexpr const char* kName = "hoarder";
  static constexpr const char* kSummary = "leaks memory";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt attempt, const Request&) {
    kept_.emplace_back(20U << 20, 'x');
    attempt.finish(Result::success());
  }
  void cancel(Attempt) {}

 private:
  std::vector<std::string> kept_;
};

/// Keeps every descriptor that its process may have, until a file `enough` is in its folder.
struct Grabber {
  static constexpr const char* kName = "grabber";
  static constexpr const char* kSummary = "takes all descriptors";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request& request) {
    std::vector<int> taken;
    const std::string enough = std::string(request.working_dir()) + "/enough";
    bool is_told = false;
    while (::access(enough.c_str(), F_OK) != 0 && !attempt.is_cancelled()) {
      const int one = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (one >= 0) {
        taken.push_back(one);
        continue;
      }
      if (!is_told) ::mkdir((std::string(request.working_dir()) + "/all_taken").c_str(), 0700);
      is_told = true;
      ::usleep(2000);
    }
    for (const int one : taken) ::close(one);
    return Result::success();
  }
};

std::string filled(std::size_t size, char with) { return std::string(size, with); }

/// Gives back a hundred megabytes.
struct Huge {
  static constexpr const char* kName = "huge";
  static constexpr const char* kSummary = "has an enormous result";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    if (request.output_format() == "jsonl") {
      const std::string line = "{\"a\":\"" + std::string(990, 'x') + "\"}\n";
      std::string lines;
      for (int i = 0; i < 100'000; ++i) lines += line;
      return Result::success(lines);
    }
    return Result::success('"' + filled(100'000'000, 'x') + '"');
  }
};

/// Logs a gigabyte, and fails with as much again of words.
struct Flood {
  static constexpr const char* kName = "flood";
  static constexpr const char* kSummary = "logs a gigabyte";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request&) {
    std::string lines;
    while (lines.size() < (1U << 20)) lines += "a line of the flood\n";
    for (int i = 0; i < 1024; ++i) attempt.log(lines);
    attempt.log("end\n");
    return Result::failure(filled(100'000'000, 'm'), std::string(1'000'000, 'c'),
                           filled(100'000'000, 't'));
  }
};

/// Prints a hundred megabytes past its log, and then crashes or ends.
struct Babbler {
  static constexpr const char* kName = "babbler";
  static constexpr const char* kSummary = "prints without end";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "end": {"enum": ["well", "crash"]}, "token": {"type": "string", "x-pawl-secret": true}}})";
  Result run(Attempt&, const Request& request) {
    std::string lines;
    while (lines.size() < (64U << 10)) lines += "a line of the flood\n";
    for (int i = 0; i < 1600; ++i) std::fputs(lines.c_str(), i % 2 == 0 ? stdout : stderr);
    std::fputs("these are my last words\n", stderr);
    if (request.parameters().find("crash") != std::string_view::npos) std::abort();
    return Result::success();
  }
};

/// Ends soon after it is cancelled, and claims success.
struct Obedient {
  static constexpr const char* kName = "obedient";
  static constexpr const char* kSummary = "ends when it is cancelled";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request&) {
    attempt.log("waiting\n");
    while (!attempt.is_cancelled()) ::usleep(1000);
    return Result::success();
  }
};

/// Ends within the call that cancels it.
struct Meek {
  static constexpr const char* kName = "meek";
  static constexpr const char* kSummary = "ends the moment it is cancelled";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt, const Request&) {}
  void cancel(Attempt attempt) { attempt.finish(Result::failure("cancelled")); }
};

/// Does not hear that it is cancelled, and ends when its file `end` is there.
struct Late {
  static constexpr const char* kName = "late";
  static constexpr const char* kSummary = "ends in its own time";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    const std::string end = std::string(request.working_dir()) + "/end";
    while (::access(end.c_str(), F_OK) != 0) ::usleep(2000);
    return Result::success();
  }
};

/// Ends after a second.
struct Nap {
  static constexpr const char* kName = "nap";
  static constexpr const char* kSummary = "takes a second";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) {
    ::sleep(1);
    return Result::success();
  }
};

/// Ends when its file `go` is there.
struct Patient {
  static constexpr const char* kName = "patient";
  static constexpr const char* kSummary = "waits for the file `go` in its folder";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request& request) {
    const std::string go = std::string(request.working_dir()) + "/go";
    while (::access(go.c_str(), F_OK) != 0 && !attempt.is_cancelled()) ::usleep(2000);
    return Result::success("\"went\"");
  }
};

struct Thrower {
  static constexpr const char* kName = "thrower";
  static constexpr const char* kSummary = "throws";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request&) { throw std::out_of_range("no such row"); }
};

/// Throws when it is made, and no exception of the standard library.
struct Stillborn {
  static constexpr const char* kName = "stillborn";
  static constexpr const char* kSummary = "throws a number when it is opened";
  static constexpr const char* kSchema = kAnything;
  Stillborn() { throw 5; }
  Result run(Attempt&, const Request&) { return Result::success(); }
};

/// Ends twice, from two threads, and talks afterwards.
struct Chatter {
  static constexpr const char* kName = "chatter";
  static constexpr const char* kSummary = "says too much";
  static constexpr const char* kSchema = kAnything;
  Chatter() = default;
  Chatter(const Chatter&) = delete;
  Chatter& operator=(const Chatter&) = delete;
  ~Chatter() {
    for (std::thread& thread : threads_) thread.join();
  }
  void start(Attempt attempt, const Request&) {
    threads_.emplace_back([attempt]() mutable {
      attempt.log("first\n");
      attempt.finish(Result::success("1"));
      attempt.finish(Result::failure("too late"));
      attempt.log("too late\n");
      attempt.set_handle("too late");
      attempt.heartbeat();
    });
  }
  void cancel(Attempt) {}

 private:
  std::vector<std::thread> threads_;
};

/// Logs its secret in two halves, and in its error; with `plain` in one that the host cuts.
struct Leaky {
  static constexpr const char* kName = "leaky";
  static constexpr const char* kSummary = "shows its secret";
  static constexpr const char* kSchema = R"({"type": "object", "properties": {
    "token": {"type": "string", "x-pawl-secret": true}, "plain": {"type": "string"}}})";
  Result run(Attempt& attempt, const Request& request) {
    const std::string secret(attempt.secret("TOKEN").value_or("none"));
    if (request.parameters().find("\"plain\"") != std::string_view::npos) {
      const std::string cut = std::string((64u << 10) - 20, 'x') + secret + "\n";
      attempt.progress(0.5, cut);
      return Result::failure(cut, "Denied", cut);
    }
    attempt.log("token " + secret.substr(0, 5));
    attempt.log(secret.substr(5) + "\n");
    std::printf("prints %s\n", secret.c_str());
    std::cerr << "cries " << secret << '\n';
    return Result::failure("cannot log in with " + secret, "Denied", "trace\n" + secret);
  }
};

/// Begins something elsewhere, dies once, and finds it again.
struct Remote {
  static constexpr const char* kName = "remote";
  static constexpr const char* kSummary = "finds what it began";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt& attempt, const Request& request) {
    if (!request.handle().empty())
      return Result::success("\"" + std::string(request.handle()) + "\"");
    attempt.set_handle("job-17");
    std::abort();
  }
};

/// Defers itself three times, counting in its state.
struct Counter {
  static constexpr const char* kName = "counter";
  static constexpr const char* kSummary = "defers itself three times";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    const std::string seen(request.state());
    if (seen.size() == 3) return Result::success("\"" + seen + "\"");
    return Result::deferred(std::chrono::milliseconds(20), seen + "x");
  }
};

}  // namespace

PAWL_PLUGIN("1.2", Crash, CrashLate, CrashBeside, CrashUnmade, Split, Parent, Deaf, Burner, Toiler,
            Filler, Blocker, Squatter, Unmade, Lingerer, Stopper, Hoarder, Grabber, Huge, Flood,
            Babbler, Obedient, Meek, Late, Nap, Patient, Thrower, Stillborn, Chatter, Leaky, Remote,
            Counter)
