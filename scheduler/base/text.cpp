#include "scheduler/base/text.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <vector>

namespace pawl {
namespace {

/// One character of a text: its code point and its bytes. Ill-formed input is one byte with
/// `valid` false.
struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t bytes = 0;
  char32_t code = 0;
  char32_t least = 0;
  if ((lead & 0xE0) == 0xC0) {
    bytes = 2, code = lead & 0x1FU, least = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    bytes = 3, code = lead & 0x0FU, least = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    bytes = 4, code = lead & 0x07U, least = 0x10000;
  } else {
    return {lead, 1, false};
  }
  if (text.size() < bytes) return {lead, 1, false};
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {lead, 1, false};
    code = (code << 6) | (byte(i) & 0x3FU);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < least || code > 0x10FFFF || surrogate) return {lead, 1, false};
  return {code, bytes, true};
}

/// Characters that move the cursor, change direction or start an escape sequence.
bool acts_on_terminal(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x61C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

void append_escape(std::string& out, Character c) {
  std::array<char, 16> buffer{};
  if (c.code == '\n') {
    out += "\\n";
  } else if (c.code == '\r') {
    out += "\\r";
  } else if (c.code == '\t') {
    out += "\\t";
  } else if (c.code <= 0xFF) {
    std::snprintf(buffer.data(), buffer.size(), "\\x%02x", static_cast<unsigned>(c.code));
    out += buffer.data();
  } else {
    std::snprintf(buffer.data(), buffer.size(), "\\u%04x", static_cast<unsigned>(c.code));
    out += buffer.data();
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Digits at the front of `text`, taken off; nothing when there are none or the value overflows.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) {
    const auto digit = static_cast<std::uint64_t>(text[length] - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
    ++length;
  }
  if (length == 0) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

/// Letters at the front of `text`, taken off.
std::string_view take_letters(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && ((text[length] | 0x20) >= 'a' && (text[length] | 0x20) <= 'z')) {
    ++length;
  }
  const std::string_view letters = text.substr(0, length);
  text.remove_prefix(length);
  return letters;
}

struct DurationUnit {
  std::string_view word;
  std::int64_t ms;
};
constexpr std::array<DurationUnit, 5> kDurationUnits = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

struct SizeUnit {
  std::string_view word;
  std::uint64_t bytes;
};
constexpr std::array<SizeUnit, 9> kSizeUnits = {{{"B", 1},
                                                 {"KB", 1'000},
                                                 {"MB", 1'000'000},
                                                 {"GB", 1'000'000'000},
                                                 {"TB", 1'000'000'000'000},
                                                 {"KiB", std::uint64_t{1} << 10},
                                                 {"MiB", std::uint64_t{1} << 20},
                                                 {"GiB", std::uint64_t{1} << 30},
                                                 {"TiB", std::uint64_t{1} << 40}}};

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string out = "\"" + escape_for_terminal(text.substr(0, kShown));
  return out + (text.size() > kShown ? "…\"" : "\"");
}

Error duration_error(std::string_view text, std::string_view why) {
  return {ErrorKind::invalid, quoted(text) + " is not a duration: " + std::string(why) +
                                  ". A duration looks like \"500ms\", \"90s\", \"5m\", \"2h\", "
                                  "\"7d\" or \"1h30m\""};
}

Error size_error(std::string_view text, std::string_view why) {
  return {ErrorKind::invalid, quoted(text) + " is not a size: " + std::string(why) +
                                  ". A size looks like \"512MiB\" or \"2GB\" (B, KB, MB, GB, TB, "
                                  "KiB, MiB, GiB, TiB)"};
}

/// One character class of a glob, `[` not included. `length` counts up to and with `]`; 0 when the
/// class is not closed.
struct ClassMatch {
  std::size_t length = 0;
  bool matches = false;
};

ClassMatch match_class(std::string_view pattern, char32_t code) {
  std::size_t i = 0;
  const bool negated = !pattern.empty() && (pattern[0] == '!' || pattern[0] == '^');
  if (negated) ++i;
  bool found = false;
  bool first = true;
  while (i < pattern.size()) {
    if (pattern[i] == ']' && !first) return {i + 1, found != negated};
    first = false;
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const Character low = first_character(pattern.substr(i));
    i += low.bytes;
    char32_t high = low.code;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      const Character end = first_character(pattern.substr(i + 1));
      high = end.code;
      i += 1 + end.bytes;
    }
    found = found || (code >= low.code && code <= high);
  }
  return {};
}

/// Matches one character of `text` against the element at the front of `pattern` (not `*`).
/// Returns the pattern's bytes used, 0 when it does not match.
std::size_t match_one(std::string_view pattern, Character character, std::string_view bytes) {
  if (pattern[0] == '?') return 1;
  if (pattern[0] == '[') {
    const ClassMatch in_class = match_class(pattern.substr(1), character.code);
    if (in_class.length > 0) return in_class.matches ? in_class.length + 1 : 0;
  }
  std::size_t skip = pattern[0] == '\\' && pattern.size() > 1 ? 1 : 0;
  return pattern.substr(skip, character.bytes) == bytes ? skip + character.bytes : 0;
}

/// A fixed number of digits at the front of `text`, taken off.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take_char(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

/// `.fff` at the front of `text`, as milliseconds (further digits are cut); 0 when there is none.
std::optional<int> take_fraction(std::string_view& text) {
  if (!take_char(text, '.')) return 0;
  int ms = 0;
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) {
    if (digits < 3) ms = ms * 10 + (text[digits] - '0');
    ++digits;
  }
  if (digits == 0 || digits > 9) return std::nullopt;
  for (std::size_t i = digits; i < 3; ++i) ms *= 10;
  text.remove_prefix(digits);
  return ms;
}

/// `Z` or `±HH:MM`, the whole rest of `text`, in minutes east of UTC.
std::optional<int> take_offset(std::string_view& text) {
  if (take_char(text, 'Z')) return text.empty() ? std::optional(0) : std::nullopt;
  const bool east = take_char(text, '+');
  if (!east && !take_char(text, '-')) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take_char(text, ':')) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59 || !text.empty()) return std::nullopt;
  const int total = *hours * 60 + *minutes;
  return east ? total : -total;
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr std::size_t kWordMax = 64;
  if (word.empty() || word.size() > kWordMax) return {};
  const std::size_t allowed = std::max<std::size_t>(1, word.size() / 3);
  std::string_view best;
  std::size_t best_distance = allowed + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t gap = candidate.size() > word.size() ? candidate.size() - word.size()
                                                           : word.size() - candidate.size();
    if (gap >= best_distance) continue;
    // Three rows of the table of optimal string alignment.
    std::vector<std::size_t> before(candidate.size() + 1);
    std::vector<std::size_t> last(candidate.size() + 1);
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j <= candidate.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t cost = word[i - 1] == candidate[j - 1] ? 0 : 1;
        row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
        if (i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1]) {
          row[j] = std::min(row[j], before[j - 2] + 1);
        }
      }
      std::swap(before, last);
      std::swap(last, row);
    }
    if (last[candidate.size()] < best_distance) {
      best_distance = last[candidate.size()];
      best = candidate;
    }
  }
  return best;
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string escape_for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid || acts_on_terminal(c.code)) {
      append_escape(out, c);
    } else {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

std::string to_utf8(std::string_view text) {
  if (is_utf8(text) && !holds_nul(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid) {
      out += "\xEF\xBF\xBD";
    } else if (c.code == 0) {
      out += "\xE2\x90\x80";
    } else {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

bool glob_match(std::string_view pattern, std::string_view text) {
  // On a mismatch only the last star takes one character more, so the work is pattern times text.
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    const Character c = first_character(text.substr(t));
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const std::size_t used =
        p < pattern.size() ? match_one(pattern.substr(p), c, text.substr(t, c.bytes)) : 0;
    if (used > 0) {
      p += used;
      t += c.bytes;
    } else if (star != std::string_view::npos) {
      star_text += first_character(text.substr(star_text)).bytes;
      t = star_text;
      p = star + 1;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  if (rest.empty()) return duration_error(text, "it is empty");
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  while (!rest.empty()) {
    if (!is_digit(rest[0])) return duration_error(text, "it takes whole numbers, each with a unit");
    const auto number = take_number(rest);
    if (!number) return duration_error(text, "the number is too large");
    if (!rest.empty() && rest[0] == '.') {
      return duration_error(text, "it takes whole numbers, so use a smaller unit");
    }
    const std::string_view word = take_letters(rest);
    if (word.empty()) return duration_error(text, "a number has no unit");
    std::size_t unit = 0;
    while (unit < kDurationUnits.size() && kDurationUnits[unit].word != word) ++unit;
    if (unit == kDurationUnits.size()) {
      return duration_error(text, "the units are d, h, m, s and ms");
    }
    if (unit < next_unit) return duration_error(text, "larger units come first, each once");
    next_unit = unit + 1;
    const std::int64_t room = std::numeric_limits<std::int64_t>::max() - total;
    if (*number > static_cast<std::uint64_t>(room / kDurationUnits[unit].ms)) {
      return duration_error(text, "it is too large");
    }
    total += static_cast<std::int64_t>(*number) * kDurationUnits[unit].ms;
  }
  return Duration(total);
}

std::string format_duration(Duration duration) {
  if (duration.count() == 0) return "0s";
  std::string out = duration.count() < 0 ? "-" : "";
  std::uint64_t rest = duration.count() < 0 ? 0 - static_cast<std::uint64_t>(duration.count())
                                            : static_cast<std::uint64_t>(duration.count());
  for (const DurationUnit& unit : kDurationUnits) {
    const auto size = static_cast<std::uint64_t>(unit.ms);
    if (rest < size) continue;
    out += std::to_string(rest / size);
    out += unit.word;
    rest %= size;
  }
  return out;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = text;
  if (rest.empty()) return size_error(text, "it is empty");
  if (!is_digit(rest[0])) return size_error(text, "it begins with a whole number");
  const auto number = take_number(rest);
  if (!number) return size_error(text, "the number is too large");
  if (!rest.empty() && rest[0] == '.') {
    return size_error(text, "it takes a whole number, so use a smaller unit");
  }
  if (rest.empty()) return size_error(text, "the unit is missing");
  for (const SizeUnit& unit : kSizeUnits) {
    if (unit.word != rest) continue;
    if (*number > std::numeric_limits<std::uint64_t>::max() / unit.bytes) {
      return size_error(text, "it is too large");
    }
    return *number * unit.bytes;
  }
  return size_error(text, "there is no such unit");
}

std::string format_utc(WallTime time) {
  using namespace std::chrono;
  constexpr std::int64_t kFirst = -62'167'219'200'000;  // 0000-01-01
  constexpr std::int64_t kLast = 253'402'300'799'999;   // 9999-12-31T23:59:59.999
  const milliseconds since(std::clamp(time.ms, kFirst, kLast));
  const sys_days day = floor<days>(sys_time<milliseconds>(since));
  const year_month_day date(day);
  const auto in_day = (sys_time<milliseconds>(since) - day).count();
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(in_day / 3'600'000),
                static_cast<int>(in_day / 60'000 % 60), static_cast<int>(in_day / 1'000 % 60),
                static_cast<int>(in_day % 1'000));
  return buffer.data();
}

std::optional<WallTime> parse_utc(std::string_view text) {
  using namespace std::chrono;
  const auto year_number = take_digits(text, 4);
  if (!year_number || !take_char(text, '-')) return std::nullopt;
  const auto month_number = take_digits(text, 2);
  if (!month_number || !take_char(text, '-')) return std::nullopt;
  const auto day_number = take_digits(text, 2);
  if (!day_number || !take_char(text, 'T')) return std::nullopt;
  const auto hours_number = take_digits(text, 2);
  if (!hours_number || *hours_number > 23 || !take_char(text, ':')) return std::nullopt;
  const auto minutes_number = take_digits(text, 2);
  if (!minutes_number || *minutes_number > 59) return std::nullopt;
  int seconds_number = 0;
  int ms = 0;
  if (take_char(text, ':')) {
    const auto whole = take_digits(text, 2);
    if (!whole || *whole > 59) return std::nullopt;
    const auto fraction = take_fraction(text);
    if (!fraction) return std::nullopt;
    seconds_number = *whole;
    ms = *fraction;
  }
  const auto offset = take_offset(text);
  if (!offset) return std::nullopt;
  const year_month_day date(year(*year_number), month(static_cast<unsigned>(*month_number)),
                            day(static_cast<unsigned>(*day_number)));
  if (!date.ok()) return std::nullopt;
  const std::int64_t minutes_total = *hours_number * 60 + *minutes_number - *offset;
  return WallTime{sys_days(date).time_since_epoch().count() * std::int64_t{86'400'000} +
                  minutes_total * 60'000 + seconds_number * 1'000 + ms};
}

std::string signal_name(int number) {
  const char* name = sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

}  // namespace pawl
