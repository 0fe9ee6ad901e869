#include "scheduler/spec/cel_evaluator.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_functions.h"
#include "scheduler/spec/cel_text.h"

namespace pawl::cel {
Evaluator::Evaluator(const Program& program, const Context& context, Budget* budget)
    : program_(program), context_(context), budget_(budget), arena_(budget) {
  slots_ = inline_slots_.data();
  if (program.slot_count > kInlineSlots) {
    more_slots_.resize(program.slot_count);
    slots_ = more_slots_.data();
  }
}

ExpressionError Evaluator::error() const {
  return {failure_.offset, describe(failure_, program_, context_)};
}

Value Evaluator::fail(Fault fault, const Node& node, Value a, Value b, std::string_view word) {
  return fail_at(node.offset, fault, node, a, b, word);
}

Value Evaluator::fail_at(std::uint32_t offset, Fault fault, const Node& node, Value a, Value b,
                         std::string_view word) {
  if (is_stopped()) return Value::error();
  failure_.fault = fault;
  failure_.node = &node;
  failure_.offset = offset;
  failure_.a = a;
  failure_.b = b;
  failure_.word = word;
  return Value::error();
}

Value Evaluator::fail_call(const Node& node, std::span<const Value> arguments) {
  fail(Fault::call_types, node);
  failure_.kind_count = std::min(arguments.size(), failure_.kinds.size());
  for (std::size_t i = 0; i < failure_.kind_count; ++i) failure_.kinds[i] = arguments[i].kind;
  return Value::error();
}

bool Evaluator::spend(std::int64_t steps) {
  budget_->steps -= steps;
  if (budget_->steps >= 0) return true;
  fail(Fault::steps, root());
  return false;
}

bool Evaluator::spend_bytes(std::size_t bytes) {
  if (bytes <= budget_->bytes) {
    budget_->bytes -= bytes;
    return true;
  }
  fail(Fault::bytes, root());
  return false;
}

void* Evaluator::allocate(std::size_t bytes) {
  void* block = arena_.allocate(bytes);
  if (block == nullptr) fail(Fault::bytes, root());
  return block;
}

Value Evaluator::keep(std::string_view text) {
  char* copy = allocate_text(text.size());
  if (copy == nullptr) return Value::error();
  if (!text.empty()) std::memcpy(copy, text.data(), text.size());
  return Value::string({copy, text.size()});
}

Value Evaluator::keep_list(std::span<const Value> items) {
  auto* copy = static_cast<Value*>(allocate(items.size_bytes()));
  if (copy == nullptr) return Value::error();
  std::copy(items.begin(), items.end(), copy);
  return Value::list(copy, items.size());
}

Value Evaluator::concatenate(const Value& a, const Value& b) {
  if (a.is(Kind::list)) {
    const std::size_t count_a = element_count(a);
    const std::size_t count_b = element_count(b);
    if (!spend(static_cast<std::int64_t>(count_a + count_b))) return Value::error();
    auto* items = static_cast<Value*>(allocate((count_a + count_b) * sizeof(Value)));
    if (items == nullptr) return Value::error();
    for (std::size_t i = 0; i < count_a; ++i) items[i] = element_at(a, i);
    for (std::size_t i = 0; i < count_b; ++i) items[count_a + i] = element_at(b, i);
    return Value::list(items, count_a + count_b);
  }
  Value out = a;
  const std::size_t size = std::size_t{a.size} + b.size;
  // What was built last is made longer in place: a chain of `+` copies each part once.
  if (a.size == 0 || !arena_.extend(a.text + a.size, b.size)) {
    char* text = allocate_text(size);
    if (text == nullptr) return Value::error();
    if (a.size > 0) std::memcpy(text, a.text, a.size);
    out.text = text;
  }
  if (b.size > 0) std::memcpy(const_cast<char*>(out.text) + a.size, b.text, b.size);
  out.size = static_cast<std::uint32_t>(size);
  return out;
}

// ---------------------------------------------------------------- nodes

Value Evaluator::eval(NodeIndex index) {
  const Node& node = program_.nodes[index];
  if (--budget_->steps < 0) return fail(Fault::steps, node);
  switch (node.op) {
    case Op::constant: return node.value;
    case Op::name: return name(node);
    case Op::type_name: {
      const Json* found = context_.find(node.value.view());
      return found != nullptr ? Value::of(found) : Value::type_of(static_cast<Kind>(node.detail));
    }
    case Op::slot: return slots_[node.aux];
    case Op::select: return select(node);
    case Op::has: return has(node);
    case Op::index: return this->index(node);
    case Op::list: return list(node);
    case Op::map: return map(node);
    case Op::and_: return logic(node, false);
    case Op::or_: return logic(node, true);
    case Op::not_: return negation(node);
    case Op::negate: return minus(node);
    case Op::arithmetic: return arithmetic(node);
    case Op::relation: return relation(node);
    case Op::conditional: return conditional(node);
    case Op::call: return call(node);
    case Op::default_: return or_default(node);
    case Op::comprehension: return comprehension(node);
  }
  return Value::error();
}

Value Evaluator::name(const Node& node) {
  const Json* found = context_.find(node.value.view());
  return found != nullptr ? Value::of(found) : fail(Fault::no_name, node, node.value);
}

Value Evaluator::select(const Node& node) {
  const Value operand = eval(child(node, 0));
  if (operand.is_error()) return operand;
  if (operand.is(Kind::map)) {
    const auto found = find(operand, node.value);
    if (found) return *found;
    if (is_left_out(node, operand, node.value)) return Value::error();
    return fail(Fault::no_key, node, operand, node.value);
  }
  const Fault fault = operand.is(Kind::null) ? Fault::null_field : Fault::no_field;
  return fail(fault, node, operand, node.value);
}

Value Evaluator::has(const Node& node) {
  const Value operand = eval(child(node, 0));
  if (operand.is_error()) return operand;
  if (operand.is(Kind::map)) {
    const bool found = find(operand, node.value).has_value();
    if (!found && is_left_out(node, operand, node.value)) return Value::error();
    return is_stopped() ? Value::error() : Value::of(found);
  }
  const Fault fault = operand.is(Kind::null) ? Fault::null_field : Fault::no_field;
  return fail(fault, node, operand, node.value);
}

Value Evaluator::index(const Node& node) {
  const Value operand = eval(child(node, 0));
  if (operand.is_error()) return operand;
  const Value key = eval(child(node, 1));
  if (key.is_error()) return key;
  if (operand.is(Kind::list)) return element(node, operand, key);
  if (operand.is(Kind::map)) {
    const auto found = find(operand, key);
    if (found) return *found;
    if (is_left_out(node, operand, key)) return Value::error();
    return fail(Fault::no_key, node, operand, key);
  }
  const Fault fault = operand.is(Kind::null) ? Fault::null_field : Fault::bad_index;
  return fail(fault, node, operand, key);
}

/// A key that is not in the map has a value that the context could not hold: an error, which
/// `default` and `has` do not answer.
bool Evaluator::is_left_out(const Node& node, const Value& map, const Value& key) {
  if (!map.is_json || !key.is(Kind::string)) return false;
  const std::string_view why = context_.why_left_out(*map.json, key.view());
  if (!why.empty()) fail(Fault::left_out, node, map, key, why);
  return !why.empty();
}

Value Evaluator::element(const Node& node, const Value& list, const Value& place) {
  Value whole;
  if (!place.is_number() || !normalize_key(place, &whole)) {
    return fail(Fault::bad_index, node, list, place);
  }
  const bool inside = whole.is(Kind::int64) && whole.int64 >= 0 &&
                      static_cast<std::uint64_t>(whole.int64) < element_count(list);
  if (!inside) return fail(Fault::index_range, node, list, whole);
  return element_at(list, static_cast<std::size_t>(whole.int64));
}

Value Evaluator::list(const Node& node) {
  auto* items = static_cast<Value*>(allocate(node.count * sizeof(Value)));
  if (items == nullptr) return Value::error();
  for (std::size_t i = 0; i < node.count; ++i) {
    items[i] = eval(child(node, i));
    if (items[i].is_error()) return items[i];
  }
  return Value::list(items, node.count);
}

Value Evaluator::map(const Node& node) {
  const std::size_t count = node.count / 2;
  auto* entries = static_cast<Entry*>(allocate(count * sizeof(Entry)));
  if (entries == nullptr) return Value::error();
  for (std::size_t i = 0; i < count; ++i) {
    entries[i].key = eval(child(node, 2 * i));
    if (entries[i].key.is_error()) return entries[i].key;
    entries[i].value = eval(child(node, 2 * i + 1));
    if (entries[i].value.is_error()) return entries[i].value;
  }
  return make_map(node, {entries, count});
}

/// `entries` lie in the arena.
Value Evaluator::make_map(const Node& node, std::span<const Entry> entries) {
  for (const Entry& entry : entries) {
    Value normal;
    if (entry.key.is(Kind::float64) || !normalize_key(entry.key, &normal)) {
      return fail(Fault::key_kind, node, entry.key);
    }
  }
  auto* map = static_cast<Map*>(allocate(sizeof(Map)));
  if (map == nullptr) return Value::error();
  *map = {entries.data(), nullptr, static_cast<std::uint32_t>(entries.size()), 0};
  return build_index(node, map) ? Value::map(map) : Value::error();
}

/// Refuses a key that is there twice.
bool Evaluator::build_index(const Node& node, Map* map) {
  std::uint32_t size = 16;
  while (size < 2 * std::uint64_t{map->size}) size *= 2;
  auto* index = static_cast<std::uint32_t*>(allocate(size * sizeof(std::uint32_t)));
  if (index == nullptr) return false;
  std::fill_n(index, size, 0U);
  map->index_mask = size - 1;
  for (std::uint32_t i = 0; i < map->size; ++i) {
    Value key;
    normalize_key(map->entries[i].key, &key);
    std::uint32_t place = static_cast<std::uint32_t>(hash_key(key)) & map->index_mask;
    for (; index[place] != 0; place = (place + 1) & map->index_mask) {
      Value other;
      normalize_key(map->entries[index[place] - 1].key, &other);
      if (same_key(key, other)) {
        fail(Fault::duplicate_key, node, map->entries[i].key);
        return false;
      }
      if (!spend(1)) return false;
    }
    index[place] = i + 1;
  }
  map->index = index;
  return true;
}

std::optional<Value> Evaluator::find(const Value& map, const Value& key) {
  if (map.is_json) {
    if (!key.is(Kind::string)) return std::nullopt;
    const auto found = map.json->find(key.view());
    if (found == map.json->end()) return std::nullopt;
    return Value::of(&*found);
  }
  Value wanted;
  if (!normalize_key(key, &wanted)) return std::nullopt;
  const Map& entries = *map.entries;
  std::uint32_t place = static_cast<std::uint32_t>(hash_key(wanted)) & entries.index_mask;
  for (; entries.index[place] != 0; place = (place + 1) & entries.index_mask) {
    const Entry& entry = entries.entries[entries.index[place] - 1];
    Value normal;
    normalize_key(entry.key, &normal);
    if (same_key(wanted, normal)) return entry.value;
    if (!spend(1)) break;
  }
  return std::nullopt;
}

/// `&&` (false decides) and `||` (true decides): an operand that decides makes errors and wrong
/// kinds of the others void, wherever they stand.
Value Evaluator::logic(const Node& node, bool decisive) {
  Failure first;
  for (std::size_t i = 0; i < node.count; ++i) {
    const Value value = eval(child(node, i));
    if (value.is(Kind::boolean)) {
      if (value.boolean == decisive) {
        failure_.fault = Fault::none;
        return value;
      }
      continue;
    }
    if (is_stopped()) return Value::error();
    if (!value.is_error()) {
      const Node& operand = program_.nodes[child(node, i)];
      fail(Fault::not_bool, operand, value, {}, decisive ? "'||'" : "'&&'");
    }
    if (first.fault == Fault::none) first = failure_;
  }
  if (first.fault == Fault::none) return Value::of(!decisive);
  failure_ = first;
  return Value::error();
}

Value Evaluator::negation(const Node& node) {
  const Value value = eval(child(node, 0));
  if (value.is_error()) return value;
  if (!value.is(Kind::boolean)) return fail(Fault::unary_types, node, value, {}, "!");
  return Value::of(value.boolean != (node.detail == 1));
}

Value Evaluator::minus(const Node& node) {
  const Value value = eval(child(node, 0));
  if (value.is_error()) return value;
  const bool odd = node.detail == 1;
  if (value.is(Kind::float64)) return Value::of(odd ? -value.float64 : value.float64);
  if (!value.is(Kind::int64)) return fail(Fault::unary_types, node, value, {}, "-");
  if (value.int64 == std::numeric_limits<std::int64_t>::min()) {
    return fail(Fault::overflow, node, value, {}, "-");
  }
  return Value::of(odd ? -value.int64 : value.int64);
}

Value Evaluator::arithmetic(const Node& node) {
  Value left = eval(child(node, 0));
  for (std::size_t i = 1; i < node.count && !left.is_error(); ++i) {
    const Value right = eval(child(node, i));
    if (right.is_error()) return right;
    left = compute(*this, node, program_.operators[node.aux + i - 1], left, right);
  }
  return left;
}

Value Evaluator::relation(const Node& node) {
  const Value a = eval(child(node, 0));
  if (a.is_error()) return a;
  const Value b = eval(child(node, 1));
  if (b.is_error()) return b;
  const auto ordered = [&](std::string_view word, auto holds) {
    if (a.is(Kind::string) && !spend_scan(std::min(a.size, b.size))) return Value::error();
    const auto order = compare(a, b);
    return order ? Value::of(holds(*order)) : fail(Fault::operator_types, node, a, b, word);
  };
  switch (static_cast<Relation>(node.detail)) {
    case Relation::equal:
    case Relation::not_equal: {
      const bool same = equal(a, b);
      if (is_stopped()) return Value::error();
      return Value::of(same == (static_cast<Relation>(node.detail) == Relation::equal));
    }
    case Relation::less: return ordered("<", [](int order) { return order == -1; });
    case Relation::less_equal: return ordered("<=", [](int order) { return order <= 0; });
    case Relation::greater: return ordered(">", [](int order) { return order == 1; });
    case Relation::greater_equal:
      return ordered(">=", [](int order) { return order == 0 || order == 1; });
    case Relation::in: return inclusion(node, a, b);
  }
  return Value::error();
}

Value Evaluator::inclusion(const Node& node, const Value& value, const Value& in) {
  if (in.is(Kind::map)) {
    const bool found = find(in, value).has_value();
    if (!found && is_left_out(node, in, value)) return Value::error();
    return is_stopped() ? Value::error() : Value::of(found);
  }
  if (!in.is(Kind::list)) return fail(Fault::operator_types, node, value, in, "in");
  const std::size_t count = element_count(in);
  for (std::size_t i = 0; i < count; ++i) {
    if (equal(value, element_at(in, i))) return Value::of(true);
    if (is_stopped() || !spend(1)) return Value::error();
  }
  return Value::of(false);
}

Value Evaluator::conditional(const Node& node) {
  const Value condition = eval(child(node, 0));
  if (condition.is_error()) return condition;
  if (!condition.is(Kind::boolean)) {
    return fail(Fault::not_bool, program_.nodes[child(node, 0)], condition, {}, "'? :'");
  }
  return eval(child(node, condition.boolean ? 1 : 2));
}

Value Evaluator::call(const Node& node) {
  std::array<Value, kArgumentsMax> arguments;
  for (std::size_t i = 0; i < node.count; ++i) {
    arguments[i] = eval(child(node, i));
    if (arguments[i].is_error()) return arguments[i];
  }
  return node.function->run(Call{*this, node, {arguments.data(), node.count}});
}

Value Evaluator::or_default(const Node& node) {
  const Value value = eval(child(node, 0));
  if (value.is_error()) {
    if (!is_missing(failure_.fault)) return value;
    failure_.fault = Fault::none;
  } else if (!value.is(Kind::null)) {
    return value;
  }
  return eval(child(node, 1));
}

// ---------------------------------------------------------------- equality

bool Evaluator::equal(const Value& a, const Value& b, int depth) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::error:
    case Kind::int64:
    case Kind::uint64:
    case Kind::float64: return false;
    case Kind::null: return true;
    case Kind::boolean: return a.boolean == b.boolean;
    case Kind::string:
    case Kind::bytes: return a.size == b.size && spend_scan(a.size) && a.view() == b.view();
    case Kind::list: return equal_lists(a, b, depth);
    case Kind::map: return equal_maps(a, b, depth);
    case Kind::timestamp: return a.int64 == b.int64 && a.size == b.size;
    case Kind::duration: return a.int64 == b.int64;
    case Kind::type: return a.type == b.type;
  }
  return false;
}

