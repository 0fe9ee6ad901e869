#include "cli/job_view.h"
#include "cli/stored_job.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class JobsVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
  }

  Result<int> run(Session& session) override {
    const Here here = session.here();
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    const ListShape shape = job_shape();
    Listing list(session.out, output_, shape.fields, shape.columns);
    if (!access->is_empty()) {
      const Result<std::vector<JobView>> jobs = access->history().jobs();
      if (!jobs) return jobs.error();
      for (const JobView& job : *jobs) {
        const Result<std::string> text = stored_definition(*access, job.row.version);
        if (!text) return text.error();
        list.add(job_entry(job, *text, here));
      }
    }
    list.finish();
    if (list.count() == 0 && output_.is_for_people() && !access->is_empty()) {
      session.err.line("no jobs yet");
    }
    return 0;
  }

 private:
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_jobs_verb() { return std::make_unique<JobsVerb>(); }

}  // namespace pawl
