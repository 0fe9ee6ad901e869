#pragma once

// The writer thread: a thin shell around Store. What waits in its queue when it looks goes into one
// transaction (group commit), so the wait for the disk is shared. Requests to load run on the same
// connection, in their place in the queue, and so see all that was submitted before them.
//
// Out of room it keeps what it has, gives up the ballast, tries again each second and goes on by
// itself; after any other failure of a write the outcome is unknown and the process must end.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/core/mutation.h"
#include "storage/ballast.h"
#include "storage/store.h"

namespace pawl {

struct WriterOptions {
  std::string ballast;               ///< path of the ballast; empty: none
  std::size_t queued_max = 200'000;  ///< mutations that may wait; more is answered with false
  std::size_t group_max = 50'000;    ///< mutations in one transaction
  std::int64_t idle_checkpoint_pages = 1'000;  ///< when there is nothing else to do
  std::int64_t checkpoint_pages = 8'000;       ///< also when there is
  /// Without work for so long it is idle: a small pause in the work is no time for a checkpoint,
  /// behind which the next commit would wait.
  Duration idle_after = std::chrono::milliseconds(20);
  Duration retry_after = std::chrono::seconds(1);  ///< out of room
};

class Writer {
 public:
  /// Called on the writer's thread; they must only hand on (a wakeup of the loop), not work.
  struct Callbacks {
    /// All batches up to this sequence number are durable.
    std::function<void(std::uint64_t through)> committed;
    /// Runs the completion of a load on its owner's thread.
    std::function<void(std::function<void()> completion)> deliver;
    /// The disk is full (true), has room again (false). Until then new commands are to be refused.
    std::function<void(bool full)> storage_full;
    /// A write failed for good or with an unknown outcome: the process must end (exit code 74).
    /// Nothing is written any more.
    std::function<void(Error error)> fatal;
  };

  /// Work on the store, in its place in the queue. What it returns, if anything, is delivered.
  using Load = std::function<std::function<void()>(Store& store)>;

  Writer(std::unique_ptr<Store> store, Callbacks callbacks, WriterOptions options);
  /// As `stop`.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Queues a batch. Numbers must rise. False, and nothing queued, when `queued_max` would be
  /// passed (a batch alone is always taken), or after a failure or `stop`: keep it and try again
  /// after the next `committed`.
  [[nodiscard]] bool submit(std::uint64_t sequence, Mutations& batch);
  /// Queues a load. False after a failure or `stop`.
  bool load(Load work);

  /// Mutations that wait or are being written.
  std::size_t queued() const;
  bool storage_full() const;
  /// A batch did not fit even with the room of the ballast, and all else waits behind it.
  bool waits_for_room() const;
  /// Pages in the log that were not copied back yet, as of the last batch. Many: a reader holds it.
  std::int64_t wal_pages() const;

  /// Writes all that is queued, copies the log back, ends the thread. Out of room, what cannot be
  /// written is given up after one more try; the next start knows nothing of it, and neither did
  /// anybody else.
  void stop();

 private:
  struct Batch {
    std::uint64_t sequence;
    Mutations mutations;
  };
  using Entry = std::variant<Batch, Load>;

  void run();
  bool write_group(std::unique_lock<std::mutex>& lock);
  bool commit(std::vector<Mutations>& group);
  bool wait_for_room(std::vector<Mutations>& group);
  void set_full(bool full);
  void fail(Error error);
  bool tend(bool is_idle);

  std::unique_ptr<Store> store_;
  const Callbacks callbacks_;
  const WriterOptions options_;
  Ballast ballast_;
  bool has_ballast_ = false;  ///< the thread's: else it is made as soon as there is room
  std::int64_t next_checkpoint_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  std::size_t queued_ = 0;
  bool is_full_ = false;
  bool waits_for_room_ = false;
  std::int64_t wal_pages_ = 0;
  bool has_failed_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace pawl
