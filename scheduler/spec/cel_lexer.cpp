#include "scheduler/spec/cel_lexer.h"

#include <optional>

#include "scheduler/spec/cel_text.h"

namespace pawl::cel {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }
bool is_quote(char c) { return c == '"' || c == '\''; }

std::uint32_t hex_value(char c) {
  if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
  return static_cast<std::uint32_t>((c | 0x20) - 'a' + 10);
}

class Lexer {
 public:
  Lexer(std::string_view text, bool in_template) : text_(text), in_template_(in_template) {}

  std::variant<TokenList, ExpressionError> run() {
    while (!done_ && !error_) next();
    if (error_) return std::move(*error_);
    list_.length = at_;
    list_.tokens.push_back({TokenKind::end, at_, 0});
    return std::move(list_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool has(std::size_t ahead = 0) const { return at_ + ahead < text_.size(); }

  void fail(std::size_t offset, std::string message) {
    error_ = ExpressionError{offset, std::move(message)};
  }

  void push(TokenKind kind, std::size_t length) {
    list_.tokens.push_back({kind, at_, length});
    at_ += length;
  }

  void next() {
    skip_blank();
    if (!has()) {
      done_ = true;
      return;
    }
    const char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (const std::size_t prefix = literal_prefix(); has(prefix) && is_quote(peek(prefix))) {
      return quoted(prefix);
    }
    if (is_name_start(c)) {
      std::size_t length = 1;
      while (has(length) && is_name(peek(length))) ++length;
      return push(TokenKind::identifier, length);
    }
    if (c == '`') return quoted_name();
    punctuation(c);
  }

  void skip_blank() {
    while (has()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        ++at_;
      } else if (c == '/' && peek(1) == '/') {
        while (has() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  /// Length of a prefix that a quote may follow: nothing, r, b or br.
  std::size_t literal_prefix() const {
    const auto is = [](char c, char lower) { return (c | 0x20) == lower; };
    std::size_t length = is(peek(), 'b') ? 1 : 0;
    if (is(peek(length), 'r')) ++length;
    return length;
  }

  void number() {
    std::size_t length = 0;
    TokenKind kind = TokenKind::int_literal;
    const auto digits = [&] {
      while (has(length) && is_digit(peek(length))) ++length;
    };
    if (peek() == '0' && (peek(1) | 0x20) == 'x') {
      length = 2;
      while (has(length) && is_hex(peek(length))) ++length;
      if (length == 2) return fail(at_, "a hexadecimal number needs digits after '0x'");
    } else {
      digits();
      if (peek(length) == '.' && is_digit(peek(length + 1))) {
        kind = TokenKind::double_literal;
        ++length;
        digits();
      }
      if ((peek(length) | 0x20) == 'e') {
        const std::size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
        if (!is_digit(peek(length + 1 + sign))) {
          return fail(at_ + length, "an exponent needs digits, as in 1e6");
        }
        kind = TokenKind::double_literal;
        length += 1 + sign;
        digits();
      }
    }
    if (kind == TokenKind::int_literal && (peek(length) | 0x20) == 'u') {
      kind = TokenKind::uint_literal;
      ++length;
    }
    if (has(length) && is_name(peek(length))) {
      return fail(at_ + length, "a number ends before this; put an operator or a space between");
    }
    push(kind, length);
  }

  void quoted(std::size_t prefix) {
    const bool is_bytes = (peek() | 0x20) == 'b' && prefix > 0;
    const bool is_raw = prefix > 0 && (peek(prefix - 1) | 0x20) == 'r';
    const char quote = peek(prefix);
    const bool triple = peek(prefix + 1) == quote && peek(prefix + 2) == quote;
    std::size_t length = prefix + (triple ? 3 : 1);
    for (;; ++length) {
      if (!has(length)) return fail(at_, "this text has no closing quote");
      const char c = peek(length);
      if (c == '\\' && !is_raw) {
        ++length;
      } else if (!triple && (c == '\n' || c == '\r')) {
        return fail(at_ + length,
                    "a text in single quotation marks ends on its line; write \\n, or use three "
                    "quotation marks");
      } else if (c == quote &&
                 (!triple || (peek(length + 1) == quote && peek(length + 2) == quote))) {
        length += triple ? 3 : 1;
        break;
      }
    }
    push(is_bytes ? TokenKind::bytes_literal : TokenKind::string_literal, length);
  }

  void quoted_name() {
    std::size_t length = 1;
    const auto allowed = [](char c) {
      return is_name(c) || c == '.' || c == '-' || c == '/' || c == ' ';
    };
    while (has(length) && allowed(peek(length))) ++length;
    if (peek(length) != '`' || length == 1) {
      return fail(at_,
                  "a name in backticks holds letters, digits and '_.-/ ' only; for another "
                  "key use ['key']");
    }
    push(TokenKind::quoted_identifier, length + 1);
  }

  void punctuation(char c) {
    const char after = peek(1);
    switch (c) {
      case '.': return push(TokenKind::dot, 1);
      case ',': return push(TokenKind::comma, 1);
      case ':': return push(TokenKind::colon, 1);
      case '?': return push(TokenKind::question, 1);
      case '(': return push(TokenKind::left_paren, 1);
      case ')': return push(TokenKind::right_paren, 1);
      case '[': return push(TokenKind::left_bracket, 1);
      case ']': return push(TokenKind::right_bracket, 1);
      case '{': ++braces_; return push(TokenKind::left_brace, 1);
      case '}': return right_brace();
      case '+': return push(TokenKind::plus, 1);
      case '-': return push(TokenKind::minus, 1);
      case '*': return push(TokenKind::star, 1);
      case '/': return push(TokenKind::slash, 1);
      case '%': return push(TokenKind::percent, 1);
      case '!': return after == '=' ? push(TokenKind::not_equal, 2) : push(TokenKind::not_, 1);
      case '<': return after == '=' ? push(TokenKind::less_equal, 2) : push(TokenKind::less, 1);
      case '>':
        return after == '=' ? push(TokenKind::greater_equal, 2) : push(TokenKind::greater, 1);
      case '=':
        if (after == '=') return push(TokenKind::equal, 2);
        return fail(at_, "'=' is no operator; compare with '=='");
      case '&':
        if (after == '&') return push(TokenKind::and_, 2);
        return fail(at_, "'&' is no operator; write '&&'");
      case '|':
        if (after == '|') return push(TokenKind::or_, 2);
        return fail(at_, "'|' is no operator; write '||', or call a function: f(x)");
      default: return unknown(c);
    }
  }

  void right_brace() {
    if (in_template_ && braces_ == 0 && peek(1) == '}') {
      done_ = true;
      return;
    }
    if (braces_ > 0) --braces_;
    push(TokenKind::right_brace, 1);
  }

  void unknown(char c) {
    const CodePoint point = decode_utf8(text_, at_);
    if (!point.valid) return fail(at_, "the text is not valid UTF-8 here");
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return fail(at_, "a control character cannot stand here");
    }
    fail(at_, "'" + std::string(text_.substr(at_, point.length)) +
                  "' has no meaning here; a text needs quotation marks");
  }

  std::string_view text_;
  bool in_template_;
  bool done_ = false;
  std::size_t at_ = 0;
  std::size_t braces_ = 0;
  TokenList list_;
  std::optional<ExpressionError> error_;
};

/// Resolves one escape after another; `text` is what stands between the quotation marks.
class Unescaper {
 public:
  Unescaper(std::string_view text, bool is_bytes) : text_(text), is_bytes_(is_bytes) {}

  std::variant<std::string, ExpressionError> run() {
    out_.reserve(text_.size());
    while (at_ < text_.size() && error_.message.empty()) {
      const std::size_t plain = std::min(text_.find('\\', at_), text_.size());
      out_.append(text_.substr(at_, plain - at_));
      at_ = plain;
      if (at_ < text_.size()) escape();
    }
    if (!error_.message.empty()) return std::move(error_);
    return std::move(out_);
  }

 private:
  void fail(std::string message) { error_ = {at_, std::move(message)}; }

  void escape() {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    static constexpr std::string_view kLetters = "abfnrtv\\?\"'`";
    static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\?\"'`";
    if (const std::size_t i = kLetters.find(c); c != '\0' && i != std::string_view::npos) {
      out_.push_back(kMeanings[i]);
      at_ += 2;
      return;
    }
    switch (c) {
      case 'x':
      case 'X': return digits(2, 2, 16);
      case 'u': return digits(2, 4, 16);
      case 'U': return digits(2, 8, 16);
      case '0':
      case '1':
      case '2':
      case '3': return digits(1, 3, 8);
      default:
        return fail(
            "'\\' begins an escape, and this is none; write '\\\\' for a backslash, or "
            "r'…' for a text without escapes");
    }
  }

  void digits(std::size_t skip, std::size_t count, std::uint32_t base) {
    const bool is_point = text_[at_ + 1] == 'u' || text_[at_ + 1] == 'U';
    if (is_point && is_bytes_) return fail("\\u cannot stand in bytes; write \\x and two digits");
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t place = at_ + skip + i;
      const bool there = place < text_.size() && is_hex(text_[place]);
      if (!there || hex_value(text_[place]) >= base) {
        return fail("this escape needs " + std::to_string(count) +
                    (base == 16 ? " hexadecimal digits" : " octal digits"));
      }
      value = value * base + hex_value(text_[place]);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return fail("this escape names no Unicode character");
    }
    if (is_bytes_) {
      out_.push_back(static_cast<char>(value));
    } else {
      append_utf8(value, &out_);
    }
    at_ += skip + count;
  }

  std::string_view text_;
  bool is_bytes_;
  std::size_t at_ = 0;
  std::string out_;
  ExpressionError error_;
};

}  // namespace

std::variant<TokenList, ExpressionError> tokenize(std::string_view text, bool in_template) {
  return Lexer(text, in_template).run();
}

std::variant<std::string, ExpressionError> unquote(std::string_view token, bool is_bytes) {
  const std::size_t open = token.find_first_of("\"'");
  const bool is_raw = open > 0 && (token[open - 1] | 0x20) == 'r';
  const bool triple =
      token.size() >= open + 6 && token[open + 1] == token[open] && token[open + 2] == token[open];
  const std::size_t marks = triple ? 3 : 1;
  const std::string_view inside = token.substr(open + marks, token.size() - open - 2 * marks);
  if (is_raw) return std::string(inside);
  auto result = Unescaper(inside, is_bytes).run();
  if (auto* error = std::get_if<ExpressionError>(&result)) error->offset += open + marks;
  return result;
}

}  // namespace pawl::cel
