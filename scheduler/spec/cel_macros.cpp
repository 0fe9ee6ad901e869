// Macros over the elements of lists and the entries of maps.

#include <algorithm>
#include <span>
#include <vector>

#include "scheduler/spec/cel_evaluator.h"

namespace pawl::cel {
namespace {

/// The end of a stack of values from here on; dropped when it goes out of scope.
class ScratchRange {
 public:
  explicit ScratchRange(std::vector<Value>* stack) : stack_(stack), base_(stack->size()) {}
  ScratchRange(const ScratchRange&) = delete;
  ScratchRange& operator=(const ScratchRange&) = delete;
  ~ScratchRange() { stack_->resize(base_); }
  std::span<const Value> items() const { return std::span(*stack_).subspan(base_); }

 private:
  std::vector<Value>* stack_;
  std::size_t base_;
};

}  // namespace

Value Evaluator::comprehension(const Node& node) {
  const Value range = eval(child(node, 0));
  if (range.is_error()) return range;
  if (!range.is(Kind::list) && !range.is(Kind::map)) return fail(Fault::no_elements, node, range);
  const auto macro = static_cast<Macro>(node.detail);
  switch (macro) {
    case Macro::all:
    case Macro::exists:
    case Macro::exists_one: return judge(node, macro, Cursor(range));
    case Macro::map:
    case Macro::filter:
    case Macro::transform_list: return collect(node, macro, Cursor(range));
    case Macro::transform_map: return transform_map(node, Cursor(range));
  }
  return Value::error();
}

void Evaluator::bind(const Node& node, const Value& key, const Value& value) {
  slots_[node.aux] = key;
  if (node.two_variables) slots_[node.aux + 1] = value;
}

/// all, exists, exists_one: folds one bool per element. The first two pass over errors once an
/// element decides; the last does not.
Value Evaluator::judge(const Node& node, Macro macro, Cursor cursor) {
  const NodeIndex body = child(node, 1);
  Failure first;
  std::size_t hits = 0;
  for (Value key, value; cursor.next(&key, &value);) {
    bind(node, node.two_variables || cursor.walks_map() ? key : value, value);
    const Value verdict = eval(body);
    if (verdict.is(Kind::boolean)) {
      hits += verdict.boolean ? 1 : 0;
      if (macro != Macro::exists_one && verdict.boolean == (macro == Macro::exists)) {
        failure_.fault = Fault::none;
        return verdict;
      }
      continue;
    }
    if (is_stopped()) return Value::error();
    if (!verdict.is_error()) {
      fail(Fault::not_bool, program_.nodes[body], verdict, {}, "the condition of a macro");
    }
    if (macro == Macro::exists_one) return Value::error();
    if (first.fault == Fault::none) first = failure_;
  }
  if (first.fault != Fault::none) {
    failure_ = first;
    return Value::error();
  }
  return Value::of(macro == Macro::all || (macro == Macro::exists_one && hits == 1));
}

/// map, filter, transformList: a list of what the elements give.
Value Evaluator::collect(const Node& node, Macro macro, Cursor cursor) {
  const bool filtered = macro == Macro::filter || node.count == 3;
  const ScratchRange range(&scratch_);
  for (Value key, value; cursor.next(&key, &value);) {
    const Value bound = node.two_variables || cursor.walks_map() ? key : value;
    bind(node, bound, value);
    if (filtered) {
      const Value kept = eval(child(node, 1));
      if (kept.is_error()) return kept;
      if (!kept.is(Kind::boolean)) {
        return fail(Fault::not_bool, program_.nodes[child(node, 1)], kept, {},
                    "the condition of a macro");
      }
      if (!kept.boolean) continue;
    }
    const Value result = macro == Macro::filter ? bound : eval(child(node, node.count - 1));
    if (result.is_error()) return result;
    scratch_.push_back(result);
  }
  return keep_list(range.items());
}

Value Evaluator::transform_map(const Node& node, Cursor cursor) {
  std::vector<Entry> entries;
  for (Value key, value; cursor.next(&key, &value);) {
    bind(node, key, value);
    if (node.count == 3) {
      const Value kept = eval(child(node, 1));
      if (kept.is_error()) return kept;
      if (!kept.is(Kind::boolean)) {
        return fail(Fault::not_bool, program_.nodes[child(node, 1)], kept, {},
                    "the condition of a macro");
      }
      if (!kept.boolean) continue;
    }
    const Value result = eval(child(node, node.count - 1));
    if (result.is_error()) return result;
    entries.push_back({key, result});
  }
  auto* kept = static_cast<Entry*>(allocate(entries.size() * sizeof(Entry)));
  if (kept == nullptr) return Value::error();
  std::copy(entries.begin(), entries.end(), kept);
  return make_map(node, {kept, entries.size()});
}

}  // namespace pawl::cel
