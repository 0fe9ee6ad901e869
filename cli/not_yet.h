#pragma once

// The one place that says what this version cannot do yet. Refused (exit 4), never half done.

#include <string_view>

#include "scheduler/base/result.h"

namespace pawl {

/// `WHAT: not yet available in this version. TRY`.
Error not_yet_available_error(std::string_view what, std::string_view instead);

}  // namespace pawl
