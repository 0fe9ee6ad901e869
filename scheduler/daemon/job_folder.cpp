#include "scheduler/daemon/job_folder.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/folder.h"
#include "scheduler/daemon/job_file.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "scheduler/loop/fs_watch.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/work.h"

namespace pawl {
namespace {

constexpr std::size_t kFilesPerBatch = 128;
constexpr std::size_t kBytesPerBatchMax = 32u << 20;
constexpr int kEventsPerTurnMax = 32;
/// Where the kernel cannot tell of changes: a network file system, no watches left, a folder that
/// is gone.
constexpr Duration kLookAgain = std::chrono::seconds(5);

struct File {
  KnownFile known;
  std::string job;       ///< whose last good version came from here; empty: none
  std::string why;       ///< last told of its quarantine; empty: in order
  std::string conflict;  ///< name that it says and another file has

  bool told() const { return !job.empty() || !why.empty(); }
};

struct Folder {
  std::string path;
  std::shared_ptr<Fd> fd;  ///< shared with the pool's thread that reads
  std::unique_ptr<FsWatch> watch;
  bool looks_again = false;  ///< on a timer, because nothing tells of changes
  bool gone = false;
  bool list_wanted = false;
  bool scanning = false;  ///< to be closed with a FolderScanned
  std::string why;        ///< the folder itself is quarantined
  std::map<std::string, File> files;
  std::set<std::string> links;              ///< of them
  std::set<std::string> pending;            ///< to be looked at now
  std::set<std::string> unread;             ///< of these, to be read whatever their signature
  std::map<std::string, MonoTime> resting;  ///< changed, looked at when they have rested

  std::string path_of(const std::string& name) const { return path + "/" + name; }
  std::set<std::string> of_jobs() const {
    std::set<std::string> out;
    for (const auto& [name, since] : resting) out.insert(name);
    for (const auto& [name, file] : files) {
      if (file.told()) out.insert(name);
    }
    return out;
  }
};

/// One trip to the pool: files of one folder.
struct Batch {
  Folder* folder = nullptr;
  std::shared_ptr<Fd> fd;
  std::string path;
  LookOptions options;
  std::vector<std::pair<std::string, KnownFile>> asked;
  std::vector<FileLook> looks;  ///< of the first of `asked`: a batch ends early when it grows
};

void look_at_all(Batch& batch) {
  std::size_t bytes = 0;
  for (const auto& [name, known] : batch.asked) {
    batch.looks.push_back(
        look_at_job_file(batch.fd->get(), name, batch.path + "/" + name, known, batch.options));
    bytes += batch.looks.back().text.size();
    if (bytes > kBytesPerBatchMax) return;
  }
}

}  // namespace

struct JobFolders::Impl : Loop::Retired {
  Impl(Loop& loop_of, Options options_of, OnEvent callback)
      : loop(loop_of),
        options(std::move(options_of)),
        on_event(std::move(callback)),
        work(loop_of, Work::Pace::slow),
        rest_timer(loop_of, [this] { wake_rested(); }),
        again_timer(loop_of, [this] { look_again(); }) {}

  Result<void> add(const std::string& folder);
  void attach(Folder& folder, OpenFolder opened);
  bool reads_anew = false;  ///< settings have changed: once this round is over
  void rescan();
  void list_later(Folder& folder);

  void on_watch(Folder& folder, FsWatch::Event event, std::string_view name);
  void rest(Folder& folder, const std::string& name);
  void wake_rested();
  void look_again();
  void reopen(Folder& folder);

  void advance();
  void start_listing(Folder& folder);
  void take_listing(Folder& folder, FolderListing listing);
  void start_batch(Folder& folder);
  void take_batch(Batch& batch);
  void deliver();
  void finish_round();

  void apply(Folder& folder, FileLook look);
  void apply_good(Folder& folder, File& file, FileLook& look);
  void quarantine(Folder& folder, const std::string& name, File& file, const std::string& says,
                  std::string why);
  void forget(Folder& folder, const std::string& name, File& file);
  void give_up_name(Folder& folder, const std::string& name, File& file);
  void want_nothing(Folder& folder, const std::string& name, File& file);
  void quarantine_folder(Folder& folder, const std::string& why);
  void tell(JobFolderEvent event);

