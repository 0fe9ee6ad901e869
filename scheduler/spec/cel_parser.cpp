#include "scheduler/spec/cel_parser.h"

#include <algorithm>
#include <charconv>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_text.h"

namespace pawl::cel {
namespace {

// How tightly binary operators bind; 0 is none.
enum Power : int { kNone = 0, kOr, kAnd, kRelation, kAdd, kMultiply };

}  // namespace

Parser::Parser(std::string_view text, std::vector<Token> tokens)
    : program_(std::make_unique<Program>()), tokens_(std::move(tokens)) {
  program_->text = text;
  text_ = program_->text;
}

std::variant<std::unique_ptr<Program>, ExpressionError> Parser::run() {
  if (token().kind == TokenKind::end) fail(token().offset, "the expression is empty");
  const NodeIndex root = failed() ? kNoNode : expression();
  if (!failed() && token().kind != TokenKind::end) unexpected("an operator or the end");
  if (failed()) return std::move(*error_);
  program_->root = root;
  program_->names_secrets =
      std::any_of(program_->references.begin(), program_->references.end(),
                  [](const Reference& r) { return r.path.front() == "secrets"; });
  return std::move(program_);
}

bool Parser::expect(TokenKind kind, std::string_view what) {
  if (failed()) return false;
  if (accept(kind)) return true;
  unexpected(what);
  return false;
}

NodeIndex Parser::unexpected(std::string_view wanted) {
  const Token t = token();
  std::string message = "expected " + std::string(wanted) + ", found ";
  if (t.kind == TokenKind::end) {
    message += "the end of the expression";
  } else {
    message += quoted(text_of(t));
    if (at_word("and")) message += "; write '&&'";
    if (at_word("or")) message += "; write '||'";
    if (at_word("not")) message += "; write '!'";
    if (at_word("is")) message += "; compare with '=='";
    if (at(TokenKind::left_brace)) message += "; a map is written {'key': value}";
  }
  return fail(t.offset, std::move(message));
}

NodeIndex Parser::add(Node node, const std::vector<NodeIndex>& children, int reference) {
  if (failed()) return kNoNode;
  node.first = static_cast<std::uint32_t>(program_->children.size());
  node.count = static_cast<std::uint32_t>(children.size());
  for (const NodeIndex child : children) {
    const int depth = program_->nodes[child].depth + 1;
    node.depth = static_cast<std::uint16_t>(std::max<int>(node.depth, depth));
    program_->children.push_back(child);
  }
  if (node.depth > limits::kExpressionDepthMax) return too_deep(node.offset);
  program_->nodes.push_back(node);
  reference_of_.push_back(reference);
  return static_cast<NodeIndex>(program_->nodes.size() - 1);
}

NodeIndex Parser::too_deep(std::size_t offset) {
  return fail(offset, "nested more than " + std::to_string(limits::kExpressionDepthMax) +
                          " deep; split the expression");
}

Node Parser::node_at(Op op, std::size_t start, std::size_t offset) {
  Node node;
  node.op = op;
  node.start = static_cast<std::uint32_t>(start);
  node.offset = static_cast<std::uint32_t>(offset);
  return node;
}

NodeIndex Parser::expression() {
  if (failed()) return kNoNode;
  if (++nesting_ > limits::kExpressionDepthMax) return too_deep(token().offset);
  const NodeIndex result = conditional();
  --nesting_;
  return result;
}

NodeIndex Parser::conditional() {
  const NodeIndex condition = binary(kOr);
  if (failed() || !at(TokenKind::question)) return condition;
  const Token question = take();
  const NodeIndex yes = expression();
  if (!expect(TokenKind::colon, "':' and the other value of '? :'")) return kNoNode;
  const NodeIndex no = expression();
  if (failed()) return kNoNode;
  return add(node_at(Op::conditional, start_of(condition), question.offset), {condition, yes, no});
}

int Parser::power() const {
  switch (token().kind) {
    case TokenKind::or_: return kOr;
    case TokenKind::and_: return kAnd;
    case TokenKind::less:
    case TokenKind::less_equal:
    case TokenKind::greater:
    case TokenKind::greater_equal:
    case TokenKind::equal:
    case TokenKind::not_equal: return kRelation;
    case TokenKind::plus:
    case TokenKind::minus: return kAdd;
    case TokenKind::star:
    case TokenKind::slash:
    case TokenKind::percent: return kMultiply;
    case TokenKind::identifier: return at_word("in") ? kRelation : kNone;
    case TokenKind::end:
    case TokenKind::quoted_identifier:
    case TokenKind::int_literal:
    case TokenKind::uint_literal:
    case TokenKind::double_literal:
    case TokenKind::string_literal:
    case TokenKind::bytes_literal:
    case TokenKind::dot:
    case TokenKind::comma:
    case TokenKind::colon:
    case TokenKind::question:
    case TokenKind::left_paren:
    case TokenKind::right_paren:
    case TokenKind::left_bracket:
    case TokenKind::right_bracket:
    case TokenKind::left_brace:
    case TokenKind::right_brace:
    case TokenKind::not_: return kNone;
  }
  return kNone;
}

NodeIndex Parser::binary(int least) {
  NodeIndex left = unary();
  while (!failed()) {
    const int strength = power();
    if (strength == kNone || strength < least) return left;
    left = strength == kRelation ? relation(left) : chain(left, strength);
  }
  return kNoNode;
}

NodeIndex Parser::relation(NodeIndex left) {
  const Token op = take();
  const NodeIndex right = binary(kRelation + 1);
  if (failed()) return kNoNode;
  Node node = node_at(Op::relation, start_of(left), op.offset);
  node.detail = static_cast<std::uint8_t>(relation_of(op.kind));
  return add(node, {left, right});
}

Relation Parser::relation_of(TokenKind kind) {
  if (kind == TokenKind::less) return Relation::less;
  if (kind == TokenKind::less_equal) return Relation::less_equal;
  if (kind == TokenKind::greater) return Relation::greater;
  if (kind == TokenKind::greater_equal) return Relation::greater_equal;
  if (kind == TokenKind::equal) return Relation::equal;
  if (kind == TokenKind::not_equal) return Relation::not_equal;
  return Relation::in;
}

NodeIndex Parser::chain(NodeIndex left, int strength) {
  std::vector<NodeIndex> operands = {left};
  std::vector<ArithmeticUse> uses;
  const std::size_t offset = token().offset;
  while (!failed() && power() == strength) {
    const Token op = take();
    uses.push_back({text_[op.offset], static_cast<std::uint32_t>(op.offset)});
    operands.push_back(binary(strength + 1));
  }
  if (failed()) return kNoNode;
  const Op op = strength == kOr ? Op::or_ : strength == kAnd ? Op::and_ : Op::arithmetic;
  Node node = node_at(op, start_of(left), offset);
  if (op == Op::arithmetic) {
    node.aux = static_cast<std::uint32_t>(program_->operators.size());
    program_->operators.insert(program_->operators.end(), uses.begin(), uses.end());
  }
  return add(node, operands);
}

NodeIndex Parser::unary() {
  if (failed()) return kNoNode;
  const Token first = token();
  if (first.kind != TokenKind::not_ && first.kind != TokenKind::minus) return postfix(false);
  std::size_t count = 0;
  for (; at(first.kind); ++count) take();
  bool negative_literal = false;
  if (first.kind == TokenKind::minus &&
      (at(TokenKind::int_literal) || at(TokenKind::double_literal))) {
    negative_literal = true;
    --count;
  }
  const NodeIndex operand = postfix(negative_literal);
  if (failed() || count == 0) return operand;
  Node node =
      node_at(first.kind == TokenKind::not_ ? Op::not_ : Op::negate, first.offset, first.offset);
  node.detail = static_cast<std::uint8_t>(count % 2);
  return add(node, {operand});
}

NodeIndex Parser::postfix(bool negative_literal) {
  const std::size_t start = token().offset;
  NodeIndex operand = primary(negative_literal);
  while (!failed()) {
    if (at(TokenKind::dot)) {
      operand = member(start, operand);
    } else if (at(TokenKind::left_bracket)) {
      operand = subscript(start, operand);
    } else {
      return operand;
    }
  }
  return kNoNode;
}

NodeIndex Parser::member(std::size_t start, NodeIndex operand) {
  take();
  if (at(TokenKind::question)) {
    return fail(token().offset,
                "'.?' is not part of this CEL; write default(a.b, other) or has(a.b)");
  }
  if (!at(TokenKind::identifier) && !at(TokenKind::quoted_identifier)) {
    return unexpected("a name after '.'");
  }
  const Token name = take();
  std::string_view word = text_of(name);
  if (name.kind == TokenKind::quoted_identifier) {
    word = word.substr(1, word.size() - 2);
  } else if (word == "in" || word == "true" || word == "false" || word == "null") {
    return fail(name.offset, "'" + std::string(word) + "' is a word of the language; write ['" +
                                 std::string(word) + "']");
  } else if (at(TokenKind::left_paren)) {
    return member_call(start, operand, name);
  }
  Node node = node_at(Op::select, start, name.offset);
  node.value = keep(std::string(word));
  return add(node, {operand}, extend_reference(operand, word));
}

NodeIndex Parser::subscript(std::size_t start, NodeIndex operand) {
  const Token bracket = take();
  if (at(TokenKind::question)) {
    return fail(token().offset, "'[?' is not part of this CEL; write default(a[b], other)");
  }
  const NodeIndex key = expression();
  if (!expect(TokenKind::right_bracket, "']'")) return kNoNode;
  int reference = -1;
  if (is_constant(key) && value_of(key).is(Kind::string)) {
    reference = extend_reference(operand, value_of(key).view());
  }
  return add(node_at(Op::index, start, bracket.offset), {operand, key}, reference);
}

int Parser::extend_reference(NodeIndex operand, std::string_view word) {
  const int reference = reference_of_[operand];
  if (reference >= 0) {
    program_->references[static_cast<std::size_t>(reference)].path.emplace_back(word);
  }
  return reference;
}

NodeIndex Parser::primary(bool negative_literal) {
  const Token t = token();
  switch (t.kind) {
    case TokenKind::int_literal: return integer(take(), negative_literal);
    case TokenKind::uint_literal: return unsigned_integer(take());
    case TokenKind::double_literal: return floating(take(), negative_literal);
    case TokenKind::string_literal:
    case TokenKind::bytes_literal: return text_literal(take());
    case TokenKind::identifier: return name_or_call(false);
    case TokenKind::dot:
      take();
      if (!at(TokenKind::identifier)) return unexpected("a name after '.'");
      return name_or_call(true);
    case TokenKind::left_paren: {
      take();
      const NodeIndex inside = expression();
      if (!expect(TokenKind::right_paren, "')'")) return kNoNode;
      return inside;
    }
    case TokenKind::left_bracket: return list(take());
    case TokenKind::left_brace: return map(take());
    case TokenKind::end:
    case TokenKind::quoted_identifier:
    case TokenKind::comma:
    case TokenKind::colon:
    case TokenKind::question:
    case TokenKind::right_paren:
    case TokenKind::right_bracket:
    case TokenKind::right_brace:
    case TokenKind::plus:
    case TokenKind::minus:
    case TokenKind::star:
    case TokenKind::slash:
    case TokenKind::percent:
    case TokenKind::not_:
    case TokenKind::and_:
    case TokenKind::or_:
    case TokenKind::less:
    case TokenKind::less_equal:
    case TokenKind::greater:
    case TokenKind::greater_equal:
    case TokenKind::equal:
    case TokenKind::not_equal: break;
  }
  return unexpected("a value");
}

std::optional<std::uint64_t> Parser::magnitude(std::string_view digits) const {
  int base = 10;
  if (digits.size() > 2 && (digits[1] | 0x20) == 'x') {
    base = 16;
    digits.remove_prefix(2);
  }
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (read.ec != std::errc{}) return std::nullopt;
  return value;
}

NodeIndex Parser::integer(const Token& t, bool negative) {
  constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
  const auto value = magnitude(text_of(t));
  if (!value || *value > (negative ? kTop : kTop - 1)) {
    return fail(t.offset,
                "this number does not fit in int (64 bits); a uint ends in 'u', a "
                "double has a point");
  }
  const std::uint64_t bits = negative ? 0 - *value : *value;
  return constant(t.offset, Value::of(static_cast<std::int64_t>(bits)));
}

NodeIndex Parser::floating(const Token& t, bool negative) {
  const auto value = parse_double(text_of(t));
  if (!value) return fail(t.offset, "this number does not fit in double");
  return constant(t.offset, Value::of(negative ? -*value : *value));
}

NodeIndex Parser::unsigned_integer(const Token& t) {
  std::string_view digits = text_of(t);
  digits.remove_suffix(1);
  const auto value = magnitude(digits);
  if (!value) return fail(t.offset, "this number does not fit in uint (64 bits)");
  return constant(t.offset, Value::of(*value));
}

NodeIndex Parser::text_literal(const Token& t) {
  const bool is_bytes = t.kind == TokenKind::bytes_literal;
  auto text = unquote(text_of(t), is_bytes);
  if (auto* error = std::get_if<ExpressionError>(&text)) {
    return fail(t.offset + error->offset, std::move(error->message));
  }
  Value value = keep(std::move(std::get<std::string>(text)));
  if (is_bytes) value.kind = Kind::bytes;
  return constant(t.offset, value);
}

NodeIndex Parser::list(const Token& open) {
  std::vector<NodeIndex> items;
  if (!arguments(TokenKind::right_bracket, "',' or ']'", true, &items)) return kNoNode;
  const bool fixed =
      std::all_of(items.begin(), items.end(), [this](NodeIndex item) { return is_constant(item); });
  if (!fixed) return add(node_at(Op::list, open.offset, open.offset), items);
  std::vector<Value>& values = program_->lists.emplace_back();
  for (const NodeIndex item : items) values.push_back(value_of(item));
  // As deep as written, so that what walks the value is bounded too.
  Node node = node_at(Op::constant, open.offset, open.offset);
  node.value = Value::list(values.data(), values.size());
  for (const NodeIndex item : items) {
    node.depth = std::max<std::uint16_t>(node.depth, program_->nodes[item].depth);
  }
  ++node.depth;
  return add(node, {});
}

NodeIndex Parser::map(const Token& open) {
  std::vector<NodeIndex> children;
  while (!failed() && !at(TokenKind::right_brace)) {
    children.push_back(expression());
    if (!expect(TokenKind::colon, "':' and a value")) return kNoNode;
    children.push_back(expression());
    if (!failed() && !at(TokenKind::right_brace) && !accept(TokenKind::comma)) {
      unexpected("',' or '}'");
    }
  }
  if (!expect(TokenKind::right_brace, "'}'")) return kNoNode;
  return add(node_at(Op::map, open.offset, open.offset), children);
}

bool Parser::arguments(TokenKind close, std::string_view wanted, bool trailing_comma,
                       std::vector<NodeIndex>* out) {
  while (!failed() && !at(close)) {
    out->push_back(expression());
    if (failed() || at(close)) break;
    if (!accept(TokenKind::comma)) unexpected(wanted);
    if (!trailing_comma && at(close)) unexpected("a value");
  }
  if (failed()) return false;
  take();
  return true;
}

std::variant<Parsed, ExpressionError> parse(std::string_view text, bool in_template) {
  const ExpressionError too_long{limits::kExpressionBytesMax, "an expression has at most 64 KiB"};
  if (!in_template && text.size() > limits::kExpressionBytesMax) return too_long;
  text = text.substr(0, limits::kExpressionBytesMax + 4);
  auto words = tokenize(text, in_template);
  if (auto* error = std::get_if<ExpressionError>(&words)) return std::move(*error);
  auto& list = std::get<TokenList>(words);
  if (list.length > limits::kExpressionBytesMax) return too_long;
  if (in_template && text.substr(list.length, 2) != "}}") {
    return ExpressionError{kUnclosed,
                           "'{{' has no '}}' after it; a literal '{{' is written '{{{{'"};
  }
  text = text.substr(0, list.length);
  if (const auto broken = invalid_utf8_at(text)) {
    return ExpressionError{*broken, "the text is not valid UTF-8 here"};
  }
  auto program = Parser(text, std::move(list.tokens)).run();
  if (auto* error = std::get_if<ExpressionError>(&program)) return std::move(*error);
  return Parsed{std::move(std::get<std::unique_ptr<Program>>(program)), list.length};
}

}  // namespace pawl::cel
