#pragma once

// What a library did to a process that was to load it, to say what it is, and to exit.

#include <optional>
#include <string>

namespace pawl {

/// In words that follow its path. `status`: of the process, as of `waitpid`; `has_spoken`: it came
/// to say what the library is. Nothing: no harm.
std::optional<std::string> harm_of_library(int status, bool has_spoken);

}  // namespace pawl
