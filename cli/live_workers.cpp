#include "cli/live_workers.h"

#include <algorithm>
#include <filesystem>

#include "scheduler/base/words.h"
#include "scheduler/loop/file_lock.h"

namespace pawl {

std::vector<LiveWorker> live_workers(const std::string& folder) {
  std::vector<LiveWorker> workers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string lock = (entry.path() / "lock").string();
    const Result<bool> held = FileLock::is_held(lock);
    if (held && !*held) continue;
    LiveWorker worker;
    worker.is_certain = held.ok();
    const std::string name = entry.path().filename().string();
    worker.id.value = whole_number<std::int64_t>(name).value_or(0);
    const auto holder = FileLock::last_holder(lock);
    if (holder && *holder) worker.pid = (*holder)->pid;
    workers.push_back(worker);
  }
  std::sort(workers.begin(), workers.end(),
            [](const LiveWorker& a, const LiveWorker& b) { return a.id < b.id; });
  return workers;
}

}  // namespace pawl
