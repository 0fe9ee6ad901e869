#pragma once

// What of a schema is left to look at when only some members of an object may have changed.

#include <set>
#include <string>

#include "scheduler/spec/document.h"

namespace pawl {

/// The part of `schema` that objects can break which differ in the members `varying` from one that
/// fits. It says of those members what `schema` says, and leaves out what is only about the others
/// and about which members there are.
Json narrowed(const Json& schema, const std::set<std::string>& varying);

}  // namespace pawl
