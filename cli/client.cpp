#include "cli/client.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "cli/curl_library.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/process_stat.h"
#include "scheduler/loop/unix_socket.h"

namespace pawl {
namespace {

constexpr std::size_t kReplyBytesMax = std::size_t{256} << 20;
constexpr Duration kFirstPause = std::chrono::milliseconds(10);
constexpr Duration kLongestPause = std::chrono::milliseconds(250);

/// What one try came to, before it is put into words.
struct Outcome {
  enum class Kind {
    answered,
    not_connected,
    not_sent,  ///< in part at most, and nobody acts on a part
    lost,      ///< sent, or maybe sent, and no whole answer
    timed_out,
    too_long,
  };
  Kind kind = Kind::lost;
  Reply reply;
  bool nobody_listens = false;  ///< why not connected; otherwise the socket cannot be used
  std::string detail;
};

struct CurlList {
  const CurlLibrary& curl;
  curl_slist* list = nullptr;
  ~CurlList() { curl.slist_free_all(list); }
  void add(const char* line) { list = curl.slist_append(list, line); }
};

}  // namespace

struct Client::Impl {
  Impl(std::string home_of, const CurlLibrary& library)
      : home(std::move(home_of)), curl(library), easy(curl.easy_init()), multi(curl.multi_init()) {
    curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
  }
  ~Impl() {
    curl.multi_cleanup(multi);
    curl.easy_cleanup(easy);
  }

  Result<Reply> ask(const Call& call);
  Outcome try_once(const Call& call, MonoTime deadline);
  void prepare(const Call& call, CurlList& headers);
  Outcome::Kind transfer(MonoTime deadline);
  Error unreachable(const Outcome& result) const;
  Error silent(Duration waited) const;
  std::string holder() const;

  // curl's callback.
  static std::size_t take_data(char* data, std::size_t, std::size_t size, void* cls);

  std::string home;
  const CurlLibrary& curl;
  CURL* easy = nullptr;
  CURLM* multi = nullptr;
  std::optional<ShortPath> socket;  ///< curl ends socket names at 107 bytes

  // Of the try that runs.
  Outcome outcome;
  // Of the last question.
  bool was_silent = false;
  bool was_taken = false;
};

std::size_t Client::Impl::take_data(char* data, std::size_t, std::size_t size, void* cls) {
  auto* self = static_cast<Impl*>(cls);
  std::string& body = self->outcome.reply.body;
  if (body.size() + size > kReplyBytesMax) {
    self->outcome.kind = Outcome::Kind::too_long;
    return 0;
  }
  body.append(data, size);
  return size;
}

void Client::Impl::prepare(const Call& call, CurlList& headers) {
  curl.easy_reset(easy);  // keeps the connection
  curl.easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket->path.c_str());
  curl.easy_setopt(easy, CURLOPT_URL, ("http://pawl" + call.path).c_str());
  curl.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl.easy_setopt(easy, CURLOPT_PROXY, "");
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_data);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call.method.c_str());
  if (call.method != "GET" && call.method != "DELETE") {
    headers.add("Content-Type: application/json");
    curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    curl.easy_setopt(easy, CURLOPT_POSTFIELDS, call.body.c_str());
  }
  // On a connection that was used before, curl itself asks again when it ends without an answer.
  curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT, call.idempotent ? 0L : 1L);
  // A local server takes the body at once: no round trip to ask for leave.
  headers.add("Expect:");
  curl.easy_setopt(easy, CURLOPT_HTTPHEADER, headers.list);
}

Outcome::Kind Client::Impl::transfer(MonoTime deadline) {
  while (true) {
    int running = 0;
    if (curl.multi_perform(multi, &running) != CURLM_OK) return Outcome::Kind::lost;
    if (running == 0) break;
    const Duration left = deadline - mono_now();
    if (left.count() <= 0) return Outcome::Kind::timed_out;
    constexpr Duration kLongestPoll = std::chrono::seconds(60);
    curl.multi_poll(multi, nullptr, 0, static_cast<int>(std::min(left, kLongestPoll).count()),
                    nullptr);
  }
  int waiting = 0;
  const CURLMsg* message = curl.multi_info_read(multi, &waiting);
  const CURLcode code = message == nullptr ? CURLE_RECV_ERROR : message->data.result;
  if (code == CURLE_OK) return Outcome::Kind::answered;
  outcome.detail = curl.easy_strerror(code);
  if (code == CURLE_COULDNT_CONNECT) return Outcome::Kind::not_connected;
  if (code == CURLE_SEND_ERROR) return Outcome::Kind::not_sent;
  return outcome.kind == Outcome::Kind::too_long ? outcome.kind : Outcome::Kind::lost;
}

