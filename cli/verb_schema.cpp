#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/parse.h"

namespace pawl {

namespace {

class SchemaVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("WHAT", what_, false, "job (default)", {"job"});
    arguments.note("Editors check job files against it: \"$schema\": \"job.schema.json\" in the file.");
    arguments.example("pawl schema > job.schema.json");
  }

  Result<int> run(Session& session) override {
    session.out.line(OrderedJson::parse(job_schema(), nullptr, false).dump(2));
    return 0;
  }

 private:
  std::string what_ = "job";
};

}  // namespace

std::unique_ptr<Verb> make_schema_verb() { return std::make_unique<SchemaVerb>(); }

}  // namespace pawl
