#include <filesystem>
#include <string>

#include "cli/job_source.h"
#include "cli/operator_check.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"

namespace pawl {

namespace {

class OperatorsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("WHAT", what_, false, "check: does a plugin keep its side of the contract?",
                   {"check"});
    arguments.word("PLUGIN", subject_.plugin, false, "the plugin to check, NAME.so or NAME.json");
    arguments.option("--operator", "NAME", subject_.only, "check only this one of its operators");
    arguments.option("--with", "JSON", subject_.parameters, "parameters of the attempts ({})");
    arguments.note("The parameters of an operator: pawl schema operator NAME.");
    arguments.example("pawl operators check ./disk_space.so");
    arguments.example("pawl operators check sum.json --with '{\"numbers\": [1, 2]}'");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.check([this]() -> Result<void> {
      if (!what_.empty() && subject_.plugin.empty())
        return Error{ErrorKind::invalid, "PLUGIN is missing"};
      if (!subject_.parameters.empty() && !nlohmann::json::accept(subject_.parameters))
        return Error{ErrorKind::invalid, "--with is not JSON"};
      return {};
    });
  }

  Result<int> run(Session& session) override {
    if (!what_.empty()) return check(session);
    Listing list(session.out, output_, {"operator", "description", "from"},
                 {{"OPERATOR"}, {"WHAT", false, false, 20, true}, {"FROM"}});
    add(list, "process", "runs a program (`command`) or a script (`script`)", "");
    const OperatorCatalog catalog = known_operators(session);
    for (const auto& [name, info] : catalog.all()) {
      add(list, name, info.summary, info.plugin);
    }
    list.finish();
    return 0;
  }

 private:
  static void add(Listing& list, const std::string& name, const std::string& what,
                  const std::string& plugin) {
    const std::string from = plugin.empty() ? "pawl" : plugin;
    list.add({{{"operator", name}, {"description", what}, {"from", from}},
              {{name}, {what}, {from}},
              name});
  }

  Result<int> check(const Session& session) const {
    ConformanceSubject subject = subject_;
    std::error_code failed;
    if (!std::filesystem::exists(subject.plugin, failed)) return no_such_file(session);
    subject.plugin = std::filesystem::absolute(subject.plugin, failed).string();
    return check_operators(session, subject, output_);
  }

  /// It may be the name of an operator.
  Error no_such_file(const Session& session) const {
    const std::string shown = escape_for_terminal(subject_.plugin);
    const OperatorCatalog catalog = known_operators(session);
    const OperatorInfo* found = catalog.find(subject_.plugin);
    if (found == nullptr)
      return {ErrorKind::not_found,
              shown + ": no such file. A plugin is given as the file NAME.so or NAME.json"};
    if (!found->plugin.starts_with('/'))
      return {ErrorKind::not_found, shown + " is a part of pawl and no plugin that can be checked"};
    return {ErrorKind::not_found, shown + " is the name of an operator; its plugin is a file: " +
                                      "pawl operators check " + escape_for_terminal(found->plugin) +
                                      " --operator " + shown};
  }

  std::string what_;
  ConformanceSubject subject_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_operators_verb() { return std::make_unique<OperatorsVerb>(); }

}  // namespace pawl
