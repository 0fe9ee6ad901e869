#pragma once

// Folders of job files, loaded and followed. Files are read and parsed on the pool's threads, so a
// folder of ten thousand never holds the loop up.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/daemon/calendars.h"
#include "scheduler/loop/loop.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/settings.h"

namespace pawl {

/// A file holds a valid job: new, or with another content than when it was last told.
struct JobLoaded {
  std::string name;
  std::string file;    ///< absolute
  std::string folder;  ///< absolute, of the job file
  std::string text;
  JobSpec spec;
  JobCalendar calendar;
};

/// A file, or a whole folder, cannot be used. What was loaded from it stays in force. Told again
/// only when `why` changes; a `JobLoaded` or `JobRemoved` of the file ends it.
struct JobQuarantined {
  std::string name;  ///< the job's, when known: the name it had, or says
  std::string file;
  std::string why;
};

/// A file that was told of is gone, or holds no job any more. `name` is empty when nothing was ever
/// loaded from it. A file that was renamed, or moved between folders, gives a `JobLoaded` only.
struct JobRemoved {
  std::string name;
  std::string file;
};

/// Everything about the folder was told: after the first reading, each `rescan`, and whenever it
/// was read as a whole.
struct FolderScanned {
  std::string folder;
  std::string why;  ///< it cannot be used (as a JobQuarantined of the folder told); empty: it can
  std::set<std::string> files;  ///< names of those that hold a job, should, or are being written
};

using JobFolderEvent = std::variant<JobLoaded, JobQuarantined, JobRemoved, FolderScanned>;

/// Follows the `*.json` files of folders. Names are unique over all of them: the file that had a
/// name first keeps it; in one scan, the first by path.
class JobFolders {
 public:
  using OnEvent = std::function<void(JobFolderEvent)>;

  struct Options {
    const OperatorCatalog* operators = nullptr;  ///< see ParseOptions
    Settings settings;                           ///< under which files are read
    /// A changed file is read once it has not changed for this long.
    Duration debounce = std::chrono::milliseconds(25);
    /// A file with errors is told of once it has not changed for this long: it may be half written.
    Duration settle = std::chrono::milliseconds(200);
  };

  /// Events come from the loop.
  JobFolders(Loop& loop, Options options, OnEvent on_event);
  ~JobFolders();
  JobFolders(const JobFolders&) = delete;
  JobFolders& operator=(const JobFolders&) = delete;

  /// Serves a folder: checks it, takes it for this home (a lock on the folder itself, so it may be
  /// read-only), reads it and follows it. Errors: not_found, invalid (others may write it, not a
  /// folder), locked (another home serves it), failed.
  Result<void> add(const std::string& folder);

  /// Reads all folders again, as after SIGHUP.
  void rescan();
  /// From now on files are read under these; all are read again.
  void change_settings(Settings settings);
  /// The same for operators; read again with the next `rescan`. They must outlive this.
  void change_operators(const OperatorCatalog& operators);

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
