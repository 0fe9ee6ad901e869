#include "plugins/operators/postgres/idle_connections.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace pawl::operators::postgres {

namespace {

/// A server has nothing to say on a connection that is at rest, unless it goes away.
bool says_something(const Connection& connection) {
  pollfd socket{::PQsocket(connection.get()), POLLIN, 0};
  return ::poll(&socket, 1, 0) != 0;
}

}  // namespace

std::unique_ptr<Connection> IdleConnections::take(const std::string& key) {
  // The one that was used last: those that are too many grow old and go.
  for (auto place = kept_.end(); place != kept_.begin();) {
    --place;
    if (place->connection->key() != key || !is_ready(*place)) continue;
    std::unique_ptr<Connection> connection = std::move(place->connection);
    place = kept_.erase(place);
    connection->unwatch();
    if (!says_something(*connection)) return connection;
  }
  return nullptr;
}

/// The answer to the reset may be here already, only not read yet.
bool IdleConnections::is_ready(Idle& idle) const {
  if (idle.is_reset) return true;
  return idle.connection->feed(PAWL_READABLE) == Connection::Fed::fine && take_results(idle) &&
         idle.is_reset;
}

std::size_t IdleConnections::kept_of(const std::string& key) const {
  return static_cast<std::size_t>(
      std::count_if(kept_.begin(), kept_.end(),
                    [&key](const Idle& one) { return one.connection->key() == key; }));
}

void IdleConnections::keep(std::unique_ptr<Connection> connection) {
  if (kept_.size() >= kKeptMax || kept_of(connection->key()) >= kKeptPerKeyMax) return;
  connection->on_notice(nullptr);
  if (::PQsendQuery(connection->get(), "DISCARD ALL") == 0) return;
  const Place place = kept_.insert(kept_.end(), Idle{std::move(connection), false, false, nullptr});
  place->connection->watch(PAWL_READABLE, [this, place](int events) { on_ready(place, events); });
  place->end =
      std::make_unique<plugin::TimeWatch>(host_, kKeptFor, [this, place] { kept_.erase(place); });
  if (place->connection->flush() == Connection::Fed::lost) kept_.erase(place);
}

void IdleConnections::on_ready(Place place, int events) {
  const bool was_at_rest = place->is_reset;
  if (was_at_rest || place->connection->feed(events) == Connection::Fed::lost ||
      !take_results(*place)) {
    kept_.erase(place);
  }
}

bool IdleConnections::take_results(Idle& idle) const {
  PGconn* connection = idle.connection->get();
  while (::PQisBusy(connection) == 0) {
    const PgResult result(::PQgetResult(connection));
    if (!result) {
      const char* look = idle.connection->look_statement();
      if (look == nullptr || std::exchange(idle.is_preparing, true)) {
        idle.is_reset = true;
        return true;
      }
      return ::PQsendQuery(connection, look) == 1 &&
             idle.connection->flush() == Connection::Fed::fine;
    }
    if (!idle.is_preparing && ::PQresultStatus(result.get()) != PGRES_COMMAND_OK) return false;
  }
  return true;
}

}  // namespace pawl::operators::postgres
