#include "scheduler/daemon/http_server.h"

#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <list>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include <microhttpd.h>

#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/unix_socket.h"

namespace pawl {
namespace {

/// Connections above `kConnectionsMax` that are open just long enough to be told so.
constexpr std::size_t kRefusedConnectionsMax = 16;
/// Of a body that is too long, this much is read and thrown away so that the client gets its
/// answer.
constexpr std::size_t kDroppedBytesMax = 4 * HttpServer::kBodyBytesMax;
/// Request line and headers must fit here, and so must a piece of an answer.
constexpr std::size_t kConnectionMemoryBytes = 64u << 10;
constexpr std::size_t kStreamPieceBytes = 32u << 10;

constexpr const char* kJsonType = "application/json";

std::string name_of_user(uid_t uid) {
  std::array<char, 16u << 10> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return std::to_string(uid);
}

struct ClientConnection {
  int fd = -1;
  Peer peer;
  MonoTime deadline;  ///< while it is in the list of those that owe a request
  std::optional<std::list<ClientConnection*>::iterator> owing;
};

/// libmicrohttpd takes the body over and frees it when it has been sent.
MHD_Response* make_response(std::string text) {
  auto* body = new std::string(std::move(text));
  return MHD_create_response_from_buffer_with_free_callback_cls(
      body->size(), body->data(), [](void* cls) { delete static_cast<std::string*>(cls); }, body);
}

}  // namespace

/// The server's side of one request, from its headers to its end; libmicrohttpd holds it.
class HttpConversation {
 public:
  HttpConversation(HttpServer::Impl& server, MHD_Connection* connection, ClientConnection* client,
                   const char* method, const char* path);
  ~HttpConversation();
  HttpConversation(const HttpConversation&) = delete;
  HttpConversation& operator=(const HttpConversation&) = delete;

  MHD_Result take_body(std::string_view bytes);
  MHD_Result received_whole();
  void dispatch();
  void shut_down();

  void answer(int status, std::string text);
  void begin_stream(std::string_view content_type);
  bool write(std::string_view text);
  void end_stream();
  void abandoned();

  MHD_Result queue(int status, MHD_Response* response, const char* content_type);

 private:
  friend struct Responder::Exchange;
  bool read_query();
  void detach(bool tell);
  void suspend();
  void resume();
  void watch();
  void client_left();
  ssize_t next_piece(char* buffer, std::size_t size_max);

  HttpServer::Impl& server_;
  MHD_Connection* connection_;
  ClientConnection* client_;
  Responder::Exchange* exchange_ = nullptr;
  HttpRequest request_;
  std::size_t received_ = 0;
  bool whole_ = false;      ///< the request was received, and handed out or refused
  bool answered_ = false;   ///< a response is with libmicrohttpd
  bool gone_ = false;       ///< to be closed without an answer
  bool suspended_ = false;  ///< libmicrohttpd does not look at the connection
  bool streaming_ = false;
  bool ended_ = false;
  std::string unsent_;  ///< of a stream
  std::size_t sent_ = 0;
  std::optional<Poll> close_watch_;  ///< while suspended, nobody else notices that the client goes
};

struct Responder::Exchange {
  HttpConversation* conversation = nullptr;  ///< null when nobody waits any more
  std::function<void()> on_gone;

  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() {
    if (conversation == nullptr) return;
    conversation->exchange_ = nullptr;
    conversation->abandoned();
  }
};

struct HttpServer::Impl : Loop::Retired {
  Impl(Loop& loop_of, Handler handler_of, Options options_of)
      : loop(loop_of),
        handler(std::move(handler_of)),
        options(options_of),
        own_name(name_of_user(::geteuid())),
        root_name(name_of_user(0)),
        run_timer(loop_of, [this] { run(); }),
        deadline_timer(loop_of, [this] { drop_late(); }) {}

  bool start(Fd listening);
  void stop();
  void run();
  void run_soon();
  void accept(Fd socket);
  std::size_t connections() const;

  void owes_request(ClientConnection& client);
  void owes_nothing(ClientConnection& client);
  void drop_late();

  Loop& loop;
  Handler handler;
  Options options;
  std::string own_name;
  std::string root_name;
  MHD_Daemon* daemon = nullptr;
  bool dead = false;
  bool run_deferred = false;
  std::unordered_set<HttpConversation*> conversations;
  std::list<ClientConnection*> owing;  ///< by deadline, which is in the order of joining
  Timer run_timer;
  Timer deadline_timer;
  std::optional<Poll> epoll_watch;
  std::optional<UnixListener> listener;
};

// --- libmicrohttpd's callbacks
// ---------------------------------------------------------------------

namespace {

ClientConnection* client_of(MHD_Connection* connection) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info == nullptr ? nullptr : static_cast<ClientConnection*>(info->socket_context);
}

void on_connection(void* cls, MHD_Connection* connection, void** context,
                   MHD_ConnectionNotificationCode code) {
  auto* server = static_cast<HttpServer::Impl*>(cls);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    auto* client =
        new ClientConnection{.fd = info->connect_fd, .peer = {}, .deadline = {}, .owing = {}};
    if (const auto peer = peer_of(client->fd)) client->peer = *peer;
    *context = client;
    server->owes_request(*client);
  } else {
    auto* client = static_cast<ClientConnection*>(*context);
    server->owes_nothing(*client);
    delete client;
    *context = nullptr;
  }
}

