#include "scheduler/daemon/folder_jobs.h"

#include <filesystem>
#include <vector>

#include "scheduler/loop/clock.h"

namespace pawl {

void FolderJobs::on(JobFolderEvent event) {
  std::visit([this](auto&& e) { on_event(std::forward<decltype(e)>(e)); }, std::move(event));
}

void FolderJobs::on_event(JobLoaded&& loaded) {
  auto set = [this, name = loaded.name, file = loaded.file](Result<VersionId> version) {
    if (!version) {
      return tell_(Weight::warning,
                   "job " + name + " could not be stored: " + version.error().message);
    }
    JobRow row;
    if (const JobRow* known = jobs_.find(name)) row = *known;
    const bool is_new = row.version != *version || row.removed || !row.quarantined.empty();
    row.name = name;
    row.version = *version;
    row.file = file;
    row.quarantined.clear();
    row.removed = false;
    if (!row.first_loaded_at) row.first_loaded_at = wall_now();
    jobs_.set(std::move(row));
    tell_(is_new ? Weight::info : Weight::debug, "job " + name + " is loaded from " + file);
  };
  jobs_.version_of(loaded.text, std::move(loaded.spec), std::move(set));
}

void FolderJobs::on_event(JobQuarantined&& quarantined) {
  JobRow row;
  row.name = !quarantined.name.empty() ? quarantined.name
                                       : std::filesystem::path(quarantined.file).stem().string();
  if (const JobRow* known = jobs_.find(row.name)) {
    // A second file with a known name says nothing about the first.
    if (!known->file.empty() && known->file != quarantined.file)
      row.name = quarantined.file;
    else
      row = *known;
  }
  row.file = quarantined.file;
  row.quarantined = quarantined.why;
  tell_(Weight::warning, quarantined.file + " is quarantined: " + quarantined.why);
  jobs_.set(std::move(row));
}

void FolderJobs::on_event(JobRemoved&& removed) {
  remove_where([&](const JobRow& row) { return row.file == removed.file; });
}

/// Files that went while no scheduler was up.
void FolderJobs::on_event(FolderScanned&& scanned) {
  remove_where([&](const JobRow& row) {
    std::error_code failed;
    const std::filesystem::path file(row.file);
    return file.parent_path() == scanned.folder && !std::filesystem::exists(file, failed);
  });
}

void FolderJobs::remove_where(const std::function<bool(const JobRow&)>& fits) {
  std::vector<JobRow> gone;
  for (const auto& [name, row] : jobs_.all()) {
    if (!row.removed && fits(row)) gone.push_back(row);
  }
  for (JobRow& row : gone) {
    tell_(Weight::info, "job " + row.name + " is removed: " + row.file + " is gone");
    row.removed = true;
    row.quarantined.clear();
    jobs_.set(std::move(row));
  }
}

}  // namespace pawl
