#pragma once

// What the parts of a scheduler tell whoever runs it: sentences, each with its weight. Where they
// go (a log, a terminal) is decided outside.

#include <cstdint>
#include <functional>
#include <string>

namespace pawl {

enum class Weight : std::uint8_t {
  debug,    ///< for whoever looks for a fault
  info,     ///< what a scheduler does
  warning,  ///< somebody should look
};

using Tell = std::function<void(Weight weight, std::string text)>;

}  // namespace pawl
