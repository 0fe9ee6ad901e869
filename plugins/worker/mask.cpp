#include "plugins/worker/mask.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"
#include "scheduler/spec/cel_text.h"

namespace pawl {
namespace {

/// Before one character: JSON within JSON doubles them at each level. Bounds what a stream holds.
constexpr std::size_t kBackslashesMax = 16;

constexpr bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::size_t count_backslashes(std::string_view text, std::size_t at, std::size_t most) {
  std::size_t count = 0;
  while (count < most && at + count < text.size() && text[at + count] == '\\') ++count;
  return count;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The letter that stands for a control character behind a backslash; 0: it has none.
char escape_letter(char c) {
  static constexpr std::string_view kControls = "\n\r\t\b\f\v\a";
  static constexpr std::string_view kLetters = "nrtbfva";
  const std::size_t at = kControls.find(c);
  return at == std::string_view::npos ? '\0' : kLetters[at];
}

/// How far a pattern, or the next character of it, goes in a text.
struct Reach {
  std::size_t end = std::string_view::npos;  ///< in the text; npos: it does not stand there
  std::size_t taken = 0;                     ///< bytes of the pattern
  bool is_open = false;                      ///< it could go on behind the end of the text
};

constexpr Reach kNowhere{};
constexpr Reach kOpen{std::string_view::npos, 0, true};

/// One occurrence of one pattern, character by character, each in whatever form the text has it.
class Matching {
 public:
  Matching(std::string_view pattern, std::string_view text) : pattern_(pattern), text_(text) {}

  /// `encodes_percent`: whether the text has `%25` for a percent sign. Else it has the sign: an
  /// address keeps those that it has, whatever else of it is encoded.
  Reach run(std::size_t at, bool encodes_percent) const {
    Reach next{at, 0, false};
    for (std::size_t i = 0; i < pattern_.size(); i += next.taken) {
      at = next.end;
      if (at == text_.size()) return kOpen;
      if (is_alphanumeric(pattern_[i])) {
        // Nobody writes them in another form.
        if (pattern_[i] != text_[at]) return kNowhere;
        next = {at + 1, 1, false};
      } else if (pattern_[i] == '%' && encodes_percent) {
        next = text_[at] == '%' ? percent(i, at) : kNowhere;
      } else {
        next = character(i, at);
      }
      if (next.end == std::string_view::npos) return next;
    }
    return next;
  }

 private:
  /// The character at `i`, which is neither letter nor digit.
  Reach character(std::size_t i, std::size_t at) const {
    const char c = pattern_[i];
    if (c == '\\') return backslashes(i, at);
    const std::size_t escapes = count_backslashes(text_, at, kBackslashesMax);
    const std::size_t p = at + escapes;
    if (p == text_.size()) return kOpen;
    if (text_[p] == c) return {p + 1, 1, false};
    if (escapes == 0 && c == ' ' && text_[p] == '+') return {p + 1, 1, false};
    if (escapes == 0 && text_[p] == '%') return percent(i, p);
    // Those of a backslash before it in the pattern may have been taken along.
    const bool is_escaped = escapes > 0 || (i > 0 && pattern_[i - 1] == '\\');
    return is_escaped ? escape(i, p) : kNowhere;
  }

  /// Those of the pattern, of which the text has as many or their multiple.
  Reach backslashes(std::size_t i, std::size_t at) const {
    const std::size_t wanted = count_backslashes(pattern_, i, pattern_.size());
    std::size_t found = count_backslashes(text_, at, wanted * kBackslashesMax);
    const bool is_open = at + found == text_.size();
    // Each level of JSON doubles them; what is left then escapes what follows the pattern.
    if (i + wanted == pattern_.size()) found = std::bit_floor(found / wanted) * wanted;
    if (found >= wanted) return {at + found, wanted, is_open};
    if (is_open) return kOpen;
    return text_[at] == '%' ? percent(i, at) : kNowhere;
  }

  Reach percent(std::size_t i, std::size_t at) const {
    const auto byte = hex(at + 1, 2);
    if (!byte) return is_cut_hex(at + 1, 2) ? kOpen : kNowhere;
    return *byte == static_cast<unsigned char>(pattern_[i]) ? Reach{at + 3, 1, false} : kNowhere;
  }

  /// What follows backslashes at `p`: `n`, `x0a`, `u000a`, `U0000000a`.
  Reach escape(std::size_t i, std::size_t p) const {
    if (text_[p] == escape_letter(pattern_[i])) return {p + 1, 1, false};
    const std::size_t digits = text_[p] == 'x' ? 2 : text_[p] == 'u' ? 4 : text_[p] == 'U' ? 8 : 0;
    if (digits == 0) return kNowhere;
    const auto number = hex(p + 1, digits);
    if (!number) return is_cut_hex(p + 1, digits) ? kOpen : kNowhere;
    const std::size_t end = p + 1 + digits;
    const cel::CodePoint wanted = cel::decode_utf8(pattern_, i);
    if (wanted.valid && *number == wanted.value) return {end, wanted.length, false};
    if (digits == 2 && *number == static_cast<unsigned char>(pattern_[i])) return {end, 1, false};
    const bool is_high = digits == 4 && wanted.value > 0xFFFF &&
                         *number == 0xD800 + ((wanted.value - 0x10000) >> 10);
    return is_high ? low_surrogate(wanted, end) : kNowhere;
  }

  /// The second half of a character that JSON escapes in two.
  Reach low_surrogate(const cel::CodePoint& wanted, std::size_t at) const {
    const std::size_t escapes = count_backslashes(text_, at, kBackslashesMax);
    const std::size_t p = at + escapes;
    if (p == text_.size()) return kOpen;
    if (escapes == 0 || text_[p] != 'u') return kNowhere;
    const auto number = hex(p + 1, 4);
    if (!number) return is_cut_hex(p + 1, 4) ? kOpen : kNowhere;
    return *number == 0xDC00 + (wanted.value & 0x3FF) ? Reach{p + 5, wanted.length, false}
                                                      : kNowhere;
  }

  std::optional<std::uint32_t> hex(std::size_t at, std::size_t digits) const {
    if (text_.size() - at < digits) return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : text_.substr(at, digits)) {
      if (hex_digit(c) < 0) return std::nullopt;
      number = number << 4 | static_cast<std::uint32_t>(hex_digit(c));
    }
    return number;
  }
  /// The text ends within the digits.
  bool is_cut_hex(std::size_t at, std::size_t digits) const {
    const std::string_view rest = text_.substr(at);
    return rest.size() < digits &&
           std::all_of(rest.begin(), rest.end(), [](char c) { return hex_digit(c) >= 0; });
  }

  std::string_view pattern_;
  std::string_view text_;
};

/// The digits of base64 that only `value` decides, where `before` bytes (0 to 2) stand before it in
/// their group of three.
std::string base64_within(std::string_view value, std::size_t before) {
  const std::size_t bits = 8 * (before + value.size());
  const std::size_t first = (8 * before + 5) / 6;
  const std::string all = cel::base64_encode(std::string(before, '\0').append(value));
  return all.substr(first, bits / 6 - first);
}

std::string in_url_alphabet(std::string base64) {
  std::replace(base64.begin(), base64.end(), '+', '-');
  std::replace(base64.begin(), base64.end(), '/', '_');
  return base64;
}

/// `a b` of `a%20b`.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_encoded = text[at] == '%' && text.size() - at > 2 &&
                            hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0;
    if (is_encoded) {
      out += static_cast<char>(hex_digit(text[at + 1]) << 4 | hex_digit(text[at + 2]));
      at += 2;
    } else {
      out += text[at];
    }
  }
  return out;
}

