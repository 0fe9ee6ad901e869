#pragma once

// Connections of the settings: parameters of one operator under a name. A task names one in `with`
// instead of saying where something is and who asks. It is looked up whenever attempts are made, so
// no store holds it, and a password that was changed last night serves the run of last week.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/spec/job.h"

namespace pawl {

struct Connection {
  std::string operator_name;                    ///< whose tasks may name it
  std::string with = "{}";                      ///< JSON text; its secrets are templates
  std::map<std::string, SecretSource> secrets;  ///< by the names in these templates
  /// Where a task says the first, what is said here at the second does not count (JSON pointers).
  std::vector<std::pair<std::string, std::string>> replaced;

  friend bool operator==(const Connection&, const Connection&) = default;
};
using Connections = std::map<std::string, Connection>;

class Diagnostics;
class OperatorCatalog;
class View;

/// Reads one, which passed the structural check: `{"operator": …, "with": …}`. Where the operator
/// takes secrets, `{"env": NAME}` and `{"file": PATH}` are where one comes from. `operators` null:
/// nothing is known of operators, and every such object is a secret.
Connection read_connection(const std::string& name, const View& value,
                           const OperatorCatalog* operators, Diagnostics& diagnostics);

/// How a message names a secret of a task: as `secrets.NAME`, and one of a connection by its field.
std::string told_secret(const std::string& name);

/// A connection as it may be shown: what is, or may be, a secret is hidden.
std::string shown_connection(const View& value, const OperatorCatalog* operators);

/// Whether a task's `with` has the key `connection`.
bool names_connection(const std::string& with);
/// The connection that it names; empty: none.
std::string connection_name(const std::string& with);

/// What a task's `with` is with its connection in it, its own parameters first, also where they say
/// in another way what the connection says (`x-pawl-replaces`). Without the key `connection` as it
/// was. Errors: invalid, naming the connections there are.
Result<std::string> with_connection(const std::string& with, const std::string& operator_name,
                                    const Connections& connections);

/// Which secrets of its connection a `with` from `with_connection` uses: where the task says
/// something itself, that of the connection need not be there.
std::map<std::string, SecretSource> secrets_in(const std::string& with,
                                               const Connection& connection);

}  // namespace pawl
