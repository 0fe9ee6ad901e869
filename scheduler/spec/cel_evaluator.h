#pragma once

// Computes a compiled expression over a context. One object per evaluation.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/spec/cel_tree.h"
#include "scheduler/spec/cel_value.h"
#include "scheduler/spec/expression.h"

namespace pawl::cel {

/// What can go wrong while evaluating; `describe` in cel_errors.cpp has the sentences.
enum class Fault : std::uint8_t {
  none,
  // Something is not there; `default` answers these.
  no_name,      ///< a: the name
  no_key,       ///< a: the map, b: the key
  null_field,   ///< a: null, b: the key
  index_range,  ///< a: the list, b: the index
  // The rest.
  left_out,        ///< word: why what should be there is not
  no_field,        ///< a: what is no map, b: the key
  bad_index,       ///< a: the list or what has no elements, b: the index
  operator_types,  ///< word: the operator, a and b: operands
  unary_types,     ///< word: the operator, a: operand
  not_bool,        ///< word: what needs one, a: operand
  call_types,      ///< kinds: the arguments
  no_elements,     ///< a: what a macro cannot walk
  overflow,        ///< word: the operator or conversion, a: of the kind of the result
  division_by_zero,
  modulus_by_zero,
  conversion,      ///< word: the type wanted, a: the value
  number_range,    ///< word: the type wanted, a: the value
  text_range,      ///< a: the index, b: the size of the text
  invalid_utf8,    ///< a: the bytes
  timestamp_text,  ///< a: the text
  duration_text,   ///< a: the text
  timestamp_range,
  duration_range,
  zone,         ///< a: the name
  time_format,  ///< word: the part that is wrong
  pattern,      ///< word: why it is no regular expression
  base64,
  join_element,   ///< a: the element
  key_kind,       ///< a: what can be no key of a map
  duplicate_key,  ///< a: the key
  json_key,       ///< a: the key that appears twice as text
  no_text,        ///< a: what has no text of its own
  // Ends the evaluation whatever stands around it.
  steps,
  bytes,
  depth,
};
constexpr bool is_missing(Fault f) { return f >= Fault::no_name && f <= Fault::index_range; }

struct Failure {
  Fault fault = Fault::none;
  const Node* node = nullptr;
  std::uint32_t offset = 0;
  Value a;
  Value b;
  std::string_view word;
  std::array<Kind, 4> kinds{};
  std::size_t kind_count = 0;
};

/// The sentence of a failure: what is wrong and how to mend it.
std::string describe(const Failure& failure, const Program& program, const Context& context);

class Evaluator {
 public:
  /// Everything handed in must outlive the evaluator, and values of it must not outlive that.
  Evaluator(const Program& program, const Context& context, Budget* budget);
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Value run() { return eval(program_.root); }
  /// What went wrong, after a value that is an error.
  ExpressionError error() const;

  // For functions and for what reads a result.

  Value fail(Fault fault, const Node& node, Value a = {}, Value b = {}, std::string_view word = {});
  Value fail_at(std::uint32_t offset, Fault fault, const Node& node, Value a, Value b,
                std::string_view word);
  /// The arguments of a call have kinds that it does not take.
  Value fail_call(const Node& node, std::span<const Value> arguments);

  /// Pays for work; false, with the failure set, when the budget is spent.
  bool spend(std::int64_t steps);
  /// Pays for looking through `bytes` of text.
  bool spend_scan(std::size_t bytes) { return spend(static_cast<std::int64_t>(bytes / 64)); }
  bool spend_bytes(std::size_t bytes);

  /// Room for a text of the evaluation; null, with the failure set, when the budget is spent.
  char* allocate_text(std::size_t bytes) { return static_cast<char*>(allocate(bytes)); }
  /// A copy of `text` that lives as long as the evaluation.
  Value keep(std::string_view text);
  Value keep_list(std::span<const Value> items);
  /// `a` followed by `b`: texts or lists of one kind.
  Value concatenate(const Value& a, const Value& b);

  /// CEL's equality; false, too, when the budget is spent (`is_stopped` tells).
  bool equal(const Value& a, const Value& b, int depth = 0);
  /// The entry of a map, or nothing.
  std::optional<Value> find(const Value& map, const Value& key);
  bool is_stopped() const { return failure_.fault >= Fault::steps; }

  /// The value as JSON; false with the failure set when it has none. `node` is where to point.
  bool to_json(const Value& value, const Node& node, Json* out, int depth = 0);
  /// JSON text of a value, as `to_json`.
  bool to_json_text(const Value& value, const Node& node, std::string* out);

  /// A compiled pattern for a text that is not a literal; null, with the failure set, when it is
  /// none. Remembers the last few.
  const re2::RE2* pattern(const Value& text, const Node& node);

  const Node& root() const { return program_.nodes[program_.root]; }

 private:
  static constexpr std::size_t kInlineSlots = 8;
  static constexpr std::size_t kPatternsKept = 4;

  Value eval(NodeIndex index);
  NodeIndex child(const Node& node, std::size_t i) const {
    return program_.children[node.first + i];
  }
  void* allocate(std::size_t bytes);

  Value name(const Node& node);
  Value select(const Node& node);
  Value has(const Node& node);
  Value index(const Node& node);
  bool is_left_out(const Node& node, const Value& map, const Value& key);
  Value element(const Node& node, const Value& list, const Value& place);
  Value list(const Node& node);
  Value map(const Node& node);
  Value make_map(const Node& node, std::span<const Entry> entries);
  bool build_index(const Node& node, Map* map);
  Value logic(const Node& node, bool decisive);
  Value negation(const Node& node);
  Value minus(const Node& node);
  Value arithmetic(const Node& node);
  Value relation(const Node& node);
  Value inclusion(const Node& node, const Value& value, const Value& in);
  Value conditional(const Node& node);
  Value call(const Node& node);
  Value or_default(const Node& node);
  Value comprehension(const Node& node);
  Value judge(const Node& node, Macro macro, Cursor cursor);
  Value collect(const Node& node, Macro macro, Cursor cursor);
  Value transform_map(const Node& node, Cursor cursor);
  void bind(const Node& node, const Value& key, const Value& value);
  bool equal_lists(const Value& a, const Value& b, int depth);
  bool equal_maps(const Value& a, const Value& b, int depth);
  bool measure(const Json& json, const Node& node, int depth);

  const Program& program_;
  const Context& context_;
  Budget* budget_;
  Failure failure_;
  Value* slots_;
  std::array<Value, kInlineSlots> inline_slots_;
  std::vector<Value> more_slots_;
  std::vector<Value> scratch_;  ///< elements of lists under construction, inmost last
  std::vector<std::pair<std::string, std::unique_ptr<re2::RE2>>> patterns_;
  Arena arena_;
};

/// The text of a value that is no list and no map: bytes as base64, the rest as JSON without
/// quotation marks.
std::string plain_text(const Value& value);

/// `a op b` for + - * / %. The offset is that of the operator.
Value compute(Evaluator& evaluator, const Node& node, const ArithmeticUse& use, const Value& a,
              const Value& b);
/// -1, 0, 1; 2 when one is not a number; nothing when the kinds have no order between them.
std::optional<int> compare(const Value& a, const Value& b);

}  // namespace pawl::cel
