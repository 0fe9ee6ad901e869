#include "scheduler/daemon/calendars.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/loop/fd.h"

namespace pawl {
namespace {

/// The text of a regular file of a bounded size. Whatever lies there instead, nothing blocks.
Result<std::string> read_dates(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return Error{ErrorKind::invalid, std::strerror(errno)};
  if (!S_ISREG(info.st_mode)) return Error{ErrorKind::invalid, "not a file"};
  std::string text;
  std::array<char, 64u << 10> buffer;
  while (text.size() <= limits::kJobFileBytesMax) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n == 0) return text;
    if (n < 0 && errno != EINTR) return Error{ErrorKind::invalid, std::strerror(errno)};
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return Error{ErrorKind::invalid, "larger than 16 MiB"};
}

/// All that a calendar follows from, as one text; no two parts can be taken for one another.
std::string key_of(const JobSpec& job, const std::string& dates) {
  std::string key;
  const auto add = [&key](std::string_view part) {
    key += std::to_string(part.size());
    key += ':';
    key += part;
  };
  for (const ScheduleSpec& s : job.schedules) {
    add(std::to_string(static_cast<int>(s.kind)));
    add(s.cron);
    add(std::to_string(s.every.count()));
    for (const std::string* text : {&s.at, &s.timezone, &s.start, &s.end}) add(*text);
    add(std::to_string(s.jitter.count()));
    for (const std::string& date : s.except_dates) add(date);
    add("");
  }
  add(dates);
  return key;
}

}  // namespace

bool has_date_file(const JobSpec& job) {
  return std::any_of(job.schedules.begin(), job.schedules.end(),
                     [](const ScheduleSpec& s) { return !s.except_file.empty(); });
}

Result<JobCalendar> calendar_of(const JobSpec& job) {
  JobCalendar made;
  if (job.schedules.empty()) return made;
  std::string all_dates;
  CalendarSources sources;
  sources.zone = zone_named;
  sources.dates = [&](std::string_view path) -> Result<std::string> {
    const bool is_absolute = path.starts_with('/');
    Result<std::string> text =
        read_dates(is_absolute ? std::string(path) : job.folder + "/" + std::string(path));
    if (text) all_dates += std::to_string(text->size()) + ":" + *text;
    return text;
  };
  Result<Calendar> calendar = Calendar::compile(job.schedules, sources);
  if (!calendar) return calendar.error();
  made.calendar = std::make_shared<const Calendar>(*std::move(calendar));
  made.key = key_of(job, all_dates);
  return made;
}

}  // namespace pawl