std::size_t announced_length(MHD_Connection* connection) {
  const char* text =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

Error too_long() { return Error{ErrorKind::invalid, "request too long: at most 16 MiB are read"}; }

MHD_Result on_access(void* cls, MHD_Connection* connection, const char* url, const char* method,
                     const char*, const char* upload, size_t* upload_size, void** context) {
  auto* server = static_cast<HttpServer::Impl*>(cls);
  auto* conversation = static_cast<HttpConversation*>(*context);
  if (conversation == nullptr) {
    conversation = new HttpConversation(*server, connection, client_of(connection), method, url);
    *context = conversation;
    if (announced_length(connection) <= HttpServer::kBodyBytesMax) return MHD_YES;
    return conversation->queue(MHD_HTTP_CONTENT_TOO_LARGE, make_response(error_body(too_long())),
                               kJsonType);
  }
  if (*upload_size == 0) return conversation->received_whole();
  const std::string_view bytes(upload, *upload_size);
  *upload_size = 0;
  return conversation->take_body(bytes);
}

void on_completed(void* cls, MHD_Connection* connection, void** context,
                  MHD_RequestTerminationCode) {
  auto* server = static_cast<HttpServer::Impl*>(cls);
  delete static_cast<HttpConversation*>(*context);
  *context = nullptr;
  if (auto* client = client_of(connection)) server->owes_request(*client);
}

}  // namespace

// --- one conversation
// ------------------------------------------------------------------------------

HttpConversation::HttpConversation(HttpServer::Impl& server, MHD_Connection* connection,
                                   ClientConnection* client, const char* method, const char* path)
    : server_(server), connection_(connection), client_(client) {
  request_.method = method;
  request_.path = path;
  server_.conversations.insert(this);
}

HttpConversation::~HttpConversation() {
  detach(true);
  server_.conversations.erase(this);
}

MHD_Result HttpConversation::take_body(std::string_view bytes) {
  received_ += bytes.size();
  if (received_ > kDroppedBytesMax) return MHD_NO;
  if (received_ <= HttpServer::kBodyBytesMax) request_.body.append(bytes);
  return MHD_YES;
}

MHD_Result HttpConversation::received_whole() {
  if (gone_) return MHD_NO;
  if (whole_) return MHD_YES;
  whole_ = true;
  server_.owes_nothing(*client_);
  const auto refuse = [this](int status, const Error& error) {
    return queue(status, make_response(error_body(error)), kJsonType);
  };
  if (received_ > HttpServer::kBodyBytesMax) return refuse(MHD_HTTP_CONTENT_TOO_LARGE, too_long());
  if (server_.connections() > HttpServer::kConnectionsMax) {
    return refuse(MHD_HTTP_SERVICE_UNAVAILABLE,
                  Error{ErrorKind::refused, "too many clients: 256 are connected. Try again"});
  }
  if (!read_query() || !is_utf8(request_.path) || !is_utf8(request_.body)) {
    return refuse(MHD_HTTP_BAD_REQUEST, Error{ErrorKind::invalid, "request is not UTF-8"});
  }
  request_.uid = client_->peer.uid;
  request_.user = request_.uid == 0 ? server_.root_name : server_.own_name;
  // The handler must be free to do anything, destroying the server included, so it is not called
  // from inside libmicrohttpd.
  suspend();
  server_.loop.defer([this, server = &server_] {
    if (!server->dead) dispatch();
  });
  return MHD_YES;
}

bool HttpConversation::read_query() {
  struct Reading {
    HttpRequest& request;
    bool ok = true;
  } reading{request_};
  const auto take = [](void* cls, MHD_ValueKind, const char* key, size_t key_size,
                       const char* value, size_t value_size) {
    auto* into = static_cast<Reading*>(cls);
    const std::string_view name(key, key_size);
    const std::string_view text = value == nullptr ? "" : std::string_view(value, value_size);
    const auto good = [](std::string_view part) {
      return is_utf8(part) && part.find('\0') == std::string_view::npos;
    };
    into->ok = into->ok && good(name) && good(text);
    into->request.query.insert_or_assign(std::string(name), std::string(text));
    return MHD_YES;
  };
  MHD_get_connection_values_n(connection_, MHD_GET_ARGUMENT_KIND, take, &reading);
  return reading.ok;
}

