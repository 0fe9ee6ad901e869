#pragma once

// What SQLite's result codes mean: which pass by themselves, which are lack of room, and what to
// tell a person of the others. Private to storage.

#include <functional>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "scheduler/base/result.h"

namespace pawl {

/// How long another program that uses the store is waited for: a person with sqlite3, within
/// reason.
inline constexpr int kBusyTimeoutMs = 10'000;

/// Why a call of SQLite failed.
struct SqliteFailure {
  int code = SQLITE_OK;        ///< the extended one
  int system_errno = 0;        ///< 0: not known
  const char* text = nullptr;  ///< in SQLite's words

  /// Whether it was for lack of room.
  bool is_full() const;
  /// `DOING: why. What to do`, about the store at `path`.
  Error error(std::string_view doing, const std::string& path) const;
};

/// What SQLite answers a reader that may not mend the log's index while another process makes it or
/// moves its read marks. It passes in a moment, or when that process gets on; no handler of SQLite
/// waits for it.
inline bool is_index_in_the_making(int code) {
  return code == SQLITE_READONLY_RECOVERY || code == SQLITE_READONLY_CANTINIT ||
         code == SQLITE_READONLY_CANTLOCK;
}

/// Repeats `read` until its code says something else, within kBusyTimeoutMs; the last code.
int repeat_until_index_is_made(const std::function<int()>& read);

/// The code of `read`, which is repeated for as long as it says that the index is in the making,
/// within kBusyTimeoutMs.
template <typename Read>
int once_index_is_made(const Read& read) {
  const int code = read();
  return is_index_in_the_making(code) ? repeat_until_index_is_made(read) : code;
}

}  // namespace pawl
