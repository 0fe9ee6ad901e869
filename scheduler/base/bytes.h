#pragma once

// Sizes for people.

#include <cstdint>
#include <string>

namespace pawl {

/// `17 B`, `4.2 KiB`, `1.5 GiB`.
std::string format_bytes(std::uint64_t bytes);

}  // namespace pawl
