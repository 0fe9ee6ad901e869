#include <optional>

#include "cli/history_list.h"
#include "cli/stored_job.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class AttemptsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_list(arguments, words_, SelectorOf::attempts);
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl attempts 7k3f9q/query:17");
    arguments.example("pawl attempts --reason oom,timeout --since 24h");
  }

  Result<int> run(Session& session) override {
    return list_history(
        session, words_, SelectorOf::attempts, output_, attempt_shape(),
        [](History& history, Selector selector) { return history.attempts(std::move(selector)); },
        [here = session.here(), format = output_.format,
         overdue = std::optional<OverdueAttempts>()](const AttemptView& row,
                                                     HistoryAccess& access) mutable {
          if (!overdue) overdue.emplace(access, here.now);
          return attempt_entry(row, overdue->text_of(row), access.home(), here, format);
        });
  }

 private:
  SelectorWords words_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_attempts_verb() { return std::make_unique<AttemptsVerb>(); }

}  // namespace pawl
