#include "storage/database.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr int kBusyTimeoutMs = 10'000;         // a person with sqlite3 is waited for, within reason
constexpr const char* kCachePages = "-65536";  // KiB: a million scattered rows stay quick

/// Counting of memory is the one global lock left in SQLite; nobody reads the counts. Has no effect
/// when SQLite runs already, which is fine.
void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

bool exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

std::string folder_of(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// `file:` URI of a path with parameters.
std::string uri_of(const std::string& path, std::string_view parameters) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string uri = "file:";
  for (char c : path) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::strchr("/._-~", c) != nullptr;
    if (plain && c != '\0') {
      uri += c;
    } else {
      uri += '%';
      uri += kHex[byte >> 4];
      uri += kHex[byte & 15];
    }
  }
  return uri.append("?").append(parameters);
}

/// How a reader opens without creating or changing anything. While `-shm` is there it is mapped
/// read-only: beside a live writer SQLite takes its read locks in it, without one SQLite indexes
/// the log in its own memory. When it is not there, the store was closed by a foreign program (pawl
/// leaves it in place) and the next to open it makes an empty one; where that cannot be, the folder
/// is read-only for us, and the file is read as it stands.
std::string reader_uri(const std::string& path, bool beside_writer) {
  if (beside_writer) return uri_of(path, "mode=ro");
  if (exists(path + "-shm") && exists(path + "-wal")) {
    return uri_of(path, "mode=ro&readonly_shm=1");
  }
  if (!exists(path + "-wal") && access(folder_of(path).c_str(), W_OK) != 0) {
    return uri_of(path, "mode=ro&immutable=1");
  }
  return uri_of(path, "mode=ro");
}

/// What SQLite answers a reader that may not mend the log's index while another process makes it or
/// moves its read marks. It passes in a moment, or when that process gets on; no handler of SQLite
/// waits for it.
bool is_index_in_the_making(int code) {
  return code == SQLITE_READONLY_RECOVERY || code == SQLITE_READONLY_CANTINIT ||
         code == SQLITE_READONLY_CANTLOCK;
}

/// Repeats `read` for as long as its code says that the index is in the making, within patience.
template <typename Read>
int once_index_is_made(const Read& read) {
  const auto patience = std::chrono::milliseconds(kBusyTimeoutMs);
  const auto end = std::chrono::steady_clock::now() + patience;
  int code = read();
  while (is_index_in_the_making(code) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    code = read();
  }
  return code;
}

void match_glob(sqlite3_context* context, int, sqlite3_value** values) {
  auto text_of = [](sqlite3_value* value) {
    const auto* bytes = sqlite3_value_text(value);
    return bytes == nullptr
               ? std::string_view()
               : std::string_view(reinterpret_cast<const char*>(bytes),
                                  static_cast<std::size_t>(sqlite3_value_bytes(value)));
  };
  std::string_view pattern = text_of(values[0]);
  sqlite3_result_int(context, glob_match(pattern, text_of(values[1])) ? 1 : 0);
}

bool is_full_code(int code, int system_errno) {
  if ((code & 0xFF) == SQLITE_FULL) return true;
  // A quota is a full disk to its user; SQLite tells only ENOSPC apart.
  return code == SQLITE_IOERR_WRITE && system_errno == EDQUOT;
}

