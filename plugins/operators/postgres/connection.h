#pragma once

// One connection of libpq, closed on every path, with a watch on its socket.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "pawl/operator.hpp"
#include "plugins/operators/postgres/target.h"

namespace pawl::operators::postgres {

struct FreeResult {
  void operator()(PGresult* result) const { ::PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, FreeResult>;

class Connection {
 public:
  /// Begins to connect. Never null, but its status may be bad at once.
  Connection(plugin::Host host, const Target& target, std::string key);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  PGconn* get() const { return handle_; }
  const std::string& key() const { return key_; }
  /// The name that the server shows, and the one that it comes back to when its session is reset.
  const std::string& application_name() const { return application_name_; }

  /// Calls `on_ready` when the socket is ready; replaces what was asked for before. libpq may open
  /// another socket while it connects, so there must be no watch while it does.
  void watch(int events, std::function<void(int events)> on_ready);
  void change(int events);
  void unwatch() { watch_.reset(); }

  /// Called with the text of notices (`RAISE NOTICE`); null: they are dropped.
  void on_notice(std::function<void(std::string_view)> function) {
    on_notice_ = std::move(function);
  }

  /// What makes the server look every second whether this side is still there, so that a statement
  /// does not outlive the host that sent it; null: this server cannot (before 14). Not every system
  /// that a server runs on can either: then it is an error that means nothing. A reset undoes it.
  const char* look_statement() const {
    return ::PQserverVersion(handle_) < 140'000 ? nullptr
                                                : "SET client_connection_check_interval = '1s'";
  }

  enum class Fed { fine, lost };
  /// What there is to send and to read. More may remain to be sent: then the socket is watched for
  /// that too.
  Fed feed(int events);
  /// After a query was handed to libpq.
  Fed flush();

 private:
  PGconn* handle_;
  plugin::Host host_;
  std::string key_;
  std::string application_name_;
  std::function<void(std::string_view)> on_notice_;
  std::unique_ptr<plugin::FdWatch> watch_;
};

}  // namespace pawl::operators::postgres
