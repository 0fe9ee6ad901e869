#pragma once

// Timestamps (seconds and nanoseconds, years 1 to 9999) and durations (nanoseconds, ±292 years) of
// expressions. Zones are looked up by name in the system's zone data.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/spec/cel_value.h"

namespace pawl::cel {

inline constexpr std::int64_t kTimestampSecondsMin = -62'135'596'800;
inline constexpr std::int64_t kTimestampSecondsMax = 253'402'300'799;

enum class TimeParse : std::uint8_t { ok, malformed, out_of_range };

/// `2026-11-20T22:58:01[.123456789](Z|±HH:MM)`.
TimeParse parse_timestamp(std::string_view text, Value* out);
/// UTC, with as many digits of the fraction as there are.
std::string format_timestamp(const Value& timestamp);

/// `1h30m`, `-1.5s`, `250ms`, `0`: h, m, s, ms, us, ns in any order.
TimeParse parse_duration_text(std::string_view text, std::int64_t* nanoseconds);
/// In seconds: `90s`, `-0.5s`.
std::string format_duration_text(std::int64_t nanoseconds);

/// `seconds` and any count of nanoseconds as a timestamp, or nothing beyond the range.
std::optional<Value> make_timestamp(std::int64_t seconds, std::int64_t nanoseconds);

}  // namespace pawl::cel
