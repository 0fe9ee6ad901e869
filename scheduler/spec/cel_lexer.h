#pragma once

// From the text of an expression to its words.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/expression.h"

namespace pawl::cel {

enum class TokenKind : std::uint8_t {
  end,
  identifier,
  quoted_identifier,  ///< `name` in backticks, after a dot
  int_literal,
  uint_literal,
  double_literal,
  string_literal,
  bytes_literal,
  dot,
  comma,
  colon,
  question,
  left_paren,
  right_paren,
  left_bracket,
  right_bracket,
  left_brace,
  right_brace,
  plus,
  minus,
  star,
  slash,
  percent,
  not_,
  and_,
  or_,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t offset = 0;
  std::size_t length = 0;
};

struct TokenList {
  std::vector<Token> tokens;  ///< the last one is `end`
  std::size_t length = 0;     ///< bytes of text that were read
};

/// Splits `text` into tokens. With `in_template` the expression ends before the `}}` that no brace
/// of its own opens; without one, `end` is the end of the text.
std::variant<TokenList, ExpressionError> tokenize(std::string_view text, bool in_template);

/// The value of a string or bytes literal, escapes resolved. `token` is the literal as written.
std::variant<std::string, ExpressionError> unquote(std::string_view token, bool is_bytes);

}  // namespace pawl::cel
