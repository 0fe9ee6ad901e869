#pragma once

// Connections that nobody uses just now. Each was reset (DISCARD ALL) after its last use, so that
// nothing of one attempt is seen by the next, and is closed when nobody wants it for a while.

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "pawl/operator.hpp"
#include "plugins/operators/postgres/connection.h"

namespace pawl::operators::postgres {

class IdleConnections {
 public:
  explicit IdleConnections(plugin::Host host) : host_(host) {}

  /// A connection of that key that is ready to be used; null when there is none.
  std::unique_ptr<Connection> take(const std::string& key);
  /// Resets and keeps it, or closes it when enough are kept.
  void keep(std::unique_ptr<Connection> connection);

 private:
  static constexpr std::size_t kKeptMax = 64;       ///< of a host process, over all keys
  static constexpr std::size_t kKeptPerKeyMax = 8;  ///< a server's connections are few and dear
  static constexpr std::chrono::seconds kKeptFor{30};

  struct Idle {
    std::unique_ptr<Connection> connection;
    bool is_reset = false;  ///< and prepared
    bool is_preparing = false;
    std::unique_ptr<plugin::TimeWatch> end;
  };
  using Place = std::list<Idle>::iterator;

  std::size_t kept_of(const std::string& key) const;
  bool is_ready(Idle& idle) const;
  void on_ready(Place place, int events);
  /// What came back of the reset: false, the connection is of no use any more.
  bool take_results(Idle& idle) const;

  plugin::Host host_;
  std::list<Idle> kept_;
};

}  // namespace pawl::operators::postgres
