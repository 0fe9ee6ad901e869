#pragma once

// What happens in the job folders, as rows of jobs: loaded, quarantined, removed. On the loop.

#include <functional>
#include <string>

#include "scheduler/daemon/job_folder.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/notice.h"

namespace pawl {

class FolderJobs {
 public:
  FolderJobs(Jobs& jobs, Tell tell) : jobs_(jobs), tell_(std::move(tell)) {}

  void on(JobFolderEvent event);

 private:
  void on_event(JobLoaded&& loaded);
  void on_event(JobQuarantined&& quarantined);
  void on_event(JobRemoved&& removed);
  void on_event(FolderScanned&& scanned);
  /// Takes jobs away whose row fits.
  void remove_where(const std::function<bool(const JobRow&)>& fits);

  Jobs& jobs_;
  Tell tell_;
};

}  // namespace pawl
