#include "cli/history_list.h"
#include "cli/stored_job.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class TasksVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_list(arguments, words_, SelectorOf::tasks);
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl tasks @latest");
    arguments.example("pawl tasks --job sales --state failed --limit 0 -o jsonl");
    arguments.example("pawl tasks 7k3f9q/query --state retrying");
  }

  Result<int> run(Session& session) override {
    return list_history(
        session, words_, SelectorOf::tasks, output_, task_shape(),
        [format = output_.format](History& history, Selector selector) {
          return history.tasks(std::move(selector), detail_for(format, {}),
                               undecided_tasks(history));
        },
        [here = session.here(), format = output_.format](const TaskView& row,
                                                         const HistoryAccess& access) {
          return task_entry(row, access.home(), here, format);
        });
  }

 private:
  SelectorWords words_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_tasks_verb() { return std::make_unique<TasksVerb>(); }

}  // namespace pawl
