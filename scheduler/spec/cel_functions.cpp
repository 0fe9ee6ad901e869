#include "scheduler/spec/cel_functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_text.h"
#include "scheduler/spec/cel_time.h"

namespace pawl::cel {

bool Call::takes(std::initializer_list<Kind> kinds) const {
  if (arguments.size() > kinds.size()) return false;
  return std::equal(arguments.begin(), arguments.end(), kinds.begin(),
                    [](const Value& value, Kind kind) { return value.is(kind); });
}

namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

Value wrong_kinds(const Call& call) { return call.evaluator.fail_call(call.node, call.arguments); }

/// Decimal digits, a sign in front; the whole text.
template <typename T>
Value parse_whole(const Call& call, std::string_view word) {
  std::string_view digits = call[0].view();
  if (digits.size() > 1 && digits.front() == '+' && digits[1] != '-') digits.remove_prefix(1);
  T number{};
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (read.ec == std::errc::result_out_of_range) {
    return call.evaluator.fail(Fault::number_range, call.node, call[0], {}, word);
  }
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) {
    return call.evaluator.fail(Fault::conversion, call.node, call[0], {}, word);
  }
  return Value::of(number);
}

Value to_int(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::int64)) return from;
  if (from.is(Kind::uint64)) {
    if (from.uint64 <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return Value::of(static_cast<std::int64_t>(from.uint64));
    }
    return call.evaluator.fail(Fault::number_range, call.node, from, {}, "int");
  }
  if (from.is(Kind::float64)) {
    // Both ends are out: whether they survive the way there and back depends on the machine.
    if (from.float64 > -kTwoTo63 && from.float64 < kTwoTo63) {
      return Value::of(static_cast<std::int64_t>(from.float64));
    }
    return call.evaluator.fail(Fault::number_range, call.node, from, {}, "int");
  }
  if (from.is(Kind::string)) return parse_whole<std::int64_t>(call, "int");
  if (from.is(Kind::timestamp)) return Value::of(from.int64);
  return wrong_kinds(call);
}

Value to_uint(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::uint64)) return from;
  if (from.is(Kind::int64)) {
    if (from.int64 >= 0) return Value::of(static_cast<std::uint64_t>(from.int64));
    return call.evaluator.fail(Fault::number_range, call.node, from, {}, "uint");
  }
  if (from.is(Kind::float64)) {
    if (from.float64 > -1.0 && from.float64 < kTwoTo64) {
      return Value::of(static_cast<std::uint64_t>(from.float64));
    }
    return call.evaluator.fail(Fault::number_range, call.node, from, {}, "uint");
  }
  if (from.is(Kind::string)) return parse_whole<std::uint64_t>(call, "uint");
  return wrong_kinds(call);
}

Value to_double(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::float64)) return from;
  if (from.is(Kind::int64)) return Value::of(static_cast<double>(from.int64));
  if (from.is(Kind::uint64)) return Value::of(static_cast<double>(from.uint64));
  if (!from.is(Kind::string)) return wrong_kinds(call);
  const auto number = parse_double(from.view());
  return number ? Value::of(*number)
                : call.evaluator.fail(Fault::conversion, call.node, from, {}, "double");
}

Value to_bool(const Call& call) {
  const Value& from = call[0];
  if (from.is(Kind::boolean)) return from;
  if (!from.is(Kind::string)) return wrong_kinds(call);
  const std::string_view word = from.view();
  for (const std::string_view yes : {"1", "t", "T", "true", "True", "TRUE"}) {
    if (word == yes) return Value::of(true);
  }
  for (const std::string_view no : {"0", "f", "F", "false", "False", "FALSE"}) {
    if (word == no) return Value::of(false);
  }
  return call.evaluator.fail(Fault::conversion, call.node, from, {}, "bool");
}

Value to_string(const Call& call) {
  const Value& from = call[0];
  switch (from.kind) {
    case Kind::string: return from;
    case Kind::bytes:
      if (!call.evaluator.spend_scan(from.size)) return Value::error();
      if (invalid_utf8_at(from.view())) {
        return call.evaluator.fail(Fault::invalid_utf8, call.node, from);
      }
      return Value::string(from.view());
    case Kind::float64: return call.evaluator.keep(format_double(from.float64));
    case Kind::boolean:
    case Kind::int64:
    case Kind::uint64:
    case Kind::timestamp:
    case Kind::duration:
    case Kind::type: return call.evaluator.keep(plain_text(from));
    case Kind::error:
    case Kind::null:
    case Kind::list:
    case Kind::map: return wrong_kinds(call);
  }
  return Value::error();
}