bool Evaluator::equal_lists(const Value& a, const Value& b, int depth) {
  const std::size_t count = element_count(a);
  if (count != element_count(b)) return false;
  if (depth > limits::kExpressionDepthMax) {
    fail(Fault::depth, root());
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!spend(1) || !equal(element_at(a, i), element_at(b, i), depth + 1)) return false;
  }
  return true;
}

bool Evaluator::equal_maps(const Value& a, const Value& b, int depth) {
  if (element_count(a) != element_count(b)) return false;
  if (depth > limits::kExpressionDepthMax) {
    fail(Fault::depth, root());
    return false;
  }
  Cursor cursor(a);
  for (Value key, value; cursor.next(&key, &value);) {
    if (!spend(1)) return false;
    const auto other = find(b, key);
    if (!other || !equal(value, *other, depth + 1)) return false;
  }
  return true;
}

const re2::RE2* Evaluator::pattern(const Value& text, const Node& node) {
  for (const auto& [known, compiled] : patterns_) {
    if (known == text.view()) return compiled.get();
  }
  // Compiling costs far more than matching; a thousand patterns are all that one evaluation gets.
  constexpr std::int64_t kSteps = limits::kEvaluationStepsMax / 1000;
  constexpr std::size_t kPatternBytesMax = 4096;
  if (!spend(kSteps)) return nullptr;
  std::string why;
  std::unique_ptr<re2::RE2> compiled;
  if (text.size > kPatternBytesMax) {
    why = "it is longer than 4 KiB";
  } else {
    compiled = compile_pattern(text.view(), &why);
  }
  if (compiled == nullptr) {
    const Value kept = keep(why);
    if (!kept.is_error()) fail(Fault::pattern, node, text, {}, kept.view());
    return nullptr;
  }
  if (patterns_.size() == kPatternsKept) patterns_.erase(patterns_.begin());
  patterns_.emplace_back(std::string(text.view()), std::move(compiled));
  return patterns_.back().second.get();
}

}  // namespace pawl::cel
