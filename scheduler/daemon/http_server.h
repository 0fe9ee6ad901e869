#pragma once

// The home's control socket: HTTP/1.1 over a Unix socket, inside the loop. Total on garbage;
// nothing here blocks or throws. Bounds: connections, bytes of a request, time to send one.

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// One whole request. Path, query and body are well-formed UTF-8 without NUL in path and query.
struct HttpRequest {
  std::string method;                        ///< `GET`, `POST` …
  std::string path;                          ///< decoded, begins with `/`
  std::map<std::string, std::string> query;  ///< decoded; the last of equal names
  std::string body;
  uid_t uid = 0;     ///< of the peer: this process's own user, or root
  std::string user;  ///< its name, or the number when it has none
};

class HttpConversation;

/// The right to answer one request, now or later: the first answer counts, others are ignored.
/// Copies are the same right. When the last one goes without an answer, the client gets a 500. When
/// the client or the server is gone, everything here does nothing. Used on the loop's thread.
class Responder {
 public:
  /// Answers with a body of JSON.
  void json(int status, std::string text);

  /// Whether nobody waits for an answer any more: the client went, the answer was given, or the
  /// server is gone.
  bool gone() const;
  /// Calls `fn` once, from the loop, if the client goes before the answer is given.
  void on_gone(std::function<void()> fn);

  struct Exchange;

 private:
  friend class HttpConversation;
  explicit Responder(std::shared_ptr<Exchange> exchange);
  std::shared_ptr<Exchange> exchange_;
};

class HttpServer {
 public:
  using Handler = std::function<void(HttpRequest, Responder)>;

  static constexpr std::size_t kConnectionsMax = 256;  ///< more get a 503, and then have to wait
  static constexpr std::size_t kBodyBytesMax = 16u << 20;

  struct Options {
    /// From the opening of a connection, or its last answer, to the last byte of a request. Also
    /// how long an answer may stand still because the client does not read.
    Duration client_timeout = std::chrono::seconds(30);
  };

  /// Serves the listening socket (see `listen_unix`). Who is not this process's user or root is
  /// turned away before a byte is read. The handler is called from the loop, never from inside
  /// another call of this class; it may destroy the server. Errors: failed.
  static Result<std::unique_ptr<HttpServer>> start(Loop& loop, Fd listening, Handler handler,
                                                   Options options);
  /// Answers that were given are sent as far as clients take them at once; then all connections are
  /// closed.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Takes no more: who connects is refused, and so is every further byte of a request (the
  /// client's write fails, so it knows that nobody acts on what it sent). A request that has
  /// arrived whole is served as before, from the loop.
  void stop_listening();
  /// Whether a request may have arrived that the handler does not have yet. After `stop_listening`
  /// that is over in a few turns of the loop, whatever the clients do.
  bool awaits_request() const;

  /// Connections that are open now.
  std::size_t connections() const;

  struct Impl;

 private:
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pawl
