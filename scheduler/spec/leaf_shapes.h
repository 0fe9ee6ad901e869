#pragma once

// Shapes without parts that the table of job files (fields.cpp) and the one of settings
// (settings_fields.cpp) share. Private to the two.

#include <string_view>

#include "scheduler/spec/fields.h"

namespace pawl {

inline constexpr Shape kBool = {.form = Form::boolean, .what = "true or false"};
inline constexpr Shape kAny = {.form = Form::any, .what = "any value"};
inline constexpr Shape kWord = {.form = Form::string, .what = "a text"};

inline constexpr double kCountMax = 1'000'000'000.0;
constexpr Shape count_shape(double least, double most = kCountMax) {
  return {.form = Form::integer, .what = "a whole number", .min = least, .max = most};
}
inline constexpr Shape kCount = count_shape(1);
inline constexpr Shape kFormat = count_shape(1, 1);

/// No duration is longer, so that instants cannot overflow.
inline constexpr double kHundredYearsMs = 36'500.0 * 86'400'000.0;
constexpr Shape duration_shape(double least_ms) {
  return {.form = Form::string,
          .what = "a duration such as \"90s\", \"5m\" or \"1h30m\"",
          .check = Check::duration,
          .min = least_ms,
          .max = kHundredYearsMs};
}
inline constexpr Shape kDuration = duration_shape(1);
inline constexpr Shape kDurationOrZero = duration_shape(0);
inline constexpr Shape kSize = {
    .form = Form::string, .what = "a size such as \"512MiB\" or \"2GB\"", .check = Check::size};

constexpr Shape name_shape(Check check, std::string_view what) {
  return {.form = Form::string, .what = what, .check = check};
}
inline constexpr Shape kOperatorName = name_shape(Check::name, "the name of an operator (a text)");
inline constexpr Shape kZone = name_shape(Check::zone, "an IANA time zone such as \"Asia/Tokyo\"");

}  // namespace pawl
