#pragma once

// A folder that holds job files, opened and listed safely: whoever else may write it or owns it, or
// serves it already, is found out before a file of it is read. Blocks on the file system.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/loop/fd.h"

namespace pawl {

inline constexpr std::size_t kJobFilesPerFolderMax = 100'000;  ///< more are not read

/// `*.json`, and not hidden.
bool is_job_file_name(std::string_view name);

struct OpenFolder {
  std::string path;   ///< absolute, links followed
  Fd fd;              ///< locked for this process
  bool local = true;  ///< not on a network file system, where nothing tells of changes
};

/// Opens a folder to serve it, and takes it for this home: a lock on the folder itself, so it may
/// be read-only. Errors: not_found, invalid (others may write it, not a folder), locked (another
/// home serves it).
Result<OpenFolder> open_folder(const std::string& folder);

/// The names of its job files, in order.
struct FolderListing {
  std::vector<std::string> names;
  bool too_many = false;  ///< the rest is left out
  std::string why;        ///< it may not be served any more, or cannot be listed; empty: it is
};
FolderListing list_folder(int folder_fd);

}  // namespace pawl