void HttpConversation::dispatch() {
  auto exchange = std::make_shared<Responder::Exchange>();
  exchange->conversation = this;
  exchange_ = exchange.get();
  const HttpServer::Impl* server = &server_;
  server_.handler(std::move(request_), Responder(std::move(exchange)));
  // Answered or not, this conversation is only ever deleted from inside libmicrohttpd, or with the
  // server.
  if (server->dead) return;
  if (suspended_ && !gone_) watch();
}

MHD_Result HttpConversation::queue(int status, MHD_Response* response, const char* content_type) {
  whole_ = true;
  answered_ = true;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
  if (server_.connections() > HttpServer::kConnectionsMax) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  }
  const MHD_Result queued =
      MHD_queue_response(connection_, static_cast<unsigned>(status), response);
  MHD_destroy_response(response);
  if (queued == MHD_NO) gone_ = true;
  return queued;
}

void HttpConversation::answer(int status, std::string text) {
  if (answered_ || gone_) return;
  queue(status, make_response(std::move(text)), kJsonType);
  detach(false);
  resume();
}

void HttpConversation::begin_stream(std::string_view content_type) {
  if (answered_ || gone_) return;
  streaming_ = true;
  const auto read = [](void* cls, uint64_t, char* buffer, size_t size_max) {
    return static_cast<HttpConversation*>(cls)->next_piece(buffer, size_max);
  };
  MHD_Response* response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamPieceBytes, read, this, nullptr);
  queue(MHD_HTTP_OK, response, std::string(content_type).c_str());
  resume();
}

ssize_t HttpConversation::next_piece(char* buffer, std::size_t size_max) {
  if (gone_) return MHD_CONTENT_READER_END_WITH_ERROR;
  const std::size_t size = std::min(size_max, unsent_.size() - sent_);
  if (size > 0) {
    std::memcpy(buffer, unsent_.data() + sent_, size);
    sent_ += size;
    if (sent_ == unsent_.size()) {
      unsent_.clear();
      sent_ = 0;
    }
    return static_cast<ssize_t>(size);
  }
  if (ended_) return MHD_CONTENT_READER_END_OF_STREAM;
  suspend();
  watch();
  return 0;
}

bool HttpConversation::write(std::string_view text) {
  if (!streaming_ || ended_ || gone_) return false;
  if (unsent_.size() - sent_ + text.size() > HttpServer::kStreamUnsentBytesMax) return false;
  unsent_.erase(0, std::exchange(sent_, 0));
  unsent_.append(text);
  resume();
  return true;
}

void HttpConversation::end_stream() {
  if (!streaming_) return;
  ended_ = true;
  detach(false);
  resume();
}

void HttpConversation::abandoned() {
  if (streaming_) {
    end_stream();
  } else {
    // A scheduler that goes leaves requests without an answer: the next one may be asked again.
    const Error error{ErrorKind::no_scheduler,
                      "the scheduler went before it answered. Whether it did what was asked is "
                      "unknown"};
    answer(http_status(error.kind), error_body(error));
  }
}

void HttpConversation::detach(bool tell) {
  if (exchange_ == nullptr) return;
  exchange_->conversation = nullptr;
  auto on_gone = std::exchange(exchange_->on_gone, nullptr);
  exchange_ = nullptr;
  if (!tell || !on_gone || server_.dead) return;
  server_.loop.defer([on_gone = std::move(on_gone), server = &server_] {
    if (!server->dead) on_gone();
  });
}

void HttpConversation::suspend() {
  suspended_ = true;
  MHD_suspend_connection(connection_);
}

void HttpConversation::resume() {
  if (!std::exchange(suspended_, false)) return;
  close_watch_.reset();
  MHD_resume_connection(connection_);
  server_.run_soon();
}

void HttpConversation::watch() {
  close_watch_.emplace(server_.loop, client_->fd, [this](PollEvents) { client_left(); });
  close_watch_->watch({.readable = false, .writable = false, .closed = true});
}

void HttpConversation::client_left() {
  gone_ = true;
  detach(true);
  resume();
}

void HttpConversation::shut_down() {
  gone_ = true;
  detach(false);
  resume();
}

// --- the server
// ------------------------------------------------------------------------------------

