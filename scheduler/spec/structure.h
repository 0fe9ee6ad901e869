#pragma once

// The structural check: a document against the field table. Says everything that can be said of a
// value without knowing another one.

#include <optional>
#include <string_view>

#include "scheduler/spec/diagnostics.h"
#include "scheduler/spec/document.h"
#include "scheduler/spec/fields.h"
#include "scheduler/spec/parse.h"

namespace pawl {

/// Checks the value at `node` and all in it against `shape`.
void check_structure(const Document& document, NodeId node, const Shape& shape,
                     const ParseOptions& options, Diagnostics& diagnostics);

/// The alternative of an `either` shape that a value of this kind is judged by; the shape itself
/// when it has none; null when no alternative takes such a value.
const Shape* alternative_for(const Shape& shape, NodeKind kind);

/// Reads `1%` or `0.5%`, 0 to 100; nothing when it is anything else.
std::optional<double> parse_percent(std::string_view text);

}  // namespace pawl
