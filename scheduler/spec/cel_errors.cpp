// The sentences of everything that can go wrong while an expression is computed. Values appear in
// them only when the expression names no secret.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_functions.h"
#include "scheduler/spec/cel_text.h"

namespace pawl::cel {
namespace {

constexpr std::size_t kListedNamesMax = 12;      ///< nobody reads more
constexpr std::size_t kComparedNamesMax = 1000;  ///< for the nearest one

class Describer {
 public:
  Describer(const Failure& failure, const Program& program, const Context& context)
      : f_(failure), program_(program), context_(context) {}

  std::string run() const {
    switch (f_.fault) {
      case Fault::none: return "no error";
      case Fault::no_name: return no_name();
      case Fault::no_key: return no_key();
      case Fault::null_field:
        return operand_text() + " is null, so it has no " + key_word() + "; write default(" +
               whole_text() + ", OTHER)";
      case Fault::index_range:
        return "index " + show(f_.b) + " is out of range of " + operand_text() + ", which has " +
               counted(element_count(f_.a), "element");
      case Fault::left_out: return std::string(f_.word);
      case Fault::no_field: return no_field();
      case Fault::bad_index: return bad_index();
      case Fault::operator_types: return operator_types();
      case Fault::unary_types:
        return "no operator " + quoted(f_.word) + " for " + kind(f_.a) +
               (f_.word == "!" ? "; it takes bool" : "; it takes int and double");
      case Fault::not_bool:
        return std::string(f_.word) + " needs bool, and this is " + kind(f_.a) +
               "; compare it with something";
      case Fault::call_types: return call_types();
      case Fault::no_elements: return "a macro walks a list or a map, and this is " + kind(f_.a);
      case Fault::overflow:
        return "overflow: the result of " + quoted(f_.word) + " does not fit in " + kind(f_.a) +
               " (64 bits)";
      case Fault::division_by_zero: return "division by zero";
      case Fault::modulus_by_zero: return "modulus by zero";
      case Fault::conversion:
        return "cannot convert " + kind(f_.a) + " " + show(f_.a) + " to " + std::string(f_.word);
      case Fault::number_range:
        return kind(f_.a) + " " + show(f_.a) + " is out of range of " + std::string(f_.word);
      case Fault::text_range:
        return "index " + show(f_.a) + " is out of range; the text has " +
               counted(static_cast<std::uint64_t>(f_.b.int64), "character");
      case Fault::invalid_utf8: return "these bytes are not valid UTF-8, so they are no string";
      case Fault::timestamp_text:
        return show(f_.a) + " is no timestamp; it looks like '2026-11-20T22:58:01Z'";
      case Fault::duration_text:
        return show(f_.a) +
               " is no duration; it looks like '1h30m' or '90s', with h, m, s, ms, us or ns";
      case Fault::timestamp_range: return "the timestamp is out of range (years 0001 to 9999)";
      case Fault::duration_range: return "the duration is out of range (about 292 years)";
      case Fault::zone:
        return "no such time zone " + show(f_.a) + "; write 'UTC', 'Europe/Paris' or '+09:00'";
      case Fault::time_format:
        return "a time format cannot have " + show(Value::string(f_.word)) +
               "; it has strftime's letters, as '%Y-%m-%d %H:%M:%S'";
      case Fault::pattern:
        return "this is no regular expression" +
               (program_.names_secrets ? std::string() : ": " + std::string(f_.word));
      case Fault::base64: return "the text is not base64";
      case Fault::join_element: return "join() takes a list of strings, and one is " + kind(f_.a);
      case Fault::key_kind:
        return kind(f_.a) + " can be no key of a map; keys are string, int, uint or bool";
      case Fault::duplicate_key: return "the map has the key " + show(f_.a) + " twice";
      case Fault::json_key:
        return "two keys of the map read " + show(f_.a) + " in JSON, where keys are text";
      case Fault::no_text: return no_text();
      case Fault::steps:
        return "the evaluation takes more than " + std::to_string(limits::kEvaluationStepsMax) +
               " steps; let it look at less, or do this in a task";
      case Fault::bytes:
        return "the evaluation makes more than " +
               std::to_string(limits::kEvaluationBytesMax >> 20) +
               " MiB of values; let it make less, or do this in a task";
      case Fault::depth:
        return "the value is nested more than " + std::to_string(limits::kExpressionDepthMax) +
               " deep";
    }
    return "unknown error";
  }

 private:
  static std::string kind(const Value& v) { return std::string(kind_word(v.kind)); }

  static std::string counted(std::uint64_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
  }

  /// A value in short; a mere ellipsis for what might be a secret.
  std::string show(const Value& v) const {
    if (v.is(Kind::list) || v.is(Kind::map)) return kind(v);
    if (program_.names_secrets) return "(not shown)";
    if (v.is(Kind::string)) return quoted(v.view());
    return shortened(plain_text(v));
  }

  /// The text of what a selection or index is applied to: `tasks.list` of `tasks.list.rows`.
  std::string operand_text() const {
    const Node& node = *f_.node;
    std::string_view text =
        std::string_view(program_.text).substr(node.start, node.offset - node.start);
    while (!text.empty() && (text.back() == ' ' || text.back() == '.' || text.back() == '\n')) {
      text.remove_suffix(1);
    }
    if (node.op == Op::has && text.substr(0, 4) == "has(") text.remove_prefix(4);
    const bool is_short = !text.empty() && text.size() <= kShownBytesMax;
    return is_short ? std::string(text) : "the " + kind(f_.a);
  }

  std::string whole_text() const {
    const std::string operand = operand_text();
    if (f_.node->op == Op::index) return operand + "[…]";
    return operand + "." + shortened(f_.b.view());
  }

