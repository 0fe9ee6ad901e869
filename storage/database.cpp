#include "storage/database.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <utility>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "storage/sqlite_codes.h"
#include "storage/statement.h"

namespace pawl {
namespace {

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

SqliteFailure last_failure(sqlite3* handle) {
  return {sqlite3_extended_errcode(handle), sqlite3_system_errno(handle), sqlite3_errmsg(handle)};
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
  return SqliteFailure{code, 0, sqlite3_errstr(code)}.error("opening the store", path);
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
    return SqliteFailure{code, errno, e.what()}.error("opening the store", path);
  } catch (const std::exception& e) {
    return Error{ErrorKind::storage, std::string("opening the store: ") + e.what()};
  }
  sqlite3_extended_result_codes(database->handle(), 1);
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
  int defensive = 0;
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, &defensive);
  if (defensive != 1) {
    return Error{ErrorKind::storage, "setting up the store: this SQLite has no defensive mode"};
  }
  // A VFS that cannot map memory answers mmap_size with no row, which is as good as 0.
  if (auto done = exec("PRAGMA mmap_size=0"); !done) return done;
  auto mapped = integer("PRAGMA mmap_size");
  if (!mapped) return std::move(mapped).error();
  if (*mapped != 0) {
    return Error{ErrorKind::storage, "setting up the store: mmap_size cannot be set to 0"};
  }
  struct Pragma {
    const char* set;
    const char* name;
    std::string_view expected;
  };
  const std::string log_bytes = std::to_string(limits::kLogFileBytesKept);
  const std::string limit_log = "PRAGMA journal_size_limit=" + log_bytes;
  const Pragma pragmas[] = {
      {"PRAGMA trusted_schema=OFF", "trusted_schema", "0"},
      {"PRAGMA cell_size_check=ON", "cell_size_check", "1"},
      {"PRAGMA journal_mode=WAL", "journal_mode", "wal"},
      {"PRAGMA synchronous=FULL", "synchronous", "2"},
      {"PRAGMA wal_autocheckpoint=0", "wal_autocheckpoint", "0"},
      {limit_log.c_str(), "journal_size_limit", log_bytes},
      {"PRAGMA foreign_keys=ON", "foreign_keys", "1"},
      {"PRAGMA secure_delete=OFF", "secure_delete", "0"},
  };
  for (const auto& p : pragmas) {
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
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return exec(
      "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; "
      "PRAGMA wal_autocheckpoint=0; PRAGMA query_only=ON");
}

Result<void> Database::set_up_copy() {
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
  return last_failure(handle()).error(doing, path_);
}

Error Database::error(std::string_view doing, const Statement& failed) const {
  return SqliteFailure{failed.code(), 0, sqlite3_errstr(failed.code())}.error(doing, path_);
}

bool Database::is_full() const { return last_failure(handle()).is_full(); }

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
  // Held over all steps, so that they copy one commit and never begin again.
  ReadTransaction transaction(*this);
  if (auto read = integer("SELECT count(*) FROM sqlite_schema"); !read) return read.error();
  try {
    SQLite::Backup backup(to.connection_->database, connection_->database);
    while (true) {
      const int code = backup.executeStep(pages);
      if (code == SQLITE_DONE) return {};
      // Within the step it was waited for as long as for any lock.
      if (code != SQLITE_OK)
        return SqliteFailure{code, 0, sqlite3_errstr(code)}.error("copying the store", to.path_);
      if (pause) pause();
    }
  } catch (const SQLite::Exception& e) {
    return SqliteFailure{e.getErrorCode(), sqlite3_system_errno(to.handle()), e.what()}.error(
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

ReadTransaction::ReadTransaction(Database& database)
    : database_(database), is_outermost_(!database.in_transaction()) {
  if (is_outermost_) (void)database_.exec("BEGIN");
}

ReadTransaction::~ReadTransaction() {
  if (is_outermost_) database_.rollback();
}

}  // namespace pawl
