#include "plugins/worker/scratch_sweep.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

namespace pawl {
namespace {

/// Of fewer folders each is tried.
constexpr std::size_t kFoldersToList = 8;

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

}  // namespace

ScratchSweep::ScratchSweep(Loop& loop, std::string folder, std::function<void()> on_done)
    : loop_(loop), folder_(std::move(folder)), on_done_(std::move(on_done)) {}

void ScratchSweep::sweep() {
  if (old_.empty() && left_.empty()) return;
  std::vector<std::string> old = std::exchange(old_, {});
  if (old.size() >= kFoldersToList) {
    const std::set<std::string> made = names_in(folder_);
    if (made.empty()) old.clear();  // most operators never ask for one
    std::erase_if(old, [&](const std::string& path) {
      return !made.contains(path.substr(path.rfind('/') + 1));
    });
  }
  std::erase_if(
      old, [](const std::string& path) { return ::rmdir(path.c_str()) == 0 || errno == ENOENT; });
  left_.insert(left_.end(), old.begin(), old.end());
  if (left_.empty() || (work_ && work_->busy())) return;
  work_ = std::make_unique<Work>(loop_);
  work_->start(
      [paths = std::exchange(left_, {})] {
        std::error_code ignored;
        for (const std::string& one : paths) std::filesystem::remove_all(one, ignored);
      },
      on_done_);
}

}  // namespace pawl
