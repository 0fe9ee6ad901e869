#include "cli/not_yet.h"
#include "cli/verb.h"

namespace pawl {

namespace {

class NextVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", job_, false, "one job; without it, all");
    arguments.option("--cron", "EXPR", cron_, "a cron expression instead of a job");
    arguments.option("--timezone", "TZ", timezone_, "whose calendar (UTC unless the job says)");
    arguments.option("--from", "TIME", from_, "strictly after this (now)");
    arguments.option("-n,--count", "N", count_, 1, "how many (5)");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
  }

  Result<int> run(Session&) override {
    return not_yet_available_error("next", "Runs by hand: pawl run FILE, pawl trigger JOB");
  }

 private:
  std::string job_;
  std::string cron_;
  std::string timezone_;
  std::string from_;
  std::optional<std::int64_t> count_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Verb> make_next_verb() { return std::make_unique<NextVerb>(); }

}  // namespace pawl
