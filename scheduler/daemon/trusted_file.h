#pragma once

// Files that say what runs: only their owner, or root, may have written them. Blocks on the file
// system.

#include <sys/stat.h>

#include <cstddef>
#include <string>

#include "scheduler/base/result.h"

namespace pawl {

/// Why such a file may not be read; empty when it may. It is no file, larger than that, or others
/// could have written it.
std::string objection(const struct stat& info, std::size_t bytes_max);

/// All of an open file. Errors: invalid (it cannot be read, or has become too large).
Result<std::string> read_whole(int fd, std::size_t size_hint, std::size_t bytes_max);

/// Both, of the file at a path. Errors: not_found, invalid; without the path.
Result<std::string> read_trusted_file(const std::string& path, std::size_t bytes_max);

}  // namespace pawl