Error error_of(int code, int system_errno, const char* text, std::string_view doing,
               const std::string& path) {
  auto make = [&](ErrorKind kind, std::string why) {
    return Error{kind, std::string(doing) + ": " + std::move(why)};
  };
  std::string damage =
      path + " is damaged (" + text + "). Stop pawl and bring back a backup: pawl restore FILE";
  if (is_full_code(code, system_errno)) {
    return make(ErrorKind::storage, "the disk of " + path + " is full. Free some room");
  }
  switch (code & 0xFF) {
    case SQLITE_ERROR:  // of ours none fails so: the schema is not what it was
    case SQLITE_CORRUPT: return make(ErrorKind::storage, std::move(damage));
    case SQLITE_NOTADB:
      return make(ErrorKind::storage,
                  path + " is no SQLite database (" + text +
                      "). If it was one, bring back a backup: pawl restore FILE");
    case SQLITE_READONLY:
      if (code == SQLITE_READONLY_ROLLBACK) {
        return make(ErrorKind::storage, "a change of " + path +
                                            " was cut off by a kill, and a reader may not undo "
                                            "it. Start pawl serve once: it does");
      }
      if (is_index_in_the_making(code)) {
        return make(ErrorKind::locked, "another program is opening " + path +
                                           " and does not get on. Look at it (fuser " + path +
                                           " names it)");
      }
      return make(ErrorKind::storage,
                  path + " is read-only. Check its permissions and how its disk is mounted");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(ErrorKind::locked,
                  "another program is using " + path + ". End it (fuser " + path + " names it)");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return make(ErrorKind::home_unusable,
                  path + " cannot be opened (" +
                      (system_errno != 0 ? std::strerror(system_errno) : text) +
                      "). Check the folder and its permissions");
    case SQLITE_IOERR:
      return make(ErrorKind::storage,
                  "the disk of " + path + " failed (" + text +
                      (system_errno != 0 ? std::string(", ") + std::strerror(system_errno) : "") +
                      "). Check the disk, then start pawl again: it reads what is there");
    case SQLITE_CONSTRAINT:
      return make(ErrorKind::storage, std::string("the store and the scheduler's memory differ (") +
                                          text + "). Start pawl again: it reads what is there");
    case SQLITE_NOMEM: return make(ErrorKind::storage, "out of memory. Give pawl more of it");
    default:
      return make(ErrorKind::storage, std::string(text) + " (SQLite code " + std::to_string(code) +
                                          ", " + path + "). Start pawl again");
  }
}

}  // namespace

struct Database::Connection {
  Connection(const std::string& name, int flags, const std::string& vfs)
      : database(name, flags, kBusyTimeoutMs, vfs) {}
  SQLite::Database database;
};

Database::Database(std::string path) : path_(std::move(path)) {}
Database::~Database() = default;

sqlite3* Database::handle() const { return connection_->database.getHandle(); }

Result<std::unique_ptr<Database>> Database::open(const std::string& path, DatabaseOptions options) {
  configure_library();
  if (options.mode != DatabaseOptions::Mode::read_only) return open_once(path, options);
  // Each time anew, the last one closed: what keeps the index open is company to others that look
  // at it, and an index which a killed writer left half made would wait for its readers for ever.
  Result<std::unique_ptr<Database>> opened = std::unique_ptr<Database>();
  const int code = once_index_is_made([&] {
    opened = open_once(path, options);
    if (!opened) return SQLITE_OK;
    const int seen = (*opened)->first_read();
    if (is_index_in_the_making(seen)) opened->reset();
    return seen;
  });
  if (!is_index_in_the_making(code)) return opened;
  return error_of(code, 0, sqlite3_errstr(code), "opening the store", path);
}

/// Begins to read and ends again; SQLite's extended code of it.
int Database::first_read() {
  sqlite3_exec(handle(), "PRAGMA schema_version", nullptr, nullptr, nullptr);
  return sqlite3_extended_errcode(handle());
}

