#pragma once

// Words and numbers of texts that programs write for programs: files of /proc, names of files,
// parameters of queries.

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace pawl {

/// Takes the next word off the front of `text`; blanks, tabs and line ends part words. Empty at the
/// end.
inline std::string_view next_word(std::string_view& text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return text = {};
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find_first_of(kSpace));
  text.remove_prefix(word.size());
  return word;
}

/// The number that all of `text` is: digits, before them `-` where `Number` can be negative.
/// Nothing when it is anything else, or too large for `Number`.
template <typename Number>
std::optional<Number> whole_number(std::string_view text, int base = 10) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number, base);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return number;
}

}  // namespace pawl
