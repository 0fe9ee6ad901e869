#include "plugins/operators/sqlite/sqlite.h"

#include <chrono>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "plugins/operators/sql/place.h"
#include "plugins/operators/sql/rows.h"
#include "plugins/operators/sqlite/database.h"
#include "scheduler/base/text.h"

namespace pawl::operators::sqlite {

using nlohmann::json;
using plugin::Result;

/// As long as it lives, `cancel` reaches the database.
class Sqlite::Registered {
 public:
  Registered(Sqlite& owner, const plugin::Attempt& attempt, Database& database)
      : owner_(&owner), attempt_(attempt.get()) {
    const std::scoped_lock lock(owner_->mutex_);
    owner_->running_[attempt_] = &database;
    // A cancellation that came before found nothing to interrupt.
    if (attempt.is_cancelled()) database.interrupt();
  }
  ~Registered() {
    const std::scoped_lock lock(owner_->mutex_);
    owner_->running_.erase(attempt_);
  }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 private:
  Sqlite* owner_;
  pawl_attempt* attempt_;
};

namespace {

/// Hands the given parameters to the statements, each once, and knows what is left over.
class Parameters {
 public:
  explicit Parameters(const json& with)
      : given_(with.contains("parameters") ? with.at("parameters") : json::array()) {}

  void bind(Statement& statement) {
    if (given_.is_object()) {
      bind_by_name(statement);
    } else {
      bind_in_order(statement);
    }
  }

  /// After the last statement.
  void check_all_used() const {
    if (given_.is_array() && next_ < given_.size()) {
      throw WrongParameters{"parameters: " + std::to_string(given_.size()) +
                            " given, the statements take " + std::to_string(next_)};
    }
    if (!given_.is_object()) return;
    for (const auto& [name, value] : given_.items()) {
      if (used_.count(name) == 0) {
        throw WrongParameters{"parameters: no statement has :" + name};
      }
    }
  }

 private:
  void bind_in_order(Statement& statement) {
    const int count = statement.parameter_count();
    for (int i = 1; i <= count; ++i) {
      const char* name = statement.parameter_name(i);
      if (name != nullptr && *name != '?') {
        throw WrongParameters{std::string("parameters: ") + name +
                              " has a name, so they must be an object"};
      }
      if (next_ + static_cast<std::size_t>(i) > given_.size()) {
        throw WrongParameters{"parameters: " + std::to_string(given_.size()) +
                              " given, the statements take more"};
      }
      statement.bind(i, given_[next_ + static_cast<std::size_t>(i) - 1]);
    }
    next_ += static_cast<std::size_t>(count);
  }

  void bind_by_name(Statement& statement) {
    for (int i = 1; i <= statement.parameter_count(); ++i) {
      const char* name = statement.parameter_name(i);
      if (name == nullptr || *name == '?') {
        throw WrongParameters{"parameters: a statement has a ?, so they must be a list"};
      }
      const auto found = given_.find(name + 1);
      if (found == given_.end()) {
        throw WrongParameters{std::string("parameters: ") + name + " is not given"};
      }
      used_.insert(name + 1);
      statement.bind(i, *found);
    }
  }

  json given_;
  std::size_t next_ = 0;
  std::set<std::string> used_;
};

OpenOptions options_of(const json& with, std::string_view working_dir) {
  OpenOptions options;
  options.path = with.at("database").get<std::string>();
  check_no_zero(options.path, "database");
  if (options.path != ":memory:" && options.path.front() != '/') {
    options.path = std::string(working_dir) + '/' + options.path;
  }
  options.read_only = with.value("read_only", false);
  options.allow_attach = with.value("allow_attach", false);
  options.foreign_keys = with.value("foreign_keys", false);
  const auto busy = parse_duration(with.value("busy_timeout", "5s"));
  if (!busy) throw WrongParameters{"busy_timeout: " + busy.error().message};
  options.busy_timeout = *busy;
  return options;
}

/// Where the next statement begins: behind blanks, comments and empty statements; npos: nowhere.
std::size_t next_statement(std::string_view sql, std::size_t at) {
  while ((at = sql.find_first_not_of(" \t\r\n\f;", at)) != std::string_view::npos) {
    const bool is_line = sql.substr(at, 2) == "--";
    if (!is_line && sql.substr(at, 2) != "/*") return at;
    const std::string_view end = is_line ? "\n" : "*/";
    at = sql.find(end, at + 2);
    if (at == std::string_view::npos) return at;
    at += end.size();
  }
  return at;
}

/// A statement alone is a transaction of its own, and some must not be within another. Only when it
/// writes and returns rows, too many rows must be able to take back what it wrote.
bool needs_transaction(Database& database, const std::string& sql) {
  const std::size_t begin = next_statement(sql, 0);
  if (begin == std::string::npos) return false;
  const Statement first(database, sql, begin);
  if (next_statement(sql, first.end()) != std::string::npos) return true;
  return first.returns_rows() && !first.changes_nothing();
}

std::string run_all(Database& database, const json& with, RowWriter& rows) {
  const std::string sql = statements_of(with);
  const bool in_one = with.value("transaction", true) && needs_transaction(database, sql);
  if (in_one) database.begin(with.value("read_only", false) ? "BEGIN" : "BEGIN IMMEDIATE");
  Parameters parameters(with);
  for (std::size_t at = next_statement(sql, 0); at != std::string::npos;) {
    Statement statement(database, sql, at);
    at = next_statement(sql, statement.end());
    if (statement.is_empty()) continue;
    parameters.bind(statement);
    statement.run(rows);
  }
  parameters.check_all_used();
  // Rows are complete, and whatever could be wrong with them was found, before anything is kept.
  std::string output = rows.has_result() ? rows.take() : rows.of_changes(database.changes());
  if (in_one) database.commit();
  if (database.is_in_transaction()) {
    throw WrongParameters{"sql: the last transaction has no COMMIT, so nothing of it was kept"};
  }
  return output;
}

}  // namespace

Result Sqlite::run(plugin::Attempt& attempt, const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  std::optional<std::uint64_t> rows_max;
  if (with.contains("max_rows")) rows_max = with.at("max_rows").get<std::uint64_t>();
  try {
    RowWriter rows(request.output_format(), rows_max);
    Database database(options_of(with, request.working_dir()));
    const Registered registered(*this, attempt, database);
    return Result::success(run_all(database, with, rows));
  } catch (const SqliteError& error) {
    return result_of(error);
  } catch (const WrongParameters& wrong) {
    return Result::permanent(wrong.message, "InvalidParameter");
  } catch (const NoOutput& none) {
    return Result::permanent(none.message, "Output");
  }
}

void Sqlite::cancel(plugin::Attempt& attempt) {
  const std::scoped_lock lock(mutex_);
  const auto found = running_.find(attempt.get());
  if (found != running_.end()) found->second->interrupt();
}

}  // namespace pawl::operators::sqlite
