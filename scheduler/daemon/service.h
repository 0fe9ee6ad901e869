#pragma once

// The running service: what the parts of this folder make together. Used by `pawl serve`, and by
// every verb that is the scheduler for as long as it needs.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/daemon/commands.h"
#include "scheduler/daemon/dispatcher.h"
#include "scheduler/daemon/folder_jobs.h"
#include "scheduler/daemon/home.h"
#include "scheduler/daemon/http_server.h"
#include "scheduler/daemon/job_calls.h"
#include "scheduler/daemon/job_folder.h"
#include "scheduler/daemon/jobs.h"
#include "scheduler/daemon/notice.h"
#include "scheduler/daemon/progress_board.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/daemon/reader.h"
#include "scheduler/daemon/retainer.h"
#include "scheduler/daemon/settings_file.h"
#include "scheduler/daemon/stall_watch.h"
#include "scheduler/daemon/wal_watch.h"
#include "scheduler/daemon/workers.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/wakeup.h"
#include "scheduler/loop/work.h"

namespace pawl {

struct ServiceOptions {
  std::string home;                      ///< absolute
  std::string program;                   ///< path of this program, for workers
  std::string version;                   ///< of pawl
  std::vector<std::string> job_folders;  ///< absolute
  OperatorCatalog operators;             ///< those there are
  ParsedSettings settings;               ///< as read; unread ones are the defaults
  SettingsFile settings_file;            ///< read again with the folders; no path: they stay
  /// `pawl serve`: all open runs go on. Otherwise they are adopted, and only what is asked for
  /// starts.
  bool serves = false;
  Duration lock_wait{};            ///< how long to wait for the home's lock
  SignsOfLife::Patience patience;  ///< with workers
  /// Lines for whoever runs this; called on the loop, and from a thread that watches it.
  Tell tell;
  std::function<std::uint64_t()> dropped_lines;  ///< of the log, for the status
};

/// What a start found of the schedulers before it.
struct RecoveryFigures {
  std::size_t runs = 0;
  // Attempts: those that had ended meanwhile, never began, ended without evidence. The others are
  // adopted.
  std::int64_t ended = 0;
  std::int64_t never_started = 0;
  std::int64_t interrupted = 0;
};

class Service {
 public:
  /// Takes the home, raises the epoch, reads the open runs and begins to ask the workers. The
  /// socket is served once recovery is done (inside `run` or `turn`). Errors: locked,
  /// home_unusable, storage, version, invalid (a job folder).
  static Result<std::unique_ptr<Service>> open(ServiceOptions options);
  /// Answers who has asked by now, commits what was decided and lets the home go. Running tasks go
  /// on.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Turns the loop until `leave`, a drain that has ended, or a failure of the store.
  Result<void> run();
  /// One turn of the loop, waiting for something to happen. False when the service has ended.
  bool turn();
  /// Why it ended, when the store failed.
  const std::optional<Error>& failure() const { return failure_; }

  /// A request as over the socket. The answer comes in a later turn. Before recovery is done
  /// requests wait.
  void call(ControlRequest request, ControlAnswer answer);

  /// Ends `run` after what was decided is durable. Workers go on.
  void leave();
  /// Starts nothing more, and leaves when nothing runs.
  void drain();
  /// Reads the operators, the settings and the job folders again, in a while.
  void reload();

  /// Whether another scheduler has asked for the home; `leave` was called for it.
  bool was_handed_over() const { return was_handed_over_; }
  /// Open runs that may go on, so for whose sake a foreground verb stays.
  std::int64_t active_runs() const;
  /// Open runs of earlier schedulers that only wait to be resumed.
  std::vector<std::string> dormant_runs() const;
  bool is_ready() const { return is_ready_; }
  Loop& loop() { return loop_; }
  const Home& home() const { return home_; }

 private:
  Service(ServiceOptions options, Home home, FileLock lock);

