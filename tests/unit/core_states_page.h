#pragma once

#include <string>

namespace pawl {

/// docs/states.md, made from the tables of scheduler/core/states.h, the trigger rules and the
/// reasons.
std::string states_page();

}  // namespace pawl
