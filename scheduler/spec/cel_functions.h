#pragma once

// The functions of CEL and of pawl by name. Macros (`has`, `all`, `default` …) are the parser's.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "scheduler/spec/cel_tree.h"
#include "scheduler/spec/cel_value.h"

namespace pawl::cel {

class Evaluator;

/// What a function gets: its arguments, the receiver first, none of them an error.
struct Call {
  Evaluator& evaluator;
  const Node& node;
  std::span<const Value> arguments;

  const Value& operator[](std::size_t i) const { return arguments[i]; }
  std::size_t size() const { return arguments.size(); }
  /// True when the arguments have these kinds, optional ones left out at the end.
  bool takes(std::initializer_list<Kind> kinds) const;
};

struct Function {
  enum class Style : std::uint8_t { global, member, both };

  std::string_view name;
  Style style;
  std::uint8_t arguments_min;  ///< the receiver counts
  std::uint8_t arguments_max;
  Value (*run)(const Call&);
  std::string_view usage;  ///< how it is written, for messages
};

inline constexpr std::size_t kArgumentsMax = 4;

/// The function, or null. `member` tells `x.f()` from `f(x)`.
const Function* find_function(std::string_view name, bool member);
/// Any function of that name, however it is called, or null.
const Function* find_function_anyhow(std::string_view name);
std::vector<std::string_view> function_names();

std::span<const Function> conversion_functions();
std::span<const Function> string_functions();
std::span<const Function> time_functions();

}  // namespace pawl::cel
