#include "scheduler/spec/expression.h"

#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_tree.h"

namespace pawl {

struct Expression::Compiled {
  std::unique_ptr<const cel::Program> program;
};

Expression::Expression(std::unique_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::~Expression() = default;

std::variant<Expression, ExpressionError> Expression::compile(std::string_view text) {
  auto parsed = cel::parse(text, false);
  if (auto* error = std::get_if<ExpressionError>(&parsed)) return std::move(*error);
  auto compiled = std::make_unique<Compiled>();
  compiled->program = std::move(std::get<cel::Parsed>(parsed).program);
  return Expression(std::move(compiled));
}

std::variant<Json, ExpressionError> Expression::evaluate(const Context& context) const {
  cel::Budget budget{limits::kEvaluationStepsMax, limits::kEvaluationBytesMax};
  cel::Evaluator evaluator(*compiled_->program, context, &budget);
  const cel::Value value = evaluator.run();
  Json out;
  if (value.is_error() || !evaluator.to_json(value, evaluator.root(), &out)) {
    return evaluator.error();
  }
  return out;
}

std::variant<bool, ExpressionError> Expression::test(const Context& context) const {
  cel::Budget budget{limits::kEvaluationStepsMax, limits::kEvaluationBytesMax};
  cel::Evaluator evaluator(*compiled_->program, context, &budget);
  const cel::Value value = evaluator.run();
  if (value.is(cel::Kind::boolean)) return value.boolean;
  if (!value.is_error()) {
    evaluator.fail(cel::Fault::not_bool, evaluator.root(), value, {}, "a condition");
  }
  return evaluator.error();
}

const std::vector<Reference>& Expression::references() const {
  return compiled_->program->references;
}

std::string_view why_output_is_left_out(const Json& left_out, const Json& tasks, const Json& object,
                                        std::string_view key) {
  if (key != "output" || !left_out.is_object() || !tasks.is_object()) return {};
  for (const auto& [id, why] : left_out.items()) {
    const auto task = tasks.find(id);
    if (task != tasks.end() && &*task == &object && why.is_string())
      return why.get_ref<const std::string&>();
  }
  return {};
}

std::string_view Context::why_left_out(const Json&, std::string_view) const { return {}; }

std::string_view JsonContext::why_left_out(const Json& object, std::string_view key) const {
  const Json* left_out = find(kOutputsLeftOut);
  const Json* tasks = find("tasks");
  if (left_out == nullptr || tasks == nullptr) return {};
  return why_output_is_left_out(*left_out, *tasks, object, key);
}

const Json* JsonContext::find(std::string_view name) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

std::vector<std::string_view> JsonContext::names() const {
  std::vector<std::string_view> names;
  if (const auto* object = object_.get_ptr<const Json::object_t*>()) {
    for (const auto& [name, value] : *object) {
      if (name != kOutputsLeftOut) names.push_back(name);
    }
  }
  return names;
}

}  // namespace pawl
