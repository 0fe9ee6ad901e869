#include "scheduler/daemon/folder_jobs.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

/// Whether its schedule was in force when the last scheduler ended.
bool was_served(const JobRow* row) {
  return row != nullptr && row->version.value != 0 && !row->removed && !row->file.empty() &&
         row->decided_through.has_value();
}

/// Whether anything is told of it: one that was removed may be quarantined under its name later.
bool is_told(const JobRow& row) { return !row.removed || !row.quarantined.empty(); }

}  // namespace

FolderJobs::FolderJobs(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Tell tell)
    : pump_(pump), writer_(writer), jobs_(jobs), tell_(std::move(tell)), works_(loop) {
  for (const auto& [name, row] : jobs_.all()) {
    if (is_told(row) && !row.file.empty()) names_of_file_[row.file].insert(name);
  }
}

void FolderJobs::on(JobFolderEvent event) {
  std::visit([this](auto&& e) { on_event(std::forward<decltype(e)>(e)); }, std::move(event));
}

void FolderJobs::when_read(std::size_t folders, std::function<void()> done) {
  to_be_read_ = folders;
  on_read_ = std::move(done);
  check_read();
}

void FolderJobs::check_read() {
  if (on_read_ && read_.size() >= to_be_read_ && arming_.empty()) std::exchange(on_read_, {})();
}

void FolderJobs::on_event(JobLoaded&& loaded) {
  auto arming = std::make_shared<Arming>();
  arming->name = loaded.name;
  arming->file = loaded.file;
  arming->spec = SharedJob(std::move(loaded.spec));
  arming->calendar = std::move(loaded.calendar);
  set_out(*arming);
  auto set = [this, alive = alive_, arming](Result<VersionId> version) {
    if (!*alive || !is_current(*arming)) return;
    if (!version) return give_up(*arming, "could not be stored: " + version.error().message);
    arming->version = *version;
    look_up(arming);
  };
  jobs_.version_of(std::move(loaded.text), arming->spec, std::move(set));
}

void FolderJobs::set_out(Arming& arming) {
  arming.number = ++last_arming_;
  Coming& coming = arming_[arming.name];
  coming.number = arming.number;
  coming.file = arming.file;
}

bool FolderJobs::is_current(const Arming& arming) const {
  const auto it = arming_.find(arming.name);
  return it != arming_.end() && it->second.number == arming.number;
}

/// Whose name it is, or will be once it is loaded; empty: no file's.
std::string FolderJobs::file_of(const std::string& job) const {
  const auto coming = arming_.find(job);
  if (coming != arming_.end() && !coming->second.file.empty()) return coming->second.file;
  const JobRow* known = jobs_.find(job);
  return known == nullptr ? std::string() : known->file;
}

/// What the store knows that a schedule needs which this process has not armed yet.
void FolderJobs::look_up(std::shared_ptr<Arming> arming) {
  const bool is_known = pump_.engine().schedule(arming->name).has_value();
  if (arming->calendar.calendar == nullptr || is_known) return arm(*arming, nullptr, {});
  const JobRow* row = jobs_.find(arming->name);
  const bool has_place = row != nullptr && row->decided_through;
  const WallTime place = has_place ? *row->decided_through : wall_now();
  const bool has_changed = was_served(row) && row->version != arming->version;
  const VersionId old_version = has_changed ? row->version : VersionId{};
  auto ask = [this, alive = alive_, arming, place,
              old_version](Store& store) -> std::function<void()> {
    auto taken = store.fires_with_run(arming->name, place);
    return [this, alive, arming, old_version, taken = std::move(taken)] {
      if (!*alive || !is_current(*arming)) return;
      if (!taken) return give_up(*arming, "is not loaded: " + taken.error().message);
      if (old_version.value == 0) return arm(*arming, nullptr, *taken);
      settle_old(arming, old_version, *taken);
    };
  };
  if (!writer_.load(std::move(ask))) give_up(*arming, "is not loaded: the store is closed");
}

/// The schedule has changed while nobody was looking: the old one, with the new definition, says
/// what was missed.
void FolderJobs::settle_old(std::shared_ptr<Arming> arming, VersionId old,
                            std::vector<WallTime> taken) {
  jobs_.stored(old, [this, alive = alive_, arming,
                     taken = std::move(taken)](const Result<SharedJob>& found) {
    if (!*alive || !is_current(*arming)) return;
    if (!found || (*found)->schedules.empty()) return arm(*arming, nullptr, taken);
    auto calendar = std::make_shared<std::optional<JobCalendar>>();
    works_.start(
        [calendar, job = *found] {
          if (auto made = calendar_of(*job)) *calendar = *std::move(made);
        },
        [this, arming, calendar, taken] {
          if (is_current(*arming)) arm(*arming, *calendar ? &**calendar : nullptr, taken);
        });
  });
}

