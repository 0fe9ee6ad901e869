#pragma once

// Where the items of a mapped task come from: an array, or a file of millions of lines, in chunks.
// Blocks on files: for the reader thread.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/base/result.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/job.h"

namespace pawl {

struct ItemChunk {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::string bytes;      ///< encoded (core/item_chunk.h)
  std::string source;     ///< how to read on after it
  bool complete = false;  ///< there are no more
};

/// What items are made of, one after the other.
class ItemStream {
 public:
  virtual ~ItemStream() = default;
  /// JSON text of the next item; nothing at the end. Errors say the line.
  virtual Result<std::optional<std::string>> next() = 0;
  /// How to come back to this place; checked by whoever opens it there.
  virtual std::string position() const = 0;
  /// Whether what was read is still what is there. Asked at the end.
  virtual Result<void> check_unchanged() const = 0;
};

/// The elements of an array.
std::unique_ptr<ItemStream> stream_array(nlohmann::json array);

/// The items of a file, from `position` on (empty: from its beginning). CSV has a header line and
/// gives objects of texts; `lines` gives texts; `json` is one array of at most
/// kJsonItemFileBytesMax. Errors: invalid, with a sentence.
inline constexpr std::uint64_t kJsonItemFileBytesMax = std::uint64_t{256} << 20;
Result<std::unique_ptr<ItemStream>> stream_file(const std::string& path, ItemFormat format,
                                                const std::string& position);

/// Numbers the items of a stream, gives them their keys, and packs them into chunks.
class ItemPacker {
 public:
  /// `context`: the names that `key` may use beside `item` and `index`. Items before `from` are
  /// read past, for their keys. An empty `key`: no keys. Errors: invalid.
  static Result<ItemPacker> open(std::unique_ptr<ItemStream> stream, const std::string& key,
                                 nlohmann::json context, std::int64_t first, std::int64_t from);

  /// The next chunk, perhaps an empty last one. Errors (a bad line, a repeated key, a file that
  /// changed) are final.
  Result<ItemChunk> next();

 private:
  struct KeyHash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const KeyHash&, const KeyHash&) = default;
  };
  struct KeyHashHash {
    std::size_t operator()(const KeyHash& k) const { return static_cast<std::size_t>(k.low); }
  };
  ItemPacker() = default;
  Result<std::string> key_of(const std::string& payload);

  std::unique_ptr<ItemStream> stream_;
  std::optional<Template> key_;
  nlohmann::json context_;
  // 128 bits of each key: two different keys never meet in practice, and fifteen million fit.
  std::unordered_set<KeyHash, KeyHashHash> keys_;
  std::int64_t next_ = 0;
  std::int64_t from_ = 0;
};

}  // namespace pawl
