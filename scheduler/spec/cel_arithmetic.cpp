// Operators between two values: + - * / % and the order of values.

#include <limits>

#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_time.h"

namespace pawl::cel {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

/// One operator at one place, and how it fails.
struct Operation {
  Evaluator& evaluator;
  const Node& node;
  const ArithmeticUse& use;

  std::string_view word() const { return {&use.op, 1}; }
  Value fail(Fault fault, const Value& a, const Value& b) const {
    return evaluator.fail_at(use.offset, fault, node, a, b, word());
  }
};

template <typename T>
Value integers(const Operation& op, const Value& a, const Value& b, T x, T y) {
  T result{};
  bool overflow = false;
  switch (op.use.op) {
    case '+': overflow = __builtin_add_overflow(x, y, &result); break;
    case '-': overflow = __builtin_sub_overflow(x, y, &result); break;
    case '*': overflow = __builtin_mul_overflow(x, y, &result); break;
    default:
      if (y == 0) {
        return op.fail(op.use.op == '/' ? Fault::division_by_zero : Fault::modulus_by_zero, a, b);
      }
      // The one quotient that does not fit; as a division it would trap.
      overflow = std::numeric_limits<T>::is_signed && x == std::numeric_limits<T>::min() &&
                 y == static_cast<T>(-1);
      if (!overflow) result = static_cast<T>(op.use.op == '/' ? x / y : x % y);
  }
  return overflow ? op.fail(Fault::overflow, a, b) : Value::of(result);
}

Value doubles(const Operation& op, const Value& a, const Value& b) {
  switch (op.use.op) {
    case '+': return Value::of(a.float64 + b.float64);
    case '-': return Value::of(a.float64 - b.float64);
    case '*': return Value::of(a.float64 * b.float64);
    case '/': return Value::of(a.float64 / b.float64);
    default: return op.fail(Fault::operator_types, a, b);
  }
}

/// time ± duration.
Value shifted(const Operation& op, const Value& time, std::int64_t nanoseconds, bool back) {
  // In two parts: the negative of the shortest duration does not fit.
  const std::int64_t seconds = nanoseconds / kNanosecondsPerSecond;
  const std::int64_t rest = nanoseconds % kNanosecondsPerSecond;
  const std::int64_t sign = back ? -1 : 1;
  const auto made = make_timestamp(time.int64 + sign * seconds,
                                   static_cast<std::int64_t>(time.size) + sign * rest);
  return made ? *made : op.fail(Fault::timestamp_range, {}, {});
}

Value between(const Operation& op, const Value& a, const Value& b) {
  std::int64_t span = 0;
  // Seconds of a year 1 to 9999 differ by far less than 64 bits; their nanoseconds may not fit.
  if (__builtin_mul_overflow(a.int64 - b.int64, kNanosecondsPerSecond, &span) ||
      __builtin_add_overflow(span, std::int64_t{a.size} - std::int64_t{b.size}, &span)) {
    return op.fail(Fault::duration_range, {}, {});
  }
  return Value::duration(span);
}

Value durations(const Operation& op, const Value& a, const Value& b) {
  std::int64_t sum = 0;
  const bool overflow = op.use.op == '+' ? __builtin_add_overflow(a.int64, b.int64, &sum)
                                         : __builtin_sub_overflow(a.int64, b.int64, &sum);
  return overflow ? op.fail(Fault::duration_range, {}, {}) : Value::duration(sum);
}

/// One kind on both sides that is no number.
Value same_kind(const Operation& op, const Value& a, const Value& b) {
  const bool joins = a.is(Kind::string) || a.is(Kind::bytes) || a.is(Kind::list);
  if (op.use.op == '+' && joins) return op.evaluator.concatenate(a, b);
  const bool sums = op.use.op == '+' || op.use.op == '-';
  if (a.is(Kind::duration) && sums) return durations(op, a, b);
  if (a.is(Kind::timestamp) && op.use.op == '-') return between(op, a, b);
  return op.fail(Fault::operator_types, a, b);
}

template <typename T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

}  // namespace

Value compute(Evaluator& evaluator, const Node& node, const ArithmeticUse& use, const Value& a,
              const Value& b) {
  const Operation op{evaluator, node, use};
  if (a.kind == b.kind) {
    if (a.is(Kind::int64)) return integers(op, a, b, a.int64, b.int64);
    if (a.is(Kind::uint64)) return integers(op, a, b, a.uint64, b.uint64);
    if (a.is(Kind::float64)) return doubles(op, a, b);
    return same_kind(op, a, b);
  }
  const bool sums = use.op == '+' || use.op == '-';
  if (a.is(Kind::timestamp) && b.is(Kind::duration) && sums) {
    return shifted(op, a, b.int64, use.op == '-');
  }
  if (a.is(Kind::duration) && b.is(Kind::timestamp) && use.op == '+') {
    return shifted(op, b, a.int64, false);
  }
  return op.fail(Fault::operator_types, a, b);
}

std::optional<int> compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.kind != b.kind) return std::nullopt;
  switch (a.kind) {
    case Kind::boolean: return order(a.boolean, b.boolean);
    case Kind::string:
    case Kind::bytes: return order(a.view(), b.view());
    case Kind::timestamp:
      return a.int64 != b.int64 ? order(a.int64, b.int64) : order(a.size, b.size);
    case Kind::duration: return order(a.int64, b.int64);
    case Kind::error:
    case Kind::null:
    case Kind::int64:
    case Kind::uint64:
    case Kind::float64:
    case Kind::list:
    case Kind::map:
    case Kind::type: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace pawl::cel
