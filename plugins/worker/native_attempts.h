#pragma once

// The attempts that plugins of this process have. Private to NativeOperator and its host functions.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pawl/operator.h"
#include "plugins/worker/native_misuse.h"
#include "plugins/worker/native_operator.h"

namespace pawl {

/// An attempt that a plugin has.
struct NativeAttempt {
  AttemptId id;
  NativeOperator::Impl* owner = nullptr;
  std::shared_ptr<const OperatorRequest> request;
  pawl_request asked{};
  std::atomic<bool> is_cancelled{false};
  std::atomic<bool> waits{false};     ///< for a thread
  std::atomic<bool> is_taken{false};  ///< by a thread, or by who cancelled it before one came
  std::atomic<void*> data{nullptr};
  std::shared_ptr<NativeMisuse> misuse;  ///< of its operator
  std::atomic<bool> has_misuse{false};   ///< that is noted
  std::once_flag environment_made;
  std::vector<std::string> environment;
  std::vector<pawl_bytes> entries;
};

/// The attempts of this process by the number that plugins take for a pointer.
class NativeAttempts {
 public:
  pawl_attempt* add(std::shared_ptr<NativeAttempt> cell) {
    const std::uintptr_t number = next_.fetch_add(1, std::memory_order_relaxed);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    shard.cells.emplace(number, std::move(cell));
    return reinterpret_cast<pawl_attempt*>(number);
  }
  std::shared_ptr<NativeAttempt> find(const pawl_attempt* attempt) {
    const auto number = reinterpret_cast<std::uintptr_t>(attempt);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    auto at = shard.cells.find(number);
    return at == shard.cells.end() ? nullptr : at->second;
  }
  std::shared_ptr<NativeAttempt> take(const pawl_attempt* attempt) {
    const auto number = reinterpret_cast<std::uintptr_t>(attempt);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    auto at = shard.cells.extract(number);
    if (at.empty()) return nullptr;
    std::shared_ptr<NativeAttempt> cell = std::move(at.mapped());
    // What comes too late because it was cancelled meanwhile is nobody's fault.
    const bool is_blamed = !cell->is_cancelled && !cell->has_misuse;
    shard.ended[shard.next_ended++ % shard.ended.size()] = {number, cell->id,
                                                            is_blamed ? cell->misuse : nullptr};
    return cell;
  }
  /// Notes that `call` came after the end of an attempt, if that was one of the last.
  void note_late(const pawl_attempt* attempt, const char* call) {
    const auto number = reinterpret_cast<std::uintptr_t>(attempt);
    Shard& shard = shard_of(number);
    std::lock_guard lock(shard.mutex);
    for (Ended& ended : shard.ended) {
      if (ended.number != number || !ended.misuse) continue;
      const auto misuse = std::exchange(ended.misuse, nullptr);
      misuse->note(ended.attempt, std::string(call) + " was called after its end; that is ignored");
    }
  }

 private:
  struct Ended {
    std::uintptr_t number = 0;
    AttemptId attempt;
    std::shared_ptr<NativeMisuse> misuse;  ///< null: nothing of it is to be noted
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::uintptr_t, std::shared_ptr<NativeAttempt>> cells;
    std::array<Ended, 64> ended;
    std::size_t next_ended = 0;
  };
  Shard& shard_of(std::uintptr_t number) { return shards_[number % shards_.size()]; }

  std::atomic<std::uintptr_t> next_{1};
  std::array<Shard, 16> shards_;
};

/// Plugins hold threads that outlive everything: it is never destroyed.
inline NativeAttempts& native_attempts() {
  static NativeAttempts* const kOne = new NativeAttempts;
  return *kOne;
}

}  // namespace pawl
