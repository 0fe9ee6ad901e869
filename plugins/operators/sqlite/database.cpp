#include "plugins/operators/sqlite/database.h"

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include "plugins/operators/sql/place.h"

namespace pawl::operators::sqlite {

using nlohmann::json;

namespace {

constexpr int kOperationsBetweenChecks =
    10'000;  // of SQLite's virtual machine, below a millisecond

}  // namespace

/// SQLite's own waiting cannot be interrupted; this can.
struct Database::Patience {
  Duration limit{};
  std::chrono::steady_clock::time_point since;
  std::atomic<bool> is_interrupted = false;

  static int wait(void* self, int times_before) {
    auto& us = *static_cast<Patience*>(self);
    const auto now = std::chrono::steady_clock::now();
    if (times_before == 0) us.since = now;
    if (us.is_interrupted || now - us.since >= us.limit) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(times_before < 10 ? 1 : 10));
    return 1;
  }
  /// An interruption between two statements is forgotten by SQLite, but not here.
  static int check(void* self) { return static_cast<Patience*>(self)->is_interrupted ? 1 : 0; }
};

/// Asked while a statement is prepared.
int Database::authorize(void* self, int action, const char* first, const char*, const char*,
                        const char*) {
  auto& us = *static_cast<Database*>(self);
  switch (action) {
    case SQLITE_ATTACH: {
      // VACUUM attaches a file without a name, which is temporary; all others are somebody's.
      const bool uses_file = first == nullptr || *first != '\0';
      return uses_file && !us.allow_attach_ ? SQLITE_DENY : SQLITE_OK;
    }
    case SQLITE_TRANSACTION:
      if (!us.holds_transaction_) return SQLITE_OK;
      us.refused_ = first;
      return SQLITE_DENY;
    default: return SQLITE_OK;
  }
}

Database::Database(const OpenOptions& options)
    : path_(options.path),
      allow_attach_(options.allow_attach),
      patience_(std::make_unique<Patience>()) {
  const int flags =
      options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = ::sqlite3_open_v2(options.path.c_str(), &handle_,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (code != SQLITE_OK) {
    SqliteError error{
        code,
        options.path + ": " + (handle_ == nullptr ? "out of memory" : ::sqlite3_errmsg(handle_)),
        {}};
    ::sqlite3_close(handle_);
    throw SqliteError(std::move(error));
  }
  patience_->limit = options.busy_timeout;
  ::sqlite3_busy_handler(handle_, Patience::wait, patience_.get());
  ::sqlite3_progress_handler(handle_, kOperationsBetweenChecks, Patience::check, patience_.get());
  ::sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  ::sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_FKEY, options.foreign_keys ? 1 : 0, nullptr);
  ::sqlite3_set_authorizer(handle_, authorize, this);
}

Database::~Database() { ::sqlite3_close(handle_); }

void Database::interrupt() {
  patience_->is_interrupted = true;
  ::sqlite3_interrupt(handle_);
}

