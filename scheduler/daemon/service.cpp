#include "scheduler/daemon/service.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>

#include "scheduler/base/text.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/unix_socket.h"
#include "storage/sqlite_store.h"

namespace pawl {
namespace {

// Of a worker for each program it runs: two pipes, a log, standard input, and some to spare.
constexpr std::uint64_t kDescriptorsPerSlot = 6;
constexpr std::uint64_t kDescriptorsForItself = 256;
constexpr Duration kStallPatience = std::chrono::seconds(10);

std::int64_t cores() { return std::max(1U, std::thread::hardware_concurrency()); }

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

std::size_t workers_wanted(const Settings& settings) {
  return settings.workers != 0 ? settings.workers : static_cast<std::size_t>(cores());
}

Retention keep_of(const Settings& settings) {
  return {settings.retention_runs, settings.retention_days};
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

Service::Service(ServiceOptions options, Home home, FileLock lock)
    : options_(std::move(options)),
      home_(std::move(home)),
      lock_(std::move(lock)),
      since_(wall_now()) {}

Result<std::unique_ptr<Service>> Service::open(ServiceOptions options) {
  auto home = Home::open_or_create(options.home);
  if (!home) return home.error();
  auto lock = home->lock(options.lock_wait);
  if (!lock) return lock.error();
  std::unique_ptr<Service> service(
      new Service(std::move(options), std::move(*home), std::move(*lock)));
  if (auto started = service->start(); !started) return started.error();
  return service;
}

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
  if (auto loaded = load_runs(**store); !loaded) return loaded.error();
  auto jobs = (*store)->jobs();
  if (!jobs) return jobs.error();

  writer_wakeup_ = std::make_unique<Wakeup>(loop_, [this] { on_writer(); });
  reader_wakeup_ = std::make_unique<Wakeup>(loop_, [this] { take_answers(); });
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
  writer_options.ballast = home_.path() + "/ballast";
  writer_ = std::make_unique<Writer>(std::move(*store), std::move(callbacks), writer_options);

  auto data = RunData::open(home_.database());
  if (!data) return data.error();
  reader_ = std::make_unique<Reader>(std::move(*data), home_.path(), home_.outputs(),
                                     [this] { reader_wakeup_->wake(); });
  start_parts(std::move(*jobs), counters_);
  if (options_.serves && !options_.job_folders.empty()) {
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
  }
  return {};
}

Result<std::int64_t> Service::slots_of_default(const Settings& settings) const {
  const std::int64_t slots = settings.default_slots().value_or(
      std::min(slots_max_, std::max<std::int64_t>(4, 2 * cores())));
  if (slots >= 1 && slots <= slots_max_) return slots;
  return Error{ErrorKind::invalid,
               "pool default: " + std::to_string(slots) + " slots are not from 1 to " +
                   std::to_string(slots_max_) +
                   ", which is what the limit of descriptors allows (ulimit -Hn)"};
}

/// The open runs and the definitions they are pinned to, and what rates counted. A run
/// that cannot be read is left alone.
Result<void> Service::load_runs(Store& store) {
  std::vector<RunSnapshot> runs;
  auto loaded =
      store.load_open_runs([&](RunSnapshot&& run) { runs.push_back(std::move(run)); },
                           [this](RunId run, std::string why) {
                             bad_runs_.push_back("run number " + std::to_string(run.value) +
                                                 " cannot be read and is left alone: " + why);
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

void Service::start_parts(std::vector<JobRow> job_rows, StoreCounters counters) {
  const Settings& settings = options_.settings.settings;
  pump_ = std::make_unique<Pump>(
      loop_, Engine({counters.run, counters.attempt}), *writer_,
      [this](std::vector<Effect>&& effects) { perform(std::move(effects)); });
  if (options_.serves) pump_->tell_runs([this](const RunChange& change) { tell_run(change); });
  WalWatch::Options wal_options;
  wal_options.database = home_.database();
  wal_options.bytes_max = settings.wal_bytes_max;
  wal_watch_ =
      std::make_unique<WalWatch>(loop_, *writer_, std::move(wal_options), [this] { on_wal(); });
  jobs_ = std::make_unique<Jobs>(*pump_, *writer_, counters.version, std::move(job_rows),
                                 options_.operators);
  jobs_->change_settings(settings);

  job_calls_ = std::make_unique<JobCalls>(*pump_, *writer_, *reader_, *jobs_);

  retainer_ = std::make_unique<Retainer>(
      loop_, *pump_, *writer_, *jobs_,
      Retainer::Options{home_.logs(), home_.outputs(), keep_of(settings)});
  if (options_.serves) retainer_->keep_going();

  Workers::Options worker_options;
  for (const auto& [name, info] : options_.operators.all()) {
    if (name != kJobOperator) worker_options.plugins[name] = info.plugin;
  }
  worker_options.folder = home_.workers();
  worker_options.home = home_.path();
  worker_options.program = options_.program;
  worker_options.version = options_.version;
  worker_options.epoch = counters.epoch;
  worker_options.program_descriptors = program_descriptors_;
  worker_options.control_groups = settings.control_groups;
  worker_options.worker_idle = settings.worker_idle;
  worker_options.hosts = settings.hosts;
  worker_options.count = workers_wanted(settings);
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
  events.new_id = [this](WorkerId above, std::function<void(std::optional<WorkerId>)> done) {
    writer_->load([above, done = std::move(done)](Store& store) -> std::function<void()> {
      auto id = store.next_worker(above);
      return [done, id = id ? std::optional(*id) : std::nullopt] { done(id); };
    });
  };
  events.settled = [this] { on_recovered(); };
  events.problem = [this](const std::string& text) { tell(Weight::warning, text); };
  workers_ = std::make_unique<Workers>(loop_, std::move(worker_options), std::move(events));
  dispatcher_ =
      std::make_unique<Dispatcher>(pump_->engine(), *reader_, *workers_, *jobs_, home_.path(),
                                   counters.epoch, [this](AttemptResult result) {
                                     // Not from inside the engine's own step.
                                     loop_.defer([this, result = std::move(result)]() mutable {
                                       input::AttemptsEnded ended;
                                       ended.results.push_back(std::move(result));
                                       pump_->feed(std::move(ended));
                                     });
                                   });

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
    loop_.defer([this] { loop_.defer([this] { leave(); }); });
    return {};
  };
  hooks.run_changed = [this](RunId run) { dispatcher_->forget_definitions(run); };
  hooks.storage_full = [this] { return storage_full_.load(std::memory_order_acquire); };
  hooks.holds = [this] { return holds(); };
  hooks.prune = [this](std::optional<Duration> older_than,
                       std::function<void(Result<std::int64_t>)> done) {
    retainer_->prune(older_than, std::move(done));
  };
  hooks.progress = [this](std::string_view attempts) { return progress_.of(attempts); };
  hooks.slots_max = slots_max_;
  commands_ =
      std::make_unique<Commands>(loop_, *pump_, *writer_, *jobs_, counters.epoch, std::move(hooks));

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
      commands_->handle(std::move(asked), answer_to(responder));
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
  for (auto& [request, answer] : std::exchange(early_calls_, {}))
    commands_->handle(std::move(request), std::move(answer));
  if (!options_.serves) return;
  start_schedules();
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
  folder_jobs_->disarm_others(options_.job_folders);
  for (JobFolderEvent& event : std::exchange(early_events_, {})) folder_jobs_->on(std::move(event));
}

Service::~Service() {
  settings_work_.reset();
  calendar_timer_.reset();
  stall_watch_.reset();
  folders_.reset();
  folder_jobs_.reset();
  if (pump_) pump_->flush();
  if (writer_) {
    writer_->stop();
    // What became durable with it is still told: answers to clients, stops and starts to workers.
    if (pump_ && !failure_) {
      tell_durable();
      if (has_writer_failed()) tell(Weight::warning, failure_->message);
    }
  }
  if (workers_ && !failure_) workers_->dismiss_idle();
  http_.reset();
  commands_.reset();
  retainer_.reset();
  wal_watch_.reset();
  dispatcher_.reset();
  workers_.reset();
  reader_.reset();
  job_calls_.reset();
  jobs_.reset();
  pump_.reset();
  writer_.reset();
  writer_wakeup_.reset();
  reader_wakeup_.reset();
}

Result<void> Service::run() {
  while (turn()) {
  }
  if (failure_) return *failure_;
  return {};
}

bool Service::turn() {
  if (is_leaving_ || failure_) return false;
  loop_.run_once(true);
  return !is_leaving_ && !failure_;
}

void Service::call(ControlRequest request, ControlAnswer answer) {
  if (!is_ready_) {
    early_calls_.emplace_back(std::move(request), std::move(answer));
    return;
  }
  commands_->handle(std::move(request), std::move(answer));
}

void Service::leave() {
  if (!is_leaving_) {
    tell(Weight::info, "stopping: " + std::to_string(pump_->engine().live_attempts()) +
                           " running, taken over by the next start");
  }
  is_leaving_ = true;
}

void Service::drain() {
  is_draining_ = true;
  tell(Weight::info, "draining: nothing more starts; " +
                         std::to_string(pump_->engine().live_attempts()) + " running");
  hold_starts();
  leave_if_drained();
}

void Service::leave_if_drained() {
  if (is_draining_ && pump_->engine().live_attempts() == 0 && pump_->is_settled()) leave();
}

/// The pools of the settings; those that were there before and are not now have no slots left.
void Service::set_pools(const Settings& before) {
  const Settings& now = options_.settings.settings;
  for (const auto& [name, pool] : before.pools) {
    if (name != "default" && !now.pools.contains(name)) pump_->feed(input::SetPool{0, name});
  }
  for (const auto& [name, pool] : now.pools) {
    if (name != "default") pump_->feed(input::SetPool{pool.slots, name, pool.rate});
  }
  const auto own = now.pools.find("default");
  pump_->feed(input::SetPool{default_slots_, "default",
                             own == now.pools.end() ? std::nullopt : own->second.rate});
}

void Service::reload() {
  if (options_.settings_file.path.empty()) return take_settings(options_.settings);
  if (!settings_work_) settings_work_ = std::make_unique<Work>(loop_);
  auto read = std::make_shared<Result<ParsedSettings>>(Error{});
  // The work may outlive this service.
  const bool begins = settings_work_->start(
      [read, file = options_.settings_file, operators = options_.operators] {
        *read = read_settings(file, &operators);
      },
      [this, read] { take_settings(std::move(*read)); });
  reloads_again_ = !begins;
}

/// Wrong ones change nothing. The folders are read again under what then holds.
void Service::take_settings(Result<ParsedSettings> read) {
  auto slots = read ? slots_of_default(read->settings) : Result<std::int64_t>(read.error());
  if (!slots) {
    // A line each: whoever reads the log sees all errors at once.
    std::istringstream errors(slots.error().message);
    for (std::string error; std::getline(errors, error);)
      tell(Weight::warning, "the settings stay as they were: " + error);
  } else {
    const Settings before = std::exchange(options_.settings, *std::move(read)).settings;
    default_slots_ = *slots;
    tell_settings();
    if (options_.settings.settings != before) change_settings(before);
  }
  tell(Weight::info, "reading the job folders again");
  if (folders_) folders_->rescan();
  if (folder_jobs_) folder_jobs_->reload_dates();
  if (std::exchange(reloads_again_, false)) reload();
}

void Service::change_settings(const Settings& before) {
  const Settings& settings = options_.settings.settings;
  tell(Weight::info, "the settings have changed");
  set_pools(before);
  jobs_->change_settings(settings);
  retainer_->change_keep(keep_of(settings));
  wal_watch_->change_bytes_max(settings.wal_bytes_max);
  workers_->change_settings(workers_wanted(settings), settings);
  dispatcher_->forget_definitions();
  if (folders_) folders_->change_settings(settings);
}

void Service::tell_settings() const {
  for (const Diagnostic& warning : options_.settings.diagnostics)
    tell(Weight::warning, format_diagnostic(options_.settings_file.path, warning));
}

void Service::on_wal() {
  tell(Weight::warning, wal_watch_->is_over() ? wal_watch_->sentence() + ". Nothing new starts"
                                              : "the write-ahead log is small again");
  hold_starts();
}

void Service::hold_starts() { pump_->feed(input::HoldStarts{!holds().empty()}); }

std::int64_t Service::active_runs() const {
  std::int64_t active = 0;
  for (RunId id : pump_->engine().runs()) {
    // A paused run goes on only when somebody says so.
    const bool is_paused = pump_->engine().run(id)->state == RunState::paused;
    if (!is_paused && !pump_->engine().is_dormant(id)) ++active;
  }
  return active;
}

std::vector<std::string> Service::dormant_runs() const {
  std::vector<std::string> names;
  for (RunId id : pump_->engine().runs()) {
    if (pump_->engine().is_dormant(id)) names.push_back(pump_->engine().run(id)->name);
  }
  return names;
}

void Service::tell(Weight weight, const std::string& text) const {
  if (options_.tell) options_.tell(weight, text);
}

// Between the threads ----------------------------------------------------------------------------

void Service::on_writer() {
  if (!has_writer_failed()) tell_durable();
}

bool Service::has_writer_failed() {
  std::lock_guard lock(writer_mutex_);
  if (writer_failure_) failure_ = writer_failure_;
  return failure_.has_value();
}

void Service::tell_durable() {
  std::vector<std::function<void()>> completions;
  {
    std::lock_guard lock(writer_mutex_);
    completions.swap(completions_);
  }
  const bool is_full = storage_full_.load(std::memory_order_acquire);
  if (is_full != was_full_) {
    was_full_ = is_full;
    tell(Weight::warning, is_full ? "the disk is full: nothing new starts until there is room"
                                  : "there is room on the disk again");
    hold_starts();
  }
  for (auto& completion : completions) completion();
  pump_->committed(committed_.load(std::memory_order_acquire));
  wal_watch_->look();
  commands_->changed();
  leave_if_drained();
}

void Service::take_answers() {
  if (auto why = reader_->failure()) {
    failure_ = std::move(why);
    return;
  }
  for (read::Answer& answer : reader_->take_answers()) {
    if (auto* context = std::get_if<read::ContextAnswer>(&answer))
      dispatcher_->on(std::move(*context));
    else if (auto* chunk = std::get_if<read::ChunkAnswer>(&answer))
      dispatcher_->on(*chunk);
    else if (auto* past = std::get_if<read::PastAnswer>(&answer))
      dispatcher_->on(std::move(*past));
    else if (auto* call = std::get_if<read::CallAnswer>(&answer))
      job_calls_->on(std::move(*call));
    else if (auto* prepared = std::get_if<input::Prepared>(&answer))
      pump_->feed(std::move(*prepared));
    else if (auto* items = std::get_if<input::ItemsRead>(&answer))
      pump_->feed(std::move(*items));
  }
  dispatcher_->flush();
}

// Effects ----------------------------------------------------------------------------------------

void Service::perform(std::vector<Effect>&& effects) {
  std::map<WorkerId, std::vector<frame::DurableEnd>> forgotten;
  for (Effect& effect : effects) {
    if (auto* start = std::get_if<effect::StartAttempt>(&effect)) {
      if (start->worker.value == 0) {
        job_calls_->start(*start);
      } else {
        dispatcher_->start(*start);
      }
    } else if (auto* stop = std::get_if<effect::StopAttempt>(&effect)) {
      dispatcher_->flush();  // a start that is still here goes first
      workers_->stop(stop->worker, stop->attempt, stop->reason, stop->force);
    } else if (auto* forget = std::get_if<effect::ForgetAttempt>(&effect)) {
      forgotten[forget->worker].push_back({forget->attempt, forget->stay});
    } else if (auto* wanted = std::get_if<effect::WantWorker>(&effect)) {
      want_worker(wanted->operator_name);
    } else if (auto* paused = std::get_if<effect::JobPaused>(&effect)) {
      jobs_->note_paused(paused->job, true);
      tell(Weight::warning, "job " + paused->job + " is paused: " + paused->note);
    } else if (auto* prepare = std::get_if<effect::Prepare>(&effect)) {
      perform(std::move(*prepare));
    } else if (auto* stored = std::get_if<effect::ItemsStored>(&effect)) {
      reader_->stored(stored->run, stored->task);
    } else if (auto* reading = std::get_if<effect::StopReading>(&effect)) {
      reader_->stop_reading(reading->run, reading->task);
    } else if (auto* ended = std::get_if<effect::RunEnded>(&effect)) {
      commands_->run_ended(ended->run);
      dispatcher_->run_ended(ended->run);
      pump_->feed(input::RunDurable{ended->run});
    } else if (auto* reply = std::get_if<effect::Reply>(&effect)) {
      commands_->on(std::move(*reply));
    }
  }
  for (auto& [worker, attempts] : forgotten) workers_->forget(worker, attempts);
  dispatcher_->flush();
}

void Service::want_worker(const std::string& operator_name) {
  // Supervisors are always there, or on their way.
  if (operator_name == "process" || workers_->want(operator_name)) return;
  tell(Weight::warning, "no plugin has the operator " + operator_name +
                            ": its tasks wait. Put the plugin back into " + home_.path() +
                            "/plugins and restart");
}

void Service::perform(effect::Prepare&& prepare) {
  const Engine& engine = pump_->engine();
  if (!engine.has_run(prepare.run)) return;
  const JobSpec& job = *engine.job_of(prepare.run);
  const TaskSpec& task = job.node(prepare.task);
  read::PrepareRequest request;
  request.context = context_request(engine, prepare.run, prepare.task);
  request.stamp = prepare.stamp;
  request.when = task.when;
  request.map = task.map;
  request.folder = job.folder;
  request.is_open = prepare.is_open;
  request.from = prepare.from;
  request.source = std::move(prepare.source);
  reader_->ask(std::move(request));
}

}  // namespace pawl
