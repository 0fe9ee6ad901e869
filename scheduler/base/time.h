#pragma once

// Two clocks that must never be mixed: the calendar's, which steps, and the machine's, which does
// not. All points and spans are whole milliseconds.

#include <chrono>
#include <compare>
#include <cstdint>

namespace pawl {

using Duration = std::chrono::milliseconds;

/// A point of the calendar: milliseconds since 1970-01-01T00:00:00Z. For schedules and history.
struct WallTime {
  std::int64_t ms = 0;

  friend constexpr auto operator<=>(WallTime, WallTime) = default;
  friend constexpr WallTime operator+(WallTime t, Duration d) { return {t.ms + d.count()}; }
  friend constexpr WallTime operator-(WallTime t, Duration d) { return {t.ms - d.count()}; }
  friend constexpr Duration operator-(WallTime a, WallTime b) { return Duration(a.ms - b.ms); }
};

/// A point of the machine's clock since boot, suspend included (CLOCK_BOOTTIME), in milliseconds.
/// Comparable within one boot only. For delays and time-outs.
struct MonoTime {
  std::int64_t ms = 0;

  friend constexpr auto operator<=>(MonoTime, MonoTime) = default;
  friend constexpr MonoTime operator+(MonoTime t, Duration d) { return {t.ms + d.count()}; }
  friend constexpr MonoTime operator-(MonoTime t, Duration d) { return {t.ms - d.count()}; }
  friend constexpr Duration operator-(MonoTime a, MonoTime b) { return Duration(a.ms - b.ms); }
};

/// One reading of both clocks, handed to whoever must not read them.
struct Now {
  MonoTime mono;
  WallTime wall;
};

}  // namespace pawl
