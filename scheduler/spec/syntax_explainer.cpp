#include "scheduler/spec/syntax_explainer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
std::string tick(char c) { return std::string("`") + c + "`"; }

}  // namespace

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_json_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

std::string shorten(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string out = escape_for_terminal(text.substr(0, kShown));
  return text.size() > kShown ? out + "…" : out;
}

std::size_t SyntaxExplainer::skip_space(std::size_t at) const {
  while (at < text_.size() && is_json_space(text_[at])) ++at;
  return at;
}

SyntaxError SyntaxExplainer::value(std::size_t at) const {
  if (at >= text_.size()) return {at, "the file ends where a value should stand"};
  const char c = text_[at];
  if (c == '"') return string(at);
  if (const auto comment = comment_at(at)) return *comment;
  if (c == '\'') return {at, "texts stand in double quotes, not single ones"};
  if (c == ',' || c == '}' || c == ']') {
    return {at, std::string("a value is missing before ") + tick(c)};
  }
  if (c == ':') return {at, "a colon stands after a key of an object only"};
  if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') return number(at);
  if (is_letter(c)) return word(at);
  return unexpected(at);
}

SyntaxError SyntaxExplainer::key(std::size_t at) const {
  if (at >= text_.size()) return {at, "the file ends where a key should stand"};
  const char c = text_[at];
  if (c == '"') return string(at);
  if (const auto comment = comment_at(at)) return *comment;
  if (c == '\'') return {at, "keys stand in double quotes, not single ones"};
  if (c == ',') return {at, "a key is missing before this comma"};
  if (is_letter(c)) {
    const std::string_view found = word_at(at);
    return {at, "keys stand in double quotes: write \"" + shorten(found) + "\""};
  }
  if (c == ':') return {at, "a key is missing before this colon"};
  return {at, "a key in double quotes should stand here, not " + found_at(at)};
}

SyntaxError SyntaxExplainer::between(std::size_t at) const {
  if (const auto comment = comment_at(at)) return *comment;
  const char c = text_[at];
  if (c == '"' || c == '{' || c == '[' || is_json_number(c) || is_letter(c)) {
    return {at, "a comma is missing before " + found_at(at)};
  }
  return {at, "a comma or the end should stand here, not " + found_at(at)};
}

std::string SyntaxExplainer::found_at(std::size_t at) const {
  if (at >= text_.size()) return "the end";
  const char c = text_[at];
  if (is_letter(c)) return "\"" + shorten(word_at(at)) + "\"";
  if (c == '"') return "a text";
  std::size_t length = 1;
  while (length < 4 && at + length < text_.size() && !is_utf8(text_.substr(at, length))) ++length;
  if (!is_utf8(text_.substr(at, length))) length = 1;
  return "`" + escape_for_terminal(text_.substr(at, length)) + "`";
}

std::string_view SyntaxExplainer::word_at(std::size_t at) const {
  std::size_t end = at;
  while (end < text_.size() && (is_letter(text_[end]) || is_json_number(text_[end]))) ++end;
  return text_.substr(at, end - at);
}

std::optional<SyntaxError> SyntaxExplainer::comment_at(std::size_t at) const {
  const std::string_view rest = text_.substr(at);
  if (rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with("#")) {
    return SyntaxError{at,
                       "JSON has no comments: use a key \"comment\", or keys that begin "
                       "with \"x-\", which are ignored everywhere"};
  }
  return std::nullopt;
}

SyntaxError SyntaxExplainer::unexpected(std::size_t at) const {
  return {at, "a value should stand here, not " + found_at(at)};
}

SyntaxError SyntaxExplainer::number(std::size_t at) const {
  std::size_t end = at;
  while (end < text_.size() && (is_json_number(text_[end]) || is_letter(text_[end]))) ++end;
  const std::string_view found = text_.substr(at, end - at);
  const std::string head = "`" + shorten(found) + "` is not a JSON number";
  const std::string_view digits = found[0] == '-' ? found.substr(1) : found;
  if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
    return {at, head + ": it has a leading zero"};
  }
  const std::size_t dash = digits.find_first_of("-:");
  if (dash != std::string_view::npos && dash > 0 && (digits[dash - 1] | 0x20) != 'e')
    return {at, head + ": dates and times are texts, such as \"2026-11-20\""};
  if (found[0] == '+') return {at, head + ": it has a leading plus"};
  if (!digits.empty() && digits[0] == '.') return {at, head + ": a digit stands before the point"};
  if (std::any_of(found.begin(), found.end(),
                  [](char c) { return is_letter(c) && c != 'e' && c != 'E'; })) {
    return {at, head + ": durations and sizes are texts, such as \"90s\" or \"512MiB\""};
  }
  const bool complete = !digits.empty() && digits.back() >= '0' && digits.back() <= '9';
  return {at, head + (complete ? ": it is out of range" : "")};
}

