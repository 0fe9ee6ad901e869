#pragma once

#include <map>
#include <string>

namespace pawl {

/// Values of the login variables (kLoginVariables) where the scheduler has none: `serve` under
/// systemd has few.
std::map<std::string, std::string> login_defaults();

}  // namespace pawl
