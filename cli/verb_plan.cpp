#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/task_limits.h"
#include "cli/verb.h"
#include "scheduler/spec/plan.h"

namespace pawl {

namespace {

/// The members of a task that everybody asks for first, then the rest.
OrderedJson in_reading_order(const Json& task) {
  OrderedJson ordered = OrderedJson::object();
  for (const char* key : {"id", "level", "operator", "depends_on", "trigger_rule",
                          "retry_delays_seconds", "command", "command_template", "script"}) {
    if (task.contains(key)) ordered[key] = task[key];
  }
  for (const auto& [key, value] : task.items()) {
    if (!ordered.contains(key)) ordered[key] = value;
  }
  return ordered;
}

OrderedJson in_reading_order_all(const Json& tasks) {
  OrderedJson list = OrderedJson::array();
  for (const Json& task : tasks) list.push_back(in_reading_order(task));
  return list;
}

class PlanVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("FILE", file_, true, "the job file; - is standard input");
    declare_params(arguments, params_);
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note("Runs nothing and needs no home. With jsonl one line per task.");
    arguments.example("pawl plan sales.json -p region=us");
  }

  Result<int> run(Session& session) override {
    const Result<CheckedJob> checked = read_job(session, file_);
    if (!checked) return checked.error();
    const Result<std::string> given = params_from_words(checked->job, params_);
    if (!given) return given.error();
    const Result<std::string> params = resolve_params(checked->job, *given);
    if (!params) return params.error();
    // People have seen the warnings on standard error.
    const bool for_people = output_.is_for_people();
    print(session, plan_json(checked->job, *params,
                             for_people ? std::vector<Diagnostic>() : checked->warnings,
                             kernel_limits_now(session)));
    return 0;
  }

 private:
  void print(const Session& session, const Json& plan) const {
    switch (output_.format) {
      case Format::table:
      case Format::wide: session.out.print(plan_text(plan)); return;
      case Format::name:
        for (const Json& task : plan["tasks"]) session.out.line(task["id"].get<std::string>());
        return;
      case Format::jsonl:
        for (const Json& task : plan["tasks"]) session.out.line(dump(in_reading_order(task)));
        return;
      case Format::csv:
      case Format::json: {
        OrderedJson object = {{"job", plan["job"]}, {"params", plan["params"]}};
        object["tasks"] = in_reading_order_all(plan["tasks"]);
        for (const auto& [key, value] : plan.items()) {
          if (!object.contains(key)) object[key] = value;
        }
        print_object(session.out, output_, object);
        return;
      }
    }
  }

  std::string file_;
  std::vector<std::string> params_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_plan_verb() { return std::make_unique<PlanVerb>(); }

}  // namespace pawl
