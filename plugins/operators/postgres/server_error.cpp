#include "plugins/operators/postgres/server_error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "plugins/operators/sql/place.h"

namespace pawl::operators::postgres {

namespace {

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
  return text;
}

/// Takes `28P01: ` out of `FATAL:  28P01: password …` and gives it back; empty when there is none.
std::string take_state(std::string& message) {
  for (std::size_t at = message.find(":  "); at != std::string::npos;
       at = message.find(":  ", at + 1)) {
    const std::size_t begin = at + 3;
    if (message.size() < begin + 7 || message[begin + 5] != ':') continue;
    std::string state = message.substr(begin, 5);
    const bool is_state = std::all_of(state.begin(), state.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    });
    if (!is_state) continue;
    message.erase(begin, 7);
    return state;
  }
  return {};
}

/// A message is one line; advice that libpq puts below it goes to the trace.
ServerError with_one_line(ServerError error) {
  const std::size_t end = error.message.find('\n');
  if (end == std::string::npos) return error;
  std::size_t more = end + 1;
  while (more < error.message.size() && error.message[more] == '\t') ++more;
  error.trace = error.message.substr(more) + '\n' + error.trace;
  error.message.resize(end);
  return error;
}

/// What libpq says of a file of `sslcert`, `sslkey` or `sslrootcert` before it asks the server.
bool is_about_tls_file(std::string_view message) {
  return message.find("certificate file \"") != std::string_view::npos ||
         message.find("private key file \"") != std::string_view::npos;
}

}  // namespace

ServerError error_of(const PGresult* result, std::string_view sql) {
  const auto field = [result](int code) {
    const char* value = ::PQresultErrorField(result, code);
    return std::string(value == nullptr ? "" : value);
  };
  ServerError error{field(PG_DIAG_SQLSTATE), field(PG_DIAG_MESSAGE_PRIMARY), {}};
  error.is_of_statement = field(PG_DIAG_SEVERITY_NONLOCALIZED) == "ERROR";
  if (error.state.empty()) error.state = "08006";  // libpq's own: the connection broke
  if (error.message.empty()) error.message = trimmed(::PQresultErrorMessage(result));
  static constexpr std::array<std::pair<const char*, int>, 3> kParts = {
      {{"detail: ", PG_DIAG_MESSAGE_DETAIL},
       {"hint: ", PG_DIAG_MESSAGE_HINT},
       {"context: ", PG_DIAG_CONTEXT}}};
  if (const int position = std::atoi(field(PG_DIAG_STATEMENT_POSITION).c_str()); position > 0) {
    const auto characters = static_cast<std::size_t>(position - 1);
    error.trace = describe_place(sql, offset_of_character(sql, characters)) + '\n';
  }
  for (const auto& [title, code] : kParts) {
    if (const std::string value = field(code); !value.empty()) error.trace += title + value + '\n';
  }
  return error;
}

ServerError connect_error(const PGconn* connection) {
  ServerError error{{}, trimmed(::PQerrorMessage(connection)), {}};
  error.state = take_state(error.message);
  // Where in the server's source it was written, which verbose messages tell too.
  if (const auto at = error.message.find("\nLOCATION:"); at != std::string::npos) {
    error.message = trimmed(error.message.substr(0, at));
  }
  // libpq gives up by itself where it has no password; the server would have said this.
  if (error.state.empty() && ::PQconnectionNeedsPassword(connection) != 0) error.state = "28P01";
  if (error.state.empty()) error.state = is_about_tls_file(error.message) ? "TlsFile" : "08001";
  return with_one_line(std::move(error));
}

ServerError lost_connection(const PGconn* connection) {
  return with_one_line({"08006", trimmed(::PQerrorMessage(connection)), {}});
}

bool may_pass(const ServerError& error) {
  // The server says so of a statement with too few or too many parameters; poolers of whatever
  // makes them end a connection.
  if (error.state == "08P01" && error.is_of_statement) return false;
  static constexpr std::array<std::string_view, 9> kStates = {
      "08",   "53", "40001", "40P01", "55P03", "57P01", "57P02", "57P03",
      "57014"  // statement_timeout, or somebody cancelled the statement
  };
  return std::any_of(kStates.begin(), kStates.end(),
                     [&error](std::string_view one) { return error.state.starts_with(one); });
}

plugin::Result result_of(const ServerError& error) {
  return may_pass(error) ? plugin::Result::failure(error.message, error.state, error.trace)
                         : plugin::Result::permanent(error.message, error.state, error.trace);
}

}  // namespace pawl::operators::postgres
