#pragma once

// Text as CEL sees it: code points over UTF-8, numbers, base64. Total over any bytes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pawl::cel {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 1;  ///< bytes
  bool valid = false;      ///< a broken sequence counts as one code point of one byte
};

/// The code point at byte `at`, which lies inside the text.
CodePoint decode_utf8(std::string_view text, std::size_t at);
void append_utf8(std::uint32_t code_point, std::string* out);
/// The first byte that is not well-formed UTF-8, or nothing.
std::optional<std::size_t> invalid_utf8_at(std::string_view text);

/// The text with U+FFFD for each byte that is not UTF-8.
std::string valid_utf8(std::string text);

/// What of a value or a name is shown in a message: its first bytes, cut at a character.
inline constexpr std::size_t kShownBytesMax = 64;
std::string shortened(std::string_view text);
/// The same in quotation marks.
std::string quoted(std::string_view text);

std::size_t count_code_points(std::string_view text);
/// The byte where code point `index` starts; the text's size when it is the one after the last,
/// nothing beyond.
std::optional<std::size_t> byte_of_code_point(std::string_view text, std::size_t index);
bool is_unicode_space(std::uint32_t code_point);

/// A decimal number in full; nothing when it is anything else. Too small gives zero.
std::optional<double> parse_double(std::string_view text);
/// The shortest text that reads back, without exponent in the usual range: `1`, `0.25`, `1e+21`.
std::string format_double(double value);

std::string base64_encode(std::string_view bytes);
/// Standard alphabet, padding optional.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace pawl::cel