/// A path as it is asked for: without its `.` and `..` segments.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/', 1));
    path.remove_prefix(segment.size());
    const bool is_up = segment == "/..";
    if (is_up) out.resize(std::min(out.rfind('/'), out.size()));
    if (!is_up && segment != "/.") {
      out += segment;
    } else if (path.empty()) {
      out += '/';
    }
  }
  return out;
}

/// What is secret in an address: its password (or the user who has none), its path without and with
/// the query. Nothing of other texts.
std::vector<std::string> parts_of_address(std::string_view value) {
  const std::size_t scheme = value.find("://");
  if (scheme == std::string_view::npos || scheme == 0 ||
      !std::all_of(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(scheme),
                   [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; })) {
    return {};
  }
  std::vector<std::string> out;
  std::string_view rest = value.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  rest.remove_prefix(authority.size());
  const std::size_t user_end = authority.rfind('@');
  if (user_end != std::string_view::npos) {
    const std::string_view user = authority.substr(0, user_end);
    out.push_back(percent_decoded(user.substr(user.find(':') + 1)));
  }
  // That of a database is a plain name.
  if (!value.starts_with("http")) return out;
  rest = rest.substr(0, rest.find('#'));
  const std::string_view query = rest.substr(std::min(rest.find('?'), rest.size()));
  rest.remove_suffix(query.size());
  const std::string path = without_dot_segments(rest);
  out.push_back(percent_decoded(path + std::string(query)));
  out.push_back(percent_decoded(path));
  return out;
}

