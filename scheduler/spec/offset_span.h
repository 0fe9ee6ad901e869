#pragma once

// A time zone as a chain of spans of constant offset from UTC: within one, local time is UTC plus a
// number, so whoever searches a calendar span by span never meets daylight saving.

#include <cstdint>

#include <cctz/time_zone.h>

namespace pawl {

/// All in seconds; instants since the epoch. The first span of a zone begins before all time, its
/// last ends behind it.
struct OffsetSpan {
  std::int64_t begin = 0;
  std::int64_t end = 0;            ///< behind its last second
  std::int64_t offset = 0;         ///< east of UTC
  std::int64_t offset_before = 0;  ///< of the span before it; its own in the first

  /// Seconds of local time that were skipped where it begins; 0 when none were.
  std::int64_t skipped() const { return offset > offset_before ? offset - offset_before : 0; }
  /// Seconds of local time that it shows for the second time.
  std::int64_t repeated() const { return offset < offset_before ? offset_before - offset : 0; }
};

/// Bounds of the spans that have no neighbour.
inline constexpr std::int64_t kBeforeAllTime = -(std::int64_t{1} << 40);
inline constexpr std::int64_t kBehindAllTime = std::int64_t{1} << 40;

/// The span that `second` lies in, between those two bounds.
OffsetSpan span_at(const cctz::time_zone& zone, std::int64_t second);

}  // namespace pawl
