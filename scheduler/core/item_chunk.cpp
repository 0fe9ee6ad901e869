#include "scheduler/core/item_chunk.h"

#include <utility>

namespace pawl {
namespace {

// Lengths are LEB128: most keys and payloads are short, and a chunk is mostly payload.
void put_length(std::string& out, std::size_t length) {
  while (length >= 0x80) {
    out.push_back(static_cast<char>(length | 0x80));
    length >>= 7;
  }
  out.push_back(static_cast<char>(length));
}

std::optional<std::string_view> take_bytes(std::string_view& in) {
  std::size_t length = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    if (in.empty()) return std::nullopt;
    auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    length |= static_cast<std::size_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) {
      if (length > in.size()) return std::nullopt;
      std::string_view bytes = in.substr(0, length);
      in.remove_prefix(length);
      return bytes;
    }
  }
  return std::nullopt;
}

}  // namespace

void ItemChunkWriter::add(std::string_view key, std::string_view payload) {
  put_length(bytes_, key.size());
  bytes_.append(key);
  put_length(bytes_, payload.size());
  bytes_.append(payload);
  ++count_;
}

std::string ItemChunkWriter::take() {
  count_ = 0;
  return std::exchange(bytes_, {});
}

std::optional<std::vector<ItemView>> read_item_chunk(std::string_view bytes) {
  std::vector<ItemView> items;
  while (!bytes.empty()) {
    auto key = take_bytes(bytes);
    if (!key) return std::nullopt;
    auto payload = take_bytes(bytes);
    if (!payload) return std::nullopt;
    items.push_back({*key, *payload});
  }
  return items;
}

}  // namespace pawl