/// The bytes with which a character may begin in a text.
std::string beginnings(char c) {
  if (is_alphanumeric(c)) return {c};
  std::string out{c, '\\', '%'};
  if (c == ' ') out += '+';
  return out;
}

std::size_t two_bytes(char first, char second) {
  return static_cast<std::size_t>(static_cast<unsigned char>(first)) << 8 |
         static_cast<unsigned char>(second);
}

/// The longest of them that stands at `at`; open when any could go on behind the text.
Reach longest_reach(const std::vector<std::string>& patterns, std::string_view text,
                    std::size_t at) {
  Reach longest;
  const auto take = [&longest](const Reach& reach) {
    longest.is_open |= reach.is_open;
    if (reach.end == std::string_view::npos) return;
    if (longest.end == std::string_view::npos || reach.end > longest.end) longest.end = reach.end;
  };
  for (const std::string& pattern : patterns) {
    const Matching matching(pattern, text);
    take(matching.run(at, false));
    if (pattern.find('%') != std::string::npos) take(matching.run(at, true));
  }
  return longest;
}

}  // namespace

Mask::Mask(std::vector<std::string> values) : values_(std::move(values)) {
  for (const std::string& value : values_) {
    add_value(value);
    for (const std::string& part : parts_of_address(value)) add_value(part);
  }
  std::sort(patterns_.begin(), patterns_.end());
  patterns_.erase(std::unique(patterns_.begin(), patterns_.end()), patterns_.end());
  if (!patterns_.empty()) begins_.resize(1u << 16);
  for (const std::string& pattern : patterns_) index(pattern);
}

void Mask::add_value(const std::string& value) {
  if (value.size() < kMaskBytesMin) return;
  patterns_.push_back(value);
  // As JSON has it, which is text.
  if (!is_utf8(value)) {
    using nlohmann::json;
    const auto replace = json::error_handler_t::replace;
    patterns_.push_back(json::parse(json(value).dump(-1, ' ', false, replace)).get<std::string>());
  }
  for (std::size_t before = 0; before < 3; ++before) {
    const std::string digits = base64_within(value, before);
    patterns_.push_back(in_url_alphabet(digits));
    patterns_.push_back(digits);
  }
}

void Mask::index(std::string_view pattern) {
  const auto set = [this](char first, char second) { begins_[two_bytes(first, second)] = true; };
  for (const char first : beginnings(pattern[0])) {
    if (first == '\\' || first == '%') {
      for (int second = 0; second < 256; ++second) set(first, static_cast<char>(second));
    } else {
      for (const char second : beginnings(pattern[1])) set(first, second);
    }
  }
}

/// Without `is_end` the text goes on: what may be the beginning of a value is left out. Returns how
/// much of the text was appended.
std::size_t Mask::append_hidden(std::string_view text, bool is_end, std::string& out) const {
  if (empty()) {
    out.append(text);
    return text.size();
  }
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (at + 1 < text.size() && !begins_[two_bytes(text[at], text[at + 1])]) {
      ++at;
      continue;
    }
    const Reach reach = longest_reach(patterns_, text, at);
    if (reach.is_open && !is_end) {
      out.append(text.substr(done, at - done));
      return at;
    }
    if (reach.end == std::string_view::npos) {
      ++at;
      continue;
    }
    out.append(text.substr(done, at - done));
    out.append(kMaskText);
    done = at = reach.end;
  }
  out.append(text.substr(done));
  return text.size();
}

std::string Mask::hide(std::string_view text) const {
  std::string out;
  append_hidden(text, true, out);
  return out;
}

std::string Mask::hide_beginning(std::string_view text) const {
  std::string out;
  append_hidden(text, false, out);
  return out;
}

std::size_t Mask::hide_into(std::string_view text, std::string& out) const {
  return append_hidden(text, false, out);
}

std::string_view MaskStream::feed(std::string_view chunk) {
  if (mask_->empty()) return chunk;
  held_.append(chunk);
  shown_.clear();
  held_.erase(0, mask_->hide_into(held_, shown_));
  return shown_;
}

std::string_view MaskStream::finish() {
  shown_ = mask_->hide(held_);
  held_.clear();
  return shown_;
}

}  // namespace pawl