Result<std::unique_ptr<Database>> Database::open_once(const std::string& path,
                                                      const DatabaseOptions& options) {
  const bool reads = options.mode == DatabaseOptions::Mode::read_only;
  const bool is_real_file = options.vfs.empty();
  if (options.mode != DatabaseOptions::Mode::create && is_real_file && !exists(path)) {
    return Error{ErrorKind::not_found, "nothing is stored at " + path + " yet"};
  }
  int flags = SQLite::OPEN_NOMUTEX;
  std::string name = path;
  if (reads) {
    flags |= SQLite::OPEN_READONLY;
    if (is_real_file) {
      flags |= SQLite::OPEN_URI;
      name = reader_uri(path, options.beside_writer);
    }
  } else {
    flags |= SQLite::OPEN_READWRITE;
    if (options.mode == DatabaseOptions::Mode::create) flags |= SQLite::OPEN_CREATE;
  }
  std::unique_ptr<Database> database(new Database(path));
  try {
    database->connection_ = std::make_unique<Connection>(name, flags, options.vfs);
  } catch (const SQLite::Exception& e) {
    int code = e.getExtendedErrorCode() > 0 ? e.getExtendedErrorCode() : e.getErrorCode();
    return error_of(code, errno, e.what(), "opening the store", path);
  } catch (const std::exception& e) {
    return Error{ErrorKind::storage, std::string("opening the store: ") + e.what()};
  }
  auto set_up = [&]() -> Result<void> {
    switch (options.mode) {
      case DatabaseOptions::Mode::create:
      case DatabaseOptions::Mode::read_write: return database->set_up_writer();
      case DatabaseOptions::Mode::read_only: return database->set_up_reader();
      case DatabaseOptions::Mode::single_file: return database->set_up_copy();
    }
    return {};
  };
  if (auto done = set_up(); !done) return std::move(done).error();
  return database;
}

/// Sets a pragma, reads it back, and refuses another answer: a promise would rest on it.
Result<void> Database::pragma(const char* set, const char* name, std::string_view expected) {
  if (auto done = exec(set); !done) return done;
  std::string question = std::string("PRAGMA ") + name;
  Statement query(*this, question);
  std::string found;
  if (query.step()) found = query.text(0);
  if (!query.ok()) return error(question);
  if (found != expected) {
    return Error{ErrorKind::storage, std::string("setting up the store: SQLite answered ") + name +
                                         " = '" + found + "' instead of '" + std::string(expected) +
                                         "'. Use a SQLite and a file system that can do it"};
  }
  return {};
}

Result<void> Database::set_up_writer() {
  sqlite3_extended_result_codes(handle(), 1);
  int defensive = 0;
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, &defensive);
  if (defensive != 1) {
    return Error{ErrorKind::storage, "setting up the store: this SQLite has no defensive mode"};
  }
  struct Pragma {
    const char* set;
    const char* name;
    std::string_view expected;
  };
  const Pragma pragmas[] = {
      {"PRAGMA trusted_schema=OFF", "trusted_schema", "0"},
      {"PRAGMA cell_size_check=ON", "cell_size_check", "1"},
      {"PRAGMA mmap_size=0", "mmap_size", "0"},
      {"PRAGMA journal_mode=WAL", "journal_mode", "wal"},
      {"PRAGMA synchronous=FULL", "synchronous", "2"},
      {"PRAGMA wal_autocheckpoint=0", "wal_autocheckpoint", "0"},
      {"PRAGMA foreign_keys=ON", "foreign_keys", "1"},
      {"PRAGMA secure_delete=OFF", "secure_delete", "0"},
  };
  for (const auto& p : pragmas) {
    // A VFS that cannot map memory answers mmap_size with no row, which is as good as 0.
    if (std::string_view(p.name) == "mmap_size") {
      if (auto done = exec(p.set); !done) return done;
      Statement query(*this, "PRAGMA mmap_size");
      if (query.step() && query.integer(0) != 0) {
        return Error{ErrorKind::storage, "setting up the store: mmap_size cannot be set to 0"};
      }
      continue;
    }
    if (auto done = pragma(p.set, p.name, p.expected); !done) return done;
  }
  if (auto done = exec((std::string("PRAGMA cache_size=") + kCachePages).c_str()); !done)
    return done;
  // The log and its index stay when the store is closed: readers then find all that they need and
  // have nothing to create.
  int persist = 1;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  sqlite3_wal_hook(
      handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Database*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  return {};
}

Result<void> Database::set_up_reader() {
  sqlite3_extended_result_codes(handle(), 1);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return exec(
      "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; "
      "PRAGMA wal_autocheckpoint=0; PRAGMA query_only=ON");
}

