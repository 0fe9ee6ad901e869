#pragma once

// Why a text is not JSON, told to whoever wrote it by hand.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/spec/document.h"

namespace pawl {

/// Blank of JSON.
bool is_json_space(char c);
/// What a number of JSON is made of.
bool is_json_number(char c);
/// At most 40 bytes of it, safe to print.
std::string shorten(std::string_view text);

/// What a JSON text says at a place where it stops being JSON. The text must outlive this.
class SyntaxExplainer {
 public:
  explicit SyntaxExplainer(std::string_view text) : text_(text) {}

  /// The first place from there on that is no blank.
  std::size_t skip_space(std::size_t at) const;
  /// Why no value stands there.
  SyntaxError value(std::size_t at) const;
  /// Why no key of an object stands there.
  SyntaxError key(std::size_t at) const;
  /// Why neither a comma nor the end stands there; `at` is within the text.
  SyntaxError between(std::size_t at) const;
  /// What stands there, in words.
  std::string found_at(std::size_t at) const;

 private:
  std::string_view word_at(std::size_t at) const;
  std::optional<SyntaxError> comment_at(std::size_t at) const;
  SyntaxError unexpected(std::size_t at) const;
  SyntaxError number(std::size_t at) const;
  SyntaxError word(std::size_t at) const;
  SyntaxError string(std::size_t begin) const;
  std::size_t utf8_length(std::size_t at) const;
  int hex4(std::size_t at) const;
  std::optional<SyntaxError> escape(std::size_t at) const;

  std::string_view text_;
};

}  // namespace pawl
