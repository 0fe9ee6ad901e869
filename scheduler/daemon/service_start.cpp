// The start of a service: home, store and workers, then what was found there goes on.

#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <set>

#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/service.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/unix_socket.h"
#include "storage/sqlite_store.h"

namespace pawl {
namespace {

// Of a worker for each program it runs: two pipes, a log, standard input, and some to spare.
constexpr std::uint64_t kDescriptorsPerSlot = 6;
constexpr std::uint64_t kDescriptorsForItself = 256;
constexpr Duration kStallPatience = std::chrono::seconds(10);
/// A folder that takes longer is on a disk or a network that hangs.
constexpr Duration kFoldersPatience = std::chrono::seconds(10);

struct DescriptorLimit {
  std::uint64_t given = 1024;   ///< soft limit of whoever started us: what programs get
  std::uint64_t raised = 1024;  ///< ours from now on
};

/// Raises the soft limit of descriptors to the hard one.
DescriptorLimit raise_descriptor_limit() {
  DescriptorLimit out;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return out;
  out.given = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  out.raised = limit.rlim_cur;
  return out;
}

/// What answers the client, and notices when it leaves.
ControlAnswer answer_to(Responder responder) {
  return ControlAnswer(
      [responder](int status, std::string body) mutable {
        responder.json(status, std::move(body));
      },
      [responder](std::function<void()> fn) mutable { responder.on_gone(std::move(fn)); });
}

void count_found(const std::vector<AttemptResult>& results, RecoveryFigures& found) {
  for (const AttemptResult& result : results) {
    switch (result.outcome) {
      case AttemptResult::Outcome::succeeded:
      case AttemptResult::Outcome::failed:
      case AttemptResult::Outcome::skipped: ++found.ended; break;
      case AttemptResult::Outcome::lost:
      case AttemptResult::Outcome::interrupted: ++found.interrupted; break;
      case AttemptResult::Outcome::never_started: ++found.never_started; break;
      case AttemptResult::Outcome::deferred: break;
    }
  }
}

}  // namespace

Result<void> Service::start() {
  const DescriptorLimit limit = raise_descriptor_limit();
  const std::uint64_t descriptors = limit.raised;
  program_descriptors_ = limit.given;
  const std::uint64_t usable =
      descriptors > kDescriptorsForItself ? descriptors - kDescriptorsForItself : 0;
  slots_max_ = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::min<std::uint64_t>(usable / kDescriptorsPerSlot, 100'000)));
  auto slots = slots_of_default(options_.settings.settings);
  if (!slots) return slots.error();
  default_slots_ = *slots;
  tell_settings();

  auto store = SqliteStore::open(home_.database());
  if (!store) return store.error();
  auto counters = (*store)->begin_epoch(boot_id());
  if (!counters) return counters.error();
  counters_ = *counters;
  auto home_id = (*store)->home_id();
  if (!home_id) return home_id.error();
  home_id_ = *std::move(home_id);
  if (auto loaded = load_runs(**store); !loaded) return loaded.error();
  auto jobs = (*store)->jobs();
  if (!jobs) return jobs.error();

  start_writer(std::move(*store));
  auto data = RunData::open(home_.database());
  if (!data) return data.error();
  reader_wakeup_ = std::make_unique<Wakeup>(loop_, [this] { take_answers(); });
  reader_ = std::make_unique<Reader>(std::move(*data), home_.path(), home_.outputs(),
                                     [this] { reader_wakeup_->wake(); });
  start_parts(std::move(*jobs));
  begin_recovery();
  return watch_folders();
}

void Service::start_writer(std::unique_ptr<Store> store) {
  writer_wakeup_ = std::make_unique<Wakeup>(loop_, [this] { on_writer(); });
  Writer::Callbacks callbacks;
  callbacks.committed = [this](std::uint64_t through) {
    committed_.store(through, std::memory_order_release);
    writer_wakeup_->wake();
  };
  callbacks.deliver = [this](std::function<void()> completion) {
    {
      std::lock_guard lock(writer_mutex_);
      completions_.push_back(std::move(completion));
    }
    writer_wakeup_->wake();
  };
  callbacks.storage_full = [this](bool full) {
    storage_full_.store(full, std::memory_order_release);
    writer_wakeup_->wake();
  };
  callbacks.fatal = [this](Error error) {
    {
      std::lock_guard lock(writer_mutex_);
      writer_failure_ = std::move(error);
    }
    writer_wakeup_->wake();
  };
  WriterOptions writer_options;
  writer_options.ballast = home_.ballast();
  writer_ = std::make_unique<Writer>(std::move(store), std::move(callbacks), writer_options);
}

/// The job folders are read in a while; what they say waits until recovery is done.
Result<void> Service::watch_folders() {
  if (!options_.serves || options_.job_folders.empty()) return {};
  folder_jobs_ = std::make_unique<FolderJobs>(
      loop_, *pump_, *writer_, *jobs_,
      [this](Weight weight, const std::string& text) { tell(weight, text); });
  JobFolders::Options folder_options;
  folder_options.operators = &options_.operators;
  folder_options.settings = options_.settings.settings;
  folders_ = std::make_unique<JobFolders>(loop_, folder_options, [this](JobFolderEvent event) {
    if (is_ready_)
      folder_jobs_->on(std::move(event));
    else
      early_events_.push_back(std::move(event));
  });
  for (const std::string& folder : options_.job_folders) {
    if (auto added = folders_->add(folder); !added) return added.error();
  }
  return {};
}

/// The open runs and the definitions they are pinned to, and what rates counted. A run
/// that cannot be read is left alone.
Result<void> Service::load_runs(Store& store) {
  std::vector<RunSnapshot> runs;
  auto loaded =
      store.load_open_runs([&](RunSnapshot&& run) { runs.push_back(std::move(run)); },
                           [this](RunId, const std::string& why) {
                             bad_runs_.push_back("cannot be read and is left alone: " + why);
                           });
  if (!loaded) return loaded;
  auto rates = store.rates();
  if (!rates) return rates.error();
  found_rates_ = *std::move(rates);
  std::map<VersionId, bool> is_good;
  for (RunSnapshot& run : runs) {
    auto known = is_good.find(run.run.version);
    if (known == is_good.end()) {
      auto row = store.version(run.run.version);
      if (!row) return row.error();
      bool good = false;
      if (*row) {
        auto job = read_definition(**row);
        good = job.ok();
        if (good) found_versions_.push_back({**row, std::move(*job), true});
      }
      known = is_good.emplace(run.run.version, good).first;
    }
    if (known->second) {
      found_runs_.push_back(std::move(run));
    } else {
      bad_runs_.push_back("run " + run.run.name +
                          " is left alone: its definition cannot be read by this version");
    }
  }
  return {};
}

void Service::start_parts(std::vector<JobRow> job_rows) {
  const Settings& settings = options_.settings.settings;
  pump_ = std::make_unique<Pump>(
      loop_, Engine({counters_.run, counters_.attempt}), *writer_,
      [this](std::vector<Effect>&& effects) { perform(std::move(effects)); });
  if (options_.serves) pump_->tell_runs([this](const RunChange& change) { tell_run(change); });
  WalWatch::Options wal_options;
  wal_options.database = home_.database();
  wal_options.bytes_max = settings.wal_bytes_max;
  wal_watch_ =
      std::make_unique<WalWatch>(loop_, *writer_, std::move(wal_options), [this] { on_wal(); });
  jobs_ = std::make_unique<Jobs>(loop_, *pump_, *writer_, counters_.version, std::move(job_rows),
                                 options_.operators);
  jobs_->change_settings(settings);

  job_calls_ = std::make_unique<JobCalls>(*pump_, *writer_, *reader_, *jobs_);

  retainer_ = std::make_unique<Retainer>(
      loop_, *pump_, *writer_, *jobs_,
      Retainer::Options{home_.logs(), home_.outputs(), keep_of(settings),
                        [this] { return commands_ && commands_->reads_runs(); }});
  if (options_.serves) retainer_->keep_going();

  workers_ = std::make_unique<Workers>(loop_, worker_options(), worker_events());
  dispatcher_ =
      std::make_unique<Dispatcher>(pump_->engine(), *reader_, *workers_, *jobs_, home_.path(),
                                   home_id_, counters_.epoch, [this](AttemptResult result) {
                                     input::AttemptsEnded ended;
                                     ended.results.push_back(std::move(result));
                                     pump_->feed_later(std::move(ended));
                                   });
  commands_ = std::make_unique<Commands>(loop_, *pump_, *writer_, *jobs_, counters_.epoch, hooks());
}

std::map<std::string, std::string> Service::plugins() const {
  std::map<std::string, std::string> out;
  for (const auto& [name, info] : operators().all()) {
    if (name != kJobOperator) out[name] = info.plugin;
  }
  return out;
}

Workers::Options Service::worker_options() const {
  const Settings& settings = options_.settings.settings;
  Workers::Options out;
  out.plugins = plugins();
  out.folder = home_.workers();
  out.home = home_.path();
  out.program = options_.program;
  out.version = options_.version;
  out.epoch = counters_.epoch;
  out.program_descriptors = program_descriptors_;
  out.control_groups = settings.control_groups;
  out.worker_idle = settings.worker_idle;
  out.hosts = settings.hosts;
  out.count = workers_wanted(settings);
  out.patience = options_.patience;
  return out;
}

Workers::Events Service::worker_events() {
  Workers::Events events;
  events.up = [this](WorkerId id, std::vector<std::string> operators) {
    tell(Weight::info, "worker " + std::to_string(id.value) + " is up");
    pump_->feed(input::WorkerUp{id, std::move(operators)});
  };
  events.drains = [this](WorkerId id) {
    tell(Weight::info, "worker " + std::to_string(id.value) + " takes no more attempts");
    pump_->feed(input::WorkerDrains{id});
  };
  events.gone = [this](WorkerId id) {
    tell(Weight::info, "worker " + std::to_string(id.value) + " is gone");
    dispatcher_->worker_gone(id);
    pump_->feed(input::WorkerGone{id});
  };
  events.ended = [this](std::vector<AttemptResult> results) {
    if (!is_ready_) count_found(results, recovery_);
    for (const AttemptResult& result : results) progress_.erase(result.attempt);
    pump_->feed(input::AttemptsEnded{std::move(results)});
  };
  events.began = [this](AttemptId id, WallTime at) { pump_->feed(input::AttemptBegan{id, at}); };
  events.handle = [this](input::AttemptHandle handle) { pump_->feed(std::move(handle)); };
  events.progress = [this](frame::Progress progress) {
    progress_.tell(std::move(progress), wall_now());
  };
  events.attempts_of = [this](WorkerId id) {
    std::vector<StayOfAttempt> stays;
    for (AttemptId attempt : pump_->engine().attempts_of(id))
      stays.push_back({attempt, pump_->engine().stay_of(attempt)});
    return stays;
  };
  events.bounds_of = [this](AttemptId attempt) { return bounds_of(attempt); };
  events.new_id = [this](WorkerId above, std::function<void(std::optional<WorkerId>)> done) {
    writer_->load([above, done = std::move(done)](Store& store) -> std::function<void()> {
      auto id = store.next_worker(above);
      return [done, id = id ? std::optional(*id) : std::nullopt] { done(id); };
    });
  };
  events.settled = [this] { on_recovered(); };
  events.problem = [this](const std::string& text) { tell(Weight::warning, text); };
  return events;
}

/// By the calendar: of an attempt that an earlier scheduler started nothing else is known.
AttemptBounds Service::bounds_of(AttemptId attempt) const {
  const Engine& engine = pump_->engine();
  const auto key = engine.key_of(attempt);
  if (!key) return {};
  const TaskSpec& task = engine.job_of(key->run)->node(key->task);
  AttemptBounds bounds;
  bounds.grace = task.kill_grace;
  if (task.timeout > Duration(0)) {
    const Duration gone = std::max(Duration(0), wall_now() - *engine.started_at(attempt));
    bounds.left = std::max(Duration(0), task.timeout - gone);
  }
  return bounds;
}

ServiceHooks Service::hooks() {
  ServiceHooks hooks;
  hooks.status = [this] { return status(); };
  hooks.reload = [this]() -> Result<void> {
    reload();
    return {};
  };
  hooks.hand_over = [this]() -> Result<void> {
    if (options_.serves) return Error{ErrorKind::locked, "`pawl serve` is running here already"};
    was_handed_over_ = true;
    // After the answer is on its way.
    loop_.defer([this, alive = alive_] {
      loop_.defer([this, alive] {
        if (*alive) leave();
      });
    });
    return {};
  };
  hooks.run_changed = [this](RunId run) { dispatcher_->forget_definitions(run); };
  hooks.storage_full = [this] { return storage_full_.load(std::memory_order_acquire); };
  hooks.waits_for_room = [this] { return writer_->waits_for_room(); };
  hooks.holds = [this] { return holds(); };
  hooks.silent_workers = [this] { return workers_->silent(); };
  hooks.prune = [this](std::optional<Retainer::Asked> asked, Retainer::Done done) {
    retainer_->prune(std::move(asked), std::move(done));
  };
  hooks.progress = [this](std::string_view attempts) { return progress_.of(attempts); };
  hooks.slots_max = slots_max_;
  return hooks;
}

/// Hands the engine what was found, and asks the workers what became of it.
void Service::begin_recovery() {
  set_pools({});
  for (input::AddVersion& version : found_versions_) pump_->feed(std::move(version));
  found_versions_.clear();
  std::vector<WorkerId> referenced;
  for (RunSnapshot& run : found_runs_) {
    for (const AttemptRow& attempt : run.live_attempts) {
      // Number 0 is the scheduler itself.
      if (attempt.worker.value != 0) referenced.push_back(attempt.worker);
    }
    pump_->feed(input::Recover{std::move(run), !options_.serves});
  }
  recovery_.runs = found_runs_.size();
  found_runs_.clear();
  pump_->feed(input::RecoverRates{std::move(found_rates_)});
  workers_->recover(referenced);
  workers_->keep_running();
}

/// The workers found have told what they know: now decide, and serve.
void Service::on_recovered() {
  pump_->feed(input::Recovered{});
  for (const std::string& text : bad_runs_) tell(Weight::warning, text);
  bad_runs_.clear();
  tell_recovery();
  auto socket = listen_unix(home_.socket());
  if (socket) {
    auto handler = [this](HttpRequest request, Responder responder) {
      ControlRequest asked{std::move(request.method), std::move(request.path),
                           std::move(request.query), std::move(request.body),
                           std::move(request.user)};
      call(std::move(asked), answer_to(responder));
    };
    auto server = HttpServer::start(loop_, std::move(*socket), handler, HttpServer::Options{});
    if (server)
      http_ = std::move(*server);
    else
      tell(Weight::warning, "the socket of this home cannot be served: " + server.error().message);
  } else {
    tell(Weight::warning, "the socket of this home cannot be served: " + socket.error().message);
  }
  is_ready_ = true;
  tell(Weight::info, "ready: serving " + home_.path());
  if (options_.serves) start_schedules();
  take_early_calls();
  if (!options_.serves) return;
  // Not before: to read what was left is no stall, however long it takes.
  stall_watch_ = std::make_unique<StallWatch>(
      [this] { return loop_.pulse(); }, kStallPatience,
      [this] { return std::string(pump_->last_input()); },
      [this](const std::string& text) { tell(Weight::warning, text); });
}

/// Only from now on may anything fire: all runs are known.
void Service::start_schedules() {
  calendar_timer_ = std::make_unique<WallTimer>(loop_, [this](WallTimer::Event event) {
    if (event != WallTimer::Event::stepped) return;
    tell(Weight::info, "the clock was set: schedules go by it from now on");
    pump_->feed(input::Tick{});
  });
  if (!folder_jobs_) return;
  // Who starts a scheduler and then a job of its folders means the file that is there.
  const auto read = [this] {
    folders_timer_->cancel();
    take_early_calls();
  };
  folders_timer_ = std::make_unique<Timer>(loop_, read);
  folders_timer_->start_after(kFoldersPatience);
  folder_jobs_->when_read(std::set(options_.job_folders.begin(), options_.job_folders.end()).size(),
                          read);
  folder_jobs_->disarm_others(options_.job_folders);
  for (JobFolderEvent& event : std::exchange(early_events_, {})) folder_jobs_->on(std::move(event));
}

}  // namespace pawl
