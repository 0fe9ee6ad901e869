#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <queue>

#include <fmt/format.h>

#include "cli/job_source.h"
#include "cli/stored_job.h"
#include "cli/verb.h"
#include "scheduler/base/text.h"
#include "scheduler/daemon/calendars.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/spec/cron.h"
#include "scheduler/spec/job_name.h"

namespace pawl {

namespace {

constexpr std::int64_t kFiresDefault = 5;

/// What fires: a job, or an expression of the command line (no name).
struct Timetable {
  std::string job;
  std::shared_ptr<const Calendar> calendar;
};

struct Fire {
  WallTime at;
  std::size_t table = 0;
  friend bool operator>(const Fire& a, const Fire& b) {
    return a.at != b.at ? a.at > b.at : a.table > b.table;
  }
};

/// Whole seconds, as programs are told.
std::string utc_text(WallTime time) {
  std::string text = format_utc(time);
  return text.substr(0, text.find('.')) + "Z";
}

/// `Sun 2026-03-08 03:30:00 EDT`.
std::string local_text(WallTime time, const cctz::time_zone& zone) {
  // Not in nanoseconds, as the clock of the system counts: those end in 2262.
  const std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds> point{
      std::chrono::milliseconds(time.ms)};
  return cctz::format("%a %Y-%m-%d %H:%M:%S %Z", point, zone);
}

class NextVerb final : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.word("JOB", job_, false, "one job, or a job file; without it, all jobs of the home");
    arguments.option("--cron", "EXPR", cron_, "a cron expression instead of a job");
    arguments.option("--timezone", "TZ", timezone_, "whose calendar (UTC unless the job says)");
    arguments.option("--from", "TIME", from_, "strictly after this (now)");
    arguments.option("-n,--count", "N", count_, 1, "how many (5)");
    arguments.output(output_, {Format::table, Format::wide, Format::json, Format::jsonl,
                               Format::csv, Format::name});
    arguments.note(
        "Needs no scheduler. A time without a zone is read in the zone of --timezone, else that of "
        "the job, of --cron UTC, "
        "of all jobs yours. Without JOB and "
        "--cron the fires of all jobs that fire by themselves, in order of time.");
    arguments.example("pawl next sales -n 10");
    arguments.example(
        "pawl next --cron '30 2 * * *' --timezone America/New_York --from 2026-03-07");
  }

  Result<int> run(Session& session) override {
    if (!job_.empty() && !cron_.empty()) {
      return Error{ErrorKind::invalid, "next: a job has its own schedule. Name JOB or --cron"};
    }
    if (!timezone_.empty() && !zone_named(timezone_)) {
      return Error{ErrorKind::invalid, fmt::format("'{}' is no time zone. Write an IANA name such "
                                                   "as Asia/Tokyo or America/New_York",
                                                   escape_for_terminal(timezone_))};
    }
    Result<std::vector<Timetable>> tables = find(session);
    if (!tables) return tables.error();
    Here here = session.here();
    const cctz::time_zone user_zone = here.zone;
    here.zone = reading_zone(*tables, here.zone);
    WallTime from = here.now;
    if (!from_.empty()) {
      const Result<WallTime> read = parse_when(from_, here);
      if (!read) return read.error();
      from = *read;
    }
    here.zone = user_zone;
    print(session, *tables, from, here);
    return 0;
  }

 private:
  bool is_one() const { return !job_.empty() || !cron_.empty(); }

  /// In which zone `--from` is read.
  cctz::time_zone reading_zone(const std::vector<Timetable>& tables,
                               const cctz::time_zone& user) const {
    if (!timezone_.empty()) return zone_named(timezone_).value_or(cctz::utc_time_zone());
    return is_one() && tables.size() == 1 ? tables.front().calendar->zone() : user;
  }

  Result<std::vector<Timetable>> find(const Session& session) const {
    if (!cron_.empty()) return of_expression();
    const bool is_file = job_.find('/') != std::string::npos || job_.ends_with(".json");
    if (is_file) return of_file(session);
    Result<HistoryAccess> access = HistoryAccess::open(session);
    if (!access) return access.error();
    return job_.empty() ? of_home(session, *access) : of_job(session, *access);
  }

  Result<std::vector<Timetable>> of_expression() const {
    const auto parsed = parse_cron(cron_);
    if (const auto* error = std::get_if<CronError>(&parsed)) {
      return Error{ErrorKind::invalid,
                   fmt::format("'{}': {} (at byte {})", escape_for_terminal(cron_), error->message,
                               error->offset + 1)};
    }
    JobSpec job;
    job.schedules.emplace_back().cron = cron_;
    return one(std::move(job));
  }

  Result<std::vector<Timetable>> of_file(const Session& session) const {
    Result<CheckedJob> checked = read_job(session, job_);
    if (!checked) return checked.error();
    tell_without_schedule(session, checked->job);
    return one(std::move(checked->job));
  }

