#include <algorithm>

#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/settings.h"
#include "cli/verb.h"
#include "scheduler/daemon/calendars.h"

namespace pawl {

namespace {

class ValidateVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.words("FILE", files_, true, "job files; - is standard input");
    arguments.note(
        "Prints nothing and exits 0 when all files are valid. Else every error of every file goes "
        "to "
        "standard error, as FILE:LINE:COLUMN, and the exit code is 2. Warnings are printed too.");
    arguments.example("pawl validate jobs/*.json");
  }

  Result<int> run(Session& session) override {
    int code = 0;
    const OperatorCatalog operators = known_operators(session);
    const Result<ParsedSettings> settings = settings_of(session, &operators);
    if (!settings) return settings.error();
    for (const std::string& file : files_)
      code = std::max(code, check(session, file, operators, settings->settings));
    // An invalid file outweighs a missing one (3): it is what must be repaired.
    return any_invalid_ ? exit_code(ErrorKind::invalid) : code;
  }

 private:
  int check(const Session& session, const std::string& file, const OperatorCatalog& operators,
            const Settings& settings) {
    const Result<JobSource> source = read_job_source(file);
    if (!source) {
      session.notice(source.error().message);
      any_invalid_ |= source.error().kind == ErrorKind::invalid;
      return exit_code(source.error().kind);
    }
    const ParseResult parsed =
        parse_job(source->text, parse_options(source->folder, &operators, &settings));
    print_diagnostics(session, source->file, parsed.diagnostics);
    if (!parsed.ok) {
      any_invalid_ = true;
      return exit_code(ErrorKind::invalid);
    }
    if (!check_calendar(session, source->file, parsed.job)) return exit_code(ErrorKind::invalid);
    return 0;
  }

  /// What the file alone does not tell: its dates, and whether anything of it is still to come.
  bool check_calendar(const Session& session, const std::string& file, const JobSpec& job) {
    if (job.schedules.empty()) return true;
    const Result<JobCalendar> made = calendar_of(job);
    if (!made) {
      session.err.line(fmt::format("{}: error: {}", file, made.error().message));
      any_invalid_ = true;
      return false;
    }
    const Here here = session.here();
    if (made->calendar->next(here.now)) return true;
    const auto last = made->calendar->previous(here.now + Duration(1));
    session.err.line(fmt::format(
        "{}: warning: the schedule has no fire left{}", file,
        last ? fmt::format(": the last was at {}", format_local(*last, here)) : std::string()));
    return true;
  }

  std::vector<std::string> files_;
  bool any_invalid_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_validate_verb() { return std::make_unique<ValidateVerb>(); }

}  // namespace pawl
