#pragma once

// The parser of expressions: from tokens to a Program. Precedence climbing; what is tighter than
// operators (names, calls, macros) stands in cel_calls.cpp.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "scheduler/spec/cel_lexer.h"
#include "scheduler/spec/cel_tree.h"

namespace pawl::cel {

struct MacroName;

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens);

  /// The program, or the first error.
  std::variant<std::unique_ptr<Program>, ExpressionError> run();

 private:
  // Words. After a failure nothing more is taken, and every node is kNoNode.

  const Token& token(std::size_t ahead = 0) const {
    return tokens_[std::min(place_ + ahead, tokens_.size() - 1)];
  }
  std::string_view text_of(const Token& t) const { return text_.substr(t.offset, t.length); }
  bool at(TokenKind kind, std::size_t ahead = 0) const { return token(ahead).kind == kind; }
  bool at_word(std::string_view word, std::size_t ahead = 0) const {
    return at(TokenKind::identifier, ahead) && text_of(token(ahead)) == word;
  }
  Token take() {
    const Token t = token();
    if (t.kind != TokenKind::end) ++place_;
    return t;
  }
  bool accept(TokenKind kind) {
    if (!at(kind)) return false;
    take();
    return true;
  }
  bool expect(TokenKind kind, std::string_view what);
  bool failed() const { return error_.has_value(); }
  NodeIndex fail(std::size_t offset, std::string message) {
    if (!error_) error_ = ExpressionError{offset, std::move(message)};
    return kNoNode;
  }
  NodeIndex unexpected(std::string_view wanted);

  // Nodes.

  /// Adds a node over `children`. Fails when the tree would be too deep.
  NodeIndex add(Node node, const std::vector<NodeIndex>& children, int reference = -1);
  NodeIndex too_deep(std::size_t offset);
  static Node node_at(Op op, std::size_t start, std::size_t offset);
  NodeIndex constant(std::size_t offset, Value value) {
    Node node = node_at(Op::constant, offset, offset);
    node.value = value;
    return add(node, {});
  }
  Value keep(std::string text) {
    program_->texts.push_back(std::move(text));
    return Value::string(program_->texts.back());
  }
  bool is_constant(NodeIndex index) const { return program_->nodes[index].op == Op::constant; }
  const Value& value_of(NodeIndex index) const { return program_->nodes[index].value; }
  std::size_t start_of(NodeIndex index) const { return program_->nodes[index].start; }

  // The grammar, from loose to tight.

  NodeIndex expression();
  NodeIndex conditional();
  int power() const;
  /// Operators that bind at least as tightly as `least`.
  NodeIndex binary(int least);
  NodeIndex relation(NodeIndex left);
  static Relation relation_of(TokenKind kind);
  /// All operators of one strength in a row: one node.
  NodeIndex chain(NodeIndex left, int strength);
  NodeIndex unary();
  NodeIndex postfix(bool negative_literal);
  NodeIndex member(std::size_t start, NodeIndex operand);
  NodeIndex subscript(std::size_t start, NodeIndex operand);
  /// The reference that `operand` is, one word longer; -1 when it is none.
  int extend_reference(NodeIndex operand, std::string_view word);

  // Literals, lists, maps, names.

  NodeIndex primary(bool negative_literal);
  /// The digits of an integer literal; nothing when 64 bits do not hold it.
  std::optional<std::uint64_t> magnitude(std::string_view digits) const;
  NodeIndex integer(const Token& t, bool negative);
  NodeIndex unsigned_integer(const Token& t);
  NodeIndex floating(const Token& t, bool negative);
  NodeIndex text_literal(const Token& t);
  NodeIndex list(const Token& open);
  NodeIndex map(const Token& open);
  /// Expressions and commas up to `close`, which is taken.
  bool arguments(TokenKind close, std::string_view wanted, bool trailing_comma,
                 std::vector<NodeIndex>* out);
  NodeIndex name_or_call(bool absolute);
  /// `google.protobuf.Timestamp` and `google.protobuf.Duration`, the names of two types.
  NodeIndex protobuf_type(const Token& google);

  // Calls and macros; `name` is the word before the parenthesis.

  NodeIndex call(const Token& name, std::string_view word, std::size_t start, bool member,
                 std::vector<NodeIndex> operands);
  NodeIndex unknown_function(const Token& name, std::string_view word, bool member);
  NodeIndex global_call(const Token& name);
  NodeIndex namespaced_call(const Token& space);
  NodeIndex has_call(const Token& name);
  NodeIndex default_call(const Token& name);
  NodeIndex member_call(std::size_t start, NodeIndex operand, const Token& name);
  NodeIndex comprehension(std::size_t start, NodeIndex range, const Token& name,
                          const MacroName& macro);
  bool bind_variable(const Token& name, const MacroName& macro);
  NodeIndex macro_usage(const Token& name, const MacroName& macro);

  std::unique_ptr<Program> program_;
  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t place_ = 0;
  int nesting_ = 0;
  std::vector<int> reference_of_;        ///< by node: place in `references`, or -1
  std::vector<std::string_view> scope_;  ///< variables of macros, inmost last
  std::optional<ExpressionError> error_;
};

}  // namespace pawl::cel
