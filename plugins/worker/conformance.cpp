#include "plugins/worker/conformance.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "plugins/worker/conformance_attempts.h"
#include "plugins/worker/conformance_program.h"
#include "plugins/worker/library_harm.h"
#include "plugins/worker/manifest.h"
#include "plugins/worker/native_library.h"
#include "plugins/worker/native_operator.h"
#include "plugins/worker/plugin_description.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {

namespace {

namespace fs = std::filesystem;
using Ending = ConformanceVerdict::Outcome;

constexpr std::size_t kAnswerBytesMax = 1u << 20;  // what a child says of itself
constexpr std::size_t kCrowd = 100;
constexpr std::size_t kRepetitions = 1'000;
constexpr std::size_t kRounds = 15;
constexpr std::size_t kAtOnce = 50;
/// Growth over a thousand attempts that is still noise of the allocator.
constexpr std::int64_t kLeakBytesMax = 16 << 10;
constexpr Duration kReadyWithin = std::chrono::seconds(12);
constexpr Duration kEndsWithin = std::chrono::seconds(10);
constexpr Duration kCancelledWithin = std::chrono::seconds(5);
constexpr Duration kBriefly = std::chrono::milliseconds(100);

/// A check that cannot be made.
struct Skip {
  std::string why;
};

struct Bench {
  const ConformanceSubject& subject;
  std::vector<OperatorDescription> all;  ///< operators of the plugin
  std::size_t index;                     ///< of the one that is looked at
  ConformanceAttempts::Make make;
  bool is_program = false;
  std::string folder;  ///< empty, removed afterwards

  const OperatorDescription& described() const { return all[index]; }
};

// The checks: what was seen, for the user, or a throw of ConformanceFailure or Skip.
// ----------------

std::string check_names(const Bench& bench) {
  const std::vector<OperatorDescription>& all = bench.all;
  const OperatorDescription& one = bench.described();
  const auto same = [&one](const OperatorDescription& other) { return other.name == one.name; };
  if (std::count_if(all.begin(), all.end(), same) > 1) {
    throw ConformanceFailure{"two operators of the library are called " + one.name};
  }
  if ((one.summary.empty() && !bench.is_program) || one.summary.find('\n') != std::string::npos) {
    throw ConformanceFailure{"the summary must be one sentence on one line"};
  }
  return one.summary;
}

ConformanceAttempts attempts_of(const Bench& bench) {
  const Json parameters = bench.subject.parameters.empty()
                              ? Json::object()
                              : Json::parse(bench.subject.parameters, nullptr, false);
  if (const auto violation = schema_violation(Json::parse(bench.described().schema), parameters)) {
    throw Skip{"the parameters do not fit: " + *violation + " (give some by --with)"};
  }
  return ConformanceAttempts(bench.make, parameters.dump(), bench.folder);
}

/// Of a program they begin when a process is ready: before that there is nothing to be seen of it.
void begin(const Bench& bench, ConformanceAttempts& attempts, std::size_t count) {
  attempts.start(count);
  if (bench.is_program) attempts.until_begun(kReadyWithin);
}

std::string check_ends(const Bench& bench) {
  ConformanceAttempts attempts = attempts_of(bench);
  begin(bench, attempts, 1);
  attempts.give_time(kEndsWithin);
  if (!attempts.any_open()) {
    attempts.wait(kBriefly, "");
    attempts.watch_for_second_ends(kBriefly);
    return attempts.last_end();
  }
  attempts.end(kCancelledWithin, "within 5s of a cancellation");
  if (!bench.subject.parameters.empty()) {
    throw ConformanceFailure{"it was at work for 10s with the parameters of --with: it must end"};
  }
  throw Skip{"it was at work for 10s and was cancelled: give parameters that end by --with"};
}

std::string check_cancel(const Bench& bench) {
  ConformanceAttempts attempts = attempts_of(bench);
  attempts.start(1);
  attempts.end(kCancelledWithin, "within 5s of a cancellation that came at once");
  begin(bench, attempts, 1);
  attempts.give_time(kBriefly);
  attempts.end(kCancelledWithin, "within 5s of a cancellation");
  return attempts.last_end();
}

std::string check_crowd(const Bench& bench) {
  ConformanceAttempts attempts = attempts_of(bench);
  begin(bench, attempts, kCrowd);
  attempts.give_time(kEndsWithin);
  attempts.end(kCancelledWithin, "within 15s");
  return "100 attempts at once";
}

/// Descriptors that the checks themselves need at the most.
constexpr std::int64_t kSpareDescriptors = 16;

/// The entries of a folder, counted again and again without a further descriptor: there may be
/// none.
class Entries {
 public:
  explicit Entries(const char* folder) : folder_(::opendir(folder)) {
    if (folder_ == nullptr) throw ConformanceFailure{std::string(folder) + " cannot be read"};
  }
  ~Entries() { ::closedir(folder_); }
  Entries(const Entries&) = delete;
  Entries& operator=(const Entries&) = delete;
  std::int64_t count() const {
    std::int64_t all = 0;
    ::rewinddir(folder_);
    while (::readdir(folder_) != nullptr) ++all;
    return all;
  }

