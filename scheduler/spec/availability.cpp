// What of a valid job this version cannot run yet. The file is accepted by `validate`; whoever
// would run it refuses, so that nothing is silently left out.

#include <set>

#include "scheduler/spec/parse.h"

namespace pawl {
namespace {

std::string of_task(const TaskSpec& task) { return " (task " + task.id + ")"; }

void check_task(const TaskSpec& task, bool is_hook, std::set<std::string>& seen,
                std::vector<std::string>& out) {
  // One sentence per kind: a job of a thousand HTTP tasks has one thing wrong.
  const auto add = [&](const std::string& kind, const std::string& where) {
    if (seen.insert(kind).second) out.push_back(kind + " not yet available" + where);
  };
  const std::string where = is_hook ? "" : of_task(task);
  for (const Dependency& dependency : task.depends_on) {
    if (dependency.each) add("\"each\" dependencies are", where);
  }
}

}  // namespace

std::vector<std::string> not_yet_available(const JobSpec& job) {
  std::set<std::string> seen;
  std::vector<std::string> out;
  for (const TaskSpec& task : job.tasks) check_task(task, false, seen, out);
  for (const HookSpec& hook : job.hooks) check_task(hook.task, true, seen, out);
  return out;
}

}  // namespace pawl
