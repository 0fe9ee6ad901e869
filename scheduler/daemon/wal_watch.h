#pragma once

// Watches the store's write-ahead log. A reader that holds a transaction keeps it from being copied
// back, so it grows without end: over a bound nothing new starts until it is small again, and the
// reader is named. On the loop; processes are looked for on another thread.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scheduler/base/limits.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/work.h"
#include "storage/writer.h"

namespace pawl {

/// A process that reads the store.
struct StoreReader {
  pid_t pid = 0;
  std::string command;

  friend bool operator==(const StoreReader&, const StoreReader&) = default;
};

/// Who holds a read mark of the database now, as the kernel's list of locks tells; where that does
/// not, who has its shared memory open, this process aside. Opens neither file: only SQLite may.
std::vector<StoreReader> readers_of(const std::string& database);

class WalWatch {
 public:
  struct Options {
    std::string database;
    std::int64_t bytes_max = limits::kWalBytesMax;
    Duration look_every = std::chrono::seconds(2);
  };

  /// `changed`: the log has passed the bound, or is small again; or who reads is known.
  WalWatch(Loop& loop, Writer& writer, Options options, std::function<void()> changed);
  ~WalWatch();
  WalWatch(const WalWatch&) = delete;
  WalWatch& operator=(const WalWatch&) = delete;

  void change_bytes_max(std::int64_t bytes_max);
  /// After each commit; costs nothing while the log is small.
  void look();

  bool is_over() const { return is_over_; }
  std::int64_t bytes() const;
  /// Those that were there whenever it was looked, while it is over.
  const std::vector<StoreReader>& readers() const { return readers_; }
  /// `the write-ahead log is 1.2 GiB: process 4711 (sqlite3 pawl.db) has been reading …`.
  std::string sentence() const;

 private:
  void look_again();
  void found(std::vector<StoreReader> readers);

  Loop& loop_;
  Writer& writer_;
  Options options_;
  std::function<void()> changed_;
  Timer timer_;
  Work finding_;
  std::vector<StoreReader> readers_;
  bool is_over_ = false;
  bool has_looked_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
