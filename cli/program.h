#pragma once

// What this program is: its version, and where it lies.

#include <string>
#include <string_view>

namespace pawl {

std::string_view program_version();
std::string_view program_commit();
/// `name version,name version`.
std::string_view program_libraries();
/// The absolute path of the running program; workers are started from it.
std::string program_path();
/// The name of the user who runs it, or the number when it has none.
std::string user_name();

}  // namespace pawl
