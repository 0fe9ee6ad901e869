#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/job_source.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/json_text.h"

namespace pawl {

namespace {

class EvalVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("EXPR", expression_, true, "an expression, as in `when` and between {{ }}");
    arguments.option("-c,--context", "FILE", context_,
                     "a JSON object of the names it may use; - is standard input");
    arguments.note("Prints the value as JSON. An error exits 2 and says where.");
    arguments.example("pawl eval '1 + 2'");
    arguments.example("pawl eval \"[1, 2, 3].filter(x, x > 1)\"");
    arguments.example("pawl eval 'params.mode == \"full\"' -c names.json");
  }

  Result<int> run(Session& session) override {
    Result<Json> names = read_names();
    if (!names) return std::move(names).error();
    auto compiled = Expression::compile(expression_);
    if (const auto* error = std::get_if<ExpressionError>(&compiled)) return wrong(session, *error);
    const JsonContext context{*std::move(names)};
    const auto value = std::get<Expression>(compiled).evaluate(context);
    if (const auto* error = std::get_if<ExpressionError>(&value)) return wrong(session, *error);
    session.out.line(std::get<Json>(value).dump(-1, ' ', false, Json::error_handler_t::replace));
    return 0;
  }

 private:
  Result<Json> read_names() const {
    if (context_.empty()) return Json::object();
    const Result<JobSource> source = read_job_source(context_);
    if (!source) return source.error();
    if (const auto wrong = json_error(source->text)) {
      return Error{ErrorKind::invalid,
                   fmt::format("{}: {}", escape_for_terminal(context_), *wrong)};
    }
    Json names = Json::parse(source->text, nullptr, false);
    if (!names.is_object()) {
      return Error{ErrorKind::invalid, fmt::format("{}: the context must be one JSON object",
                                                   escape_for_terminal(context_))};
    }
    return names;
  }

  int wrong(const Session& session, const ExpressionError& error) const {
    session.notice(fmt::format("eval: at byte {}: {}", error.offset, error.message));
    const bool one_line = expression_.find('\n') == std::string::npos;
    if (one_line && is_utf8(expression_) && error.offset <= expression_.size()) {
      const std::string before = escape_for_terminal(expression_.substr(0, error.offset));
      session.err.line("  " + escape_for_terminal(expression_));
      session.err.line("  " + pad("", display_width(before)) + "^");
    }
    return exit_code(ErrorKind::invalid);
  }

  std::string expression_;
  std::string context_;
};

}  // namespace

std::unique_ptr<Verb> make_eval_verb() { return std::make_unique<EvalVerb>(); }

}  // namespace pawl