Result<void> Database::set_up_copy() {
  sqlite3_extended_result_codes(handle(), 1);
  return exec(
      "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; "
      "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY");
}

Result<void> Database::exec(const char* sql) {
  if (connection_->database.tryExec(sql) != SQLITE_OK) return error("using the store");
  return {};
}

Result<void> Database::exec_each(const char* sql, const std::function<void(int)>& before) {
  for (int number = 0; *sql != '\0'; ++number) {
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    if (sqlite3_prepare_v2(handle(), sql, -1, &statement, &rest) != SQLITE_OK) {
      return error("using the store");
    }
    sql = rest;
    if (statement == nullptr) continue;  // white space or a comment at the end
    if (before) before(number);
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW) code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE) return error("using the store");
  }
  return {};
}

Result<std::int64_t> Database::integer(const char* sql) {
  Statement query(*this, sql);
  std::int64_t value = 0;
  if (query.step()) value = query.integer(0);
  if (!query.ok()) return error("reading the store");
  return value;
}

Error Database::error(std::string_view doing) const {
  return error_of(sqlite3_extended_errcode(handle()), sqlite3_system_errno(handle()),
                  sqlite3_errmsg(handle()), doing, path_);
}

Error Database::error(std::string_view doing, const Statement& failed) const {
  return error_of(failed.code(), 0, sqlite3_errstr(failed.code()), doing, path_);
}

bool Database::is_full() const {
  return is_full_code(sqlite3_extended_errcode(handle()), sqlite3_system_errno(handle()));
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle()) == 0; }

void Database::rollback() {
  if (in_transaction()) connection_->database.tryExec("ROLLBACK");
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle()); }

Result<void> Database::checkpoint(bool truncate) {
  int in_log = 0;
  int copied = 0;
  int code =
      sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  if (code == SQLITE_OK && truncate && in_log == copied) {
    // Waits for no reader: with the busy handler off it gives up at once.
    sqlite3_busy_timeout(handle(), 0);
    code =
        sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_busy_timeout(handle(), kBusyTimeoutMs);
  }
  if (code != SQLITE_OK && code != SQLITE_BUSY) return error("writing the log back into the store");
  if (in_log == copied) wal_pages_ = 0;
  return {};
}

Result<void> Database::copy_to(Database& to, int pages, const std::function<void()>& pause) {
  try {
    SQLite::Backup backup(to.connection_->database, connection_->database);
    while (true) {
      int code = backup.executeStep(pages);
      if (code == SQLITE_DONE) return {};
      if (pause) pause();
    }
  } catch (const SQLite::Exception& e) {
    return error_of(e.getErrorCode(), sqlite3_system_errno(to.handle()), e.what(),
                    "copying the store", to.path_);
  }
}

Result<void> Database::add_glob() {
  int code = sqlite3_create_function_v2(handle(), "pawl_glob", 2,
                                        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                        nullptr, match_glob, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error("setting up the reader");
  return {};
}

// Statement --------------------------------------------------------------------------------------

Statement::Statement(Database& database, std::string_view sql) {
  code_ = once_index_is_made([&] {
    return sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                              SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  });
  if (statement_ != nullptr) {
    bound_.resize(static_cast<std::size_t>(sqlite3_bind_parameter_count(statement_)));
  } else {
    handle_ = database.handle();
    sql_ = sql;
  }
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)),
      code_(std::exchange(other.code_, 0)),
      handle_(other.handle_),
      sql_(std::move(other.sql_)),
      bound_(std::move(other.bound_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(code_, other.code_);
  std::swap(handle_, other.handle_);
  std::swap(sql_, other.sql_);
  std::swap(bound_, other.bound_);
  return *this;
}

// Binding a value that is bound already costs twenty times the comparison, and of the forty values
// of a task's start and end most are those of the task before.
Statement::Bound& Statement::bound(int place) {
  static thread_local Bound nowhere;  // of a statement that did not compile
  auto index = static_cast<std::size_t>(place - 1);
  return index < bound_.size() ? bound_[index] : nowhere;
}

void Statement::put(int place, std::int64_t value) {
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::integer && last.integer == value) return;
  sqlite3_bind_int64(statement_, place, value);
  last.kind = Bound::Kind::integer;
  last.integer = value;
}

