#pragma once

// Times and durations as people write and read them. Nothing here reads a clock: the caller hands
// in what time it is, and the zone that counts as local.

#include <cstdint>
#include <string>
#include <string_view>

#include <cctz/time_zone.h>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// What "now" and "local" mean.
struct Here {
  WallTime now;
  cctz::time_zone zone = cctz::utc_time_zone();
};

/// Reads a point of time of the command line: an instant (`2026-11-20T22:58:01Z`, any offset), a
/// local time (`2026-11-20 22:58[:01]`, also with `T`), a date (its local midnight), `now`,
/// `today`, `yesterday`, or a time of today (`22:58`). A local time that the clock skips is moved
/// by the gap; one that it shows twice is the first.
Result<WallTime> parse_when(std::string_view text, const Here& here);

/// As `parse_when`; a duration (`24h`, `7d`) means that long ago.
Result<WallTime> parse_since(std::string_view text, const Here& here);

/// For tables: `12s ago`, `2 min ago`, `03:12` of today, `Nov 20 03:12`, `2025-11-20 03:12`; what
/// is to come reads `in 48s`.
std::string format_when(WallTime time, const Here& here);

/// Local and whole: `2026-11-20 22:58:01`.
std::string format_local(WallTime time, const Here& here);

/// How long something took: `5ms`, `0.3s`, `12.9s`, `21m06s`, `1h02m`, `2d03h`.
std::string format_took(Duration duration);

/// A span in whole units, for waiting: `41s`, `4m10s`, `1h02m`, `2d03h`; never below zero.
std::string format_span(Duration duration);

/// `10,002`.
std::string format_count(std::int64_t number);

/// `1 run`, `3 runs`: the number and the word that goes with it.
std::string counted(std::int64_t number, std::string_view one, std::string_view many = {});

}  // namespace pawl
