#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/stored_job.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/graph.h"

namespace pawl {

namespace {

class GraphVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("FILE|JOB|RUN", name_, true,
                   "a file has a / in it or ends in .json; a job's name wins over a run's");
    arguments.choice("--format", "FORMAT", format_, {"text", "dot", "mermaid"},
                     "text (default), dot for Graphviz, mermaid for Markdown");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.example("pawl graph sales.json --format dot | dot -Tsvg > sales.svg");
    arguments.example("pawl graph @latest", "with states");
  }

  Result<int> run(Session& session) override {
    if (name_ == "-" || name_.ends_with(".json") || name_.find('/') != std::string::npos) {
      return graph_of_file(session);
    }
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    if (!access->is_empty()) {
      const Result<std::optional<JobView>> job = access->history().job(name_);
      if (!job) return job.error();
      if (*job && (*job)->row.version.value != 0) {
        const Result<JobSpec> spec = stored_job(*access, (*job)->row.version);
        if (!spec) return spec.error();
        return print(session, *spec, "", {});
      }
    }
    return graph_of_run(session, *access);
  }

 private:
  Result<int> graph_of_file(const Session& session) const {
    const Result<CheckedJob> checked = read_job(session, name_);
    if (!checked) return checked.error();
    return print(session, checked->job, "", {});
  }

  Result<int> graph_of_run(const Session& session, HistoryAccess& access) const {
    const Result<Named> named = access.resolve_beside_jobs(name_);
    if (!named) return named.error();
    const RunRow* const run = &named->run;
    const Result<JobSpec> job = stored_job(access, run->version);
    if (!job) return job.error();
    const Result<std::vector<TaskView>> tasks = all_tasks(access, *run, *job);
    if (!tasks) return tasks.error();
    std::vector<std::string> states(job->node_count());
    for (const TaskView& task : *tasks) {
      const std::uint32_t index = task.row.key.task.value;
      if (index >= states.size()) continue;
      states[index] = to_string(task.row.state);
    }
    return print(session, *job, run->name, states);
  }

  Result<int> print(const Session& session, const JobSpec& job, const std::string& run,
                    const std::vector<std::string>& states) const {
    if (!output_.is_for_people()) {
      print_tasks(session, job, run, states);
      return 0;
    }
    const GraphFormat format = format_ == "dot"       ? GraphFormat::dot
                               : format_ == "mermaid" ? GraphFormat::mermaid
                                                      : GraphFormat::text;
    session.out.print(render_graph(job, format, states));
    return 0;
  }

  /// With json all of them in one object, else a line per task.
  void print_tasks(const Session& session, const JobSpec& job, const std::string& run,
                   const std::vector<std::string>& states) const {
    OrderedJson tasks = OrderedJson::array();
    for (const TaskIndex index : topological_order(job)) {
      const TaskSpec& task = job.node(index);
      OrderedJson upstreams = OrderedJson::array();
      for (const Dependency& upstream : task.depends_on)
        upstreams.push_back(job.node(upstream.task).id);
      tasks.push_back({{"id", task.id},
                       {"depends_on", std::move(upstreams)},
                       {"trigger_rule", to_string(task.trigger_rule)},
                       {"mapped", task.map.has_value()},
                       {"state", text_or_null(states.empty() ? "" : states[index.value])}});
    }
    if (output_.format == Format::json) {
      print_object(session.out, output_,
                   {{"job", job.name}, {"run", text_or_null(run)}, {"tasks", std::move(tasks)}});
      return;
    }
    Listing list(session.out, output_, {"id", "depends_on", "trigger_rule", "mapped", "state"}, {});
    for (OrderedJson& task : tasks) {
      const std::string id = task["id"].get<std::string>();
      list.add({std::move(task), {}, id});
    }
    list.finish();
  }

  std::string name_;
  std::string format_ = "text";
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_graph_verb() { return std::make_unique<GraphVerb>(); }

}  // namespace pawl
