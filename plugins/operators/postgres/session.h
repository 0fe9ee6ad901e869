#pragma once

// One attempt on its way: an address, a connection, the statements, their rows. Everything happens
// on the loop, in small steps; the only blocking calls are handed to threads.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pawl/operator.hpp"
#include "plugins/operators/postgres/connection.h"
#include "plugins/operators/postgres/idle_connections.h"
#include "plugins/operators/postgres/server_error.h"
#include "plugins/operators/postgres/target.h"
#include "plugins/operators/sql/rows.h"
#include "plugins/threads/blocking_threads.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl::operators::postgres {

/// What is to be done.
struct Work {
  Target target;
  std::string sql;
  /// As text, null as nothing. With parameters there is one statement; without, there may be more.
  std::vector<std::optional<std::string>> parameters;
  RowWriter rows;
  Duration connect_timeout{};
};

class Session;

/// Who has sessions. Both are called on the loop.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  /// The attempt is over. The session may be destroyed in here.
  virtual void ended(Session& session, plugin::Result result) = 0;
  /// [blocks: on a thread] Looks up addresses and calls `Session::resolved` if the session is still
  /// there. Errors: failed; it is not done.
  virtual pawl::Result<void> look_up(Session& session, const Target& target) = 0;
};

class Session {
 public:
  struct Tools {
    plugin::Host host;
    SessionOwner& owner;
    IdleConnections& idle;
    BlockingThreads& cancellers;
  };

  Session(Tools tools, plugin::Attempt attempt, Work work);

  plugin::Attempt attempt() const { return attempt_; }
  // Each of these may end the session, as its last act.
  void begin();
  void resolved(const pawl::Result<Target>& target);
  void cancel();

 private:
  enum class Phase { resolving, connecting, greeting, preparing, running };
  /// Set: the session is over.
  using End = std::optional<plugin::Result>;

  template <class F>
  void step(F&& function);
  void settle(plugin::Result end);
  End find_connection();
  End connect(const Target& target);
  End go_on_connecting();
  End greet();
  End prepare();
  void listen();
  End send_work();
  End sent(int code);
  End on_ready(int events);
  End take_results();
  End phase_done();
  void take(const PGresult* result);
  void take_result(const PGresult* result);
  void take_error(ServerError&& error);
  void take_row(const PGresult* result);
  void count_changes(PGresult* result);
  void ask_server_to_cancel();
  plugin::Result outcome();
  plugin::Result lost();

  Tools tools_;
  plugin::Attempt attempt_;
  Work work_;
  Phase phase_ = Phase::resolving;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<plugin::TimeWatch> limit_;  ///< of connecting, later of a cancellation
  bool is_cancelling_ = false;                ///< then the connection is not used again
  bool is_in_rows_ = false;
  std::int64_t changes_ = 0;
  std::optional<ServerError> error_;    ///< the first one
  std::optional<std::string> problem_;  ///< what is wrong on this side: output, COPY
};

}  // namespace pawl::operators::postgres
