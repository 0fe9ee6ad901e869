#include "scheduler/core/error_group.h"

#include <algorithm>
#include <cstddef>

namespace pawl {
namespace {

constexpr std::size_t kShownBytesMax = 300;
constexpr std::size_t kReadBytesMax = 4'096;
constexpr std::size_t kHexWordMin = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

/// Length of what `shape` describes at the beginning of `text`, 0 when it is not there. In a shape
/// `d` is a digit, `h` a hexadecimal digit, anything else itself.
std::size_t match_shape(std::string_view text, std::string_view shape) {
  if (text.size() < shape.size()) return 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool fits = shape[i] == 'd'   ? is_digit(text[i])
                      : shape[i] == 'h' ? is_hex(text[i])
                                        : text[i] == shape[i];
    if (!fits) return 0;
  }
  return shape.size();
}

std::size_t digits_at(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) -
                                  text.begin());
}

/// `12:30`, `12:30:01`, with a fraction.
std::size_t match_clock(std::string_view text) {
  std::size_t length = match_shape(text, "dd:dd");
  if (length == 0) return 0;
  length += match_shape(text.substr(length), ":dd");
  if (length < text.size() && (text[length] == '.' || text[length] == ',')) {
    const std::size_t fraction = digits_at(text.substr(length + 1));
    if (fraction > 0) length += 1 + fraction;
  }
  return length;
}

/// A date, a time of day, or both with a zone.
std::size_t match_time(std::string_view text) {
  std::size_t length = match_shape(text, "dddd-dd-dd");
  if (length == 0) length = match_shape(text, "dddd/dd/dd");
  if (length == 0) return match_clock(text);
  if (length < text.size() && (text[length] == 'T' || text[length] == ' ')) {
    const std::size_t clock = match_clock(text.substr(length + 1));
    if (clock > 0) length += 1 + clock;
  }
  if (length < text.size() && text[length] == 'Z') return length + 1;
  for (std::string_view zone : {"+dd:dd", "-dd:dd", "+dddd", "-dddd"}) {
    if (std::size_t more = match_shape(text.substr(length), zone); more > 0) return length + more;
  }
  return length;
}

std::size_t match_uuid(std::string_view text) {
  return match_shape(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh");
}

/// A word of hexadecimal digits with a digit in it, or one that begins with 0x.
std::size_t match_hex_word(std::string_view word) {
  const bool prefixed = word.size() > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
  const std::string_view digits = prefixed ? word.substr(2) : word;
  if (!std::all_of(digits.begin(), digits.end(), is_hex)) return 0;
  if (prefixed) return word.size();
  const bool mixed = std::any_of(digits.begin(), digits.end(), is_digit) &&
                     !std::all_of(digits.begin(), digits.end(), is_digit);
  return mixed && word.size() >= kHexWordMin ? word.size() : 0;
}

bool in_path(char c) {
  return is_word(c) || c == '/' || c == '.' || c == '-' || c == '+' || c == '@' || c == '~';
}

/// The characters that a path may have, without the end of a sentence.
std::size_t path_length(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), in_path);
  std::size_t length = static_cast<std::size_t>(end - text.begin());
  while (length > 1 && text[length - 1] == '.') --length;
  return length;
}

/// `/var/lib/x.db`: a slash that stands alone before it, and at least one name.
std::size_t match_path(std::string_view text) {
  if (text.size() < 2 || text[0] != '/' || text[1] == '/' || !in_path(text[1])) return 0;
  return path_length(text);
}

/// `./x`, `../x`, `~/x`, and `data/x.csv`: words with a slash between them are a path when the last
/// one has an extension (`and/or` has none).
std::size_t match_relative_path(std::string_view text) {
  const std::string_view path = text.substr(0, path_length(text));
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || path.find("//") != std::string_view::npos) return 0;
  for (const std::string_view start : {"./", "../", "~/"}) {
    if (path.starts_with(start)) return path.size() > start.size() ? path.size() : 0;
  }
  const std::size_t dot = path.rfind('.');
  const bool has_extension = dot != std::string_view::npos && dot > slash + 1 &&
                             dot + 1 < path.size() && is_letter(path[dot + 1]);
  return is_letter(path[0]) && has_extension ? path.size() : 0;
}

/// `17`, `1.5`, `10.0.0.7`; what follows in letters (`ms`, `MiB`) stays.
std::size_t match_number(std::string_view text) {
  std::size_t length = digits_at(text);
  while (length > 0 && length + 1 < text.size() && text[length] == '.' &&
         is_digit(text[length + 1])) {
    length += 1 + digits_at(text.substr(length + 1));
  }
  return length;
}

/// Of `://host:1/path?query`: bytes up to the path, and of the path with all behind it; 0 and 0
/// when it is none or has nothing behind its host.
struct Address {
  std::size_t host = 0;
  std::size_t path = 0;
};

Address match_address(std::string_view text) {
  constexpr std::string_view kBegin = "://";
  if (!text.starts_with(kBegin)) return {};
  std::size_t end = std::min(text.find_first_of(" \t\"'`<>()[]{}", kBegin.size()), text.size());
  while (std::string_view(".,:;!").find(text[end - 1]) != std::string_view::npos) --end;
  if (end <= kBegin.size()) return {};
  const std::size_t host = text.substr(0, end).find_first_of("/?#", kBegin.size());
  // A slash alone is the same for all.
  if (host == std::string_view::npos || host + 1 == end) return {};
  return {host, end - host};
}

struct Found {
  std::size_t length = 0;
  std::string_view name;
};

/// What varies at the beginning of `text`, which follows `before`.
Found find_varying(std::string_view text, char before) {
  if (text[0] == '/' && !is_word(before) && before != '/' && before != ':') {
    return {match_path(text), "<path>"};
  }
  if (!in_path(before)) {
    if (const auto n = match_relative_path(text); n > 0) return {n, "<path>"};
  }
  if (!is_word(text[0]) || is_word(before)) return {};
  if (auto n = match_uuid(text); n > 0 && (n == text.size() || !is_word(text[n])))
    return {n, "<id>"};
  if (auto n = match_time(text); n > 0) return {n, "<time>"};
  const auto word_end = std::find_if_not(text.begin(), text.end(), is_word);
  const std::string_view word = text.substr(0, static_cast<std::size_t>(word_end - text.begin()));
  if (auto n = match_hex_word(word); n > 0) return {n, "<id>"};
  return {match_number(text), "<n>"};
}

}  // namespace

std::string normalize_error(std::string_view message) {
  while (!message.empty() && (message.front() == '\n' || message.front() == ' '))
    message.remove_prefix(1);
  message = message.substr(0, message.find('\n')).substr(0, kReadBytesMax);
  std::string text;
  char before = ' ';
  while (!message.empty() && text.size() <= kShownBytesMax) {
    const Address address = is_letter(before) ? match_address(message) : Address{};
    if (address.path > 0) {
      constexpr std::size_t kBegin = 3;
      text += "://" + normalize_error(message.substr(kBegin, address.host - kBegin)) + "<path>";
      before = message[address.host + address.path - 1];
      message.remove_prefix(address.host + address.path);
      continue;
    }
    const Found found = find_varying(message, before);
    const std::size_t taken = std::max<std::size_t>(found.length, 1);
    if (found.length > 0) {
      text += found.name;
    } else {
      text += message.front();
    }
    before = message[taken - 1];
    message.remove_prefix(taken);
  }
  if (text.size() > kShownBytesMax) {
    std::size_t end = kShownBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text.resize(end);
  }
  return text;
}

}  // namespace pawl