  /// True when the key stands in the expression itself, so that it is no secret.
  bool key_is_written() const {
    if (f_.node->op != Op::index) return true;
    return program_.nodes[program_.children[f_.node->first + 1]].op == Op::constant;
  }

  std::string key_text() const {
    if (key_is_written() && f_.b.is(Kind::string)) return quoted(f_.b.view());
    if (key_is_written()) return shortened(plain_text(f_.b));
    return show(f_.b);
  }

  std::string key_word() const {
    return (f_.node->op == Op::index ? "element " : "field ") + key_text();
  }

  std::string no_name() const {
    const std::string_view name = f_.a.view();
    std::string message = "no such name " + quoted(name);
    const std::vector<std::string_view> known = context_.names();
    message += list_names("; known: ", "; there are no names here", known);
    return message + nearest(name, known);
  }

  std::string no_key() const {
    std::string message = "no such key " + key_text() + " in " + operand_text();
    // Keys of the context are no secrets; those of a map that was built may be.
    if (program_.names_secrets && !f_.a.is_json) return message;
    std::vector<std::string_view> keys;
    Cursor cursor(f_.a);
    for (Value key, value; keys.size() < kComparedNamesMax && cursor.next(&key, &value);) {
      if (key.is(Kind::string)) keys.push_back(key.view());
    }
    if (keys.empty() && element_count(f_.a) > 0) return message + "; its keys are not strings";
    message += list_names("; it has: ", "; it is empty", keys);
    if (!f_.b.is(Kind::string) || !key_is_written()) return message;
    // `tasks.load-eu` is a subtraction: name the key that was probably meant.
    const std::string with_dash = std::string(f_.b.view()) + "-";
    for (const std::string_view key : keys) {
      if (f_.node->op == Op::select && key.substr(0, with_dash.size()) == with_dash) {
        return message + "; write " + operand_text() + "[" + quoted(key) + "]";
      }
    }
    return message + nearest(f_.b.view(), keys);
  }

  static std::string list_names(std::string_view before, std::string_view none,
                                std::vector<std::string_view> names) {
    if (names.empty()) return std::string(none);
    std::sort(names.begin(), names.end());
    std::string text(before);
    const std::size_t shown = std::min(names.size(), kListedNamesMax);
    for (std::size_t i = 0; i < shown; ++i) text += (i == 0 ? "" : ", ") + shortened(names[i]);
    if (names.size() > shown) {
      text += ", … (" + std::to_string(names.size() - shown) + " more)";
    }
    return text;
  }

  static std::string nearest(std::string_view word, const std::vector<std::string_view>& names) {
    // Long words are no misspelt names, and comparing them is quadratic.
    if (word.size() > limits::kNameBytesMax) return {};
    std::vector<std::string_view> candidates;
    for (const std::string_view name : names) {
      if (name.size() <= limits::kNameBytesMax) candidates.push_back(name);
    }
    // Of words of one or two letters, every other one is near.
    if (word.size() < 3) return {};
    const std::string_view found = nearest_word(word, candidates);
    return found.empty() ? std::string() : "; nearest: " + std::string(found);
  }

  std::string no_field() const {
    const std::string message =
        operand_text() + " is " + kind(f_.a) + ", so it has no field " + key_text();
    if (f_.a.is(Kind::list)) return message + "; an element is LIST[0]";
    return message + "; only maps have fields";
  }

  std::string bad_index() const {
    if (!f_.a.is(Kind::list)) {
      return operand_text() + " is " + kind(f_.a) + ", and only lists and maps have elements" +
             (f_.a.is(Kind::string) ? "; a character is STRING.charAt(0)" : "");
    }
    std::string message = "an index of a list is a whole number, and this is " + kind(f_.b);
    if (f_.b.is(Kind::float64)) message.append(" ").append(show(f_.b));
    return message;
  }

  std::string operator_types() const {
    std::string message =
        "no operator " + quoted(f_.word) + " for " + kind(f_.a) + " and " + kind(f_.b);
    if (f_.word == "in") return message + "; the right side is a list or a map";
    if (f_.a.is(Kind::null) || f_.b.is(Kind::null)) {
      return message + "; write default(VALUE, OTHER) for what may be null";
    }
    if (f_.a.is_number() && f_.b.is_number() && f_.a.kind != f_.b.kind) {
      return message + "; convert one: int(x), uint(x), double(x)";
    }
    const bool text = f_.a.is(Kind::string) || f_.b.is(Kind::string);
    if (f_.word == "+" && text && f_.a.kind != f_.b.kind) return message + "; convert: string(x)";
    if (text && f_.a.kind != f_.b.kind) {
      return message + "; convert: int(x), timestamp(x), duration(x)";
    }
    return message;
  }

  std::string no_text() const {
    if (f_.a.is(Kind::null)) return "null has no text; write default(VALUE, 'text')";
    return "a " + kind(f_.a) + " has no text here; write json(VALUE)" +
           (f_.a.is(Kind::list) ? " or LIST.join(',')" : "");
  }

  std::string call_types() const {
    std::string kinds;
    for (std::size_t i = 0; i < f_.kind_count; ++i) {
      kinds += (i == 0 ? "" : ", ") + std::string(kind_word(f_.kinds[i]));
    }
    return std::string(f_.node->function->name) + "() does not take (" + kinds + "); write " +
           std::string(f_.node->function->usage);
  }

  const Failure& f_;
  const Program& program_;
  const Context& context_;
};

}  // namespace

std::string describe(const Failure& failure, const Program& program, const Context& context) {
  return valid_utf8(Describer(failure, program, context).run());
}

}  // namespace pawl::cel
