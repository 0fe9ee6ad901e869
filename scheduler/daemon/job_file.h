#pragma once

// One file of a job folder, looked at safely: whatever lies under that name, looking neither
// blocks, nor touches a device, nor reads more than a job file may hold. Runs on any thread.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "scheduler/base/time.h"
#include "scheduler/daemon/calendars.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"

namespace pawl {

/// Tells one state of a file from another without reading it.
struct FileSignature {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = -1;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  friend bool operator==(const FileSignature&, const FileSignature&) = default;
};

using ContentHash = std::array<std::uint64_t, 2>;

/// What was known of a file when it was last looked at.
struct KnownFile {
  std::optional<FileSignature> settled;  ///< set: such a file need not be read again
  std::optional<ContentHash> hash;       ///< such content need not be parsed again
};

struct FileLook {
  enum class Kind {
    absent,   ///< nothing has that name
    same,     ///< signature or content as known
    foreign,  ///< JSON that is no job
    moving,   ///< it changed while it was read, or is bad and so young that it may be half written
    bad,      ///< `why`; `job.name` when it says one
    good,     ///< `text`, `job` and `calendar`
  };
  std::string name;
  Kind kind = Kind::absent;
  bool is_link = false;
  std::optional<FileSignature> settled;
  std::optional<ContentHash> hash;
  std::string why;
  std::string text;
  JobSpec job;
  JobCalendar calendar;
};

struct LookOptions {
  ParseOptions parse;
  Duration settle{};  ///< a bad file that changed less than this ago is `moving`
};

/// Looks at the file `name` of the folder that `folder_fd` is open on; `path` names it in messages.
FileLook look_at_job_file(int folder_fd, const std::string& name, const std::string& path,
                          const KnownFile& known, const LookOptions& options);

}  // namespace pawl
