#include "plugins/operators/postgres/session.h"

#include <cstdlib>
#include <exception>
#include <string_view>
#include <utility>

#include "plugins/operators/postgres/values.h"
#include "scheduler/base/text.h"

namespace pawl::operators::postgres {

using plugin::Result;

namespace {

/// How long a server may take to end what it was asked to cancel, before the connection is closed
/// instead. Below the default `kill_grace`.
constexpr std::chrono::seconds kCancelMax{5};
constexpr int kResultsAfterLossMax = 16;

}  // namespace

Session::Session(Tools tools, plugin::Attempt attempt, Work work)
    : tools_(tools), attempt_(attempt), work_(std::move(work)) {}

/// The end of every way in: nothing of the session may be touched after it.
template <class F>
void Session::step(F&& function) {
  End end;
  try {
    end = function();
  } catch (const std::exception& error) {
    end = Result::failure(error.what(), "OutOfResources");
  }
  if (end) settle(std::move(*end));
}

void Session::settle(Result end) {
  limit_.reset();
  std::unique_ptr<Connection> connection = std::move(connection_);
  if (connection) connection->unwatch();
  const bool is_reusable = connection && phase_ == Phase::running && !is_cancelling_ && !problem_ &&
                           ::PQstatus(connection->get()) == CONNECTION_OK &&
                           ::PQtransactionStatus(connection->get()) == PQTRANS_IDLE;
  IdleConnections& idle = tools_.idle;
  tools_.owner.ended(*this, std::move(end));
  if (is_reusable) idle.keep(std::move(connection));
}

void Session::begin() {
  step([this] { return find_connection(); });
}

Session::End Session::find_connection() {
  connection_ = tools_.idle.take(work_.target.key());
  if (connection_) return prepare();
  limit_ = std::make_unique<plugin::TimeWatch>(tools_.host, work_.connect_timeout, [this] {
    settle(
        Result::failure("no connection within " + format_duration(work_.connect_timeout), "08001"));
  });
  if (!work_.target.needs_addresses()) return connect(work_.target);
  const pawl::Result<void> begun = tools_.owner.look_up(*this, work_.target);
  if (begun) return std::nullopt;
  return Result::failure("the host's name cannot be looked up: " + begun.error().message, "08001");
}

void Session::resolved(const pawl::Result<Target>& target) {
  step([this, &target] {
    return target ? connect(*target) : Result::failure(target.error().message, "08001");
  });
}

Session::End Session::connect(const Target& target) {
  phase_ = Phase::connecting;
  connection_ = std::make_unique<Connection>(tools_.host, target, work_.target.key());
  if (::PQstatus(connection_->get()) == CONNECTION_BAD) {
    return result_of(connect_error(connection_->get()));
  }
  connection_->watch(PAWL_WRITABLE,
                     [this](int ready) { step([this, ready] { return on_ready(ready); }); });
  return std::nullopt;
}

Session::End Session::go_on_connecting() {
  connection_->unwatch();
  int events = 0;
  switch (::PQconnectPoll(connection_->get())) {
    case PGRES_POLLING_FAILED: return result_of(connect_error(connection_->get()));
    case PGRES_POLLING_OK: return greet();
    case PGRES_POLLING_READING: events = PAWL_READABLE; break;
    case PGRES_POLLING_WRITING: events = PAWL_WRITABLE; break;
    case PGRES_POLLING_ACTIVE: events = PAWL_READABLE | PAWL_WRITABLE; break;
  }
  connection_->watch(events,
                     [this](int ready) { step([this, ready] { return on_ready(ready); }); });
  return std::nullopt;
}

void Session::listen() {
  PGconn* connection = connection_->get();
  ::PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
  ::PQsetnonblocking(connection, 1);
  connection_->watch(PAWL_READABLE,
                     [this](int ready) { step([this, ready] { return on_ready(ready); }); });
}

/// What every new connection has; one that is used again had it after its reset.
Session::End Session::greet() {
  const char* look = connection_->look_statement();
  if (look == nullptr) return prepare();
  phase_ = Phase::greeting;
  listen();
  return sent(::PQsendQuery(connection_->get(), look));
}

/// What the session must have before the statements: a format of dates that is ISO's, and the name
/// of this task. Most servers and new connections have both.
Session::End Session::prepare() {
  limit_.reset();
  phase_ = Phase::preparing;
  listen();
  PGconn* connection = connection_->get();
  connection_->on_notice([this](std::string_view text) { attempt_.log_error(text); });
  std::string sql;
  const char* style = ::PQparameterStatus(connection, "DateStyle");
  if (style == nullptr || !std::string_view(style).starts_with("ISO")) sql = "SET datestyle = ISO;";
  const std::string& name = work_.target.application_name();
  if (connection_->application_name() != name) {
    char* quoted = ::PQescapeLiteral(connection, name.data(), name.size());
    if (quoted == nullptr) return lost();
    sql.append("SET application_name = ").append(quoted);
    ::PQfreemem(quoted);
  }
  if (sql.empty()) return send_work();
  return sent(::PQsendQuery(connection, sql.c_str()));
}

Session::End Session::send_work() {
  phase_ = Phase::running;
  PGconn* connection = connection_->get();
  int code = 0;
  if (work_.parameters.empty()) {
    code = ::PQsendQuery(connection, work_.sql.c_str());
  } else {
    std::vector<const char*> values;
    for (const auto& value : work_.parameters) values.push_back(value ? value->c_str() : nullptr);
    code = ::PQsendQueryParams(connection, work_.sql.c_str(), static_cast<int>(values.size()),
                               nullptr, values.data(), nullptr, nullptr, 0);
  }
  // Rows come one by one, so that memory is bounded by what an output may hold.
  if (code == 1) ::PQsetSingleRowMode(connection);
  return sent(code);
}

Session::End Session::sent(int code) {
  if (code == 0 || connection_->flush() == Connection::Fed::lost) return lost();
  return std::nullopt;
}

Session::End Session::on_ready(int events) {
  if (phase_ == Phase::connecting) return go_on_connecting();
  if (connection_->feed(events) == Connection::Fed::fine) return take_results();
  // What the server said before it went is worth more than that it went.
  for (int i = 0; i < kResultsAfterLossMax; ++i) {
    const PgResult result(::PQgetResult(connection_->get()));
    if (!result) break;
    take(result.get());
  }
  return error_ ? End(outcome()) : End(lost());
}

Session::End Session::take_results() {
  PGconn* connection = connection_->get();
  while (::PQisBusy(connection) == 0) {
    const PgResult result(::PQgetResult(connection));
    if (!result) return phase_done();
    take(result.get());
    // COPY waits for data that nobody will bring: only closing the connection ends it.
    const ExecStatusType status = ::PQresultStatus(result.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      return outcome();
    }
  }
  return std::nullopt;
}

Session::End Session::phase_done() {
  if (phase_ == Phase::running || error_ || is_cancelling_) return outcome();
  return phase_ == Phase::greeting ? prepare() : send_work();
}

void Session::take(const PGresult* result) {
  try {
    take_result(result);
  } catch (const NoOutput& none) {
    problem_ = none.message;
    ask_server_to_cancel();
  }
}

void Session::take_result(const PGresult* result) {
  switch (::PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE: return take_row(result);
    case PGRES_TUPLES_OK:
      if (!is_in_rows_ && phase_ == Phase::running && !problem_) begin_rows(result, work_.rows);
      is_in_rows_ = false;
      return;
    case PGRES_COMMAND_OK: return count_changes(const_cast<PGresult*>(result));
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
      problem_ =
          "COPY with this side as its source or target is not offered: name a file of the "
          "server, or run psql";
      return;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR:
    case PGRES_PIPELINE_ABORTED: take_error(error_of(result, work_.sql)); return;
    case PGRES_EMPTY_QUERY:
    case PGRES_NONFATAL_ERROR:
    case PGRES_PIPELINE_SYNC: return;
  }
}

/// The first one counts; none of the greeting does that leaves the connection as it was.
void Session::take_error(ServerError&& error) {
  const bool is_harmless = phase_ == Phase::greeting && error.is_of_statement;
  if (!error_ && !is_harmless) error_ = std::move(error);
}

void Session::take_row(const PGresult* result) {
  if (problem_ || phase_ != Phase::running) return;
  if (!is_in_rows_) begin_rows(result, work_.rows);
  is_in_rows_ = true;
  write_row(result, 0, work_.rows);
}

void Session::count_changes(PGresult* result) {
  if (const char* count = ::PQcmdTuples(result); *count != '\0') changes_ += std::atoll(count);
}

Result Session::outcome() {
  if (problem_) {
    const bool was_kept = !error_ && phase_ == Phase::running;
    return Result::permanent(
        *problem_, "Output",
        was_kept ? "the server had ended the statement: what it changed stays" : "");
  }
  if (error_) return result_of(*error_);
  if (is_cancelling_) return Result::failure("cancelled", "57014");
  if (::PQtransactionStatus(connection_->get()) != PQTRANS_IDLE) {
    return Result::permanent("sql: the last transaction has no COMMIT, so nothing of it was kept",
                             "25P01");
  }
  if (work_.rows.has_result()) return Result::success(work_.rows.take());
  return Result::success(work_.rows.of_changes(changes_));
}

Result Session::lost() { return result_of(lost_connection(connection_->get())); }

void Session::ask_server_to_cancel() {
  if (is_cancelling_) return;
  is_cancelling_ = true;
  PGcancel* cancel = ::PQgetCancel(connection_->get());
  if (cancel == nullptr) return;
  const pawl::Result<bool> handed_over = tools_.cancellers.hand_over([cancel] {
    char message[256];
    ::PQcancel(cancel, message, sizeof(message));
    ::PQfreeCancel(cancel);
  });
  if (!handed_over) ::PQfreeCancel(cancel);
  // A server that does not listen finds the connection closed, and this attempt goes on.
  limit_ = std::make_unique<plugin::TimeWatch>(tools_.host, kCancelMax, [this] {
    settle(problem_
               ? outcome()
               : Result::failure("cancelled, but the server did not end the statement", "57014"));
  });
}

void Session::cancel() {
  if (phase_ == Phase::resolving || phase_ == Phase::connecting) {
    return settle(Result::failure("cancelled", "57014"));
  }
  ask_server_to_cancel();
}

}  // namespace pawl::operators::postgres
