#pragma once

// Why a value does not fit its schema, in words of people, with the place in the value. What these
// find is told instead of what the schema library would say. Schemas are those that
// `check_schema` accepts.

#include <map>
#include <optional>
#include <string>

#include <re2/re2.h>

#include "scheduler/spec/document.h"

namespace pawl {

/// Expressions of a schema, by their text.
using Patterns = std::map<std::string, re2::RE2, std::less<>>;
Patterns patterns_of(const Json& schema);

/// The common cases: types, bounds, `enum`, members that exclude each other. Nothing when there is
/// no violation or another keyword is its cause.
std::optional<std::string> plain_violation(const Json& schema, const Json& value);

/// `oneOf` or `anyOf` of nothing but `required`: members that exclude each other, or of which one
/// is needed.
std::optional<std::string> choice_violation(const Json& schema, const Json& value);

/// Patterns, formats and pawl's own types, which the library does not look at, at every place that
/// `check_schema` allows them.
std::optional<std::string> text_violation(const Json& schema, const Patterns& patterns,
                                          const Json& value);

/// The value as JSON, cut where it is long.
std::string shown_value(const Json& value);

}  // namespace pawl