  Loop& loop;
  Options options;
  OnEvent on_event;
  bool dead = false;
  bool advancing = false;  ///< a deferred call is on its way
  std::deque<std::unique_ptr<Folder>> folders;
  std::map<std::string, std::string> owners;    ///< of job names: the path of the file
  std::map<std::string, std::string> given_up;  ///< names without a file: where they were
  /// By job name: the files that say it while another has it.
  std::map<std::string, std::set<std::pair<Folder*, std::string>>> wanting;
  std::deque<std::pair<Folder*, FileLook>> looks;
  Work work;
  Timer rest_timer;
  Timer again_timer;
};

// --- folders
// -----------------------------------------------------------------------------------------

Result<void> JobFolders::Impl::add(const std::string& path) {
  auto opened = open_folder(path);
  if (!opened) return std::move(opened).error();
  auto folder = std::make_unique<Folder>();
  folder->path = opened->path;
  attach(*folder, std::move(*opened));
  folders.push_back(std::move(folder));
  list_later(*folders.back());
  return {};
}

void JobFolders::Impl::attach(Folder& folder, OpenFolder opened) {
  folder.gone = false;
  auto watch = FsWatch::open(loop, opened.fd.get(),
                             [this, &folder](FsWatch::Event event, std::string_view name) {
                               on_watch(folder, event, name);
                             });
  folder.looks_again = !watch || !opened.local;
  folder.watch = watch ? std::move(*watch) : nullptr;
  folder.fd = std::make_shared<Fd>(std::move(opened.fd));
  if (folder.looks_again && !again_timer.armed()) again_timer.start_after(kLookAgain);
}

void JobFolders::Impl::rescan() {
  for (const auto& folder : folders) {
    if (folder->gone) {
      again_timer.start_after(Duration(0));
    } else {
      list_later(*folder);
    }
  }
}

void JobFolders::Impl::list_later(Folder& folder) {
  folder.list_wanted = true;
  advance();
}

void JobFolders::Impl::on_watch(Folder& folder, FsWatch::Event event, std::string_view name) {
  if (event == FsWatch::Event::gone) {
    folder.gone = true;
    folder.watch.reset();
    folder.resting.clear();
    // A folder is often replaced by another of its name.
    again_timer.start_after(options.debounce);
    return;
  }
  if (event == FsWatch::Event::missed || name.empty()) {
    rest(folder, "");
    return;
  }
  if (is_job_file_name(name)) {
    rest(folder, std::string(name));
    return;
  }
  // Links to files may lead through what has changed here.
  for (const std::string& link : folder.links) rest(folder, link);
}

/// The empty name is the whole folder.
void JobFolders::Impl::rest(Folder& folder, const std::string& name) {
  folder.resting[name] = mono_now() + options.debounce;
  if (!rest_timer.armed()) rest_timer.start_after(options.debounce);
}

void JobFolders::Impl::wake_rested() {
  const MonoTime now = mono_now();
  std::optional<MonoTime> next;
  for (const auto& folder : folders) {
    for (auto it = folder->resting.begin(); it != folder->resting.end();) {
      if (it->second > now) {
        next = next ? std::min(*next, it->second) : it->second;
        ++it;
        continue;
      }
      if (it->first.empty()) {
        folder->list_wanted = true;
      } else {
        folder->pending.insert(it->first);
        folder->unread.insert(it->first);
      }
      it = folder->resting.erase(it);
    }
  }
  if (next) rest_timer.start_at(*next);
  advance();
}

void JobFolders::Impl::look_again() {
  if (work.busy()) {  // it may hold a folder's lock
    again_timer.start_after(options.debounce);
    return;
  }
  bool again = false;
  for (const auto& folder : folders) {
    if (folder->gone) reopen(*folder);
    if (!folder->gone && folder->looks_again) list_later(*folder);
    again = again || folder->gone || folder->looks_again;
  }
  if (again) again_timer.start_after(kLookAgain);
}

void JobFolders::Impl::reopen(Folder& folder) {
  folder.fd.reset();  // its lock would be in the way when the same folder is moved back
  auto opened = open_folder(folder.path);
  if (!opened) {
    quarantine_folder(folder, opened.error().message);
    return;
  }
  attach(folder, std::move(*opened));
  list_later(folder);
}

// --- trips to the pool
// ---------------------------------------------------------------------------------

/// Starts what is next, once what came back is told. Folder by folder, so that the order in which
/// names are taken does not depend on timing.
void JobFolders::Impl::advance() {
  if (std::exchange(advancing, true)) return;
  loop.defer([this] {
    advancing = false;
    if (dead || work.busy() || !looks.empty()) return;
    bool busy = false;
    for (const auto& folder : folders) {
      if (folder->gone) continue;
      if (folder->list_wanted) {
        start_listing(*folder);
        busy = true;
      } else if (!folder->pending.empty()) {
        start_batch(*folder);
        busy = true;
      }
      if (busy) return;
    }
    finish_round();
  });
}

void JobFolders::Impl::start_listing(Folder& folder) {
  folder.list_wanted = false;
  folder.scanning = true;
  auto listing = std::make_shared<FolderListing>();
  work.start([listing, fd = folder.fd] { *listing = list_folder(fd->get()); },
             [this, listing, &folder] { take_listing(folder, std::move(*listing)); });
}

void JobFolders::Impl::take_listing(Folder& folder, FolderListing listing) {
  if (!listing.why.empty()) {
    quarantine_folder(folder, listing.why);
  } else {
    // The missing are looked at too: that is how they are found to be gone.
    for (const auto& [name, file] : folder.files) folder.pending.insert(name);
    folder.pending.insert(listing.names.begin(), listing.names.end());
    if (listing.too_many) {
      quarantine_folder(folder, "more than 100,000 job files: the rest is not read");
    } else {
      folder.why.clear();
    }
  }
  advance();
}

void JobFolders::Impl::start_batch(Folder& folder) {
  auto batch = std::make_shared<Batch>();
  batch->folder = &folder;
  batch->fd = folder.fd;
  batch->path = folder.path;
  batch->options.parse = parse_options(folder.path, options.operators, &options.settings);
  batch->options.settle = options.settle;
  for (const std::string& name : folder.pending) {
    if (batch->asked.size() == kFilesPerBatch) break;
    const auto file = folder.files.find(name);
    KnownFile known = file == folder.files.end() ? KnownFile{} : file->second.known;
    if (folder.unread.contains(name)) known.settled.reset();
    batch->asked.emplace_back(name, std::move(known));
  }
  work.start([batch] { look_at_all(*batch); }, [this, batch] { take_batch(*batch); });
}

void JobFolders::Impl::take_batch(Batch& batch) {
  for (FileLook& look : batch.looks) {
    batch.folder->pending.erase(look.name);
    batch.folder->unread.erase(look.name);
    looks.emplace_back(batch.folder, std::move(look));
  }
  deliver();
}

/// A turn tells a few events, so that a large folder does not hold everything else up.
void JobFolders::Impl::deliver() {
  for (int i = 0; i < kEventsPerTurnMax && !looks.empty() && !dead; ++i) {
    auto [folder, look] = std::move(looks.front());
    looks.pop_front();
    if (!folder->gone) apply(*folder, std::move(look));
  }
  if (dead) return;
  if (looks.empty()) {
    advance();
  } else {
    loop.defer([this] {
      if (!dead) deliver();
    });
  }
}

/// Names whose file went are told only now: a file that was renamed has taken its name along.
void JobFolders::Impl::finish_round() {
  const auto names = std::exchange(given_up, {});
  for (const auto& [name, path] : names) {
    if (!owners.contains(name)) tell(JobRemoved{.name = name, .file = path});
    if (dead) return;
  }
  if (std::exchange(reads_anew, false)) {
    for (const auto& folder : folders) {
      for (auto& [name, file] : folder->files) file.known = {};
    }
    return rescan();
  }
  for (const auto& folder : folders) {
    if (!std::exchange(folder->scanning, false)) continue;
    tell(FolderScanned{.folder = folder->path, .why = folder->why, .files = folder->of_jobs()});
    if (dead) return;
  }
}

// --- what a look means
// -----------------------------------------------------------------------------------

void JobFolders::Impl::apply(Folder& folder, FileLook look) {
  const auto found = folder.files.find(look.name);
  if (look.kind == FileLook::Kind::absent) {
    if (found == folder.files.end()) return;
    File file = std::move(found->second);
    folder.files.erase(found);
    folder.links.erase(look.name);
    forget(folder, look.name, file);
    return;
  }
  if (look.kind == FileLook::Kind::moving) {
    rest(folder, look.name);
    return;
  }
  File& file = folder.files[look.name];
  if (look.is_link) {
    folder.links.insert(look.name);
  } else {
    folder.links.erase(look.name);
  }
  file.known = KnownFile{.settled = look.settled, .hash = look.hash};
  switch (look.kind) {
    case FileLook::Kind::absent:
    case FileLook::Kind::moving:
    case FileLook::Kind::same: return;
    case FileLook::Kind::foreign: forget(folder, look.name, file); return;
    case FileLook::Kind::bad:
      quarantine(folder, look.name, file, look.job.name, std::move(look.why));
      return;
    case FileLook::Kind::good: apply_good(folder, file, look); return;
  }
}

void JobFolders::Impl::apply_good(Folder& folder, File& file, FileLook& look) {
  const std::string path = folder.path_of(look.name);
  const std::string name = look.job.name;
  const auto owner = owners.find(name);
  if (owner != owners.end() && owner->second != path) {
    quarantine(folder, look.name, file, name,
               "job " + name + " is already defined by " + owner->second);
    file.conflict = name;
    wanting[name].emplace(&folder, look.name);
    return;
  }
  if (!file.job.empty() && file.job != name) give_up_name(folder, look.name, file);
  owners.insert_or_assign(name, path);
  file.job = name;
  file.why.clear();
  want_nothing(folder, look.name, file);
  tell(JobLoaded{.name = name,
                 .file = path,
                 .folder = folder.path,
                 .text = std::move(look.text),
                 .spec = std::move(look.job),
                 .calendar = std::move(look.calendar)});
}

void JobFolders::Impl::quarantine(Folder& folder, const std::string& name, File& file,
                                  const std::string& says, std::string why) {
  want_nothing(folder, name, file);
  if (file.why == why) return;
  file.why = std::move(why);
  tell(JobQuarantined{
      .name = file.job.empty() ? says : file.job, .file = folder.path_of(name), .why = file.why});
}

void JobFolders::Impl::forget(Folder& folder, const std::string& name, File& file) {
  const bool only_quarantined = file.job.empty() && file.told();
  if (!file.job.empty()) give_up_name(folder, name, file);
  file.why.clear();
  want_nothing(folder, name, file);
  if (only_quarantined) tell(JobRemoved{.name = "", .file = folder.path_of(name)});
}

void JobFolders::Impl::give_up_name(Folder& folder, const std::string& name, File& file) {
  owners.erase(file.job);
  given_up.insert_or_assign(file.job, folder.path_of(name));
  // Who wanted the name may have it now.
  if (const auto wanted = wanting.find(file.job); wanted != wanting.end()) {
    for (const auto& [other, other_name] : wanted->second) {
      File& other_file = other->files[other_name];
      other_file.known = KnownFile{};
      other_file.conflict.clear();
      other->pending.insert(other_name);
    }
    wanting.erase(wanted);
  }
  file.job.clear();
}

void JobFolders::Impl::want_nothing(Folder& folder, const std::string& name, File& file) {
  if (file.conflict.empty()) return;
  const auto wanted = wanting.find(file.conflict);
  if (wanted != wanting.end()) {
    wanted->second.erase({&folder, name});
    if (wanted->second.empty()) wanting.erase(wanted);
  }
  file.conflict.clear();
}

/// What its files hold stays in force.
void JobFolders::Impl::quarantine_folder(Folder& folder, const std::string& why) {
  if (folder.why == why) return;
  folder.why = why;
  tell(JobQuarantined{.name = "", .file = folder.path, .why = why});
}

void JobFolders::Impl::tell(JobFolderEvent event) {
  if (!dead) on_event(std::move(event));
}

JobFolders::JobFolders(Loop& loop, Options options, OnEvent on_event)
    : impl_(new Impl(loop, std::move(options), std::move(on_event))) {}

JobFolders::~JobFolders() {
  impl_->dead = true;
  impl_->rest_timer.cancel();
  impl_->again_timer.cancel();
  for (const auto& folder : impl_->folders) folder->watch.reset();
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

Result<void> JobFolders::add(const std::string& folder) { return impl_->add(folder); }
void JobFolders::rescan() { impl_->rescan(); }

void JobFolders::change_operators(const OperatorCatalog& operators) {
  impl_->options.operators = &operators;
  impl_->reads_anew = true;
}

void JobFolders::change_settings(Settings settings) {
  impl_->options.settings = std::move(settings);
  // What is being read meanwhile is read under the old ones.
  impl_->reads_anew = true;
  impl_->rescan();
}

}  // namespace pawl
