// What is tightest in an expression: names, calls of functions, macros.

#include <algorithm>
#include <array>

#include "scheduler/base/text.h"
#include "scheduler/spec/cel_functions.h"
#include "scheduler/spec/cel_parser.h"

namespace pawl::cel {

/// A macro and how it may be called.
struct MacroName {
  std::string_view name;
  Macro macro;
  bool one_variable;   ///< may be called with one variable
  bool two_variables;  ///< may be called with two
  bool filtered;       ///< an argument more is a filter
  std::string_view usage;
};

namespace {

constexpr std::array<std::string_view, 17> kReserved = {
    "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
    "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};

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

const MacroName* find_macro(std::string_view name) {
  const auto found = std::find_if(kMacros.begin(), kMacros.end(),
                                  [name](const MacroName& macro) { return macro.name == name; });
  return found == kMacros.end() ? nullptr : &*found;
}

}  // namespace

NodeIndex Parser::name_or_call(bool absolute) {
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

NodeIndex Parser::protobuf_type(const Token& google) {
  if (!at(TokenKind::dot) || !at_word("protobuf", 1) || !at(TokenKind::dot, 2)) return kNoNode;
  for (const Kind kind : {Kind::timestamp, Kind::duration}) {
    if (!at_word(kind == Kind::timestamp ? "Timestamp" : "Duration", 3)) continue;
    place_ += 4;
    return constant(google.offset, Value::type_of(kind));
  }
  return kNoNode;
}

NodeIndex Parser::call(const Token& name, std::string_view word, std::size_t start, bool member,
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

NodeIndex Parser::unknown_function(const Token& name, std::string_view word, bool member) {
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

NodeIndex Parser::global_call(const Token& name) {
  const std::string_view word = text_of(name);
  if (word == "has") return has_call(name);
  if (word == "default") return default_call(name);
  return call(name, word, name.offset, false, {});
}

NodeIndex Parser::namespaced_call(const Token& space) {
  take();
  const Token name = take();
  const std::size_t length = name.offset + name.length - space.offset;
  return call(name, text_.substr(space.offset, length), space.offset, false, {});
}

NodeIndex Parser::has_call(const Token& name) {
  take();
  const NodeIndex field = expression();
  if (!expect(TokenKind::right_paren, "')'")) return kNoNode;
  Node& node = program_->nodes[field];
  if (node.op != Op::select) {
    return fail(name.offset, "has() asks for a field: has(a.b); for other keys write 'key' in map");
  }
  node.op = Op::has;
  node.start = static_cast<std::uint32_t>(name.offset);
  // What is asked for is no path any more: has(a.b).c is not one.
  reference_of_[field] = -1;
  return field;
}

NodeIndex Parser::default_call(const Token& name) {
  take();
  std::vector<NodeIndex> operands;
  if (!arguments(TokenKind::right_paren, "',' or ')'", false, &operands)) return kNoNode;
  if (operands.size() != 2) {
    return fail(name.offset, "wrong number of arguments; write default(VALUE, OTHER)");
  }
  return add(node_at(Op::default_, name.offset, name.offset), operands);
}

NodeIndex Parser::member_call(std::size_t start, NodeIndex operand, const Token& name) {
  const std::string_view word = text_of(name);
  if (const MacroName* macro = find_macro(word)) return comprehension(start, operand, name, *macro);
  return call(name, word, start, true, {operand});
}

NodeIndex Parser::comprehension(std::size_t start, NodeIndex range, const Token& name,
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
  program_->slot_count = std::max(program_->slot_count, static_cast<std::uint32_t>(scope_.size()));
  std::vector<NodeIndex> children = {range};
  if (!arguments(TokenKind::right_paren, "',' or ')'", false, &children)) return kNoNode;
  scope_.resize(node.aux);
  if (children.size() < 2 || children.size() > (macro.filtered ? 3U : 2U)) {
    return macro_usage(name, macro);
  }
  return add(node, children);
}

bool Parser::bind_variable(const Token& name, const MacroName& macro) {
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

NodeIndex Parser::macro_usage(const Token& name, const MacroName& macro) {
  return fail(name.offset, "write " + std::string(macro.usage));
}

std::unique_ptr<re2::RE2> compile_pattern(std::string_view pattern, std::string* error) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(1 << 20);
  auto compiled =
      std::make_unique<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (compiled->ok()) return compiled;
  *error = compiled->error().substr(0, 200);
  return nullptr;
}

}  // namespace pawl::cel
