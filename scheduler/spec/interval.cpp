#include "scheduler/spec/interval.h"

#include <algorithm>

#include "scheduler/base/floor.h"
#include "scheduler/spec/offset_span.h"

namespace pawl {
namespace {

constexpr std::int64_t kSecondMs = 1'000;
constexpr std::int64_t kDayMs = 86'400'000;

/// The first member at or after `at`.
std::int64_t member_from(const Interval& every, std::int64_t at) {
  const std::int64_t place =
      std::max<std::int64_t>(ceil_div(at - every.base_ms, every.period_ms), 0);
  return every.base_ms + place * every.period_ms;
}

std::int64_t members(const Interval& every, std::int64_t from, std::int64_t to) {
  if (from >= to) return 0;
  return (member_from(every, to) - member_from(every, from)) / every.period_ms;
}

/// The span around a moment, kept while the moments stay in it.
class SpanAround {
 public:
  explicit SpanAround(const cctz::time_zone& zone) : zone_(zone) {}

  const OffsetSpan& at(std::int64_t ms) {
    const std::int64_t second = floor_div(ms, kSecondMs);
    if (second < span_.begin || second >= span_.end) span_ = span_at(zone_, second);
    return span_;
  }

 private:
  const cctz::time_zone& zone_;
  OffsetSpan span_;
};

}  // namespace

std::optional<std::int64_t> first_fire(const Interval& every, const LocalCalendar& calendar,
                                       MillisecondRange range) {
  SpanAround around(calendar.zone);
  while (true) {
    const std::int64_t at = member_from(every, range.from);
    if (at >= range.to) return std::nullopt;
    if (calendar.excluded.is_empty()) return at;
    const OffsetSpan& span = around.at(at);
    const std::int64_t offset = span.offset * kSecondMs;
    const auto* run = calendar.excluded.run_of(floor_div(at + offset, kDayMs));
    if (run == nullptr) return at;
    range.from = std::min(run->behind * kDayMs - offset, span.end * kSecondMs);
  }
}

std::optional<std::int64_t> last_fire(const Interval& every, const LocalCalendar& calendar,
                                      MillisecondRange range) {
  SpanAround around(calendar.zone);
  while (range.to > range.from && range.to > every.base_ms) {
    const std::int64_t at = member_from(every, range.to) - every.period_ms;
    if (at < range.from) return std::nullopt;
    if (calendar.excluded.is_empty()) return at;
    const OffsetSpan& span = around.at(at);
    const std::int64_t offset = span.offset * kSecondMs;
    const auto* run = calendar.excluded.run_of(floor_div(at + offset, kDayMs));
    if (run == nullptr) return at;
    range.to = std::max(run->first * kDayMs - offset, span.begin * kSecondMs);
  }
  return std::nullopt;
}

std::int64_t count_fires(const Interval& every, const LocalCalendar& calendar,
                         MillisecondRange range) {
  std::int64_t count = members(every, range.from, range.to);
  if (calendar.excluded.is_empty()) return count;
  // Local dates are stretches of time within one span, and only there.
  for (std::int64_t from = range.from; from < range.to;) {
    const OffsetSpan span = span_at(calendar.zone, floor_div(from, kSecondMs));
    const std::int64_t to = std::min(span.end * kSecondMs, range.to);
    const std::int64_t offset = span.offset * kSecondMs;
    const auto [begin, end] = calendar.excluded.runs_between(floor_div(from + offset, kDayMs),
                                                             ceil_div(to + offset, kDayMs));
    for (std::size_t i = begin; i < end; ++i) {
      const auto& run = calendar.excluded.runs()[i];
      count -= members(every, std::max(from, run.first * kDayMs - offset),
                       std::min(to, run.behind * kDayMs - offset));
    }
    from = to;
  }
  return count;
}

}  // namespace pawl