void FolderJobs::give_up(const Arming& arming, const std::string& why) {
  tell_(Weight::warning, "job " + arming.name + " " + why);
  done(arming);
}

/// It is in force, or was given up.
void FolderJobs::done(const Arming& arming) {
  const auto coming = arming_.extract(arming.name);
  const auto armed = with_dates_.find(arming.name);
  if (!coming.empty() && coming.mapped().wants_dates_again && armed != with_dates_.end())
    read_dates(armed->second);
  check_read();
}

/// The job's row and its schedule, in one commit. `old`: the calendar that was in force before.
void FolderJobs::arm(const Arming& arming, const JobCalendar* old, std::vector<WallTime> taken) {
  put_in_force(arming, old, std::move(taken));
  done(arming);
}

void FolderJobs::put_in_force(const Arming& arming, const JobCalendar* old,
                              std::vector<WallTime> taken) {
  std::optional<JobRow> before;
  if (const JobRow* row = jobs_.find(arming.name)) before = *row;
  if (!arming.file.empty()) set_row(arming);
  with_dates_.erase(arming.name);
  if (arming.calendar.calendar == nullptr) return pump_.feed(input::RemoveSchedule{arming.name});
  const auto params = resolve_params(*arming.spec, "{}");
  if (!params) {
    tell_(Weight::warning, "job " + arming.name + " is not scheduled: " + params.error().message);
    return pump_.feed(input::RemoveSchedule{arming.name});
  }
  input::SetSchedule set;
  set.job = arming.name;
  set.version = arming.version;
  set.params = *params;
  set.taken = std::move(taken);
  if (before) {
    set.decided_through = before->decided_through;
    set.paused = before->paused;
    set.failures = before->failures;
  }
  const bool goes_on =
      before && was_served(&*before) && (old != nullptr || before->version == arming.version);
  set.from_now = !goes_on && !pump_.engine().schedule(arming.name);
  jobs_.know(arming.version, arming.spec);
  if (old != nullptr) {
    set.calendar = old->calendar;
    set.calendar_key = old->key;
    pump_.feed(set);
  }
  set.calendar = arming.calendar.calendar;
  set.calendar_key = arming.calendar.key;
  pump_.feed(std::move(set));
  if (!has_date_file(*arming.spec)) return;
  with_dates_.insert_or_assign(arming.name, arming).first->second.file.clear();
}

void FolderJobs::set_row(const Arming& arming) {
  JobRow row;
  if (const JobRow* known = jobs_.find(arming.name)) row = *known;
  const bool is_new = row.version != arming.version || row.removed || !row.quarantined.empty();
  row.name = arming.name;
  row.version = arming.version;
  row.file = arming.file;
  row.quarantined.clear();
  row.removed = false;
  if (!row.first_loaded_at) row.first_loaded_at = wall_now();
  jobs_.set(std::move(row));
  tell_(is_new ? Weight::info : Weight::debug,
        "job " + arming.name + " is loaded from " + arming.file);
  remove_others_of(arming.file, arming.name);
}

void FolderJobs::remove_others_of(const std::string& file, const std::string& name) {
  for (const std::string& other : std::exchange(names_of_file_[file], {name})) {
    const JobRow* row = jobs_.find(other);
    if (other != name && row != nullptr && row->file == file && is_told(*row))
      remove(*row, file + " holds job " + name + " now");
  }
}

void FolderJobs::on_event(JobQuarantined&& quarantined) {
  JobRow row;
  row.name = !quarantined.name.empty() ? quarantined.name
                                       : std::filesystem::path(quarantined.file).stem().string();
  const std::string file = file_of(row.name);
  if (!file.empty() && file != quarantined.file) {
    // A second file with a known name says nothing about the first.
    row.name = quarantined.file;
  } else if (const JobRow* known = jobs_.find(row.name)) {
    row = *known;
  }
  const bool stays_in_force = was_served(&row);
  row.file = quarantined.file;
  row.quarantined = quarantined.why;
  names_of_file_[row.file].insert(row.name);
  // A line each: whoever reads the log sees all errors at once.
  std::istringstream errors(quarantined.why);
  for (std::string error; std::getline(errors, error);)
    tell_(Weight::warning, quarantined.file + " is quarantined: " + error);
  if (stays_in_force && !pump_.engine().schedule(row.name) && !arming_.contains(row.name))
    serve_stored(row);
  jobs_.set(std::move(row));
}

