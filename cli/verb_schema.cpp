#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/job_source.h"
#include "cli/operators.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/settings.h"

namespace pawl {

namespace {

class SchemaVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("WHAT", what_, false, "job (default), settings, or operator",
                   {"job", "settings", "operator"});
    arguments.word("NAME", name_, false, "of the operator");
    arguments.check([this]() -> Result<void> {
      if ((what_ == "operator") == !name_.empty()) return {};
      return Error{ErrorKind::invalid, name_.empty() ? "NAME is missing. See pawl operators"
                                                     : "only an operator has a name"};
    });
    arguments.note("Editors check files against it: \"$schema\": \"job.schema.json\" in the file.");
    arguments.example("pawl schema > job.schema.json");
    arguments.example("pawl schema operator process");
  }

  Result<int> run(Session& session) override {
    if (what_ == "operator") return operator_schema(session);
    const std::string text = what_ == "job" ? job_schema() : settings_schema();
    session.out.line(OrderedJson::parse(text, nullptr, false).dump(2));
    return 0;
  }

 private:
  Result<int> operator_schema(const Session& session) const {
    for (const KnownOperator& own : known_operators()) {
      if (own.name != name_) continue;
      session.out.line(OrderedJson::parse(own.schema, nullptr, false).dump(2));
      return 0;
    }
    const OperatorCatalog operators = known_operators(session);
    if (const OperatorInfo* found = operators.find(name_)) {
      session.out.line(found->schema.dump(2));
      return 0;
    }
    if (name_.find('/') != std::string::npos || name_.ends_with(".so") || name_.ends_with(".json"))
      return Error{ErrorKind::not_found,
                   fmt::format("{} is a file. NAME is that of an operator, as pawl operators lists "
                               "them; what is in a plugin is told by pawl operators check",
                               escape_for_terminal(name_))};
    const std::vector<std::string> names = operators.names();
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string_view near = nearest_word(name_, known);
    return Error{
        ErrorKind::not_found,
        fmt::format("there is no operator '{}'. {}", escape_for_terminal(name_),
                    near.empty() ? "See pawl operators" : fmt::format("Did you mean {}?", near))};
  }

  std::string what_ = "job";
  std::string name_;
};

}  // namespace

std::unique_ptr<Verb> make_schema_verb() { return std::make_unique<SchemaVerb>(); }

}  // namespace pawl
