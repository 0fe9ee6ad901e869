#pragma once

// A compiled expression: nodes in one array, children by index, so that dropping it recurses
// nowhere. Chains of one precedence (`a + b + c`, `a || b || c`) are one node each: the depth of
// the tree is the nesting that the user wrote.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <re2/re2.h>

#include "scheduler/spec/cel_value.h"
#include "scheduler/spec/expression.h"

namespace pawl::cel {

struct Function;

enum class Op : std::uint8_t {
  constant,
  name,       ///< of the context
  type_name,  ///< of the context, else the type `detail`: a Kind
  slot,       ///< variable of a macro
  select,     ///< operand . field
  has,        ///< has(operand . field)
  index,      ///< operand [ key ]
  list,
  map,  ///< key, value, key, value …
  and_,
  or_,
  not_,        ///< `detail`: an odd number of them
  negate,      ///< `detail`: an odd number of them
  arithmetic,  ///< operands from left to right, operators at `aux`
  relation,    ///< `detail`: Relation
  conditional,
  call,
  default_,       ///< default(value, other)
  comprehension,  ///< range, [filter,] body; `detail`: Macro; variables from slot `aux`
};

enum class Relation : std::uint8_t {
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  in
};

enum class Macro : std::uint8_t {
  all,
  exists,
  exists_one,
  map,
  filter,
  transform_list,
  transform_map,
};

using NodeIndex = std::uint32_t;
inline constexpr NodeIndex kNoNode = ~NodeIndex{0};

struct Node {
  Op op = Op::constant;
  std::uint8_t detail = 0;
  bool two_variables = false;  ///< comprehension: key and value
  std::uint16_t depth = 1;
  std::uint32_t start = 0;   ///< byte where its text begins
  std::uint32_t offset = 0;  ///< byte that an error of it points to
  std::uint32_t first = 0;   ///< of its children in `Program::children`
  std::uint32_t count = 0;
  std::uint32_t aux = 0;
  Value value;  ///< constant; name, select, has: the word
  const Function* function = nullptr;
  const re2::RE2* pattern = nullptr;  ///< of `matches` with a literal
};

struct ArithmeticUse {
  char op = '+';
  std::uint32_t offset = 0;
};

struct Program {
  std::string text;
  NodeIndex root = kNoNode;
  std::vector<Node> nodes;
  std::vector<NodeIndex> children;
  std::vector<ArithmeticUse> operators;
  std::vector<Reference> references;
  std::uint32_t slot_count = 0;
  bool names_secrets = false;     ///< then no value appears in a message
  std::deque<std::string> texts;  ///< what constants point to
  std::deque<std::vector<Value>> lists;
  std::vector<std::unique_ptr<re2::RE2>> patterns;
};

struct Parsed {
  std::unique_ptr<Program> program;
  std::size_t length = 0;  ///< bytes read, see `tokenize`
};

/// Compiles an expression. `in_template` as for `tokenize`; an expression that no `}}` ends is an
/// error at `kUnclosed`.
inline constexpr std::size_t kUnclosed = std::string_view::npos;
std::variant<Parsed, ExpressionError> parse(std::string_view text, bool in_template);

/// Compiles a regular expression with bounded memory; null with `*error` set when it is none.
std::unique_ptr<re2::RE2> compile_pattern(std::string_view pattern, std::string* error);

}  // namespace pawl::cel
