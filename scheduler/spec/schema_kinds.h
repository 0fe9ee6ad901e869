#pragma once

// Kinds of texts that a schema may ask for: dates, times, and pawl's own `x-pawl-type`.

#include <optional>
#include <string>

#include "scheduler/spec/document.h"

namespace pawl {

/// Why a text is not of the kind that its schema asks for: of `format`, or of `x-pawl-type` with
/// the bound beside it. `shown`: the text as a message may show it; empty: as nothing.
std::optional<std::string> kind_violation(const Json& schema, const std::string& text,
                                          const std::string& shown);

}  // namespace pawl
