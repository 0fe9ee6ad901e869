// Operators that keep the contract, each for something that tests want to see from outside.

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pawl/operator.hpp"

using namespace pawl::plugin;

namespace {

constexpr const char* kAnything = R"({"type": "object"})";
/// What an attempt says while it waits.
constexpr const char* kVoices = R"({"type": "object", "properties": {
  "says": {"enum": ["heartbeat", "progress"]}}})";
constexpr std::chrono::milliseconds kPause(10);

enum class Voice { none, heartbeat, progress };

Voice voice_of(const Request& request) {
  const auto has = [&](const char* word) {
    return request.parameters().find(word) != std::string_view::npos;
  };
  return has("heartbeat") ? Voice::heartbeat : has("progress") ? Voice::progress : Voice::none;
}

void speak(Attempt attempt, Voice voice) {
  switch (voice) {
    case Voice::none: return;
    case Voice::heartbeat: return attempt.heartbeat();
    case Voice::progress: return attempt.progress(0.5, "waits");
  }
}

std::string go_of(const Request& request) { return std::string(request.working_dir()) + "/go"; }

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result went() { return Result::success("\"went\""); }

/// Ends when the file `go` is in its folder.
struct WaitsOnThread {
  static constexpr const char* kName = "waits_on_thread";
  static constexpr const char* kSummary = "waits for the file `go` in its folder";
  static constexpr const char* kSchema = kVoices;
  Result run(Attempt& attempt, const Request& request) {
    const std::string go = go_of(request);
    const Voice voice = voice_of(request);
    while (!is_there(go) && !attempt.is_cancelled()) {
      speak(attempt, voice);
      ::usleep(std::chrono::microseconds(kPause).count());
    }
    return went();
  }
};

/// The same for thousands of attempts, with one timer.
class WaitsOnLoop {
 public:
  static constexpr const char* kName = "waits_on_loop";
  static constexpr const char* kSummary = "waits for the file `go` in its folder";
  static constexpr const char* kSchema = kVoices;
  explicit WaitsOnLoop(Host host) : host_(host) {}
  void start(Attempt attempt, const Request& request) {
    waiting_[go_of(request)].emplace(attempt.get(), Waiting{attempt, voice_of(request)});
    if (!timer_) look_later();
  }
  void cancel(Attempt attempt) {
    for (auto& [go, attempts] : waiting_) attempts.erase(attempt.get());
    attempt.finish(Result::success("\"was told to end\""));
  }

 private:
  struct Waiting {
    Attempt attempt;
    Voice voice;
  };

  void look_later() {
    timer_ = std::make_unique<TimeWatch>(host_, kPause, [this] { look(); });
  }

  void look() {
    timer_.reset();
    std::map<pawl_attempt*, Waiting> ended;
    for (auto& [go, attempts] : waiting_) {
      if (is_there(go)) ended.merge(attempts);
      for (auto& [_, one] : attempts) speak(one.attempt, one.voice);
    }
    for (auto& [_, one] : ended) one.attempt.finish(went());
    std::erase_if(waiting_, [](const auto& of) { return of.second.empty(); });
    if (!waiting_.empty() && !timer_) look_later();
  }

  Host host_;
  std::map<std::string, std::map<pawl_attempt*, Waiting>> waiting_;  // by what they wait for
  std::unique_ptr<TimeWatch> timer_;
};

/// Hears that it is to end, and has nobody who could end it.
struct Endless {
  static constexpr const char* kName = "endless";
  static constexpr const char* kSummary = "never ends";
  static constexpr const char* kSchema = kAnything;
  void start(Attempt, const Request&) {}
  void cancel(Attempt) {}
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    char escaped[8];
    if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\') {
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string quoted(std::optional<std::string_view> text) { return text ? quoted(*text) : "null"; }

/// Tells what it is told, at its second start; the first one leaves it a state.
struct Mirror {
  static constexpr const char* kName = "mirror";
  static constexpr const char* kSummary = "tells what an attempt is told";
  static constexpr const char* kSchema = kAnything;
  Result run(Attempt&, const Request& request) {
    const std::string scratch(request.scratch());
    std::filesystem::create_directories(scratch + "/folder");
    std::ofstream(scratch + "/folder/note") << "mine";
    if (request.state().empty()) {
      return Result::deferred(std::chrono::milliseconds(20),
                              "{\"scratch\": " + quoted(request.scratch()) +
                                  ", \"idempotency_key\": " + quoted(request.idempotency_key()) +
                                  "}");
    }
    const auto deadline = request.deadline();
    const auto since_1970 = [](auto at) {
      return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
    };
    const std::pair<const char*, std::string> told[] = {
        {"parameters", std::string(request.parameters())},
        {"job", quoted(request.job())},
        {"run", quoted(request.run())},
        {"task", quoted(request.task())},
        {"item", request.item().empty() ? "null" : std::string(request.item())},
        {"key", quoted(request.key())},
        {"index", std::to_string(request.index())},
        {"number", std::to_string(request.number())},
        {"deadline_ms", deadline ? std::to_string(since_1970(*deadline)) : "null"},
        {"working_dir", quoted(request.working_dir())},
        {"idempotency_key", quoted(request.idempotency_key())},
        {"output_format", quoted(request.output_format())},
        {"scratch", quoted(request.scratch())},
        {"handle", quoted(request.handle())},
        {"state", quoted(request.state())},
        {"FOO", quoted(request.variable("FOO"))},
        {"PAWL_RUN_ID", quoted(request.variable("PAWL_RUN_ID"))},
        {"PAWL_MAP_KEY", quoted(request.variable("PAWL_MAP_KEY"))},
    };
    std::string out;
    for (const auto& [name, value] : told) {
      out += (out.empty() ? "{\"" : ", \"") + std::string(name) + "\": " + value;
    }
    return Result::success(out + "}");
  }
};

/// Cannot work on this machine.
struct Unlicensed {
  static constexpr const char* kName = "unlicensed";
  static constexpr const char* kSummary = "cannot begin";
  static constexpr const char* kSchema = kAnything;
  Unlicensed() { throw std::runtime_error("no licence here"); }
  Result run(Attempt&, const Request&) { return Result::success(); }
};

}  // namespace

PAWL_PLUGIN("1.0", WaitsOnThread, WaitsOnLoop, Endless, Mirror, Unlicensed)
