#pragma once

// The inside of the control socket: the server's side of one request, and what all of them share.
// Included by http_conversation.cpp and http_server.cpp only.

#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <microhttpd.h>

#include "scheduler/base/time.h"
#include "scheduler/daemon/http_server.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/unix_socket.h"

namespace pawl {

/// What is known of a connection from its opening on.
struct ClientConnection {
  int fd = -1;
  Peer peer;
  MonoTime deadline;  ///< while it is in the list of those that owe a request
  std::optional<std::list<ClientConnection*>::iterator> owing;
};

/// The server's side of one request, from its headers to its end; libmicrohttpd holds it.
class HttpConversation {
 public:
  HttpConversation(HttpServer::Impl& server, MHD_Connection* connection, ClientConnection* client,
                   const char* method, const char* path);
  ~HttpConversation();
  HttpConversation(const HttpConversation&) = delete;
  HttpConversation& operator=(const HttpConversation&) = delete;

  /// Answers that the request is too long.
  MHD_Result refuse_length();
  MHD_Result take_body(std::string_view bytes);
  MHD_Result received_whole();
  void dispatch();
  void shut_down();

  void answer(int status, std::string text);
  void abandoned();

 private:
  friend struct Responder::Exchange;
  MHD_Result queue(int status, std::string text);
  MHD_Result refuse(int status, const Error& error);
  bool read_query();
  void detach(bool tell);
  void suspend();
  void resume();
  void watch();
  void client_left();

  HttpServer::Impl& server_;
  MHD_Connection* connection_;
  ClientConnection* client_;
  Responder::Exchange* exchange_ = nullptr;
  HttpRequest request_;
  std::size_t received_ = 0;
  bool whole_ = false;               ///< the request was received, and handed out or refused
  bool answered_ = false;            ///< a response is with libmicrohttpd
  bool gone_ = false;                ///< to be closed without an answer
  bool suspended_ = false;           ///< libmicrohttpd does not look at the connection
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

/// The server itself.
struct HttpServer::Impl : Loop::Retired {
  Impl(Loop& loop, Handler handler, Options options);

  bool start(Fd listening);
  void stop();
  void run();
  void run_soon();
  void accept(Fd socket);
  std::size_t connections() const;

  void owes_request(ClientConnection& client);
  void owes_nothing(ClientConnection& client);
  void end_reading();
  void drop_late();

  Loop& loop;
  Handler handler;
  Options options;
  std::string own_name;
  std::string root_name;
  MHD_Daemon* daemon = nullptr;
  bool dead = false;
  bool run_deferred = false;
  bool takes_bytes = true;  ///< of requests that have not arrived whole
  int to_hand_out = 0;      ///< requests that arrived whole and are not with the handler yet
  std::unordered_set<HttpConversation*> conversations;
  std::list<ClientConnection*> owing;  ///< by deadline, which is in the order of joining
  Timer run_timer;
  Timer deadline_timer;
  std::optional<Poll> epoll_watch;
  std::optional<UnixListener> listener;
};

}  // namespace pawl
