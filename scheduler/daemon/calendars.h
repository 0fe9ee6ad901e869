#pragma once

// Calendars of jobs, made with this machine's time zones and files of dates.

#include <memory>
#include <string>

#include "scheduler/base/result.h"
#include "scheduler/spec/calendar.h"
#include "scheduler/spec/job.h"

namespace pawl {

struct JobCalendar {
  std::shared_ptr<const Calendar> calendar;  ///< null for a job without a schedule
  std::string key;                           ///< equal for calendars that say the same
};

/// Reads files: on any thread but the loop's, for a job that has a file of dates. Errors: invalid,
/// naming the zone or the file.
Result<JobCalendar> calendar_of(const JobSpec& job);

/// True when the calendar also follows from a file beside the job's own.
bool has_date_file(const JobSpec& job);

}  // namespace pawl
