// Functions of strings. Positions count code points. What is only a part of a string points into
// it; what is new is paid for.

#include <string.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_functions.h"
#include "scheduler/spec/cel_text.h"

namespace pawl::cel {
namespace {

Value wrong_kinds(const Call& call) { return call.evaluator.fail_call(call.node, call.arguments); }

/// The first place of `part` at or after `from`. glibc's memmem is linear; string_view::find is
/// not.
std::size_t find_part(std::string_view text, std::string_view part, std::size_t from) {
  if (part.empty()) return from;
  const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

/// Pays for a look through all texts among the arguments.
bool pay(const Call& call) {
  std::size_t bytes = 0;
  for (const Value& argument : call.arguments) {
    if (argument.is(Kind::string)) bytes += argument.size;
  }
  return call.evaluator.spend_scan(bytes);
}

Value out_of_text(const Call& call, std::int64_t index) {
  const auto size = static_cast<std::int64_t>(count_code_points(call[0].view()));
  return call.evaluator.fail(Fault::text_range, call.node, Value::of(index), Value::of(size));
}

/// The byte of a code point index; nothing when the index is outside of the text.
std::optional<std::size_t> byte_at(std::string_view text, std::int64_t index) {
  if (index < 0 || static_cast<std::uint64_t>(index) > text.size()) return std::nullopt;
  return byte_of_code_point(text, static_cast<std::size_t>(index));
}

Value contains(const Call& call) {
  if (!call.takes({Kind::string, Kind::string})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  return Value::of(find_part(call[0].view(), call[1].view(), 0) != std::string_view::npos);
}

Value starts_with(const Call& call) {
  if (!call.takes({Kind::string, Kind::string})) return wrong_kinds(call);
  if (!call.evaluator.spend_scan(call[1].size)) return Value::error();
  return Value::of(call[0].view().substr(0, call[1].size) == call[1].view());
}

Value ends_with(const Call& call) {
  if (!call.takes({Kind::string, Kind::string})) return wrong_kinds(call);
  if (!call.evaluator.spend_scan(call[1].size)) return Value::error();
  const std::string_view text = call[0].view();
  const std::string_view end = call[1].view();
  return Value::of(text.size() >= end.size() && text.substr(text.size() - end.size()) == end);
}

Value matches(const Call& call) {
  if (!call.takes({Kind::string, Kind::string})) return wrong_kinds(call);
  // RE2 reads the text once, some ten times slower than a plain search.
  if (!call.evaluator.spend(static_cast<std::int64_t>(call[0].size / 8))) return Value::error();
  const re2::RE2* pattern = call.node.pattern;
  if (pattern == nullptr) pattern = call.evaluator.pattern(call[1], call.node);
  if (pattern == nullptr) return Value::error();
  return Value::of(re2::RE2::PartialMatch(re2::StringPiece(call[0].text, call[0].size), *pattern));
}

template <typename Change>
Value mapped_bytes(const Call& call, Change change) {
  if (!call.takes({Kind::string})) return wrong_kinds(call);
  char* text = call.evaluator.allocate_text(call[0].size);
  if (text == nullptr || !pay(call)) return Value::error();
  std::transform(call[0].text, call[0].text + call[0].size, text, change);
  return Value::string({text, call[0].size});
}

Value lower_ascii(const Call& call) {
  return mapped_bytes(call,
                      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

Value upper_ascii(const Call& call) {
  return mapped_bytes(call,
                      [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
}

Value trim(const Call& call) {
  if (!call.takes({Kind::string})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  std::size_t start = text.size();
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (!is_unicode_space(c.value)) {
      start = std::min(start, at);
      end = at + c.length;
    }
    at += c.length;
  }
  return Value::string(start < end ? text.substr(start, end - start) : std::string_view());
}

/// The parts of a text that is cut at `separator`, at most `limit` of them (negative: all). Stops
/// when there are more than an evaluation may hold.
std::vector<Value> cut(std::string_view text, std::string_view separator, std::int64_t limit) {
  constexpr std::size_t kPartsMax = limits::kEvaluationBytesMax / sizeof(Value);
  std::vector<Value> parts;
  std::size_t at = 0;
  while (parts.size() <= kPartsMax &&
         (limit < 0 || static_cast<std::int64_t>(parts.size()) + 1 < limit)) {
    std::size_t next = find_part(text, separator, at);
    if (separator.empty()) {
      if (at >= text.size()) break;
      next = at + decode_utf8(text, at).length;
      if (next >= text.size()) break;
    }
    if (next == std::string_view::npos) break;
    parts.push_back(Value::string(text.substr(at, next - at)));
    at = next + separator.size();
  }
  if (!(separator.empty() && text.empty())) parts.push_back(Value::string(text.substr(at)));
  return parts;
}

Value split(const Call& call) {
  if (!call.takes({Kind::string, Kind::string, Kind::int64})) return wrong_kinds(call);
  const std::int64_t limit = call.size() == 3 ? call[2].int64 : -1;
  // Each part is a step too: an empty separator gives one per character.
  if (!pay(call) || !call.evaluator.spend(call[0].size / 16)) return Value::error();
  if (limit == 0) return call.evaluator.keep_list({});
  return call.evaluator.keep_list(cut(call[0].view(), call[1].view(), limit));
}

Value join(const Call& call) {
  if (!call.takes({Kind::list, Kind::string})) return wrong_kinds(call);
  const std::string_view separator = call.size() == 2 ? call[1].view() : std::string_view();
  const std::size_t count = element_count(call[0]);
  std::size_t size = count > 1 ? (count - 1) * separator.size() : 0;
  if (!call.evaluator.spend(static_cast<std::int64_t>(count))) return Value::error();
  for (std::size_t i = 0; i < count; ++i) {
    const Value part = element_at(call[0], i);
    if (!part.is(Kind::string)) return call.evaluator.fail(Fault::join_element, call.node, part);
    size += part.size;
  }
  char* text = call.evaluator.allocate_text(size);
  if (text == nullptr) return Value::error();
  char* end = text;
  const auto append = [&end](std::string_view part) {
    if (!part.empty()) std::memcpy(end, part.data(), part.size());
    end += part.size();
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) append(separator);
    append(element_at(call[0], i).view());
  }
  return Value::string({text, size});
}

/// Calls `found(place)` for each place where `part` is replaced, at most `limit` (negative: all).
/// An empty part stands before each character and at the end.
template <typename Found>
void each_place(std::string_view text, std::string_view part, std::int64_t limit, Found found) {
  std::size_t at = 0;
  for (std::int64_t done = 0; limit < 0 || done < limit; ++done) {
    const std::size_t place = find_part(text, part, at);
    if (place == std::string_view::npos) return;
    found(place);
    if (part.empty() && place == text.size()) return;
    at = place + (part.empty() ? decode_utf8(text, place).length : part.size());
  }
}

Value replace(const Call& call) {
  if (!call.takes({Kind::string, Kind::string, Kind::string, Kind::int64})) {
    return wrong_kinds(call);
  }
  if (!pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  const std::string_view part = call[1].view();
  const std::string_view other = call[2].view();
  const std::int64_t limit = call.size() == 4 ? call[3].int64 : -1;
  std::size_t count = 0;
  each_place(text, part, limit, [&count](std::size_t) { ++count; });
  if (count == 0) return call[0];
  if (!call.evaluator.spend(static_cast<std::int64_t>(count))) return Value::error();
  const std::size_t size = text.size() - count * part.size() + count * other.size();
  if (size > std::numeric_limits<std::uint32_t>::max()) {
    return call.evaluator.fail(Fault::bytes, call.node);
  }
  char* out = call.evaluator.allocate_text(size);
  if (out == nullptr) return Value::error();
  char* end = out;
  std::size_t copied = 0;
  const auto append = [&end](std::string_view piece) {
    if (!piece.empty()) std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
  };
  each_place(text, part, limit, [&](std::size_t place) {
    append(text.substr(copied, place - copied));
    append(other);
    copied = place + part.size();
  });
  append(text.substr(copied));
  return Value::string({out, size});
}

Value substring(const Call& call) {
  if (!call.takes({Kind::string, Kind::int64, Kind::int64})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  const auto start = byte_at(text, call[1].int64);
  if (!start) return out_of_text(call, call[1].int64);
  if (call.size() == 2) return Value::string(text.substr(*start));
  const auto end = byte_at(text, call[2].int64);
  if (!end || *end < *start) return out_of_text(call, call[2].int64);
  return Value::string(text.substr(*start, *end - *start));
}

Value char_at(const Call& call) {
  if (!call.takes({Kind::string, Kind::int64})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  const auto place = byte_at(text, call[1].int64);
  if (!place) return out_of_text(call, call[1].int64);
  if (*place == text.size()) return Value::string({});
  return Value::string(text.substr(*place, decode_utf8(text, *place).length));
}

Value as_position(std::string_view text, std::size_t place) {
  if (place == std::string_view::npos) return Value::of(std::int64_t{-1});
  return Value::of(static_cast<std::int64_t>(count_code_points(text.substr(0, place))));
}

Value index_of(const Call& call) {
  if (!call.takes({Kind::string, Kind::string, Kind::int64})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  const std::int64_t from = call.size() == 3 ? call[2].int64 : 0;
  const std::string_view text = call[0].view();
  const auto start = byte_at(text, from);
  if (!start) return out_of_text(call, from);
  return as_position(text, find_part(text, call[1].view(), *start));
}

Value last_index_of(const Call& call) {
  if (!call.takes({Kind::string, Kind::string, Kind::int64})) return wrong_kinds(call);
  if (!pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  const std::string_view part = call[1].view();
  std::size_t last = text.size();
  if (call.size() == 3) {
    const auto limit = byte_at(text, call[2].int64);
    if (!limit) return out_of_text(call, call[2].int64);
    last = *limit;
  }
  // Searching forward is linear, where string_view::rfind is not.
  std::size_t found = std::string_view::npos;
  if (part.empty()) return as_position(text, last);
  for (std::size_t at = 0; at <= last && at < text.size();) {
    const std::size_t place = find_part(text, part, at);
    if (place == std::string_view::npos || place > last) break;
    // Each search prepares itself by reading the part.
    if (!call.evaluator.spend(1 + static_cast<std::int64_t>(part.size() / 64)))
      return Value::error();
    found = place;
    at = place + 1;
  }
  return as_position(text, found);
}

Value reverse(const Call& call) {
  if (!call.takes({Kind::string})) return wrong_kinds(call);
  char* out = call.evaluator.allocate_text(call[0].size);
  if (out == nullptr || !pay(call)) return Value::error();
  const std::string_view text = call[0].view();
  char* start = out + text.size();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = decode_utf8(text, at).length;
    start -= length;
    std::memcpy(start, text.data() + at, length);
    at += length;
  }
  return Value::string({out, text.size()});
}

constexpr auto kMember = Function::Style::member;
constexpr Function kFunctions[] = {
    {"contains", kMember, 2, 2, contains, "STRING.contains(STRING)"},
    {"startsWith", kMember, 2, 2, starts_with, "STRING.startsWith(STRING)"},
    {"endsWith", kMember, 2, 2, ends_with, "STRING.endsWith(STRING)"},
    {"matches", Function::Style::both, 2, 2, matches, "STRING.matches(REGEX)"},
    {"lowerAscii", kMember, 1, 1, lower_ascii, "STRING.lowerAscii()"},
    {"upperAscii", kMember, 1, 1, upper_ascii, "STRING.upperAscii()"},
    {"trim", kMember, 1, 1, trim, "STRING.trim()"},
    {"split", kMember, 2, 3, split, "STRING.split(SEPARATOR[, LIMIT])"},
    {"join", kMember, 1, 2, join, "LIST.join([SEPARATOR])"},
    {"replace", kMember, 3, 4, replace, "STRING.replace(OLD, NEW[, LIMIT])"},
    {"substring", kMember, 2, 3, substring, "STRING.substring(START[, END])"},
    {"charAt", kMember, 2, 2, char_at, "STRING.charAt(INDEX)"},
    {"indexOf", kMember, 2, 3, index_of, "STRING.indexOf(STRING[, START])"},
    {"lastIndexOf", kMember, 2, 3, last_index_of, "STRING.lastIndexOf(STRING[, START])"},
    {"reverse", kMember, 1, 1, reverse, "STRING.reverse()"},
};

}  // namespace

std::span<const Function> string_functions() { return kFunctions; }

}  // namespace pawl::cel
