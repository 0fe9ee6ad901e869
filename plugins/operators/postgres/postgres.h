#pragma once

// `postgres`: statements on a PostgreSQL server, without a thread per attempt.

#include <memory>
#include <unordered_map>

#include "pawl/operator.hpp"
#include "plugins/operators/postgres/idle_connections.h"
#include "plugins/operators/postgres/session.h"
#include "plugins/threads/blocking_threads.h"

namespace pawl::operators::postgres {

class Postgres final : private SessionOwner {
 public:
  static constexpr const char* kName = "postgres";
  static constexpr const char* kSummary = "runs SQL on a PostgreSQL server";
  static constexpr const char* kSchema = R"({
    "type": "object",
    "properties": {
      "dsn": {
        "type": "string",
        "maxLength": 4096,
        "pattern": "^(postgres(ql)?://[^\\x00]*|\\s*([A-Za-z_]+\\s*=[^\\x00]*)?)$",
        "x-pawl-error": "is no connection string, which looks like postgresql://user@host/dbname or host=… dbname=…",
        "description": "connection string of libpq: \"postgresql://user@host/dbname\" or \"host=… dbname=…\"; what is nowhere set comes from PGHOST, PGUSER … of the task's `env`",
        "x-pawl-replaces": ["host", "port", "dbname", "user", "password", "sslmode", "sslrootcert", "sslcert", "sslkey"],
        "x-pawl-secret": true
      },
      "host": {
        "type": "string",
        "maxLength": 4096,
        "description": "name, address, or the folder of a Unix socket",
        "x-pawl-secret": true
      },
      "port": {
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 65535,
        "pattern": "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?(,([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)*$",
        "x-pawl-error": "is no port such as 5432, or a list of them with commas; a port is at most 65535",
        "description": "5432 when not set",
        "x-pawl-secret": true
      },
      "dbname": {
        "type": "string",
        "maxLength": 256,
        "description": "name of the database",
        "x-pawl-secret": true
      },
      "user": {
        "type": "string",
        "maxLength": 256,
        "description": "as whom to connect",
        "x-pawl-secret": true
      },
      "password": {
        "type": "string",
        "maxLength": 4096,
        "description": "its password",
        "x-pawl-secret": true
      },
      "sslmode": {
        "type": "string",
        "enum": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "default": "prefer",
        "description": "encryption, as libpq knows it"
      },
      "sslrootcert": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "description": "file of the authorities (PEM) that the server's certificate is checked against with verify-ca and verify-full, relative to `working_dir`"
      },
      "sslcert": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "description": "file of a certificate of our own, for servers that ask for one"
      },
      "sslkey": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "description": "file of its key, which nobody else may read"
      },
      "connect_timeout": {
        "type": "string",
        "x-pawl-type": "duration",
        "x-pawl-minimum": "1ms",
        "maxLength": 64,
        "default": "10s",
        "description": "for looking up the name and connecting"
      },
      "sql": {
        "type": ["string", "array"],
        "items": {"type": "string"},
        "minLength": 1,
        "minItems": 1,
        "description": "one statement, or without `parameters` several in one transaction, as a text or a list of lines; the rows of the last one that returns any are the output"
      },
      "parameters": {
        "type": "array",
        "maxItems": 65535,
        "description": "bound values for $1, $2 …, never part of the text; lists and objects are bound as JSON text",
        "x-pawl-secret": true
      },
      "max_rows": {
        "type": "integer",
        "minimum": 1,
        "description": "fail when there are more rows; an output ends at 1 MiB in any case"
      }
    },
    "required": ["sql"],
    "additionalProperties": false
  })";

  explicit Postgres(plugin::Host host);
  void start(plugin::Attempt attempt, const plugin::Request& request);
  void cancel(plugin::Attempt attempt);

 private:
  /// What libpq and the system offer only as blocking calls: looking up a host's name, and asking a
  /// server to cancel. As many wait as a host has attempts, and more.
  static constexpr BlockingThreads::Limits kBlockingLimits{.threads_max = 4, .waiting_max = 10'000};

  void ended(Session& session, plugin::Result result) override;
  pawl::Result<void> look_up(Session& session, const Target& target) override;
  void looked_up(pawl_attempt* attempt, std::uint64_t number, const pawl::Result<Target>& target);

  struct Entry {
    std::uint64_t number = 0;  ///< attempts' addresses are used again, numbers are not
    std::unique_ptr<Session> session;
  };

  plugin::Host host_;
  std::shared_ptr<Postgres*> self_ = std::make_shared<Postgres*>(this);  ///< gone: so are we
  std::uint64_t last_number_ = 0;
  std::unordered_map<pawl_attempt*, Entry> sessions_;
  IdleConnections idle_;
  BlockingThreads cancellers_{kBlockingLimits};
  BlockingThreads resolvers_{kBlockingLimits};
};

}  // namespace pawl::operators::postgres
