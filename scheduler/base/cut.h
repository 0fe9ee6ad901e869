#pragma once

// Texts that must not be longer than so many bytes, cut between two characters.

#include <cstddef>
#include <string_view>

namespace pawl {

/// True for a byte of a character of UTF-8 that is not its first.
constexpr bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// The beginning of `text`, which is UTF-8: as many whole characters as `bytes_max` bytes hold.
constexpr std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && continues_character(text[bytes_max])) --bytes_max;
  return text.substr(0, bytes_max);
}

}  // namespace pawl