 private:
  DIR* folder_;
};

/// What is allocated. A sanitizer brings an allocator of its own, of which the C library's tells
/// nothing.
std::int64_t allocated_bytes() {
  using Count = std::size_t (*)();
  static const auto kOfSanitizer =
      reinterpret_cast<Count>(::dlsym(RTLD_DEFAULT, "__sanitizer_get_current_allocated_bytes"));
  if (kOfSanitizer != nullptr) return static_cast<std::int64_t>(kOfSanitizer());
  const auto told = ::mallinfo2();
  return static_cast<std::int64_t>(told.uordblks + told.hblkhd);
}

/// What this process has, of what attempts could leave.
class Footprints {
 public:
  struct Footprint {
    std::int64_t bytes = 0;
    std::int64_t descriptors = 0;
    std::int64_t threads = 0;
  };
  Footprint now() const { return {allocated_bytes(), descriptors_.count(), threads_.count()}; }

  /// An operator that has taken them all leaves no more.
  void check_descriptors() const {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const std::int64_t count = descriptors_.count();
    if (static_cast<rlim_t>(count + kSpareDescriptors) < limit.rlim_cur) return;
    throw ConformanceFailure{"attempts leave descriptors that are open: " + std::to_string(count) +
                             " of the " + std::to_string(limit.rlim_cur) +
                             " that a process may have here"};
  }

