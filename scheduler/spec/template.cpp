// Texts with `{{ EXPR }}` in them, and JSON values made of such texts.

#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_tree.h"
#include "scheduler/spec/expression.h"

namespace pawl {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kLiteralOpen = "{{{{";

cel::Budget fresh_budget() { return {limits::kEvaluationStepsMax, limits::kEvaluationBytesMax}; }

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

struct Template::Compiled {
  /// Text, then perhaps an expression.
  struct Part {
    std::string text;
    std::unique_ptr<const cel::Program> program;
    std::size_t offset = 0;  ///< byte of the template where the expression begins
  };

  std::vector<Part> parts;
  std::vector<Reference> references;
  std::size_t expressions = 0;
  bool single = false;

  std::optional<ExpressionError> parse(std::string_view text);
  std::optional<ExpressionError> parse_expression(std::string_view text, std::size_t* at);
  /// Appends the text of a part's expression.
  std::optional<ExpressionError> append(const Part& part, const Context& context,
                                        bool allow_structures, cel::Budget* budget,
                                        std::string* out) const;
  std::variant<std::string, ExpressionError> text(const Context& context, bool allow_structures,
                                                  cel::Budget* budget) const;
  std::variant<Json, ExpressionError> value(const Context& context, cel::Budget* budget) const;
};

namespace {

ExpressionError moved(ExpressionError error, std::size_t by) {
  error.offset += by;
  return error;
}

}  // namespace

std::optional<ExpressionError> Template::Compiled::parse(std::string_view text) {
  parts.emplace_back();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t open = std::min(text.find(kOpen, at), text.size());
    parts.back().text.append(text.substr(at, open - at));
    at = open;
    if (at == text.size()) break;
    if (text.substr(at, kLiteralOpen.size()) == kLiteralOpen) {
      parts.back().text.append(kOpen);
      at += kLiteralOpen.size();
    } else if (auto error = parse_expression(text, &at)) {
      return error;
    }
  }
  single = expressions == 1;
  for (const Part& part : parts) single = single && is_blank(part.text);
  return std::nullopt;
}

/// Reads one `{{ EXPR }}`; `*at` is where it begins and then where it ends.
std::optional<ExpressionError> Template::Compiled::parse_expression(std::string_view text,
                                                                    std::size_t* at) {
  const std::size_t start = *at + kOpen.size();
  auto parsed = cel::parse(text.substr(start), true);
  if (auto* error = std::get_if<ExpressionError>(&parsed)) {
    if (error->offset == cel::kUnclosed) return ExpressionError{*at, std::move(error->message)};
    return moved(std::move(*error), start);
  }
  auto& [program, length] = std::get<cel::Parsed>(parsed);
  for (Reference reference : program->references) {
    reference.offset += start;
    references.push_back(std::move(reference));
  }
  parts.back().program = std::move(program);
  parts.back().offset = start;
  parts.emplace_back();
  ++expressions;
  *at = start + length + kOpen.size();
  return std::nullopt;
}

std::optional<ExpressionError> Template::Compiled::append(const Part& part, const Context& context,
                                                          bool allow_structures,
                                                          cel::Budget* budget,
                                                          std::string* out) const {
  cel::Evaluator evaluator(*part.program, context, budget);
  const cel::Value value = evaluator.run();
  const auto failed = [&] { return moved(evaluator.error(), part.offset); };
  if (value.is_error()) return failed();
  if (value.is(cel::Kind::string)) {
    if (!evaluator.spend_bytes(value.size)) return failed();
    out->append(value.view());
    return std::nullopt;
  }
  const bool structure = value.is(cel::Kind::list) || value.is(cel::Kind::map);
  if (value.is(cel::Kind::null) || (structure && !allow_structures)) {
    evaluator.fail(cel::Fault::no_text, evaluator.root(), value);
    return failed();
  }
  std::string text;
  if (structure) {
    if (!evaluator.to_json_text(value, evaluator.root(), &text)) return failed();
  } else {
    text = cel::plain_text(value);
  }
  if (!evaluator.spend_bytes(text.size())) return failed();
  out->append(text);
  return std::nullopt;
}

std::variant<std::string, ExpressionError> Template::Compiled::text(const Context& context,
                                                                    bool allow_structures,
                                                                    cel::Budget* budget) const {
  std::string out;
  for (const Part& part : parts) {
    out.append(part.text);
    if (part.program == nullptr) continue;
    if (auto error = append(part, context, allow_structures, budget, &out))
      return std::move(*error);
  }
  return out;
}

