#include "scheduler/core/overdue.h"

#include "scheduler/base/text.h"

namespace pawl {
namespace {

/// Whole seconds: nobody reads the rest.
std::string span(Duration d) { return format_duration(d / 1000 * 1000); }

}  // namespace

std::string overdue_text(const TaskSpec& task, Duration lasted) {
  if (task.timeout == Duration{0} || lasted < task.timeout || task.calls_job()) return "";
  const Duration ending = lasted - task.timeout;
  const Duration left = task.kill_grace - ending;
  const std::string told = "its timeout of " + format_duration(task.timeout) +
                           " is over: it was told to end " + span(ending) + " ago, ";
  if (left <= Duration{0}) {
    return told + "and is killed, as its kill_grace of " + format_duration(task.kill_grace) +
           " is over, too";
  }
  return told + "and is killed in " + span(left + std::chrono::milliseconds(999));
}

}  // namespace pawl
