#include "storage/sqlite_codes.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace pawl {

bool SqliteFailure::is_full() const {
  if ((code & 0xFF) == SQLITE_FULL) return true;
  // A quota is a full disk to its user; SQLite tells only ENOSPC apart.
  return code == SQLITE_IOERR_WRITE && system_errno == EDQUOT;
}

Error SqliteFailure::error(std::string_view doing, const std::string& path) const {
  auto make = [&](ErrorKind kind, std::string why) {
    return Error{kind, std::string(doing) + ": " + std::move(why)};
  };
  // A read that fails with EIO is told by SQLite as damage, too.
  std::string damage = path + " is damaged, or its disk cannot be read (" + text +
                       "). pawl doctor says which; of a damaged one bring back a backup: pawl "
                       "restore FILE";
  if (is_full()) {
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

int repeat_until_index_is_made(const std::function<int()>& read) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
  int code = SQLITE_OK;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    code = read();
  } while (is_index_in_the_making(code) && std::chrono::steady_clock::now() < end);
  return code;
}

}  // namespace pawl