/// The last good version of a job goes on, although its file cannot be read any more.
void FolderJobs::serve_stored(const JobRow& row) {
  auto arming = std::make_shared<Arming>();
  arming->name = row.name;
  arming->version = row.version;
  set_out(*arming);
  jobs_.stored(arming->version, [this, alive = alive_, arming,
                                 place = *row.decided_through](const Result<SharedJob>& found) {
    if (!*alive || !is_current(*arming)) return;
    if (!found) return give_up(*arming, "is not loaded: " + found.error().message);
    arming->spec = *found;
    auto calendar = std::make_shared<Result<JobCalendar>>(JobCalendar{});
    works_.start([job = *found, calendar] { *calendar = calendar_of(*job); },
                 [this, arming, calendar, place] {
                   if (!is_current(*arming)) return;
                   if (!*calendar)
                     return give_up(*arming, "is not scheduled: " + calendar->error().message);
                   arming->calendar = **calendar;
                   arm_stored(arming, place);
                 });
  });
}

void FolderJobs::arm_stored(std::shared_ptr<Arming> arming, WallTime place) {
  auto ask = [this, alive = alive_, arming, place](Store& store) -> std::function<void()> {
    auto taken = store.fires_with_run(arming->name, place);
    return [this, alive, arming, taken = std::move(taken)] {
      if (!*alive || !is_current(*arming)) return;
      if (!taken) return give_up(*arming, "is not scheduled: " + taken.error().message);
      arm(*arming, nullptr, *taken);
    };
  };
  if (!writer_.load(std::move(ask))) give_up(*arming, "is not scheduled: the store is closed");
}

void FolderJobs::on_event(JobRemoved&& removed) {
  arming_.erase(removed.name);
  // Of a file that has another job now, only the old one is told of.
  remove_where([&](const JobRow& row) {
    return row.file == removed.file && (removed.name.empty() || row.name == removed.name);
  });
}

/// Files that went while no scheduler was up.
void FolderJobs::on_event(FolderScanned&& scanned) {
  // What was loaded from a folder that cannot be read stays in force.
  if (scanned.why.empty()) {
    remove_where([&](const JobRow& row) {
      const std::filesystem::path file(row.file);
      return file.parent_path() == scanned.folder && !scanned.files.contains(file.filename());
    });
  }
  if (on_read_) read_.insert(scanned.folder);
  check_read();
}

void FolderJobs::remove_where(const std::function<bool(const JobRow&)>& fits) {
  std::vector<JobRow> gone;
  for (const auto& [name, row] : jobs_.all()) {
    if (is_told(row) && fits(row)) gone.push_back(row);
  }
  for (JobRow& row : gone) {
    const std::string why = row.file + " is gone, or holds no job now";
    remove(std::move(row), why);
  }
}

void FolderJobs::remove(JobRow row, const std::string& why) {
  tell_(Weight::info, "job " + row.name + " is removed: " + why);
  arming_.erase(row.name);
  with_dates_.erase(row.name);
  pump_.feed(input::RemoveSchedule{row.name});
  row.removed = true;
  row.quarantined.clear();
  jobs_.set(std::move(row));
}

void FolderJobs::reload_dates() {
  for (const auto& [name, armed] : with_dates_) {
    // What is on its way would be lost to the definition that is in force.
    if (const auto coming = arming_.find(name); coming != arming_.end()) {
      coming->second.wants_dates_again = true;
    } else {
      read_dates(armed);
    }
  }
}

void FolderJobs::read_dates(const Arming& armed) {
  auto arming = std::make_shared<Arming>(armed);
  set_out(*arming);
  auto calendar = std::make_shared<Result<JobCalendar>>(JobCalendar{});
  works_.start([job = arming->spec, calendar] { *calendar = calendar_of(*job); },
               [this, arming, calendar] {
                 if (!is_current(*arming)) return;
                 if (!*calendar)
                   return give_up(*arming, "keeps its schedule: " + calendar->error().message);
                 arming->calendar = **calendar;
                 arm(*arming, nullptr, {});
               });
}

void FolderJobs::disarm_others(const std::vector<std::string>& folders) {
  Mutations changes;
  for (const auto& [name, row] : jobs_.all()) {
    const std::string folder = std::filesystem::path(row.file).parent_path().string();
    const bool is_served = std::find(folders.begin(), folders.end(), folder) != folders.end();
    if (is_served || !row.next_fire_at) continue;
    changes.emplace_back(mutation::SetSchedule{name, row.decided_through, row.decided_through,
                                               std::nullopt, row.failures});
  }
  if (!changes.empty()) pump_.write(std::move(changes), {});
}

}  // namespace pawl
