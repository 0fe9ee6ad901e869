#pragma once

// JSON that comes from outside as text, before anything is made of it.

#include <optional>
#include <string>
#include <string_view>

namespace pawl {

/// Nothing when `text` is one JSON value that keeps all its digits when it is read and is nested at
/// most kJobNestingMax deep; else what is wrong. Builds nothing.
std::optional<std::string> json_error(std::string_view text);

}  // namespace pawl
