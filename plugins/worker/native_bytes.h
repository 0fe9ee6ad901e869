#pragma once

// What plugins hand over and are handed: bytes, and tables that may be of another version.

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "pawl/operator.h"
#include "scheduler/base/cut.h"
#include "scheduler/base/text.h"

namespace pawl {

inline std::string_view view(pawl_bytes bytes) {
  return bytes.data == nullptr ? std::string_view() : std::string_view(bytes.data, bytes.size);
}
inline pawl_bytes bytes_of(std::string_view text) { return {text.data(), text.size()}; }

/// Text for people from a plugin: at most so long, valid UTF-8.
inline std::string text_of(pawl_bytes bytes, std::size_t bytes_max) {
  const std::string_view text = cut_utf8(view(bytes), bytes_max);
  return is_utf8(text) ? std::string(text) : escape_for_terminal(text);
}

/// True when the field at `offset` of a table of `size` bytes exists.
constexpr bool has_field(std::size_t size, std::size_t offset, std::size_t bytes) {
  return size >= offset + bytes;
}
#define PAWL_HAS(table, field)                                                       \
  has_field((table)->size, offsetof(std::remove_cvref_t<decltype(*(table))>, field), \
            sizeof((table)->field))

}  // namespace pawl
