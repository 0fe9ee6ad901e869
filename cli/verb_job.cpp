#include <fmt/format.h>

#include "cli/job_view.h"
#include "cli/stored_job.h"
#include "cli/verb.h"
#include "cli/view.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/graph.h"
#include "scheduler/spec/job_name.h"

namespace pawl {

namespace {

constexpr std::size_t kRunsShown = 5;
constexpr std::size_t kDroppedShown = 10;

class JobVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", name_, true, "its name");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
  }

  Result<int> run(Session& session) override {
    here_ = session.here();
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const Result<JobView> job = find(*access);
    if (!job) return job.error();
    const Result<std::string> text = stored_definition(*access, job->row.version);
    if (!text) return text.error();
    if (output_.format == Format::name) {
      session.out.line(job->row.name);
      return 0;
    }
    const auto dropped = access->history().dropped(name_, kDroppedShown);
    if (!dropped) return dropped.error();
    if (!output_.is_for_people()) {
      OrderedJson object = job_object(*job, *text);
      object["paused_by"] = text_or_null(job->row.paused_by);
      object["paused_at"] = time_or_null(job->row.paused_at);
      object["note"] = text_or_null(job->row.pause_note);
      object["dropped"] = job->dropped;
      object["dropped_fires"] = OrderedJson::array();
      for (const DroppedRow& row : *dropped) object["dropped_fires"].push_back(dropped_object(row));
      print_object(session.out, output_, object);
      return 0;
    }
    dropped_ = *dropped;
    return print(session, *access, *job, *text);
  }

 private:
  Result<JobView> find(HistoryAccess& access) const {
    if (access.is_empty()) {
      return Error{ErrorKind::not_found,
                   fmt::format("there is no job '{}' in {}", escape_for_terminal(name_),
                               escape_for_terminal(access.home()))};
    }
    Result<std::optional<JobView>> job = access.history().job(name_);
    if (!job) return job.error();
    if (*job) return **std::move(job);
    const Result<std::vector<JobView>> known = access.history().jobs();
    if (!known) return known.error();
    std::vector<std::string_view> names;
    for (const JobView& other : *known) names.push_back(other.row.name);
    return unknown_job(name_, names);
  }

  Result<int> print(const Session& session, HistoryAccess& access, const JobView& job,
                    const std::string& text) const {
    const Entry entry = job_entry(job, text, here_);
    const ListShape shape = job_shape();
    for (std::size_t i = 0; i < shape.columns.size(); ++i) {
      if (entry.cells[i].text.empty()) continue;
      const std::string title = ascii_lower(shape.columns[i].header);
      session.out.line(fmt::format(
          "{}  {}", pad(title, 10),
          styled(session.out, entry.cells[i].style, escape_for_terminal(entry.cells[i].text))));
    }
    for (const DroppedRow& row : dropped_)
      session.out.line(fmt::format("{}  {}", pad("", 10), dropped_text(row, here_)));
    if (job.row.version.value != 0) {
      const Result<JobSpec> spec = stored_job(access, job.row.version);
      if (!spec) return spec.error();
      session.out.print("\n" + render_graph(*spec, GraphFormat::text));
    }
    Selector selector;
    // An exact name: what would be special in a glob stands for itself.
    for (const char c : job.row.name)
      selector.job += c == '[' ? std::string("\\[") : std::string(1, c);
    auto pager = access.history().runs(selector);
    const Result<std::vector<RunView>> runs = pager.next(kRunsShown);
    if (!runs) return runs.error();
    if (!runs->empty()) session.out.line("");
    const ListShape run_list = run_shape();
    Listing list(session.out, output_, run_list.fields, run_list.columns);
    for (const RunView& run : *runs) list.add(run_entry(run, here_, output_.format));
    list.finish();
    return 0;
  }

  static OrderedJson dropped_object(const DroppedRow& row) {
    return {{"reason", to_string(row.reason)},
            {"count", row.count},
            {"first", format_utc(row.first)},
            {"last", format_utc(row.last)},
            {"at", format_utc(row.at)}};
  }

  std::string name_;
  OutputOptions output_;
  std::vector<DroppedRow> dropped_;
  Here here_;
};

}  // namespace

std::unique_ptr<Verb> make_job_verb() { return std::make_unique<JobVerb>(); }

}  // namespace pawl