Value to_bytes(const Call& call) {
  if (call[0].is(Kind::bytes)) return call[0];
  return call[0].is(Kind::string) ? Value::bytes(call[0].view()) : wrong_kinds(call);
}

Value type_of(const Call& call) { return Value::type_of(call[0].kind); }

Value dyn(const Call& call) { return call[0]; }

Value size(const Call& call) {
  const Value& of = call[0];
  if (of.is(Kind::string)) {
    if (!call.evaluator.spend_scan(of.size)) return Value::error();
    return Value::of(static_cast<std::int64_t>(count_code_points(of.view())));
  }
  if (of.is(Kind::bytes)) return Value::of(std::int64_t{of.size});
  if (of.is(Kind::list) || of.is(Kind::map)) {
    return Value::of(static_cast<std::int64_t>(element_count(of)));
  }
  return wrong_kinds(call);
}

Value json(const Call& call) {
  std::string text;
  if (!call.evaluator.to_json_text(call[0], call.node, &text)) return Value::error();
  return call.evaluator.keep(text);
}

Value encode_base64(const Call& call) {
  if (!call.takes({Kind::bytes})) return wrong_kinds(call);
  if (!call.evaluator.spend_scan(call[0].size)) return Value::error();
  return call.evaluator.keep(base64_encode(call[0].view()));
}

Value decode_base64(const Call& call) {
  if (!call.takes({Kind::string})) return wrong_kinds(call);
  if (!call.evaluator.spend_scan(call[0].size)) return Value::error();
  const auto bytes = base64_decode(call[0].view());
  if (!bytes) return call.evaluator.fail(Fault::base64, call.node);
  Value kept = call.evaluator.keep(*bytes);
  if (!kept.is_error()) kept.kind = Kind::bytes;
  return kept;
}

constexpr auto kGlobal = Function::Style::global;
constexpr auto kBoth = Function::Style::both;
constexpr Function kConversions[] = {
    {"int", kGlobal, 1, 1, to_int, "int(UINT|DOUBLE|STRING|TIMESTAMP)"},
    {"uint", kGlobal, 1, 1, to_uint, "uint(INT|DOUBLE|STRING)"},
    {"double", kGlobal, 1, 1, to_double, "double(INT|UINT|STRING)"},
    {"bool", kGlobal, 1, 1, to_bool, "bool(STRING)"},
    {"string", kGlobal, 1, 1, to_string, "string(SCALAR); json(VALUE) writes lists and maps"},
    {"bytes", kGlobal, 1, 1, to_bytes, "bytes(STRING)"},
    {"type", kGlobal, 1, 1, type_of, "type(VALUE)"},
    {"dyn", kGlobal, 1, 1, dyn, "dyn(VALUE)"},
    {"size", kBoth, 1, 1, size, "size(STRING|BYTES|LIST|MAP)"},
    {"json", kGlobal, 1, 1, json, "json(VALUE)"},
    {"base64.encode", kGlobal, 1, 1, encode_base64, "base64.encode(BYTES)"},
    {"base64.decode", kGlobal, 1, 1, decode_base64, "base64.decode(STRING)"},
};

std::array<std::span<const Function>, 3> all_functions() {
  return {conversion_functions(), string_functions(), time_functions()};
}

}  // namespace

std::span<const Function> conversion_functions() { return kConversions; }

const Function* find_function(std::string_view name, bool member) {
  const auto unwanted = member ? Function::Style::global : Function::Style::member;
  for (const auto group : all_functions()) {
    for (const Function& function : group) {
      if (function.name == name && function.style != unwanted) return &function;
    }
  }
  return nullptr;
}

const Function* find_function_anyhow(std::string_view name) {
  const Function* global = find_function(name, false);
  return global != nullptr ? global : find_function(name, true);
}

std::vector<std::string_view> function_names() {
  std::vector<std::string_view> names;
  for (const auto group : all_functions()) {
    for (const Function& function : group) names.push_back(function.name);
  }
  return names;
}

}  // namespace pawl::cel