std::variant<Json, ExpressionError> Template::Compiled::value(const Context& context,
                                                              cel::Budget* budget) const {
  if (!single) {
    auto rendered = text(context, true, budget);
    if (auto* error = std::get_if<ExpressionError>(&rendered)) return std::move(*error);
    return Json(std::move(std::get<std::string>(rendered)));
  }
  const Part& part = parts.front();
  cel::Evaluator evaluator(*part.program, context, budget);
  const cel::Value value = evaluator.run();
  Json out;
  if (value.is_error() || !evaluator.to_json(value, evaluator.root(), &out)) {
    return moved(evaluator.error(), part.offset);
  }
  return out;
}

Template::Template(std::unique_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

std::variant<Template, ExpressionError> Template::compile(std::string_view text) {
  auto compiled = std::make_unique<Compiled>();
  if (auto error = compiled->parse(text)) return std::move(*error);
  return Template(std::move(compiled));
}

bool Template::is_literal() const { return compiled_->expressions == 0; }
bool Template::is_single() const { return compiled_->single; }
const std::vector<Reference>& Template::references() const { return compiled_->references; }

std::variant<Json, ExpressionError> Template::render(const Context& context) const {
  cel::Budget budget = fresh_budget();
  return compiled_->value(context, &budget);
}

std::variant<Json, ExpressionError> Template::render(const Context& context,
                                                     cel::Budget* budget) const {
  return compiled_->value(context, budget);
}

std::variant<std::string, ExpressionError> Template::render_text(const Context& context,
                                                                 bool allow_structures) const {
  cel::Budget budget = fresh_budget();
  return compiled_->text(context, allow_structures, &budget);
}

namespace {

ExpressionError at_pointer(ExpressionError error, const Json::json_pointer& pointer) {
  if (!pointer.empty()) error.message = pointer.to_string() + ": " + error.message;
  return error;
}

}  // namespace

std::variant<JsonTemplate, ExpressionError> JsonTemplate::compile(Json value) {
  JsonTemplate made;
  if (auto error = made.collect(value, Json::json_pointer(), 0)) return std::move(*error);
  made.source_ = std::move(value);
  return made;
}

std::optional<ExpressionError> JsonTemplate::collect(const Json& value,
                                                     const Json::json_pointer& pointer, int depth) {
  if (depth > limits::kExpressionDepthMax) {
    return at_pointer({0, "the value is nested too deeply"}, pointer);
  }
  if (const auto* text = value.get_ptr<const Json::string_t*>()) {
    if (text->find(kOpen) == std::string::npos) return std::nullopt;
    auto compiled = Template::compile(*text);
    if (auto* error = std::get_if<ExpressionError>(&compiled)) {
      return at_pointer(std::move(*error), pointer);
    }
    auto& made = std::get<Template>(compiled);
    references_.insert(references_.end(), made.references().begin(), made.references().end());
    templates_.push_back({pointer, std::move(made)});
  } else if (const auto* object = value.get_ptr<const Json::object_t*>()) {
    for (const auto& [key, member] : *object) {
      if (auto error = collect(member, pointer / key, depth + 1)) return error;
    }
  } else if (const auto* array = value.get_ptr<const Json::array_t*>()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (auto error = collect((*array)[i], pointer / i, depth + 1)) return error;
    }
  }
  return std::nullopt;
}

bool JsonTemplate::is_literal() const {
  for (const Placed& placed : templates_) {
    if (!placed.text.is_literal()) return false;
  }
  return true;
}

std::set<std::string> JsonTemplate::open_members() const {
  std::set<std::string> names;
  for (const Placed& placed : templates_) {
    Json::json_pointer member = placed.pointer;
    while (!member.empty() && !member.parent_pointer().empty()) member = member.parent_pointer();
    if (!member.empty() && !placed.text.is_literal()) names.insert(member.back());
  }
  return names;
}

std::variant<Json, ExpressionError> JsonTemplate::render(const Context& context) const {
  cel::Budget budget = fresh_budget();
  Json out = source_;
  for (const Placed& placed : templates_) {
    auto rendered = placed.text.render(context, &budget);
    if (auto* error = std::get_if<ExpressionError>(&rendered)) {
      return at_pointer(std::move(*error), placed.pointer);
    }
    out[placed.pointer] = std::move(std::get<Json>(rendered));
  }
  return out;
}

std::variant<Json, ExpressionError> render_json(const Json& value, const Context& context) {
  auto compiled = JsonTemplate::compile(value);
  if (auto* error = std::get_if<ExpressionError>(&compiled)) return std::move(*error);
  return std::get<JsonTemplate>(compiled).render(context);
}

}  // namespace pawl
