#include "storage/writer.h"

#include <utility>

namespace pawl {

Writer::Writer(std::unique_ptr<Store> store, Callbacks callbacks, WriterOptions options)
    : store_(std::move(store)),
      callbacks_(std::move(callbacks)),
      options_(std::move(options)),
      ballast_(options_.ballast),
      next_checkpoint_(options_.checkpoint_pages) {
  thread_ = std::thread([this] { run(); });
}

Writer::~Writer() { stop(); }

bool Writer::submit(std::uint64_t sequence, Mutations& batch) {
  {
    std::lock_guard lock(mutex_);
    if (has_failed_ || is_stopping_) return false;
    if (queued_ > 0 && queued_ + batch.size() > options_.queued_max) return false;
    queued_ += batch.size();
    queue_.emplace_back(Batch{sequence, std::move(batch)});
  }
  changed_.notify_one();
  return true;
}

bool Writer::load(Load work) {
  {
    std::lock_guard lock(mutex_);
    if (has_failed_ || is_stopping_) return false;
    queue_.emplace_back(std::move(work));
  }
  changed_.notify_one();
  return true;
}

std::size_t Writer::queued() const {
  std::lock_guard lock(mutex_);
  return queued_;
}

bool Writer::storage_full() const {
  std::lock_guard lock(mutex_);
  return is_full_;
}

bool Writer::waits_for_room() const {
  std::lock_guard lock(mutex_);
  return waits_for_room_;
}

std::int64_t Writer::wal_pages() const {
  std::lock_guard lock(mutex_);
  return wal_pages_;
}

void Writer::stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Writer::run() {
  has_ballast_ = ballast_.ensure();
  std::unique_lock lock(mutex_);
  bool is_warm = false;  // it has just had something to do
  while (!has_failed_) {
    is_warm = is_warm || !queue_.empty();
    if (queue_.empty()) {
      if (is_stopping_) break;
      const auto is_wanted = [this] { return !queue_.empty() || is_stopping_; };
      if (std::exchange(is_warm, false) &&
          changed_.wait_for(lock, options_.idle_after, is_wanted)) {
        continue;
      }
      lock.unlock();
      const bool alive = tend(true);
      lock.lock();
      if (!alive) break;
      if (!queue_.empty() || is_stopping_) continue;
      if (!has_ballast_) {
        changed_.wait_for(lock, options_.retry_after);  // then look for room for it
      } else {
        changed_.wait(lock);
      }
      continue;
    }
    if (auto* load = std::get_if<Load>(&queue_.front())) {
      Load work = std::move(*load);
      queue_.pop_front();
      lock.unlock();
      auto completion = work(*store_);
      if (completion && callbacks_.deliver) callbacks_.deliver(std::move(completion));
      work = nullptr;  // what it captured ends here, not under the lock
      const auto& failure = store_->failure();
      if (failure) fail(*failure);
      // Loads that write (retention) fill the log as batches do.
      const bool alive = !failure && tend(false);
      lock.lock();
      if (!alive) break;
      continue;
    }
    if (!write_group(lock)) break;
  }
  const bool clean = !has_failed_;
  lock.unlock();
  if (clean) {
    // Nothing is lost with it, but a disk that fails is not passed over in silence.
    auto done = store_->empty_log();
    if (!done && !storage_full() && !store_->is_disk_full()) fail(std::move(done).error());
  }
  store_.reset();
}

/// Writes the batches at the head of the queue as one transaction. Called and returns with the lock
/// held; false ends the thread.
bool Writer::write_group(std::unique_lock<std::mutex>& lock) {
  std::vector<Mutations> group;
  std::size_t size = 0;
  std::uint64_t through = 0;
  while (!queue_.empty()) {
    auto* batch = std::get_if<Batch>(&queue_.front());
    if (batch == nullptr) break;
    if (!group.empty() && size + batch->mutations.size() > options_.group_max) break;
    size += batch->mutations.size();
    through = batch->sequence;
    group.push_back(std::move(batch->mutations));
    queue_.pop_front();
  }
  lock.unlock();
  const bool written = commit(group);
  if (written) {
    // Room in the queue first: who hears of the commit may submit at once.
    std::lock_guard room(mutex_);
    queued_ -= size;
  }
  if (written && callbacks_.committed) callbacks_.committed(through);
  group.clear();
  const bool alive = written && tend(false);
  lock.lock();
  return alive;
}

bool Writer::commit(std::vector<Mutations>& group) {
  auto done = store_->apply_group(group);
  if (done) return true;
  if (store_->is_disk_full()) return wait_for_room(group);
  fail(std::move(done).error());
  return false;
}

bool Writer::wait_for_room(std::vector<Mutations>& group) {
  set_full(true);
  while (true) {
    ballast_.release();
    has_ballast_ = false;
    // The log may have room that only a checkpoint gives back.
    (void)store_->empty_log();
    auto done = store_->apply_group(group);
    if (!done && !store_->is_disk_full()) {
      fail(std::move(done).error());
      return false;
    }
    std::unique_lock lock(mutex_);
    waits_for_room_ = !done;
    if (done) return true;
    if (is_stopping_) return false;
    changed_.wait_for(lock, options_.retry_after, [this] { return is_stopping_; });
  }
}

void Writer::set_full(bool full) {
  {
    std::lock_guard lock(mutex_);
    if (is_full_ == full) return;
    is_full_ = full;
  }
  if (callbacks_.storage_full) callbacks_.storage_full(full);
}

void Writer::fail(Error error) {
  {
    std::lock_guard lock(mutex_);
    has_failed_ = true;
  }
  if (callbacks_.fatal) callbacks_.fatal(std::move(error));
}

/// What is done between batches: the log is copied back, the ballast is made again.
bool Writer::tend(bool is_idle) {
  const std::int64_t pages = store_->wal_pages();
  // Out of room, a log that is copied back early is room.
  const bool is_short_of_room = storage_full();
  const bool is_early = is_idle || is_short_of_room;
  if (pages >= (is_early ? options_.idle_checkpoint_pages : next_checkpoint_)) {
    auto done = is_short_of_room ? store_->empty_log() : store_->checkpoint();
    if (!done) {
      // Nothing is lost by a checkpoint that does not fit: the log has it all.
      const bool no_room = storage_full() || store_->is_disk_full();
      if (!no_room) {
        fail(std::move(done).error());
        return false;
      }
    }
    // With a reader in the way the log goes on growing; then not after each batch again.
    next_checkpoint_ = store_->wal_pages() + options_.checkpoint_pages;
  }
  // A start on a full disk may have given it up, too.
  if (!has_ballast_) has_ballast_ = ballast_.ensure();
  if (has_ballast_) set_full(false);
  std::lock_guard lock(mutex_);
  wal_pages_ = store_->wal_pages();
  return true;
}

}  // namespace pawl
