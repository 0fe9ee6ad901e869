#pragma once

// Words as a shell reads them.

#include <string>
#include <string_view>

namespace pawl {

/// `word` between single quotes, which bash, zsh and fish read back as it is.
std::string quoted_for_shell(std::string_view word);

/// The same, without quotes where none are needed.
std::string shell_word(std::string_view word);

}  // namespace pawl
