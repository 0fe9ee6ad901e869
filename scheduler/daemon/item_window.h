#pragma once

// The items of a mapped task that are in memory: chunks that were read ahead of the starts that use
// them, and starts that wait for one. Pure: it says what is to be read, and is told what was.
//
// Where chunks begin is not known here, only how long they are at most. So a chunk is asked for by
// an item that it holds, and what was not in it is asked for when it has come.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "scheduler/core/item_chunk.h"
#include "scheduler/core/rows.h"
#include "scheduler/daemon/pending_start.h"

namespace pawl {

class ItemWindow {
 public:
  /// Chunks of one task in memory: the one in use, the next one, and some for retries.
  static constexpr std::size_t kChunksMax = 8;

  struct Taken {
    enum class Kind {
      here,
      awaited,  ///< the start is kept until a chunk has come
      missing,  ///< its chunk is here, and broken
    };
    Kind kind = Kind::awaited;
    ItemView item;  ///< valid until the next call
  };
  /// The item of a start. `pending` is moved from only where the item is awaited. Half way through
  /// a chunk the next one is asked for.
  Taken take(PendingStart& pending);

  struct Arrived {
    std::vector<PendingStart> ready;  ///< their items are here now: to be taken again
    std::vector<PendingStart> lost;   ///< theirs was asked for and is not in the store
  };
  /// The answer to a question; null: the item is in no chunk of the store.
  Arrived arrived(std::int64_t asked, std::shared_ptr<const ItemChunkRow> chunk);

  /// Items whose chunks are to be read, each told once. After every `take` and `arrived`.
  std::vector<std::int64_t> take_questions();

  /// Lets go of what is in memory; starts go on waiting.
  void forget_chunks();

 private:
  struct Chunk {
    std::shared_ptr<const ItemChunkRow> row;
    std::vector<ItemView> items;
    std::uint64_t used = 0;
  };

  Chunk* find(std::int64_t item);
  bool may_come(std::int64_t item) const;
  void ask(std::int64_t item);
  void ask_ahead(const ItemChunkRow& current, std::int64_t item);
  void keep(std::shared_ptr<const ItemChunkRow> row);

  std::map<std::int64_t, Chunk> chunks_;                       ///< by first item
  std::map<std::int64_t, std::vector<PendingStart>> waiting_;  ///< by item
  std::vector<std::int64_t> questions_;
  std::set<std::int64_t> asked_;  ///< questions without an answer
  /// Of them, those asked before anything of the chunk had started: it may still be on its way into
  /// the store, so that it was not there says nothing.
  std::set<std::int64_t> asked_early_;
  std::optional<std::int64_t> ahead_;  ///< the last that was asked for ahead
  std::uint64_t clock_ = 0;
};

}  // namespace pawl
