#include "scheduler/spec/calendar.h"

#include <algorithm>
#include <utility>

#include "scheduler/base/spread.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/excluded_dates.h"
#include "scheduler/spec/schedule.h"

namespace pawl {
namespace {

constexpr Duration kTick{1};
constexpr std::int64_t kDayMs = 86'400'000;

/// Fires that `count` looks at one by one to see whether another schedule has them too. Each costs
/// a fraction of a microsecond for each schedule.
constexpr std::int64_t kLooksMax = 50'000;

Result<std::vector<std::int64_t>> excluded_days(const ScheduleSpec& spec,
                                                const CalendarSources& sources) {
  std::vector<std::int64_t> days;
  if (!spec.except_file.empty()) {
    const auto fail = [&](const Error& error) {
      return Error{ErrorKind::invalid, "the dates of \"except\" in " +
                                           escape_for_terminal(spec.except_file) + ": " +
                                           error.message};
    };
    const Result<std::string> text = sources.dates(spec.except_file);
    if (!text) return fail(text.error());
    Result<std::vector<std::int64_t>> read = parse_dates(*text);
    if (!read) return fail(read.error());
    days = *std::move(read);
  }
  for (const std::string& date : spec.except_dates) {
    if (const auto civil = parse_date(date)) days.push_back(civil->count_ms() / kDayMs);
  }
  return days;
}

/// FNV-1a.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

}  // namespace

Calendar::Calendar() = default;
Calendar::~Calendar() = default;
Calendar::Calendar(Calendar&&) noexcept = default;
Calendar& Calendar::operator=(Calendar&&) noexcept = default;

Result<Calendar> Calendar::compile(std::span<const ScheduleSpec> schedules,
                                   const CalendarSources& sources) {
  Calendar calendar;
  calendar.schedules_.reserve(schedules.size());
  for (const ScheduleSpec& spec : schedules) {
    const auto zone = sources.zone(spec.timezone);
    if (!zone) {
      return Error{ErrorKind::invalid, "there is no time zone '" +
                                           escape_for_terminal(spec.timezone) +
                                           "' on this machine. Install the package tzdata"};
    }
    Result<std::vector<std::int64_t>> days = excluded_days(spec, sources);
    if (!days) return days.error();
    if (calendar.schedules_.empty()) calendar.zone_ = *zone;
    calendar.schedules_.emplace_back(spec, *zone, *std::move(days));
  }
  return calendar;
}

bool Calendar::is_empty() const { return schedules_.empty(); }

std::optional<WallTime> Calendar::next(WallTime after) const {
  if (after >= kCalendarEnd) return std::nullopt;
  WallTime until = kCalendarEnd;
  std::optional<WallTime> first;
  for (const Schedule& schedule : schedules_) {
    if (const auto fire = schedule.first(after + kTick, until)) first = until = *fire;
  }
  return first;
}

std::optional<WallTime> Calendar::previous(WallTime before) const {
  WallTime from = kCalendarBegin;
  std::optional<WallTime> last;
  for (const Schedule& schedule : schedules_) {
    const auto fire = schedule.last(from, before);
    if (!fire) continue;
    last = fire;
    from = *fire + kTick;
  }
  return last;
}

bool Calendar::fires_at(WallTime at) const {
  if (at >= kCalendarEnd) return false;
  return std::any_of(schedules_.begin(), schedules_.end(), [at](const Schedule& schedule) {
    return schedule.first(at, at + kTick).has_value();
  });
}

FireCount Calendar::count(WallTime after, WallTime until) const {
  if (after >= until || after >= kCalendarEnd) return {};
  const WallTime from = after + kTick;
  const WallTime to = std::min(until, kCalendarEnd) + kTick;
  struct Share {
    const Schedule* schedule;
    std::int64_t fires;
  };
  std::vector<Share> shares;
  for (const Schedule& schedule : schedules_) {
    if (const std::int64_t fires = schedule.count(from, to); fires > 0) {
      shares.push_back({&schedule, fires});
    }
  }
  // What the busiest ones have is never looked at: of each other one, what those before it do not
  // have.
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.fires > b.fires; });
  FireCount count;
  std::int64_t looks = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    count.fires += shares[i].fires;
    looks += shares[i].fires * static_cast<std::int64_t>(i);
    if (i == 0) continue;
    if (looks > kLooksMax) {
      count.exact = false;
      continue;
    }
    for (auto fire = shares[i].schedule->first(from, to); fire;
         fire = shares[i].schedule->first(*fire + kTick, to)) {
      const bool seen = std::any_of(
          shares.begin(), shares.begin() + static_cast<std::ptrdiff_t>(i), [&](const Share& share) {
            return share.schedule->first(*fire, *fire + kTick).has_value();
          });
      if (seen) --count.fires;
    }
  }
  return count;
}

std::vector<WallTime> Calendar::newest(WallTime after, WallTime until, std::size_t most) const {
  std::vector<WallTime> fires;
  if (until >= kCalendarEnd) until = kCalendarEnd - kTick;
  WallTime before = until + kTick;
  while (fires.size() < most) {
    const auto fire = previous(before);
    if (!fire || *fire <= after) break;
    fires.push_back(*fire);
    before = *fire;
  }
  std::reverse(fires.begin(), fires.end());
  return fires;
}

Duration Calendar::start_delay(std::string_view job, WallTime fire) const {
  if (fire >= kCalendarEnd) return Duration(0);
  std::optional<Duration> longest;
  for (const Schedule& schedule : schedules_) {
    if (longest && *longest <= schedule.jitter()) continue;
    if (schedule.first(fire, fire + kTick)) longest = schedule.jitter();
  }
  if (!longest || longest->count() <= 0) return Duration(0);
  const std::uint64_t random = mixed(hash_of(job) ^ mixed(static_cast<std::uint64_t>(fire.ms)));
  return Duration(scaled_below(random, static_cast<std::uint64_t>(longest->count()) + 1));
}

}  // namespace pawl
