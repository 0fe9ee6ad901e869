#include "scheduler/spec/zoned_cron.h"

#include <algorithm>

#include "scheduler/base/floor.h"
#include "scheduler/spec/offset_span.h"

namespace pawl {
namespace {

constexpr std::int64_t kMinuteSeconds = 60;
constexpr std::int64_t kDaySeconds = 86'400;
const ExcludedDates kNoDates;

/// The part [from, to) of a span.
struct Piece {
  OffsetSpan span;
  std::int64_t from = 0;
  std::int64_t to = 0;
};

/// A cron expression in one zone, within one piece.
class CronPiece {
 public:
  CronPiece(const CronDays& cron, const ExcludedDates& excluded, const Piece& piece)
      : cron_(cron), excluded_(excluded), piece_(piece) {}

  std::optional<std::int64_t> first() const {
    return earlier(instant(cron_.first(regular(), excluded_), piece_.span.offset), first_moved());
  }
  std::optional<std::int64_t> last() const {
    const auto at = instant(cron_.last(regular(), excluded_), piece_.span.offset);
    const auto moved = last_moved();
    return at && moved ? std::max(*at, *moved) : at ? at : moved;
  }
  std::int64_t count() const {
    std::int64_t count = cron_.count(regular(), excluded_);
    MinuteRange left = skipped();
    while (const auto minute = cron_.first(left, kNoDates)) {
      left.begin = *minute + 1;
      const std::int64_t at = *minute * kMinuteSeconds - piece_.span.offset_before;
      if (!is_excluded(at) && !is_regular(at)) ++count;
    }
    return count;
  }

 private:
  static std::optional<std::int64_t> earlier(std::optional<std::int64_t> a,
                                             std::optional<std::int64_t> b) {
    return a && b ? std::min(*a, *b) : a ? a : b;
  }
  static std::optional<std::int64_t> instant(std::optional<std::int64_t> minute,
                                             std::int64_t offset) {
    if (!minute) return std::nullopt;
    return *minute * kMinuteSeconds - offset;
  }
  static MinuteRange local_minutes(std::int64_t from, std::int64_t to, std::int64_t offset) {
    return {ceil_div(from + offset, kMinuteSeconds), ceil_div(to + offset, kMinuteSeconds)};
  }

  /// Local minutes that fire when the clock shows them: all of them of an interval, and what the
  /// clock does not show for the second time of a fixed time.
  MinuteRange regular() const {
    std::int64_t from = piece_.from;
    if (!cron_.is_interval_like())
      from = std::max(from, piece_.span.begin + piece_.span.repeated());
    return local_minutes(from, piece_.to, piece_.span.offset);
  }
  /// Local minutes that the clock skipped and that fire in this piece: a fixed time moves by the
  /// gap.
  MinuteRange skipped() const {
    const OffsetSpan& span = piece_.span;
    if (cron_.is_interval_like() || span.skipped() == 0) return {};
    return local_minutes(piece_.from, std::min(piece_.to, span.begin + span.skipped()),
                         span.offset_before);
  }

  bool is_excluded(std::int64_t at) const {
    return excluded_.contains(floor_div(at + piece_.span.offset, kDaySeconds));
  }
  bool is_regular(std::int64_t at) const {
    return cron_.count(local_minutes(at, at + 1, piece_.span.offset), excluded_) > 0;
  }

  // A gap is a day at most, so these loops have 1,440 turns at most.
  std::optional<std::int64_t> first_moved() const {
    MinuteRange left = skipped();
    while (const auto minute = cron_.first(left, kNoDates)) {
      const auto at = instant(minute, piece_.span.offset_before);
      if (!is_excluded(*at)) return at;
      left.begin = *minute + 1;
    }
    return std::nullopt;
  }
  std::optional<std::int64_t> last_moved() const {
    MinuteRange left = skipped();
    while (const auto minute = cron_.last(left, kNoDates)) {
      const auto at = instant(minute, piece_.span.offset_before);
      if (!is_excluded(*at)) return at;
      left.end = *minute;
    }
    return std::nullopt;
  }

  const CronDays& cron_;
  const ExcludedDates& excluded_;
  const Piece& piece_;
};

}  // namespace

std::optional<std::int64_t> first_fire(const CronDays& cron, const LocalCalendar& calendar,
                                       SecondRange range) {
  while (range.from < range.to) {
    const OffsetSpan span = span_at(calendar.zone, range.from);
    const Piece piece{span, range.from, std::min(span.end, range.to)};
    if (const auto found = CronPiece(cron, calendar.excluded, piece).first()) return found;
    range.from = piece.to;
  }
  return std::nullopt;
}

std::optional<std::int64_t> last_fire(const CronDays& cron, const LocalCalendar& calendar,
                                      SecondRange range) {
  while (range.from < range.to) {
    const OffsetSpan span = span_at(calendar.zone, range.to - 1);
    const Piece piece{span, std::max(span.begin, range.from), range.to};
    if (const auto found = CronPiece(cron, calendar.excluded, piece).last()) return found;
    range.to = piece.from;
  }
  return std::nullopt;
}

std::int64_t count_fires(const CronDays& cron, const LocalCalendar& calendar, SecondRange range) {
  std::int64_t count = 0;
  while (range.from < range.to) {
    const OffsetSpan span = span_at(calendar.zone, range.from);
    const Piece piece{span, range.from, std::min(span.end, range.to)};
    count += CronPiece(cron, calendar.excluded, piece).count();
    range.from = piece.to;
  }
  return count;
}

}  // namespace pawl