  // service_start.cpp
  Result<void> start();
  void start_writer(std::unique_ptr<Store> store);
  Result<void> load_runs(Store& store);
  void start_parts(std::vector<JobRow> jobs);
  const OperatorCatalog& operators() const {
    return catalogs_.empty() ? options_.operators : *catalogs_.back();
  }
  std::map<std::string, std::string> plugins() const;
  Workers::Options worker_options() const;
  Workers::Events worker_events();
  AttemptBounds bounds_of(AttemptId attempt) const;
  ServiceHooks hooks();
  Result<void> watch_folders();
  void begin_recovery();
  void on_recovered();
  void start_schedules();

  // service_settings.cpp
  static std::size_t workers_wanted(const Settings& settings);
  static Retention keep_of(const Settings& settings);
  Result<std::int64_t> slots_of_default(const Settings& settings) const;
  struct Reread;
  void take_operators(Reread& read);
  void take_settings(Result<ParsedSettings> read);
  void change_settings(const Settings& before);
  void tell_settings() const;
  void set_pools(const Settings& before);

  // service_status.cpp
  nlohmann::json status() const;
  std::vector<Hold> holds() const;
  void tell_recovery();
  void tell_run(const RunChange& change) const;

  void perform(std::vector<Effect>&& effects);
  void tell_workers(const std::vector<Effect>& effects);
  void perform(effect::Prepare&& prepare);
  void want_worker(const std::string& operator_name);
  void take_answers();
  void on_writer();
  bool has_writer_failed();
  void tell_durable();
  void on_wal();
  void hold_starts();
  void tell(Weight weight, const std::string& text) const;
  void leave_if_drained();
  void take_early_calls();
  void answer_the_last();

  ServiceOptions options_;
  /// Those that a reload found. Whoever reads a file on another thread may still use the one
  /// before.
  std::vector<std::unique_ptr<const OperatorCatalog>> catalogs_;
  Home home_;
  FileLock lock_;
  Loop loop_;
  std::int64_t default_slots_ = 4;
  std::int64_t slots_max_ = 0;
  std::uint64_t program_descriptors_ = 0;
  WallTime since_;
  StoreCounters counters_;
  HomeId home_id_;
  std::vector<input::AddVersion> found_versions_;
  std::vector<RunSnapshot> found_runs_;
  std::vector<RateRow> found_rates_;
  std::vector<std::string> bad_runs_;

  // What the writer's thread hands to the loop.
  std::mutex writer_mutex_;
  std::vector<std::function<void()>> completions_;
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<bool> storage_full_{false};
  std::optional<Error> writer_failure_;

  std::unique_ptr<Wakeup> writer_wakeup_;
  std::unique_ptr<Wakeup> reader_wakeup_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Pump> pump_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<Dispatcher> dispatcher_;
  ProgressBoard progress_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<JobCalls> job_calls_;
  std::unique_ptr<Retainer> retainer_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<JobFolders> folders_;
  std::unique_ptr<FolderJobs> folder_jobs_;
  std::vector<JobFolderEvent> early_events_;  ///< before the recovery was done
  std::unique_ptr<WallTimer> calendar_timer_;
  std::unique_ptr<WalWatch> wal_watch_;
  std::unique_ptr<StallWatch> stall_watch_;
  /// That came before it was ready, or that change something before the job folders were read.
  std::vector<std::pair<ControlRequest, ControlAnswer>> early_calls_;
  std::unique_ptr<Timer> folders_timer_;  ///< armed: the folders are still being read
  std::unique_ptr<Work> settings_work_;
  bool reloads_again_ = false;  ///< asked for while the settings were being read
  std::optional<Error> failure_;
  RecoveryFigures recovery_;
  bool was_full_ = false;
  bool is_ready_ = false;
  bool is_leaving_ = false;
  bool is_draining_ = false;
  bool takes_calls_ = true;
  std::shared_ptr<std::int64_t> open_calls_ = std::make_shared<std::int64_t>(0);
  bool was_handed_over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
