#pragma once

// What PostgreSQL or the way to it refused, told apart by SQLSTATE.

#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "pawl/operator.hpp"

namespace pawl::operators::postgres {

struct ServerError {
  /// SQLSTATE; `08001` and `08006` also for what happens on this side, `TlsFile` for a file of a
  /// certificate that libpq cannot use.
  std::string state;
  std::string message;
  std::string trace;             ///< detail, hint, place in the statement, context
  bool is_of_statement = false;  ///< the connection goes on after it
};

/// Of a result that is an error; `sql` is what was sent.
ServerError error_of(const PGresult* result, std::string_view sql);
/// Of a connection that was not made. Its messages must be verbose: only then they hold SQLSTATE.
ServerError connect_error(const PGconn* connection);
/// Of a connection that broke.
ServerError lost_connection(const PGconn* connection);

/// Worth another try: connections, resources, locks, serialisation, a server that goes down.
bool may_pass(const ServerError& error);
plugin::Result result_of(const ServerError& error);

}  // namespace pawl::operators::postgres