  Result<std::vector<Timetable>> of_job(const Session& session, HistoryAccess& access) const {
    std::vector<JobView> known;
    if (!access.is_empty()) {
      Result<std::vector<JobView>> jobs = access.history().jobs();
      if (!jobs) return jobs.error();
      known = *std::move(jobs);
    }
    std::vector<std::string_view> names;
    for (const JobView& job : known) {
      names.push_back(job.row.name);
      if (job.row.name != job_) continue;
      Result<JobSpec> spec = stored_job(access, job.row.version);
      if (!spec) return spec.error();
      tell_without_schedule(session, *spec);
      if (const std::string_view why = silence(job.row); !why.empty()) {
        session.notice(fmt::format("{} is {}: it does not fire by itself", job_, why));
      }
      return one(*std::move(spec));
    }
    return unknown_job(job_, names);
  }

  Result<std::vector<Timetable>> of_home(const Session& session, HistoryAccess& access) const {
    std::vector<Timetable> tables;
    if (access.is_empty()) return tables;
    const Result<std::vector<JobView>> jobs = access.history().jobs();
    if (!jobs) return jobs.error();
    std::int64_t silent = 0;
    for (const JobView& job : *jobs) {
      if (job.row.version.value == 0) continue;
      Result<JobSpec> spec = stored_job(access, job.row.version);
      if (!spec) return spec.error();
      if (spec->schedules.empty()) continue;
      if (!silence(job.row).empty()) {
        ++silent;
        continue;
      }
      Result<std::vector<Timetable>> table = one(*std::move(spec));
      // One job that cannot be read does not hide the others.
      if (!table) {
        session.notice(fmt::format("{}: {}", job.row.name, table.error().message));
        continue;
      }
      tables.push_back(std::move(table->front()));
    }
    if (silent > 0 && output_.is_for_people()) {
      session.notice(
          fmt::format("{} with a schedule left out: paused, removed, or in no folder that "
                      "is served",
                      counted(silent, "job")));
    }
    return tables;
  }

  /// Why a job of the home does not fire; empty when it does.
  static std::string_view silence(const JobRow& row) {
    if (row.paused) return "paused";
    if (row.removed) return "removed from its folder";
    if (row.file.empty()) return "in no folder that is served";
    return {};
  }

  static void tell_without_schedule(const Session& session, const JobSpec& job) {
    if (job.schedules.empty()) {
      session.notice(fmt::format("{} has no schedule: it runs by hand", job.name));
    }
  }

  Result<std::vector<Timetable>> one(JobSpec job) const {
    if (!timezone_.empty()) {
      for (ScheduleSpec& schedule : job.schedules) schedule.timezone = timezone_;
    }
    Result<JobCalendar> made = calendar_of(job);
    if (!made) return made.error();
    std::vector<Timetable> tables;
    if (made->calendar == nullptr) made->calendar = std::make_shared<const Calendar>();
    tables.push_back({std::move(job.name), std::move(made->calendar)});
    return tables;
  }

  void print(const Session& session, const std::vector<Timetable>& tables, WallTime from,
             const Here& here) const {
    std::vector<Column> columns = {{"AT"}, {"UTC", true}, {"IN"}};
    if (!is_one()) columns.insert(columns.begin(), {"JOB", false, false, 12});
    Listing list(session.out, output_,
                 is_one() ? std::vector<std::string>{"at"} : std::vector<std::string>{"job", "at"},
                 columns);
    std::priority_queue<Fire, std::vector<Fire>, std::greater<>> coming;
    const auto push = [&](std::size_t table, WallTime after) {
      if (const auto at = tables[table].calendar->next(after)) coming.push({*at, table});
    };
    for (std::size_t i = 0; i < tables.size(); ++i) push(i, from);
    for (std::int64_t n = 0; n < count_.value_or(kFiresDefault) && !coming.empty(); ++n) {
      const Fire fire = coming.top();
      coming.pop();
      list.add(entry(tables[fire.table], fire.at, here));
      push(fire.table, fire.at);
    }
    list.finish();
    if (list.count() == 0 && output_.is_for_people()) session.err.line("nothing fires after that");
  }

  Entry entry(const Timetable& table, WallTime at, const Here& here) const {
    const std::string utc = utc_text(at);
    const bool is_list_of_times = is_one() && output_.format != Format::csv;
    Entry entry;
    entry.object = is_list_of_times ? OrderedJson(utc)
                   : is_one()       ? OrderedJson{{"at", utc}}
                                    : OrderedJson{{"job", table.job}, {"at", utc}};
    entry.cells = {{local_text(at, table.calendar->zone())},
                   {utc},
                   {at > here.now ? "in " + format_span(at - here.now) : ""}};
    if (!is_one()) entry.cells.insert(entry.cells.begin(), Cell(table.job));
    entry.name = utc;
    return entry;
  }

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