bool HttpServer::Impl::start(Fd listening) {
  const auto seconds = std::max<std::int64_t>(1, (options.client_timeout.count() + 999) / 1000);
  const auto connections_max = static_cast<unsigned>(kConnectionsMax + kRefusedConnectionsMax);
  daemon = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr,
      on_access, this, MHD_OPTION_NOTIFY_COMPLETED, on_completed, this,
      MHD_OPTION_NOTIFY_CONNECTION, on_connection, this, MHD_OPTION_CONNECTION_LIMIT,
      connections_max, MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(seconds),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemoryBytes, MHD_OPTION_END);
  if (daemon == nullptr) return false;
  const auto* info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == nullptr) return false;
  epoll_watch.emplace(loop, info->epoll_fd, [this](PollEvents) { run(); });
  epoll_watch->watch({.readable = true});
  // Accepting is ours: the peer is checked before a byte of it is read, and running out of
  // descriptors makes libmicrohttpd's own listener spin.
  listener.emplace(loop, std::move(listening),
                   [this](Fd socket, Peer) { accept(std::move(socket)); });
  return true;
}

void HttpServer::Impl::accept(Fd socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Closes the socket by itself when it fails.
  MHD_add_connection(daemon, socket.release(), reinterpret_cast<const sockaddr*>(&address),
                     sizeof address.sun_family);
  run();
}

std::size_t HttpServer::Impl::connections() const {
  const auto* info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
  return info == nullptr ? 0 : info->num_connections;
}

void HttpServer::Impl::run() {
  MHD_run(daemon);
  unsigned long long wait_ms = 0;
  if (MHD_get_timeout(daemon, &wait_ms) == MHD_YES) {
    run_timer.start_after(Duration(static_cast<std::int64_t>(wait_ms)));
  } else {
    run_timer.cancel();
  }
  if (!listener) return;
  if (connections() >= kConnectionsMax + kRefusedConnectionsMax) {
    listener->pause();
  } else {
    listener->resume();
  }
}

/// Resumed connections are taken up by the next run; one does for all that a turn resumes.
void HttpServer::Impl::run_soon() {
  if (dead || std::exchange(run_deferred, true)) return;
  loop.defer([this] {
    run_deferred = false;
    if (!dead) run();
  });
}

void HttpServer::Impl::owes_request(ClientConnection& client) {
  owes_nothing(client);
  client.deadline = mono_now() + options.client_timeout;
  client.owing = owing.insert(owing.end(), &client);
  if (!deadline_timer.armed()) deadline_timer.start_at(client.deadline);
}

void HttpServer::Impl::owes_nothing(ClientConnection& client) {
  if (!client.owing) return;
  owing.erase(*client.owing);
  client.owing.reset();
}

void HttpServer::Impl::drop_late() {
  const MonoTime now = mono_now();
  while (!owing.empty() && owing.front()->deadline <= now) {
    ClientConnection& client = *owing.front();
    owes_nothing(client);
    ::shutdown(client.fd, SHUT_RDWR);  // libmicrohttpd reads the end and closes
  }
  if (!owing.empty()) deadline_timer.start_at(owing.front()->deadline);
}

void HttpServer::Impl::stop() {
  dead = true;
  if (daemon == nullptr) return;
  listener.reset();
  // Answers that were given in this turn go out: resumed in the first round, written in the second.
  constexpr int kLastRuns = 4;
  for (int i = 0; i < kLastRuns; ++i) MHD_run(daemon);
  epoll_watch.reset();
  run_timer.cancel();
  deadline_timer.cancel();
  // Resuming every suspended connection is libmicrohttpd's condition for stopping.
  for (HttpConversation* conversation : conversations) conversation->shut_down();
  MHD_stop_daemon(std::exchange(daemon, nullptr));
  deadline_timer.cancel();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(Loop& loop, Fd listening, Handler handler,
                                                      Options options) {
  auto impl = std::make_unique<Impl>(loop, std::move(handler), options);
  const bool started = impl->start(std::move(listening));
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(impl)));
  if (!started) {
    return Error{ErrorKind::failed,
                 "cannot serve the control socket: out of memory or descriptors"};
  }
  return server;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->stop();
  Loop& loop = impl_->loop;
  loop.retire(std::move(impl_));
}

std::size_t HttpServer::connections() const { return impl_->connections(); }

// --- the handler's side
// ------------------------------------------------------------------------------

Responder::Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}

void Responder::json(int status, std::string text) {
  if (auto* conversation = exchange_->conversation) conversation->answer(status, std::move(text));
}

void Responder::stream(std::string_view content_type) {
  if (auto* conversation = exchange_->conversation) conversation->begin_stream(content_type);
}

bool Responder::write(std::string_view text) {
  auto* conversation = exchange_->conversation;
  return conversation != nullptr && conversation->write(text);
}

void Responder::end() {
  if (auto* conversation = exchange_->conversation) conversation->end_stream();
}

bool Responder::gone() const { return exchange_->conversation == nullptr; }

void Responder::on_gone(std::function<void()> fn) {
  if (exchange_->conversation != nullptr) exchange_->on_gone = std::move(fn);
}

}  // namespace pawl
