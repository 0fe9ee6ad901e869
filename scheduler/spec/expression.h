#pragma once

// Expressions: CEL, the Common Expression Language (cel-spec, doc/langdef.md), and templates, text
// with `{{ EXPR }}` in it. Typed, bounded, without side effects; integers are exact 64-bit.

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

namespace cel {
struct Budget;
}

using Json = nlohmann::json;

/// An error in or of an expression; `offset` is the byte of its text where it was noticed.
struct ExpressionError {
  std::size_t offset = 0;
  std::string message;
};

/// A path that an expression names, so far as it is fixed: `tasks['load-eu'].output` gives
/// `{"tasks", "load-eu", "output"}`, `params[x]` and `params[0].y` give `{"params"}`. What `has`
/// and `default` ask for is listed too; variables bound by a macro (`all`, `map` …) and names of
/// types
/// (`int`, `list` …) are not. In the order of the text, one for each place.
struct Reference {
  std::vector<std::string> path;
  std::size_t offset = 0;
};

/// In a JSON object of names: why tasks have no `output` although something came of them, an object
/// of sentences by task. It is no name, so no expression reaches it.
inline constexpr const char* kOutputsLeftOut = "outputs left out";

/// The sentence of `left_out` when `object` is a member of `tasks` and `key` its output; empty when
/// there is none.
std::string_view why_output_is_left_out(const Json& left_out, const Json& tasks, const Json& object,
                                        std::string_view key);

/// The names that an expression may use. Values are JSON; nothing is copied until it is used.
class Context {
 public:
  virtual ~Context() = default;
  /// The value of a top-level name, or null pointer when there is none. The pointer stays good
  /// while the context lives.
  virtual const Json* find(std::string_view name) const = 0;
  /// For messages: the names there are.
  virtual std::vector<std::string_view> names() const = 0;
  /// Why `object`, of a value that `find` gave, lacks a `key` that it should have: nothing may
  /// stand in for it. Empty: it is simply not there.
  virtual std::string_view why_left_out(const Json& object, std::string_view key) const;
};

/// A context over one JSON object.
class JsonContext final : public Context {
 public:
  explicit JsonContext(Json object) : object_(std::move(object)) {}
  const Json* find(std::string_view name) const override;
  std::vector<std::string_view> names() const override;
  std::string_view why_left_out(const Json& object, std::string_view key) const override;

 private:
  Json object_;
};

/// A compiled expression. Immutable; may be evaluated from several threads.
class Expression {
 public:
  /// Compiles `text`. Total: any bytes give an expression or an error; at most
  /// `limits::kExpressionBytesMax` long and `kExpressionDepthMax` deep.
  static std::variant<Expression, ExpressionError> compile(std::string_view text);

  /// The value, as JSON, or an error. Timestamps are RFC 3339 text, durations `90s`, bytes base64,
  /// types their names, doubles that JSON lacks `NaN`, `Infinity` and `-Infinity`; keys of maps are
  /// text. At most `limits::kEvaluationStepsMax` steps and `kEvaluationBytesMax` bytes of values.
  std::variant<Json, ExpressionError> evaluate(const Context& context) const;

  /// As `evaluate`, but anything but a bool is an error.
  std::variant<bool, ExpressionError> test(const Context& context) const;

  const std::vector<Reference>& references() const;

  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;
  ~Expression();

 private:
  struct Compiled;
  explicit Expression(std::unique_ptr<const Compiled> compiled);
  std::unique_ptr<const Compiled> compiled_;
};

/// A compiled text with `{{ EXPR }}` in it; `{{{{` is a literal `{{`. Immutable.
class Template {
 public:
  static std::variant<Template, ExpressionError> compile(std::string_view text);

  /// True when the text holds no expression at all.
  bool is_literal() const;
  /// True when the text is one expression and nothing else (spaces aside): `render` then keeps the
  /// value's type.
  bool is_single() const;
  /// References of all its expressions; offsets count from the start of the template's text.
  const std::vector<Reference>& references() const;

  /// A string (null inside text is an error, lists and objects are written as JSON), or for a
  /// single expression its value, as `Expression::evaluate` gives it.
  std::variant<Json, ExpressionError> render(const Context& context) const;
  /// Always text: a string as it is, bool and numbers as in JSON; null and a missing value are
  /// errors; so are lists and objects unless `allow_structures`, which writes them as JSON.
  std::variant<std::string, ExpressionError> render_text(const Context& context,
                                                         bool allow_structures) const;

  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

 private:
  friend class JsonTemplate;
  struct Compiled;
  explicit Template(std::unique_ptr<const Compiled> compiled);
  std::variant<Json, ExpressionError> render(const Context& context, cel::Budget* budget) const;
  std::unique_ptr<const Compiled> compiled_;
};

/// A JSON value each of whose strings is a template; keys stay as they are. Compiled once, rendered
/// for each attempt; all its strings share one evaluation's limits. Immutable.
class JsonTemplate {
 public:
  /// The error's message begins with the JSON pointer of the string.
  static std::variant<JsonTemplate, ExpressionError> compile(Json value);

  /// True when no string holds an expression: it renders to one value, whatever the context.
  bool is_literal() const;
  /// True when no string holds `{{` either: it renders to itself.
  bool is_verbatim() const { return templates_.empty(); }
  /// Of an object: the members within which an expression stands.
  std::set<std::string> open_members() const;
  /// References of all its strings; an offset counts from the start of its string.
  const std::vector<Reference>& references() const { return references_; }
  /// The value with every string rendered as `Template::render` does. The error's message begins
  /// with the JSON pointer of the string.
  std::variant<Json, ExpressionError> render(const Context& context) const;

 private:
  struct Placed {
    Json::json_pointer pointer;
    Template text;
  };
  JsonTemplate() = default;
  std::optional<ExpressionError> collect(const Json& value, const Json::json_pointer& pointer,
                                         int depth);

  Json source_;
  std::vector<Placed> templates_;
  std::vector<Reference> references_;
};

/// `JsonTemplate::compile` and `render` in one.
std::variant<Json, ExpressionError> render_json(const Json& value, const Context& context);

}  // namespace pawl
