#pragma once

// What happens in the job folders, as rows of jobs and as schedules: loaded, quarantined, removed.
// A schedule goes on where it stood: of a job that was served before, what its old schedule owes is
// settled before a new one counts. On the loop.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheduler/daemon/job_folder.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/notice.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

class FolderJobs {
 public:
  FolderJobs(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Tell tell);
  ~FolderJobs() { *alive_ = false; }
  FolderJobs(const FolderJobs&) = delete;
  FolderJobs& operator=(const FolderJobs&) = delete;

  /// After the recovery: what is armed may fire at once.
  void on(JobFolderEvent event);
  /// Calls back once: when so many folders have been told of as a whole, and what they brought is
  /// in force.
  void when_read(std::size_t folders, std::function<void()> done);
  /// Files of dates are read again.
  void reload_dates();
  /// Jobs whose schedule was armed by an earlier scheduler and whose folder is none of these have
  /// no next fire.
  void disarm_others(const std::vector<std::string>& folders);

 private:
  /// A job on its way from its file to its schedule.
  struct Arming {
    std::string name;
    std::string file;  ///< empty: its row stays as it is
    VersionId version;
    SharedJob spec;
    JobCalendar calendar;
    std::uint64_t number = 0;  ///< a later one of the same name takes its place
  };

  void on_event(JobLoaded&& loaded);
  void on_event(JobQuarantined&& quarantined);
  void on_event(JobRemoved&& removed);
  void on_event(FolderScanned&& scanned);
  /// Takes jobs away whose row fits.
  void remove_where(const std::function<bool(const JobRow&)>& fits);
  void remove(JobRow row, const std::string& why);
  /// A file holds one job: what else was told of it, good or bad, is over.
  void remove_others_of(const std::string& file, const std::string& name);

  void set_out(Arming& arming);
  bool is_current(const Arming& arming) const;
  std::string file_of(const std::string& job) const;
  void read_dates(const Arming& armed);
  void done(const Arming& arming);
  void give_up(const Arming& arming, const std::string& why);
  void check_read();
  void look_up(std::shared_ptr<Arming> arming);
  void settle_old(std::shared_ptr<Arming> arming, VersionId old, std::vector<WallTime> taken);
  void arm(const Arming& arming, const JobCalendar* old, std::vector<WallTime> taken);
  void put_in_force(const Arming& arming, const JobCalendar* old, std::vector<WallTime> taken);
  void set_row(const Arming& arming);
  void serve_stored(const JobRow& row);
  void arm_stored(std::shared_ptr<Arming> arming, WallTime place);

  Pump& pump_;
  Writer& writer_;
  Jobs& jobs_;
  Tell tell_;
  /// What is on its way: of each name the last one, and its file.
  struct Coming {
    std::uint64_t number = 0;
    std::string file;
    bool wants_dates_again = false;  ///< its dates may have changed since they were read
  };
  std::map<std::string, Coming> arming_;
  std::uint64_t last_arming_ = 0;
  std::set<std::string> read_;  ///< folders that were told of as a whole
  std::size_t to_be_read_ = 0;
  std::function<void()> on_read_;  ///< until it was called
  /// The rows that are about a file; some of them may be about another one by now.
  std::map<std::string, std::set<std::string>> names_of_file_;
  std::map<std::string, Arming> with_dates_;  ///< armed, with a file of dates
  Works works_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
