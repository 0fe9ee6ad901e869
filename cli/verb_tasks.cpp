#include "cli/listing.h"
#include "cli/selectors.h"
#include "cli/verb.h"
#include "cli/view.h"

namespace pawl {

namespace {

class TasksVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    declare_selector(arguments, words_, SelectorOf::tasks, true);
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl tasks @latest");
    arguments.example("pawl tasks --job sales --state failed --limit 0 -o jsonl");
    arguments.example("pawl tasks 7k3f9q/query --state retrying");
  }

  Result<int> run(Session& session) override {
    const Here here = session.here();
    Result<Selector> selector = read_selector(words_, SelectorOf::tasks, here);
    if (!selector) return selector.error();
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const ListShape shape = task_shape();
    Listing list(session.out, output_, shape.fields, shape.columns);
    bool more = false;
    if (access->is_empty()) {
      // A name in it cannot be found; without one the list is empty.
      if (!words_.names.empty()) return access->resolve(words_.names.front()).error();
    } else {
      auto pager = access->history().tasks(*std::move(selector));
      const Result<bool> printed =
          print_pages(pager, list, limit_of(words_),
                      [&](const TaskView& row) { return task_entry(row, access->home(), here); });
      if (!printed) return printed.error();
      more = *printed;
    }
    list.finish();
    if (more) tell_limit(session, output_, limit_of(words_));
    return 0;
  }

 private:
  SelectorWords words_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_tasks_verb() { return std::make_unique<TasksVerb>(); }

}  // namespace pawl