Outcome Client::Impl::try_once(const Call& call, MonoTime deadline) {
  outcome = Outcome{};
  if (!socket) {
    auto opened = short_path(home + "/sock");
    if (!opened) {
      outcome.kind = Outcome::Kind::not_connected;
      outcome.nobody_listens = opened.error().kind == ErrorKind::not_found;
      outcome.detail = opened.error().message;
      return std::move(outcome);
    }
    socket = std::move(*opened);
  }
  CurlList headers{curl};
  prepare(call, headers);
  curl.multi_add_handle(multi, easy);
  outcome.kind = transfer(deadline);
  long status = 0;
  curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  outcome.reply.status = static_cast<int>(status);
  if (outcome.kind == Outcome::Kind::not_connected) {
    long code = 0;
    curl.easy_getinfo(easy, CURLINFO_OS_ERRNO, &code);
    // Connected, and hung up on before anything was sent.
    if (code == 0) outcome.kind = Outcome::Kind::not_sent;
    outcome.nobody_listens = code == ENOENT || code == ECONNREFUSED || code == ENOTDIR;
    outcome.detail =
        "cannot connect to " + home + "/sock: " + std::strerror(static_cast<int>(code));
    socket.reset();  // the home may have been made anew
  }
  curl.multi_remove_handle(multi, easy);
  return std::move(outcome);
}

std::string Client::Impl::holder() const {
  const auto process = FileLock::last_holder(home + "/lock");
  return process && *process ? "process " + std::to_string((*process)->pid)
                             : std::string("another process");
}

Error Client::Impl::unreachable(const Outcome& result) const {
  if (!result.nobody_listens) return Error{ErrorKind::home_unusable, result.detail};
  const Result<bool> held = FileLock::is_held(home + "/lock");
  if (!held) return held.error();
  if (*held) {
    return Error{ErrorKind::locked, "home " + home + " is locked: " + holder() +
                                        " holds it and takes no commands. Try again, or end it"};
  }
  return Error{ErrorKind::no_scheduler,
               "no scheduler is up: nobody serves " + home + ". Start one with pawl serve"};
}

Error Client::Impl::silent(Duration waited) const {
  const std::string who = "the scheduler does not answer: " + holder();
  const auto process = FileLock::last_holder(home + "/lock");
  const auto stat = process && *process ? read_process_stat((*process)->pid) : std::nullopt;
  if (stat && stat->is_stopped()) {
    return Error{ErrorKind::locked,
                 who + " is stopped. Let it go on: kill -CONT " + std::to_string(stat->pid)};
  }
  return Error{ErrorKind::locked, who + " holds " + home + " and has been silent for " +
                                      format_duration(waited) +
                                      ". Try again, or end it: the next one takes over what runs"};
}

Result<Reply> Client::Impl::ask(const Call& call) {
  const MonoTime begin = mono_now();
  const MonoTime start_deadline = begin + call.wait_for_start;
  const MonoTime end = start_deadline + call.timeout;
  std::optional<Error> gone;  // of a scheduler that went while it was asked
  MonoTime try_until = begin;
  Duration pause = kFirstPause;
  while (true) {
    Outcome result = try_once(call, std::min(mono_now() + call.timeout, end));
    Error error;
    switch (result.kind) {
      case Outcome::Kind::answered:
        if (result.reply.status == kStatusNotTaken) {
          error = error_from(result.reply.status, result.reply.body);
          gone = error;
          try_until = std::min(end, mono_now() + call.wait_for_start);
          break;
        }
        if (result.reply.status != kStatusNoScheduler) {
          return std::move(result.reply);
        }
        // It went, and had the time to say so.
        result.detail = "no answer";
        [[fallthrough]];
      case Outcome::Kind::lost:
        was_taken = true;
        error = Error{ErrorKind::no_scheduler,
                      "the scheduler went before it answered: " + result.detail +
                          ". Whether it did what was asked is unknown"};
        if (!call.idempotent) return error;
        gone = error;
        try_until = std::min(end, mono_now() + call.wait_for_start);
        break;
      case Outcome::Kind::not_sent:
        error = Error{ErrorKind::no_scheduler,
                      "the scheduler went before all was sent: nothing was done. Ask the next one"};
        gone = error;
        try_until = std::min(end, mono_now() + call.wait_for_start);
        break;
      case Outcome::Kind::timed_out: was_silent = was_taken = true; return silent(call.timeout);
      case Outcome::Kind::too_long:
        was_taken = true;
        return Error{ErrorKind::failed, "the answer is too long: more than 256 MiB"};
      case Outcome::Kind::not_connected:
        error = unreachable(result);
        // A home that nobody holds is anybody's: whoever asks knows whether to take it.
        if (error.kind != ErrorKind::locked) return gone ? *gone : error;
        try_until = std::max(try_until, start_deadline);
        break;
    }
    if (mono_now() + pause >= try_until) return error;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

Client::Client(std::string home) : home_(std::move(home)) {}
Client::~Client() = default;

Result<Reply> Client::call(const Call& call) {
  if (!impl_) {
    const auto& curl = CurlLibrary::load();
    if (!curl) return curl.error();
    impl_ = std::make_unique<Impl>(home_, *curl);
  }
  impl_->was_silent = impl_->was_taken = false;
  Result<Reply> reply = impl_->ask(call);
  was_silent_ = impl_->was_silent;
  was_taken_ = impl_->was_taken;
  return reply;
}

std::string Client::encode(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace pawl
