#include <string>

#include "cli/verb.h"

namespace pawl {

namespace {

class OperatorsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
  }

  Result<int> run(Session& session) override {
    Listing list(session.out, output_, {"operator", "description", "from"},
                 {{"OPERATOR"}, {"WHAT", false, false, 20}, {"FROM"}});
    const std::string name = "process";
    const std::string what = "runs a program (`command`) or a script (`script`)";
    const std::string from = "pawl";
    list.add({{{"operator", name}, {"description", what}, {"from", from}},
              {{name}, {what}, {from}},
              name});
    list.finish();
    return 0;
  }

 private:
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_operators_verb() { return std::make_unique<OperatorsVerb>(); }

}  // namespace pawl
