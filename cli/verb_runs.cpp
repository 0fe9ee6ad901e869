#include "cli/history_list.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class RunsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_list(arguments, words_, SelectorOf::runs);
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl runs --job sales --since 7d");
    arguments.example("pawl runs --state failed,cancelled -o json");
  }

  Result<int> run(Session& session) override {
    return list_history(
        session, words_, SelectorOf::runs, output_, run_shape(),
        [](History& history, Selector selector) { return history.runs(std::move(selector)); },
        [here = session.here(), format = output_.format](const RunView& row, const HistoryAccess&) {
          return run_entry(row, here, format);
        });
  }

 private:
  SelectorWords words_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_runs_verb() { return std::make_unique<RunsVerb>(); }

}  // namespace pawl
