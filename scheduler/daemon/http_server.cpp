#include "scheduler/daemon/http_server.h"

#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <microhttpd.h>

#include "scheduler/daemon/http_conversation.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

/// Connections above `kConnectionsMax` that are open just long enough to be told so.
constexpr std::size_t kRefusedConnectionsMax = 16;
/// Request line and headers must fit here, and so must a piece of an answer.
constexpr std::size_t kConnectionMemoryBytes = 64u << 10;

/// An answer takes two runs: one that takes up its connection again, one that writes.
constexpr int kRunsPerTurnMax = 4;

std::string name_of_user(uid_t uid) {
  std::array<char, 16u << 10> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return std::to_string(uid);
}

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

MHD_Result on_access(void* cls, MHD_Connection* connection, const char* url, const char* method,
                     const char*, const char* upload, size_t* upload_size, void** context) {
  auto* server = static_cast<HttpServer::Impl*>(cls);
  auto* conversation = static_cast<HttpConversation*>(*context);
  if (conversation == nullptr) {
    conversation = new HttpConversation(*server, connection, client_of(connection), method, url);
    *context = conversation;
    if (announced_length(connection) <= HttpServer::kBodyBytesMax) return MHD_YES;
    return conversation->refuse_length();
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

HttpServer::Impl::Impl(Loop& loop_of, Handler handler_of, Options options_of)
    : loop(loop_of),
      handler(std::move(handler_of)),
      options(options_of),
      own_name(name_of_user(::geteuid())),
      root_name(name_of_user(0)),
      run_timer(loop_of, [this] { run(); }),
      deadline_timer(loop_of, [this] { drop_late(); }) {}

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
  unsigned long long wait_ms = 0;
  bool waits = false;
  int runs = 0;
  do {
    MHD_run(daemon);
    waits = MHD_get_timeout(daemon, &wait_ms) == MHD_YES;
  } while (waits && wait_ms == 0 && ++runs < kRunsPerTurnMax);
  // Who has read a part of a request looks again at the next event, and that of the end of reading
  // may have been the one of the part: another follows until the connection is closed.
  if (!takes_bytes) end_reading();
  if (waits && wait_ms == 0) {
    run_soon();
  } else if (waits) {
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

/// What has arrived is still read, and then its end.
void HttpServer::Impl::end_reading() {
  for (const ClientConnection* client : owing) ::shutdown(client->fd, SHUT_RD);
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

void HttpServer::stop_listening() {
  impl_->takes_bytes = false;
  impl_->listener->close();
  impl_->listener.reset();
  impl_->run();
}

bool HttpServer::awaits_request() const { return !impl_->owing.empty() || impl_->to_hand_out > 0; }

std::size_t HttpServer::connections() const { return impl_->connections(); }

}  // namespace pawl
