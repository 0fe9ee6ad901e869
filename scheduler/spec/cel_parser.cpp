#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/cel_functions.h"
#include "scheduler/spec/cel_lexer.h"
#include "scheduler/spec/cel_text.h"
#include "scheduler/spec/cel_tree.h"

namespace pawl::cel {
namespace {

constexpr std::array<std::string_view, 17> kReserved = {
    "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
    "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};

struct MacroName {
  std::string_view name;
  Macro macro;
  bool one_variable;   ///< may be called with one variable
  bool two_variables;  ///< may be called with two
  bool filtered;       ///< an argument more is a filter
  std::string_view usage;
};

constexpr std::array<MacroName, 8> kMacros = {{
    {"all", Macro::all, true, true, false, "LIST.all(x, CONDITION)"},
    {"exists", Macro::exists, true, true, false, "LIST.exists(x, CONDITION)"},
    {"exists_one", Macro::exists_one, true, true, false, "LIST.exists_one(x, CONDITION)"},
    {"existsOne", Macro::exists_one, true, true, false, "LIST.existsOne(x, CONDITION)"},
    {"map", Macro::map, true, false, true, "LIST.map(x, VALUE) or LIST.map(x, CONDITION, VALUE)"},
    {"filter", Macro::filter, true, false, false, "LIST.filter(x, CONDITION)"},
    {"transformList", Macro::transform_list, false, true, true, "LIST.transformList(i, x, VALUE)"},
    {"transformMap", Macro::transform_map, false, true, true, "MAP.transformMap(k, v, VALUE)"},
}};

constexpr std::array<Kind, 10> kDenotedTypes = {
    Kind::boolean, Kind::int64, Kind::uint64, Kind::float64, Kind::string,
    Kind::bytes,   Kind::list,  Kind::map,    Kind::null,    Kind::type};

std::optional<Kind> denoted_type(std::string_view name) {
  for (const Kind kind : kDenotedTypes) {
    if (type_name(kind) == name) return kind;
  }
  return std::nullopt;
}

// How tightly binary operators bind; 0 is none.
enum Power : int { kNone = 0, kOr, kAnd, kRelation, kAdd, kMultiply };

class Parser {
 public:
  Parser(std::string_view text, std::vector<Token> tokens)
      : program_(std::make_unique<Program>()), tokens_(std::move(tokens)) {
    program_->text = text;
    text_ = program_->text;
  }

  std::variant<std::unique_ptr<Program>, ExpressionError> run() {
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

 private:
  // ---- words

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
  bool expect(TokenKind kind, std::string_view what) {
    if (failed()) return false;
    if (accept(kind)) return true;
    unexpected(what);
    return false;
  }

  bool failed() const { return error_.has_value(); }

  NodeIndex fail(std::size_t offset, std::string message) {
    if (!error_) error_ = ExpressionError{offset, std::move(message)};
    return kNoNode;
  }

  NodeIndex unexpected(std::string_view wanted) {
    const Token t = token();
    std::string message = "expected " + std::string(wanted) + ", found ";
    if (t.kind == TokenKind::end) {
      message += "the end of the expression";
    } else {
      message += "'" + std::string(text_of(t).substr(0, 64)) + "'";
      if (at_word("and")) message += "; write '&&'";
      if (at_word("or")) message += "; write '||'";
      if (at_word("not")) message += "; write '!'";
      if (at_word("is")) message += "; compare with '=='";
      if (at(TokenKind::left_brace)) message += "; a map is written {'key': value}";
    }
    return fail(t.offset, std::move(message));
  }

  // ---- nodes

  /// Adds a node over `children`. Fails when the tree would be too deep.
  NodeIndex add(Node node, const std::vector<NodeIndex>& children, int reference = -1) {
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

  NodeIndex too_deep(std::size_t offset) {
    return fail(offset, "nested more than " + std::to_string(limits::kExpressionDepthMax) +
                            " deep; split the expression");
  }

  static Node node_at(Op op, std::size_t start, std::size_t offset) {
    Node node;
    node.op = op;
    node.start = static_cast<std::uint32_t>(start);
    node.offset = static_cast<std::uint32_t>(offset);
    return node;
  }

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

  // ---- grammar, from loose to tight

  NodeIndex expression() {
    if (failed()) return kNoNode;
    if (++nesting_ > limits::kExpressionDepthMax) return too_deep(token().offset);
    const NodeIndex result = conditional();
    --nesting_;
    return result;
  }

  NodeIndex conditional() {
    const NodeIndex condition = binary(kOr);
    if (failed() || !at(TokenKind::question)) return condition;
    const Token question = take();
    const NodeIndex yes = expression();
    if (!expect(TokenKind::colon, "':' and the other value of '? :'")) return kNoNode;
    const NodeIndex no = expression();
    if (failed()) return kNoNode;
    return add(node_at(Op::conditional, start_of(condition), question.offset),
               {condition, yes, no});
  }

  int power() const {
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

  /// Operators that bind at least as tightly as `least`.
  NodeIndex binary(int least) {
    NodeIndex left = unary();
    while (!failed()) {
      const int strength = power();
      if (strength == kNone || strength < least) return left;
      left = strength == kRelation ? relation(left) : chain(left, strength);
    }
    return kNoNode;
  }

  NodeIndex relation(NodeIndex left) {
    const Token op = take();
    const NodeIndex right = binary(kRelation + 1);
    if (failed()) return kNoNode;
    Node node = node_at(Op::relation, start_of(left), op.offset);
    node.detail = static_cast<std::uint8_t>(relation_of(op.kind));
    return add(node, {left, right});
  }

  static Relation relation_of(TokenKind kind) {
    if (kind == TokenKind::less) return Relation::less;
    if (kind == TokenKind::less_equal) return Relation::less_equal;
    if (kind == TokenKind::greater) return Relation::greater;
    if (kind == TokenKind::greater_equal) return Relation::greater_equal;
    if (kind == TokenKind::equal) return Relation::equal;
    if (kind == TokenKind::not_equal) return Relation::not_equal;
    return Relation::in;
  }

  /// All operators of one strength in a row: one node.
  NodeIndex chain(NodeIndex left, int strength) {
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

  NodeIndex unary() {
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

  NodeIndex postfix(bool negative_literal) {
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

  NodeIndex member(std::size_t start, NodeIndex operand) {
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

  NodeIndex subscript(std::size_t start, NodeIndex operand) {
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

  /// The reference that `operand` is, one word longer; -1 when it is none.
  int extend_reference(NodeIndex operand, std::string_view word) {
    const int reference = reference_of_[operand];
    if (reference >= 0) {
      program_->references[static_cast<std::size_t>(reference)].path.emplace_back(word);
    }
    return reference;
  }

  // ---- the tightest

  NodeIndex primary(bool negative_literal) {
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

  /// The digits of an integer literal; nothing when 64 bits do not hold it.
  std::optional<std::uint64_t> magnitude(std::string_view digits) const {
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

  NodeIndex integer(const Token& t, bool negative) {
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

  NodeIndex unsigned_integer(const Token& t) {
    std::string_view digits = text_of(t);
    digits.remove_suffix(1);
    const auto value = magnitude(digits);
    if (!value) return fail(t.offset, "this number does not fit in uint (64 bits)");
    return constant(t.offset, Value::of(*value));
  }

  NodeIndex floating(const Token& t, bool negative) {
    const auto value = parse_double(text_of(t));
    if (!value) return fail(t.offset, "this number does not fit in double");
    return constant(t.offset, Value::of(negative ? -*value : *value));
  }

  NodeIndex text_literal(const Token& t) {
    const bool is_bytes = t.kind == TokenKind::bytes_literal;
    auto text = unquote(text_of(t), is_bytes);
    if (auto* error = std::get_if<ExpressionError>(&text)) {
      return fail(t.offset + error->offset, std::move(error->message));
    }
    Value value = keep(std::move(std::get<std::string>(text)));
    if (is_bytes) value.kind = Kind::bytes;
    return constant(t.offset, value);
  }

  NodeIndex list(const Token& open) {
    std::vector<NodeIndex> items;
    if (!arguments(TokenKind::right_bracket, "',' or ']'", true, &items)) return kNoNode;
    const bool fixed = std::all_of(items.begin(), items.end(),
                                   [this](NodeIndex item) { return is_constant(item); });
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

  NodeIndex map(const Token& open) {
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

  /// Expressions and commas up to `close`, which is taken.
  bool arguments(TokenKind close, std::string_view wanted, bool trailing_comma,
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

  NodeIndex name_or_call(bool absolute) {
    const Token t = take();
    const std::string_view word = text_of(t);
    if (at(TokenKind::left_paren)) return global_call(t);
    if (!absolute) {
      if (word == "true" || word == "false") return constant(t.offset, Value::of(word == "true"));
      if (word == "null") return constant(t.offset, Value::null());
      const auto bound = std::find(scope_.rbegin(), scope_.rend(), word);
      if (bound != scope_.rend()) {
        Node node = node_at(Op::slot, t.offset, t.offset);
        node.aux = static_cast<std::uint32_t>(scope_.rend() - bound - 1);
        return add(node, {});
      }
      if (const auto kind = denoted_type(word)) {
        Node node = node_at(Op::type_name, t.offset, t.offset);
        node.value = keep(std::string(word));
        node.detail = static_cast<std::uint8_t>(*kind);
        return add(node, {});
      }
      if (word == "google") {
        if (const NodeIndex type = protobuf_type(t); type != kNoNode) return type;
      }
      if (word == "base64" && at(TokenKind::dot) && at(TokenKind::left_paren, 2)) {
        return namespaced_call(t);
      }
    }
    if (word == "in") return fail(t.offset, "expected a value, found 'in'");
    if (std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end()) {
      return fail(t.offset, "'" + std::string(word) + "' is reserved and names nothing" +
                                (word == "if" ? "; write CONDITION ? YES : NO" : ""));
    }
    program_->references.push_back({{std::string(word)}, t.offset});
    Node node = node_at(Op::name, t.offset, t.offset);
    node.value = keep(std::string(word));
    return add(node, {}, static_cast<int>(program_->references.size() - 1));
  }

  /// `google.protobuf.Timestamp` and `google.protobuf.Duration`, the names of two types.
  NodeIndex protobuf_type(const Token& google) {
    if (!at(TokenKind::dot) || !at_word("protobuf", 1) || !at(TokenKind::dot, 2)) return kNoNode;
    for (const Kind kind : {Kind::timestamp, Kind::duration}) {
      if (!at_word(kind == Kind::timestamp ? "Timestamp" : "Duration", 3)) continue;
      place_ += 4;
      return constant(google.offset, Value::type_of(kind));
    }
    return kNoNode;
  }

  // ---- calls

  NodeIndex call(const Token& name, std::string_view word, std::size_t start, bool member,
                 std::vector<NodeIndex> operands) {
    take();
    if (!arguments(TokenKind::right_paren, "',' or ')'", false, &operands)) return kNoNode;
    const Function* function = find_function(word, member);
    if (function == nullptr) return unknown_function(name, word, member);
    if (operands.size() < function->arguments_min || operands.size() > function->arguments_max) {
      return fail(name.offset, "wrong number of arguments; write " + std::string(function->usage));
    }
    Node node = node_at(Op::call, start, name.offset);
    node.function = function;
    if (word == "matches" && is_constant(operands[1]) && value_of(operands[1]).is(Kind::string)) {
      std::string why;
      auto pattern = compile_pattern(value_of(operands[1]).view(), &why);
      if (pattern == nullptr) {
        return fail(start_of(operands[1]), "this is no regular expression: " + why);
      }
      node.pattern = pattern.get();
      program_->patterns.push_back(std::move(pattern));
    }
    return add(node, operands);
  }

  NodeIndex unknown_function(const Token& name, std::string_view word, bool member) {
    std::string message = "no such function '" + std::string(word.substr(0, 64)) + "'";
    if (const Function* other = find_function_anyhow(word)) {
      message = "'" + std::string(word) + "' is called otherwise: " + std::string(other->usage);
    } else if (const MacroName* macro = find_macro(word)) {
      message = "'" + std::string(word) + "' is called otherwise: " + std::string(macro->usage);
    } else {
      std::vector<std::string_view> known = function_names();
      for (const MacroName& each : kMacros) known.push_back(each.name);
      known.insert(known.end(), {"has", "default"});
      const std::string_view nearest = nearest_word(word, known);
      if (!nearest.empty()) message += "; nearest: " + std::string(nearest);
      if (nearest.empty() && member) message += "; a field that is called is none in CEL";
    }
    return fail(name.offset, std::move(message));
  }

  NodeIndex global_call(const Token& name) {
    const std::string_view word = text_of(name);
    if (word == "has") return has_call(name);
    if (word == "default") return default_call(name);
    return call(name, word, name.offset, false, {});
  }

  NodeIndex namespaced_call(const Token& space) {
    take();
    const Token name = take();
    const std::size_t length = name.offset + name.length - space.offset;
    return call(name, text_.substr(space.offset, length), space.offset, false, {});
  }

  NodeIndex has_call(const Token& name) {
    take();
    const NodeIndex field = expression();
    if (!expect(TokenKind::right_paren, "')'")) return kNoNode;
    Node& node = program_->nodes[field];
    if (node.op != Op::select) {
      return fail(name.offset,
                  "has() asks for a field: has(a.b); for other keys write 'key' in map");
    }
    node.op = Op::has;
    node.start = static_cast<std::uint32_t>(name.offset);
    // What is asked for is no path any more: has(a.b).c is not one.
    reference_of_[field] = -1;
    return field;
  }

  NodeIndex default_call(const Token& name) {
    take();
    std::vector<NodeIndex> operands;
    if (!arguments(TokenKind::right_paren, "',' or ')'", false, &operands)) return kNoNode;
    if (operands.size() != 2) {
      return fail(name.offset, "wrong number of arguments; write default(VALUE, OTHER)");
    }
    return add(node_at(Op::default_, name.offset, name.offset), operands);
  }

  static const MacroName* find_macro(std::string_view name) {
    const auto found = std::find_if(kMacros.begin(), kMacros.end(),
                                    [name](const MacroName& macro) { return macro.name == name; });
    return found == kMacros.end() ? nullptr : &*found;
  }

  NodeIndex member_call(std::size_t start, NodeIndex operand, const Token& name) {
    const std::string_view word = text_of(name);
    if (const MacroName* macro = find_macro(word))
      return comprehension(start, operand, name, *macro);
    return call(name, word, start, true, {operand});
  }

  NodeIndex comprehension(std::size_t start, NodeIndex range, const Token& name,
                          const MacroName& macro) {
    take();
    const bool two = macro.two_variables && at(TokenKind::identifier) && at(TokenKind::comma, 1) &&
                     at(TokenKind::identifier, 2) && at(TokenKind::comma, 3);
    if (!two && !macro.one_variable) return macro_usage(name, macro);
    Node node = node_at(Op::comprehension, start, name.offset);
    node.detail = static_cast<std::uint8_t>(macro.macro);
    node.two_variables = two;
    node.aux = static_cast<std::uint32_t>(scope_.size());
    for (int i = 0; i < (two ? 2 : 1); ++i) {
      if (!bind_variable(name, macro)) return kNoNode;
    }
    program_->slot_count =
        std::max(program_->slot_count, static_cast<std::uint32_t>(scope_.size()));
    std::vector<NodeIndex> children = {range};
    if (!arguments(TokenKind::right_paren, "',' or ')'", false, &children)) return kNoNode;
    scope_.resize(node.aux);
    if (children.size() < 2 || children.size() > (macro.filtered ? 3U : 2U)) {
      return macro_usage(name, macro);
    }
    return add(node, children);
  }

  bool bind_variable(const Token& name, const MacroName& macro) {
    const Token variable = token();
    const std::string_view word = text_of(variable);
    const bool is_name = variable.kind == TokenKind::identifier && at(TokenKind::comma, 1);
    const bool is_free = word != "true" && word != "false" && word != "null" && word != "in" &&
                         std::find(kReserved.begin(), kReserved.end(), word) == kReserved.end();
    if (!is_name || !is_free) {
      macro_usage(name, macro);
      return false;
    }
    place_ += 2;
    scope_.push_back(word);
    return true;
  }

  NodeIndex macro_usage(const Token& name, const MacroName& macro) {
    return fail(name.offset, "write " + std::string(macro.usage));
  }

  std::unique_ptr<Program> program_;
  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t place_ = 0;
  int nesting_ = 0;
  std::vector<int> reference_of_;        ///< by node: place in `references`, or -1
  std::vector<std::string_view> scope_;  ///< variables of macros, inmost last
  std::optional<ExpressionError> error_;
};

}  // namespace

std::unique_ptr<re2::RE2> compile_pattern(std::string_view pattern, std::string* error) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(1 << 20);
  auto compiled =
      std::make_unique<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (compiled->ok()) return compiled;
  *error = compiled->error().substr(0, 200);
  return nullptr;
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