 private:
  Entries descriptors_{"/proc/self/fd"};
  Entries threads_{"/proc/self/task"};
};

void repeat(ConformanceAttempts& attempts, const Footprints& footprints, std::size_t count) {
  for (std::size_t begun = 0; begun < count; begun += kAtOnce) {
    attempts.start(kAtOnce);
    attempts.give_time(kBriefly);
    attempts.end(kCancelledWithin, "within 5s of a cancellation");
    footprints.check_descriptors();
  }
}

/// A program beside this process leaves processes, or nothing.
std::string check_processes(const Bench& bench) {
  {
    ConformanceAttempts attempts = attempts_of(bench);
    const auto after_a_crowd = [&] {
      begin(bench, attempts, kCrowd);
      attempts.give_time(kEndsWithin);  // who is cancelled before its turn leaves nothing
      attempts.end(kCancelledWithin, "within 5s of a cancellation");
      return processes_of_programs();
    };
    const std::size_t before = after_a_crowd();
    const std::size_t now = after_a_crowd();
    // A few may come and go: its own processes, and helpers that stay.
    if (now >= before + kCrowd / 2) {
      throw ConformanceFailure{"a hundred attempts leave " + std::to_string(now - before) +
                               " processes that run on"};
    }
  }
  siginfo_t left{};
  const int any = ::waitid(P_ALL, 0, &left, WEXITED | WNOHANG | WNOWAIT);
  if (any == 0 || errno != ECHILD) throw ConformanceFailure{"processes that it has started"};
  return "200 attempts, no process";
}

/// What a thousand attempts leave. Caches of threads fill slowly, so only what every round leaves
/// is lost.
std::string check_leaks(const Bench& bench) {
  if (bench.is_program) return check_processes(bench);
  ConformanceAttempts attempts = attempts_of(bench);
  const Footprints footprints;
  repeat(attempts, footprints, kRepetitions);
  Footprints::Footprint before = footprints.now();
  std::string why;
  for (std::size_t round = 1; round <= kRounds; ++round) {
    repeat(attempts, footprints, kRepetitions);
    const Footprints::Footprint now = footprints.now();
    const std::int64_t bytes = now.bytes - before.bytes;
    if (now.descriptors > before.descriptors) {
      why = "descriptors that are open";
    } else if (now.threads > before.threads) {
      why = "threads";
    } else if (bytes > kLeakBytesMax) {
      why = std::to_string(bytes) + " bytes allocated";
    } else {
      return std::to_string((round + 1) * kRepetitions) + " attempts, no growth";
    }
    before = now;
  }
  throw ConformanceFailure{"each thousand attempts leaves " + why};
}

struct Check {
  const char* name;
  Duration limit;
  std::string (*function)(const Bench&);
};
constexpr std::array<Check, 5> kChecks = {{
    {"name and summary", std::chrono::seconds(10), check_names},
    {"an attempt ends once", std::chrono::seconds(40), check_ends},
    {"a cancelled attempt ends", std::chrono::seconds(40), check_cancel},
    {"100 attempts at once", std::chrono::seconds(40), check_crowd},
    {"nothing is left behind", std::chrono::seconds(120), check_leaks},
}};

// Children ----------------------------------------------------------------------------------------

/// How a child ended: its verdict, or what became of it instead.
struct Answer {
  Ending outcome = Ending::failed;
  std::string text;
};

struct Child {
  Answer answer;
  int status = 0;  ///< as of `waitpid`
  bool has_answered = false;
};

Child failed_child(std::string why) { return {{Ending::failed, std::move(why)}, 0, true}; }

std::string say_status(int status) {
  if (WIFSIGNALED(status)) {
    return std::string("the process was ended by ") + ::strsignal(WTERMSIG(status));
  }
  return "the process ended with code " + std::to_string(WEXITSTATUS(status));
}

Answer in_this_process(const std::function<std::string()>& work) {
  try {
    return {Ending::passed, work()};
  } catch (const ConformanceFailure& failure) {
    return {Ending::failed, failure.why};
  } catch (const Skip& skip) {
    return {Ending::skipped, skip.why};
  } catch (const std::exception& error) {
    return {Ending::failed, error.what()};
  }
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

/// What comes through the pipe until it closes; false: not before the deadline.
bool read_until(int fd, std::chrono::steady_clock::time_point deadline, std::string& out) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return false;
    if (waiting.revents == 0) continue;
    char buffer[4096];
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    if (out.size() < kAnswerBytesMax) out.append(buffer, static_cast<std::size_t>(got));
  }
}

/// What libraries do when their process ends: a part of what is looked at, or not.
enum class Parting { by_exit, at_once };

/// Does `work` in a child, which may crash, hang or print.
Child in_child(Duration limit, Parting parting, const std::function<std::string()>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failed_child("no pipe: too many open files?");
  const pid_t child = ::fork();
  if (child < 0) return failed_child("no process: too many of them?");
  if (child == 0) {
    ::close(ends[0]);
    // What a library prints is no verdict.
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) ::dup2(nowhere, STDOUT_FILENO);
    const Answer answer = in_this_process(work);
    write_all(ends[1], std::to_string(static_cast<int>(answer.outcome)) + answer.text);
    if (parting == Parting::by_exit) std::exit(0);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said;
  const bool came = read_until(ends[0], std::chrono::steady_clock::now() + limit, said);
  ::close(ends[0]);
  if (!came) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!came) return failed_child("no end within " + format_duration(limit));
  if (said.empty()) return {{Ending::failed, say_status(status)}, status, false};
  return {{static_cast<Ending>(said[0] - '0'), said.substr(1)}, status, true};
}

