#pragma once

// Where to connect, and as whom: libpq's own keywords, gathered from the parameters and the
// variables of the task.

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "pawl/operator.hpp"
#include "scheduler/base/result.h"

namespace pawl::operators::postgres {

class Target {
 public:
  /// `dsn`, then the single parameters, which go before it, then the variables that libpq knows
  /// (PGHOST …) as the task has them.
  static pawl::Result<Target> of(const nlohmann::json& with, const plugin::Request& request);

  /// Keyword and value, for PQconnectStartParams.
  const std::map<std::string, std::string>& words() const { return words_; }
  const std::string& application_name() const { return words_.at("application_name"); }
  /// Connections of one key can stand in for each other, once their session is reset and they have
  /// the name of who uses them.
  std::string key() const;

  /// A host is given by a name that must be looked up first. libpq would do that itself, on the
  /// thread that connects.
  bool needs_addresses() const;
  /// [blocks] The same target with an address for each of its hosts; a host with several addresses
  /// stands there several times.
  pawl::Result<Target> with_addresses() const;

 private:
  std::map<std::string, std::string> words_;
};

}  // namespace pawl::operators::postgres