void Database::execute(const char* sql) {
  const int code = ::sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void Database::begin(const char* sql) {
  execute(sql);
  holds_transaction_ = true;
}

void Database::commit() {
  holds_transaction_ = false;
  execute("COMMIT");
}

bool Database::is_in_transaction() const { return ::sqlite3_get_autocommit(handle_) == 0; }
std::int64_t Database::changes() const { return ::sqlite3_total_changes64(handle_); }

void Database::fail(int code, std::string trace) const {
  if (refused_ != nullptr) {
    throw WrongParameters{
        std::string("sql: ") + refused_ +
        " within the one transaction of all statements. Leave it out, or say \"transaction\": "
        "false and begin and end transactions in sql"};
  }
  // With other files attached nobody says which of them it is.
  const bool is_about_ours = is_about_file(code) && !allow_attach_;
  throw SqliteError{code, (is_about_ours ? path_ + ": " : "") + ::sqlite3_errmsg(handle_),
                    std::move(trace)};
}

Statement::Statement(Database& database, std::string_view sql, std::size_t begin)
    : database_(&database), sql_(sql), begin_(begin) {
  const char* tail = nullptr;
  const int code = ::sqlite3_prepare_v2(database.get(), sql.data() + begin,
                                        static_cast<int>(sql.size() - begin), &handle_, &tail);
  if (code != SQLITE_OK) database.fail(code, place(::sqlite3_error_offset(database.get())));
  end_ = static_cast<std::size_t>(tail - sql.data());
}

Statement::~Statement() { ::sqlite3_finalize(handle_); }

std::string Statement::place(int offset) const {
  return describe_place(sql_, begin_ + static_cast<std::size_t>(offset < 0 ? 0 : offset));
}

bool Statement::returns_rows() const { return ::sqlite3_column_count(handle_) > 0; }
bool Statement::changes_nothing() const { return ::sqlite3_stmt_readonly(handle_) != 0; }
int Statement::parameter_count() const { return ::sqlite3_bind_parameter_count(handle_); }
const char* Statement::parameter_name(int index) const {
  return ::sqlite3_bind_parameter_name(handle_, index);
}

void Statement::bind(int index, const json& value) {
  int code = SQLITE_OK;
  switch (value.type()) {
    case json::value_t::null: code = ::sqlite3_bind_null(handle_, index); break;
    case json::value_t::boolean:
      code = ::sqlite3_bind_int(handle_, index, value.get<bool>() ? 1 : 0);
      break;
    case json::value_t::number_unsigned:
      if (value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
        throw WrongParameters{value.dump() + " does not fit 64 bits: give it as a text"};
      }
      [[fallthrough]];
    case json::value_t::number_integer:
      code = ::sqlite3_bind_int64(handle_, index, value.get<std::int64_t>());
      break;
    case json::value_t::number_float:
      code = ::sqlite3_bind_double(handle_, index, value.get<double>());
      break;
    case json::value_t::string:
    case json::value_t::array:
    case json::value_t::object:
    case json::value_t::binary:
    case json::value_t::discarded: {
      const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      code = ::sqlite3_bind_text64(handle_, index, text.data(), text.size(), SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
    }
  }
  if (code != SQLITE_OK) database_->fail(code, place(0));
}

void Statement::run(RowWriter& rows) {
  const int columns = ::sqlite3_column_count(handle_);
  if (columns > 0) {
    std::vector<std::string> names;
    for (int i = 0; i < columns; ++i) names.emplace_back(::sqlite3_column_name(handle_, i));
    rows.begin(names);
  }
  int code = SQLITE_OK;
  while ((code = ::sqlite3_step(handle_)) == SQLITE_ROW) {
    if (rows.wants_rows()) write_row(rows);
    rows.end_row();
  }
  if (code != SQLITE_DONE) database_->fail(code, place(0));
}

void Statement::write_row(RowWriter& rows) const {
  const int columns = ::sqlite3_column_count(handle_);
  for (int i = 0; i < columns; ++i) {
    switch (::sqlite3_column_type(handle_, i)) {
      case SQLITE_INTEGER:
        rows.add(static_cast<std::int64_t>(::sqlite3_column_int64(handle_, i)));
        break;
      case SQLITE_FLOAT: rows.add(::sqlite3_column_double(handle_, i)); break;
      case SQLITE_TEXT: {
        const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(handle_, i));
        const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(handle_, i));
        if (text == nullptr) database_->fail(SQLITE_NOMEM);
        rows.add_text({text, size});
        break;
      }
      case SQLITE_BLOB: {
        const auto* bytes = static_cast<const char*>(::sqlite3_column_blob(handle_, i));
        const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(handle_, i));
        rows.add_bytes(size == 0 ? std::string_view() : std::string_view(bytes, size));
        break;
      }
      default: rows.add_null();
    }
  }
}

}  // namespace pawl::operators::sqlite
