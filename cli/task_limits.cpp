#include "cli/task_limits.h"

#include "cli/settings.h"
#include "cli/stored_job.h"
#include "plugins/worker/control_group.h"
#include "plugins/worker/worker.h"

namespace pawl {

KernelLimits kernel_limits_now(const Session& session) {
  const Result<ParsedSettings> settings = settings_of(session, nullptr);
  return kernel_limits(
      find_control_groups(settings ? settings->settings.control_groups : std::string("auto")));
}

Result<Json> limits_of_task(const Session& session, HistoryAccess& access, const Named& named,
                            const std::vector<AttemptView>& attempts) {
  const Result<JobSpec> job = stored_job(access, named.run.version);
  if (!job) return job.error();
  if (named.task->value >= job->node_count()) return Json::object();
  const Resources& limits = job->node(*named.task).resources;
  if (resources_json(limits, {}).empty()) return Json::object();
  std::optional<KernelLimits> kept;
  if (!attempts.empty())
    kept = kernel_limits_of_worker(worker_folder(access.home(), attempts.back().row.worker));
  return resources_json(limits, kept ? *kept : kernel_limits_now(session));
}

}  // namespace pawl