/// An empty folder that goes with the object.
class Folder {
 public:
  Folder() {
    path_ = (fs::temp_directory_path() / "pawl-check-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) path_ = "/tmp";
  }
  ~Folder() {
    std::error_code ignored;
    if (path_ != "/tmp") fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool is_manifest(const std::string& path) { return path.ends_with(".json"); }

NativeLibrary load(const std::string& path) {
  auto library = NativeLibrary::load(path);
  if (!library) throw ConformanceFailure{library.error().message};
  return std::move(*library);
}

/// The names of the operators, a line each, after a line about the plugin.
std::string check_plugin(const std::string& path) {
  const auto described = describe_plugin(path);
  if (!described) throw ConformanceFailure{described.error().message};
  std::string out =
      is_manifest(path) ? "a program" : "version " + escape_for_terminal(load(path).version());
  for (const OperatorInfo& one : *described) out += '\n' + one.name;
  return out;
}

std::string check_manifest(const Check& check, const ConformanceSubject& subject,
                           const std::string& folder) {
  auto manifest = read_manifest(subject.plugin);
  if (!manifest) throw ConformanceFailure{manifest.error().message};
  const auto make = [&manifest](Loop& loop, OperatorEvents& events) {
    return std::make_unique<LoneProgramOperator>(loop, *manifest, events);
  };
  return check.function(
      {subject, {{manifest->name, manifest->summary, manifest->schema}}, 0, make, true, folder});
}

std::string check_library(const Check& check, const ConformanceSubject& subject, std::size_t index,
                          const std::string& folder) {
  const NativeLibrary library = load(subject.plugin);
  const auto make = [&library, index](Loop& loop, OperatorEvents& events) {
    return std::make_unique<NativeOperator>(loop, library.operators()[index], events);
  };
  return check.function({subject, library.describe(), index, make, false, folder});
}

/// As pawl looks for operators: what a library does at the end of its process counts.
Answer check_interface(const std::string& path) {
  Child child =
      in_child(std::chrono::seconds(10), Parting::by_exit, [&path] { return check_plugin(path); });
  if (child.has_answered && child.answer.outcome != Ending::passed) return child.answer;
  if (const auto harm = harm_of_library(child.status, child.has_answered))
    return {Ending::failed, path + ": " + *harm};
  return child.answer;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

}  // namespace

bool check_conformance(const ConformanceSubject& subject,
                       const std::function<void(const ConformanceVerdict&)>& on_verdict) {
  const Answer loaded = check_interface(subject.plugin);
  const std::vector<std::string> lines = lines_of(loaded.text);
  on_verdict({"interface", "", loaded.outcome, lines[0]});
  if (loaded.outcome != Ending::passed) return false;
  bool all_passed = true;
  bool any = false;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    const std::string& name = lines[i + 1];
    if (!subject.only.empty() && subject.only != name) continue;
    any = true;
    for (const Check& check : kChecks) {
      const Folder folder;
      const auto work = [&] {
        return is_manifest(subject.plugin) ? check_manifest(check, subject, folder.path())
                                           : check_library(check, subject, i, folder.path());
      };
      const Answer answer = in_child(check.limit, Parting::at_once, work).answer;
      on_verdict({check.name, name, answer.outcome, answer.text});
      all_passed = all_passed && answer.outcome != Ending::failed;
    }
  }
  if (any) return all_passed;
  on_verdict({"operators", "", Ending::failed, "there is no operator " + subject.only});
  return false;
}

}  // namespace pawl
