#pragma once

// The items of a mapped task, about a thousand per chunk, as one value: for each
// item the lengths of key and payload and their bytes. A payload is JSON text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl {

struct ItemView {
  std::string_view key;      ///< empty: no `map.key`
  std::string_view payload;  ///< JSON text
};

/// Collects items into the bytes of one chunk.
class ItemChunkWriter {
 public:
  void add(std::string_view key, std::string_view payload);
  std::int64_t count() const { return count_; }
  std::size_t size() const { return bytes_.size(); }
  /// The chunk's bytes; the writer is empty afterwards.
  std::string take();

 private:
  std::string bytes_;
  std::int64_t count_ = 0;
};

/// Reads a chunk. Views point into the bytes given. Nothing when the bytes are not a whole chunk.
std::optional<std::vector<ItemView>> read_item_chunk(std::string_view bytes);

}  // namespace pawl