void Statement::put(int place, std::nullopt_t) {
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::null) return;
  sqlite3_bind_null(statement_, place);
  last.kind = Bound::Kind::null;
}

void Statement::put(int place, std::string_view text) {
  bound(place).kind = Bound::Kind::unknown;
  // A view without address would bind NULL.
  sqlite3_bind_text64(statement_, place, text.data() == nullptr ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::put(int place, TextOrNull text) {
  if (text.text.empty()) {
    put(place, std::nullopt);
  } else {
    put(place, text.text);
  }
}

void Statement::put(int place, Word word) {
  if (word.text.empty()) return put(place, std::nullopt);
  Bound& last = bound(place);
  if (last.kind == Bound::Kind::word && last.word == word.text.data()) return;
  put(place, word.text);
  last.kind = Bound::Kind::word;
  last.word = word.text.data();
}

void Statement::put(int place, Blob blob) {
  bound(place).kind = Bound::Kind::unknown;
  sqlite3_bind_blob64(statement_, place, blob.bytes.data() == nullptr ? "" : blob.bytes.data(),
                      blob.bytes.size(), SQLITE_STATIC);
}

bool Statement::step() {
  if (statement_ == nullptr) return fail_again();
  int code = once_index_is_made([this] {
    const int done = sqlite3_step(statement_);
    // It failed as it began to read, so there was no row yet.
    if (is_index_in_the_making(done)) sqlite3_reset(statement_);
    return done;
  });
  if (code == SQLITE_ROW) return true;
  code_ = code == SQLITE_DONE ? 0 : code;
  return false;
}

/// Compiles a statement that did not compile once more, so that the database tells why.
bool Statement::fail_again() {
  code_ = SQLITE_MISUSE;
  if (handle_ == nullptr) return false;
  sqlite3_stmt* again = nullptr;
  const int code =
      sqlite3_prepare_v2(handle_, sql_.data(), static_cast<int>(sql_.size()), &again, nullptr);
  sqlite3_finalize(again);
  if (code != SQLITE_OK) code_ = code;
  return false;
}

bool Statement::run() {
  while (step()) {
  }
  if (statement_ == nullptr) return false;
  // Resetting after an error tells the error again, so that the database still knows it.
  sqlite3_reset(statement_);
  return ok();
}

void Statement::reset() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  code_ = 0;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Statement::text(int column) const {
  const void* bytes = sqlite3_column_type(statement_, column) == SQLITE_BLOB
                          ? sqlite3_column_blob(statement_, column)
                          : sqlite3_column_text(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Statement::columns() const { return sqlite3_column_count(statement_); }

// RowReader --------------------------------------------------------------------------------------

std::int32_t RowReader::small() {
  std::int64_t value = integer();
  if (value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    note_bad(std::to_string(value));
    return 0;
  }
  return static_cast<std::int32_t>(value);
}

std::optional<WallTime> RowReader::time_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return time();
}

std::optional<int> RowReader::small_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return small();
}

std::optional<std::string_view> RowReader::text_or_none() {
  if (statement_.is_null(column_)) {
    ++column_;
    return std::nullopt;
  }
  return statement_.text(column_++);
}

void RowReader::note_bad(std::string_view text) {
  if (bad_.empty()) bad_ = "'" + std::string(text) + "' cannot be read";
}

// ReadTransaction --------------------------------------------------------------------------------

ReadTransaction::ReadTransaction(Database& database)
    : database_(database), is_outermost_(!database.in_transaction()) {
  if (is_outermost_) (void)database_.exec("BEGIN");
}

ReadTransaction::~ReadTransaction() {
  if (is_outermost_) database_.rollback();
}

}  // namespace pawl