SyntaxError SyntaxExplainer::word(std::size_t at) const {
  struct Known {
    std::string_view found, better;
  };
  constexpr std::array<Known, 12> kKnown = {{{"True", "true"},
                                             {"TRUE", "true"},
                                             {"yes", "true"},
                                             {"on", "true"},
                                             {"False", "false"},
                                             {"FALSE", "false"},
                                             {"no", "false"},
                                             {"off", "false"},
                                             {"None", "null"},
                                             {"nil", "null"},
                                             {"NULL", "null"},
                                             {"undefined", "null"}}};
  const std::string_view found = word_at(at);
  for (const Known& known : kKnown) {
    if (known.found == found) {
      return {at, "`" + std::string(found) + "` is not JSON: write `" + std::string(known.better) +
                      "`"};
    }
  }
  return {at, "`" + shorten(found) +
                  "` is not JSON: the bare words are true, false and null, "
                  "texts stand in double quotes"};
}

SyntaxError SyntaxExplainer::string(std::size_t begin) const {
  for (std::size_t i = begin + 1; i < text_.size(); ++i) {
    const auto c = static_cast<unsigned char>(text_[i]);
    if (c == '"') return {i, "this text is not valid"};
    if (c == '\n') {
      return {begin,
              "this text is not closed before the end of its line: write a line break as "
              "\\n, or longer text as a list of lines"};
    }
    if (c < 0x20) {
      return {i, "the control character " + escape_for_terminal(text_.substr(i, 1)) +
                     " must be written as an escape, such as \\t or \\u0001"};
    }
    if (c == '\\') {
      if (const auto error = escape(i)) return *error;
      i += text_[i + 1] == 'u' ? 5 : 1;
    } else if (c >= 0x80) {
      const std::size_t length = utf8_length(i);
      if (length == 0) return {i, "this byte is not valid UTF-8, in which JSON is written"};
      i += length - 1;
    }
  }
  return {begin, "the file ends inside the text that begins here"};
}

std::size_t SyntaxExplainer::utf8_length(std::size_t at) const {
  for (std::size_t length = 2; length <= 4 && at + length <= text_.size(); ++length) {
    if (is_utf8(text_.substr(at, length))) return length;
  }
  return 0;
}

int SyntaxExplainer::hex4(std::size_t at) const {
  if (at + 4 > text_.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = text_[i];
    const char low = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (low >= 'a' && low <= 'f') {
      value = value * 16 + (low - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

std::optional<SyntaxError> SyntaxExplainer::escape(std::size_t at) const {
  if (at + 1 >= text_.size()) return SyntaxError{at, "the file ends inside an escape"};
  const char c = text_[at + 1];
  if (c == 'u') {
    const int code = hex4(at + 2);
    if (code < 0) return SyntaxError{at, "\\u takes four hexadecimal digits"};
    const bool high = code >= 0xD800 && code <= 0xDBFF;
    const bool low = code >= 0xDC00 && code <= 0xDFFF;
    const bool after_high = at >= 6 && text_[at - 6] == '\\' && text_[at - 5] == 'u' &&
                            hex4(at - 4) >= 0xD800 && hex4(at - 4) <= 0xDBFF;
    const int next =
        at + 7 < text_.size() && text_[at + 6] == '\\' && text_[at + 7] == 'u' ? hex4(at + 8) : -1;
    if ((high && (next < 0xDC00 || next > 0xDFFF)) || (low && !after_high)) {
      return SyntaxError{at, "half of a surrogate pair is not a character"};
    }
    return std::nullopt;
  }
  if (std::strchr("\"\\/bfnrt", c) != nullptr && c != '\0') return std::nullopt;
  return SyntaxError{at, "`\\" + escape_for_terminal(text_.substr(at + 1, 1)) +
                             "` is not an escape: there are \\\" \\\\ \\/ \\b \\f \\n \\r \\t "
                             "\\uXXXX; a backslash itself is \\\\"};
}

}  // namespace pawl
