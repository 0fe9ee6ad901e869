#include "cli/port.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "cli/scheduler_probe.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/daemon/home.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {

namespace {

using nlohmann::json;

// For a scheduler that starts: with many open runs, or on a slow machine, it has much to read.
// Whoever follows a run that it took over must not give up meanwhile.
constexpr Duration kPatience = std::chrono::minutes(1);
constexpr Duration kProbe = std::chrono::seconds(10);

class RemotePort final : public Port {
 public:
  RemotePort(const std::string& home, Duration wait_for_start)
      : client_(home), wait_for_start_(wait_for_start) {}

  Result<Reply> call(std::string_view method, std::string_view path, const std::string& json_body,
                     Duration timeout) override {
    Client::Call call;
    call.method = method;
    call.path = path;
    call.body = json_body;
    call.timeout = timeout;
    call.idempotent = method == "GET";
    call.wait_for_start = wait_for_start_;
    return client_.call(call);
  }

  bool is_scheduler() const override { return false; }
  Result<void> turn_for(Duration) override { return {}; }
  Result<void> see_others_through() override { return {}; }
  bool was_silent() const { return client_.was_silent(); }
  bool was_taken() const override { return client_.was_taken(); }

 private:
  Client client_;
  Duration wait_for_start_;
};

/// Nobody holds the home's lock, as whoever serves it does: cheaper to know than to ask.
bool is_free(const std::string& home) {
  const Result<bool> held = FileLock::is_held(home + "/lock");
  return held && !*held;
}

Result<json> read_answer(const Reply& reply) {
  json answer = json::parse(reply.body, nullptr, false);
  if (reply.status >= 200 && reply.status < 300) {
    if (answer.is_discarded()) {
      return Error{ErrorKind::failed,
                   "the scheduler's answer is not JSON. Is it of this version? "
                   "See pawl status"};
    }
    return answer;
  }
  Error error = error_from(reply.status, reply.body);
  // A line for each thing that is wrong with a file.
  const std::string text = std::exchange(error.message, {});
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    error.message += begin == 0 ? "" : "\n";
    error.message += escape_for_terminal(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
  }
  return error;
}

/// What may be done twice, and is answered the second time as the first: it reads, names what it
/// makes, or says how something shall be.
bool may_ask_again(std::string_view method, std::string_view path, const json& body) {
  if (method == "GET" || path.starts_with("/v1/jobs/")) return true;
  if (!body.is_object()) return false;
  const std::string verb = body.value("verb", std::string());
  return body.contains("request_id") || verb == "mark" || verb == "pause";
}

}  // namespace

Result<std::unique_ptr<Port>> open_port(const Session& session, Reach reach) {
  const Result<std::string> home = resolve_home(session.home_flag);
  if (!home) return home.error();
  if (session.silence) return *session.silence;
  const MonoTime deadline = mono_now() + kPatience;
  for (;;) {
    if (!is_free(*home)) {
      auto remote = std::make_unique<RemotePort>(*home, kPatience);
      const Result<Reply> answer = remote->call("GET", "/v1/status", "", kProbe);
      if (answer) return std::unique_ptr<Port>(std::move(remote));
      if (answer.error().kind != ErrorKind::no_scheduler) return answer.error();
    }
    if (reach == Reach::socket) {
      return Error{ErrorKind::no_scheduler,
                   fmt::format("no scheduler is up in {}. Start one: pawl serve",
                               escape_for_terminal(*home))};
    }
    Result<std::unique_ptr<Port>> own = become_scheduler(session, *home);
    if (own || own.error().kind != ErrorKind::locked || mono_now() >= deadline) return own;
  }
}

const char* staying_note(const Port& port) {
  return port.is_scheduler() ? " · no scheduler is up: this command is it until the run ends" : "";
}

Result<void> require_home(const Session& session) {
  const Result<std::string> path = resolve_home(session.home_flag);
  if (!path) return path.error();
  const Result<Home> home = Home::open(*path);
  if (!home && home.error().kind != ErrorKind::not_found) return home.error();
  if (home && access(home->database().c_str(), F_OK) == 0) return {};
  return Error{ErrorKind::not_found,
               fmt::format("nothing has run in {} yet. Is it the right home? --home, PAWL_HOME",
                           escape_for_terminal(*path))};
}

Result<json> ask(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                 std::string_view method, std::string_view path, const json& body,
                 Duration timeout) {
  // Once per scheduler that goes with a question; a home that loses three has another problem.
  constexpr int kTries = 4;
  // A scheduler that takes the home over needs a moment between the old one and its own lock.
  constexpr auto kHandOver = std::chrono::milliseconds(100);
  const MonoTime deadline = mono_now() + kPatience;
  const std::string text =
      body.is_null() ? std::string() : body.dump(-1, ' ', false, json::error_handler_t::replace);
  for (int lost = 0;;) {
    const Result<Reply> reply = port->call(method, path, text, timeout);
    if (reply) return read_answer(*reply);
    if (reply.error().kind != ErrorKind::no_scheduler || mono_now() >= deadline)
      return reply.error();
    if (port->was_taken() && (++lost == kTries || !may_ask_again(method, path, body)))
      return reply.error();
    port.reset();  // lets go of the home
    std::this_thread::sleep_for(kHandOver);
    Result<std::unique_ptr<Port>> next = open_port(session, reach);
    if (!next) {
      return next.error();
    }
    port = *std::move(next);
  }
}

namespace {

struct Found {
  std::unique_ptr<Port> port;  ///< null: none is up
  Reply status;
};

Result<Found> probe(const Session& session) {
  const Result<std::string> home = resolve_home(session.home_flag);
  if (!home) return home.error();
  if (session.silence) return *session.silence;
  if (is_free(*home)) return Found();
  auto remote = std::make_unique<RemotePort>(*home, Duration::zero());
  Result<Reply> answer = remote->call("GET", "/v1/status", "", kProbe);
  if (answer) return Found{std::move(remote), *std::move(answer)};
  if (remote->was_silent()) {
    session.silence = answer.error();
    return answer.error();
  }
  // Held without a socket is somebody who starts, or ends: none is up to be asked.
  const ErrorKind kind = answer.error().kind;
  if (kind == ErrorKind::no_scheduler || kind == ErrorKind::locked) return Found();
  return answer.error();
}

}  // namespace

Result<std::unique_ptr<Port>> find_scheduler(const Session& session) {
  Result<Found> found = probe(session);
  if (!found) return found.error();
  return std::move(found->port);
}

Result<json> ask_once(Port& port, std::string_view method, std::string_view path) {
  const Result<Reply> reply = port.call(method, path, "", kAnswerTimeout);
  if (!reply) return reply.error();
  return read_answer(*reply);
}

Result<std::optional<json>> ask_if_up(const Session& session, std::string_view path) {
  const Result<std::unique_ptr<Port>> port = find_scheduler(session);
  if (!port) return port.error();
  if (*port == nullptr) return std::optional<json>();
  Result<json> answer = ask_once(**port, "GET", path);
  if (answer) return std::optional<json>(*std::move(answer));
  if (answer.error().kind == ErrorKind::no_scheduler) return std::optional<json>();
  return answer.error();
}

Result<std::optional<json>> status_if_up(const Session& session) {
  const Result<Found> found = probe(session);
  if (!found) return found.error();
  if (found->port == nullptr) return std::optional<json>();
  Result<json> answer = read_answer(found->status);
  if (!answer) return answer.error();
  return std::optional<json>(*std::move(answer));
}

std::string new_request_id() {
  return fmt::format("cli-{:016x}{:016x}", random_u64(), random_u64());
}

}  // namespace pawl
