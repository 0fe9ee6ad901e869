#include "tests/sim/service.h"

#include <optional>
#include <string_view>
#include <utility>

#include "scheduler/base/check.h"
#include "scheduler/core/job_call.h"

namespace pawl::sim {
namespace {

std::shared_ptr<const Calendar> calendar_of(const JobSpec& job) {
  CalendarSources sources;
  sources.zone = [](std::string_view name) -> std::optional<cctz::time_zone> {
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
  };
  auto calendar = Calendar::compile(job.schedules, sources);
  PAWL_CHECK(calendar.ok());
  return std::make_shared<const Calendar>(*std::move(calendar));
}

std::string calendar_key_of(const JobSpec& job) {
  std::string key;
  for (const ScheduleSpec& s : job.schedules) {
    key += s.cron + "|" + std::to_string(s.every.count()) + "|" + s.at + "|" + s.timezone + "|" +
           s.start + "|" + s.end + "|" + std::to_string(s.jitter.count()) + "\n";
  }
  return key;
}

}  // namespace

input::AddVersion definition_of(VersionId version, const JobSpec& job, bool is_stored) {
  JobVersionRow row;
  row.id = version;
  row.job = job.name;
  return {row, job, is_stored};
}

Served served_of(VersionId version, const JobSpec& job) {
  return {version, calendar_of(job), calendar_key_of(job)};
}

input::SetSchedule schedule_of(const std::string& job, const Served& served,
                               const ModelStore& store) {
  input::SetSchedule set;
  set.job = job;
  set.version = served.version;
  set.calendar = served.calendar;
  set.calendar_key = served.key;
  const auto row = store.jobs.find(job);
  if (row == store.jobs.end()) return set;
  set.decided_through = row->second.decided_through;
  set.paused = row->second.paused;
  set.failures = row->second.failures;
  for (const auto& [id, run] : store.runs) {
    const bool lies_ahead = run.scheduled_for && set.decided_through <= run.scheduled_for;
    if (run.job == job && lies_ahead) set.taken.push_back(*run.scheduled_for);
  }
  return set;
}

CallAnswer answer_of(const effect::StartAttempt& call, const ModelStore& store,
                     const std::map<VersionId, JobSpec>& jobs) {
  const RunRow* newest = nullptr;
  for (const auto& [id, run] : store.runs) {
    if (run.caller && run.caller->key == call.key) newest = &run;
  }
  const auto& spec = jobs.at(store.runs.at(call.key.run).version).node(call.key.task);
  VersionId version;
  for (const auto& [id, job] : jobs) {
    if (job.name == spec.with) version = id;
  }
  AttemptResult end;
  end.attempt = call.attempt;
  end.stay = call.stay;
  end.reason = Reason::permanent;
  if (version == VersionId{}) {
    end.failure.message = "there is no job " + spec.with;
    return {{}, input::AttemptsEnded{{end}}};
  }
  input::CallJob answer{call.attempt, call.stay, {}, {}, {}};
  switch (
      next_call_move(call.stay, call.work, newest, newest != nullptr && newest->job == spec.with)) {
    case CallMove::begin:
      answer.run.job = spec.with;
      answer.run.version = version;
      return {{version}, answer};
    case CallMove::go_on:
      answer.known = newest->id;
      if (is_final(newest->state)) answer.loaded.push_back(store.snapshot(newest->id, true));
      return {{newest->version}, answer};
    case CallMove::conclude: break;
  }
  if (newest != nullptr) end.called = newest->id;
  if (newest == nullptr) {
    end.failure.message = "its run is gone";
  } else if (newest->state == RunState::succeeded) {
    end.outcome = AttemptResult::Outcome::succeeded;
    end.reason = Reason::none;
  } else {
    if (newest->state == RunState::failed) end.reason = Reason::error;
    end.failure.message = "run " + newest->name + " " + std::string(to_string(newest->state));
  }
  return {{}, input::AttemptsEnded{{end}}};
}

}  // namespace pawl::sim
