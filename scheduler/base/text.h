#pragma once

// Small text helpers that several layers need.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// The candidate nearest to `word` by edit distance (insert, delete, replace, swap of neighbours),
/// or an empty view when none is within a third of the word's length (at least one edit).
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> candidates);

/// `text` with control characters, invalid UTF-8 and bidirectional overrides replaced by visible
/// escapes (`\n`, `\x1b`), so that it can be printed on a terminal without acting on it.
std::string escape_for_terminal(std::string_view text);

/// True when `text` is well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view text);
/// What some programs begin a text in UTF-8 with.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// `text` with what is not UTF-8 replaced by U+FFFD and NUL by U+2400.
std::string to_utf8(std::string_view text);

/// True when a NUL byte is in it, which the parser of JSON would take for its end.
inline bool holds_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// True when a line of a text protocol cannot hold it: it would end the line and begin another.
inline bool breaks_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

/// `A` to `Z` as `a` to `z`; all else, of any language, as it is.
std::string ascii_lower(std::string_view text);

/// Shell-style match of a whole name: `*`, `?`, `[a-z]`, `[!a-z]`; `\` takes the next character as
/// it is. Linear in text times pattern; no character is special in `text`.
bool glob_match(std::string_view pattern, std::string_view text);

/// Parses a duration with units (`500ms`, `90s`, `5m`, `2h`, `7d`, `1h30m`); units must fall in
/// order of size, each at most once. Zero is allowed. Errors say what a duration looks like.
Result<Duration> parse_duration(std::string_view text);

/// The shortest exact form that `parse_duration` reads back: `1h30m`, `90s` as `1m30s`, `0s`.
std::string format_duration(Duration duration);

/// Parses a size: whole number and `B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, `TiB`.
Result<std::uint64_t> parse_size(std::string_view text);

/// ISO 8601 in UTC with milliseconds: `2026-11-20T22:58:01.000Z`. Years 0000 to 9999.
std::string format_utc(WallTime time);

/// Reads `YYYY-MM-DDTHH:MM[:SS[.fff]](Z|±HH:MM)`. Nothing when it is anything else.
std::optional<WallTime> parse_utc(std::string_view text);

/// `SIGTERM`; `signal 64` of one without a name.
std::string signal_name(int number);

}  // namespace pawl
