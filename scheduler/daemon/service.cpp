#include "scheduler/daemon/service.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "scheduler/base/text.h"
#include "scheduler/daemon/run_json.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/unix_socket.h"
#include "scheduler/spec/parse.h"
#include "storage/sqlite_store.h"

namespace pawl {
namespace {

// Of a worker for each program it runs: two pipes, a log, standard input, and some to spare.
constexpr std::uint64_t kDescriptorsPerSlot = 6;
constexpr std::uint64_t kDescriptorsForItself = 256;

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
  default_slots_ =
      options_.default_slots.value_or(std::min(slots_max_, std::max<std::int64_t>(4, 2 * cores())));
  if (default_slots_ < 1 || default_slots_ > slots_max_) {
    return Error{ErrorKind::invalid,
                 "pool default: " + std::to_string(default_slots_) + " slots are not from 1 to " +
                     std::to_string(slots_max_) +
                     ", which is what the limit of descriptors allows (ulimit -Hn)"};
  }

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
    JobFolders::Options folder_options;
    folders_ = std::make_unique<JobFolders>(
        loop_, folder_options, [this](JobFolderEvent event) { on_job_folder(std::move(event)); });
    for (const std::string& folder : options_.job_folders) {
      if (auto added = folders_->add(folder); !added) return added.error();
    }
  }
  return {};
}

/// The open runs and the definitions they are pinned to. One that cannot be read is left alone.
Result<void> Service::load_runs(Store& store) {
  std::vector<RunSnapshot> runs;
  auto loaded =
      store.load_open_runs([&](RunSnapshot&& run) { runs.push_back(std::move(run)); },
                           [this](RunId run, std::string why) {
                             bad_runs_.push_back("run number " + std::to_string(run.value) +
                                                 " cannot be read and is left alone: " + why);
                           });
  if (!loaded) return loaded;
  std::map<VersionId, bool> is_good;
  for (RunSnapshot& run : runs) {
    auto known = is_good.find(run.run.version);
    if (known == is_good.end()) {
      auto row = store.version(run.run.version);
      if (!row) return row.error();
      bool good = false;
      if (*row) {
        ParseResult parsed = parse_job((*row)->body, ParseOptions{(*row)->folder, {"default"}, {}});
        good = parsed.ok;
        if (good) found_versions_.push_back({**row, std::move(parsed.job), true});
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
  pump_ = std::make_unique<Pump>(
      loop_, Engine({counters.run, counters.attempt}), *writer_,
      [this](std::vector<Effect>&& effects) { perform(std::move(effects)); });
  jobs_ = std::make_unique<Jobs>(*pump_, *writer_, counters.version, std::move(job_rows));

  retainer_ =
      std::make_unique<Retainer>(loop_, *pump_, *writer_, *jobs_,
                                 Retainer::Options{home_.logs(), home_.outputs(), Retention{}});
  if (options_.serves) retainer_->keep_going();

  Workers::Options worker_options;
  worker_options.folder = home_.workers();
  worker_options.home = home_.path();
  worker_options.program = options_.program;
  worker_options.version = options_.version;
  worker_options.epoch = counters.epoch;
  worker_options.program_descriptors = program_descriptors_;
  worker_options.count =
      options_.supervisors != 0 ? options_.supervisors : static_cast<std::size_t>(cores());
  Workers::Events events;
  events.up = [this](WorkerId id) { pump_->feed(input::WorkerUp{id}); };
  events.drains = [this](WorkerId id) { pump_->feed(input::WorkerDrains{id}); };
  events.gone = [this](WorkerId id) {
    dispatcher_->worker_gone(id);
    pump_->feed(input::WorkerGone{id});
  };
  events.ended = [this](std::vector<AttemptResult> results) {
    pump_->feed(input::AttemptsEnded{std::move(results)});
  };
  events.began = [this](AttemptId id, WallTime at) { pump_->feed(input::AttemptBegan{id, at}); };
  events.attempts_of = [this](WorkerId id) { return pump_->engine().attempts_of(id); };
  events.new_id = [this](std::function<void(std::optional<WorkerId>)> done) {
    writer_->load([done = std::move(done)](Store& store) -> std::function<void()> {
      auto id = store.next_worker();
      return [done, id = id ? std::optional(*id) : std::nullopt] { done(id); };
    });
  };
  events.settled = [this] { on_recovered(); };
  events.problem = [this](std::string text) { notice(std::move(text)); };
  workers_ = std::make_unique<Workers>(loop_, std::move(worker_options), std::move(events));
  dispatcher_ =
      std::make_unique<Dispatcher>(pump_->engine(), *reader_, *workers_, home_.path(),
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
  hooks.prune = [this](std::optional<Duration> older_than,
                       std::function<void(Result<std::int64_t>)> done) {
    retainer_->prune(older_than, std::move(done));
  };
  hooks.slots_max = slots_max_;
  commands_ =
      std::make_unique<Commands>(loop_, *pump_, *writer_, *jobs_, counters.epoch, std::move(hooks));

  pump_->feed(input::SetDefaultSlots{default_slots_});
  for (input::AddVersion& version : found_versions_) pump_->feed(std::move(version));
  found_versions_.clear();
  std::vector<WorkerId> referenced;
  for (RunSnapshot& run : found_runs_) {
    for (const AttemptRow& attempt : run.live_attempts) referenced.push_back(attempt.worker);
    pump_->feed(input::Recover{std::move(run), !options_.serves});
  }
  found_runs_.clear();
  workers_->recover(referenced);
  workers_->keep_running();
}

/// The workers found have told what they know: now decide, and serve.
void Service::on_recovered() {
  pump_->feed(input::Recovered{});
  for (std::string& text : bad_runs_) notice(std::move(text));
  bad_runs_.clear();
  auto socket = listen_unix(home_.socket());
  if (socket) {
    auto handler = [this](HttpRequest request, Responder responder) {
      ControlRequest asked{std::move(request.method), std::move(request.path),
                           std::move(request.query), std::move(request.body),
                           std::move(request.user)};
      commands_->handle(std::move(asked), [responder](int status, std::string body) mutable {
        responder.json(status, std::move(body));
      });
    };
    auto server = HttpServer::start(loop_, std::move(*socket), handler, HttpServer::Options{});
    if (server)
      http_ = std::move(*server);
    else
      notice("the socket of this home cannot be served: " + server.error().message);
  } else {
    notice("the socket of this home cannot be served: " + socket.error().message);
  }
  is_ready_ = true;
  for (auto& [request, answer] : std::exchange(early_calls_, {}))
    commands_->handle(std::move(request), std::move(answer));
}

Service::~Service() {
  folders_.reset();
  if (pump_) pump_->flush();
  if (writer_) {
    writer_->stop();
    // What became durable with it is still told: answers to clients, stops and starts to workers.
    if (pump_ && !failure_) {
      tell_durable();
      if (has_writer_failed()) notice(failure_->message);
    }
  }
  if (workers_ && !failure_) workers_->dismiss_idle();
  http_.reset();
  commands_.reset();
  retainer_.reset();
  dispatcher_.reset();
  workers_.reset();
  reader_.reset();
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

void Service::leave() { is_leaving_ = true; }

void Service::drain() {
  is_draining_ = true;
  pump_->feed(input::HoldStarts{true});
  leave_if_drained();
}

void Service::leave_if_drained() {
  if (is_draining_ && pump_->engine().live_attempts() == 0 && pump_->is_settled()) leave();
}

void Service::reload() {
  if (folders_) folders_->rescan();
}

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

void Service::notice(std::string text) const {
  if (options_.notice) options_.notice(std::move(text));
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
    notice(is_full ? "the disk is full: nothing new starts until there is room"
                   : "there is room on the disk again");
    pump_->feed(input::HoldStarts{is_full || is_draining_});
  }
  for (auto& completion : completions) completion();
  pump_->committed(committed_.load(std::memory_order_acquire));
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
    else if (auto* prepared = std::get_if<input::Prepared>(&answer))
      pump_->feed(std::move(*prepared));
    else if (auto* items = std::get_if<input::ItemsRead>(&answer))
      pump_->feed(std::move(*items));
  }
  dispatcher_->flush();
}

// Effects ----------------------------------------------------------------------------------------

void Service::perform(std::vector<Effect>&& effects) {
  std::map<WorkerId, std::vector<AttemptId>> forgotten;
  for (Effect& effect : effects) {
    if (auto* start = std::get_if<effect::StartAttempt>(&effect)) {
      dispatcher_->start(*start);
    } else if (auto* stop = std::get_if<effect::StopAttempt>(&effect)) {
      dispatcher_->flush();  // a start that is still here goes first
      workers_->stop(stop->worker, stop->attempt, stop->reason, stop->force);
    } else if (auto* forget = std::get_if<effect::ForgetAttempt>(&effect)) {
      forgotten[forget->worker].push_back(forget->attempt);
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

void Service::perform(effect::Prepare&& prepare) {
  const Engine& engine = pump_->engine();
  if (!engine.has_run(prepare.run)) return;
  const JobSpec& job = *engine.job_of(prepare.run);
  const TaskSpec& task = job.tasks[prepare.task.value];
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

// Job folders ------------------------------------------------------------------------------------

void Service::on_job_folder(JobFolderEvent event) {
  if (auto* loaded = std::get_if<JobLoaded>(&event)) {
    const std::string name = loaded->name;
    const std::string file = loaded->file;
    jobs_->version_of(
        loaded->text, std::move(loaded->spec), [this, name, file](Result<VersionId> version) {
          if (!version)
            return notice("job " + name + " could not be stored: " + version.error().message);
          JobRow row;
          if (const JobRow* known = jobs_->find(name)) row = *known;
          row.name = name;
          row.version = *version;
          row.file = file;
          row.quarantined.clear();
          row.removed = false;
          if (!row.first_loaded_at) row.first_loaded_at = wall_now();
          jobs_->set(std::move(row));
        });
  } else if (auto* quarantined = std::get_if<JobQuarantined>(&event)) {
    JobRow row;
    row.name = !quarantined->name.empty()
                   ? quarantined->name
                   : std::filesystem::path(quarantined->file).stem().string();
    if (const JobRow* known = jobs_->find(row.name)) {
      // A second file with a known name says nothing about the first.
      if (!known->file.empty() && known->file != quarantined->file)
        row.name = quarantined->file;
      else
        row = *known;
    }
    row.file = quarantined->file;
    row.quarantined = quarantined->why;
    notice(quarantined->file + " is quarantined: " + quarantined->why);
    jobs_->set(std::move(row));
  } else if (auto* removed = std::get_if<JobRemoved>(&event)) {
    std::vector<JobRow> gone;
    for (const auto& [name, row] : jobs_->all()) {
      if (row.file == removed->file && !row.removed) gone.push_back(row);
    }
    for (JobRow& row : gone) {
      row.removed = true;
      row.quarantined.clear();
      jobs_->set(std::move(row));
    }
  } else if (auto* scanned = std::get_if<FolderScanned>(&event)) {
    // Files that went while no scheduler was up.
    std::vector<JobRow> gone;
    for (const auto& [name, row] : jobs_->all()) {
      std::error_code failed;
      const std::filesystem::path file(row.file);
      if (!row.removed && file.parent_path() == scanned->folder &&
          !std::filesystem::exists(file, failed))
        gone.push_back(row);
    }
    for (JobRow& row : gone) {
      row.removed = true;
      jobs_->set(std::move(row));
    }
  }
}

nlohmann::json Service::status() const {
  const Engine& engine = pump_->engine();
  nlohmann::json workers = nlohmann::json::array();
  for (const Workers::View& w : workers_->view()) {
    workers.push_back({{"worker", w.id.value},
                       {"state", w.state},
                       {"pid", w.pid},
                       {"version", w.version},
                       {"attempts", engine.attempts_of(w.id).size()}});
  }
  nlohmann::json runs = {{"queued", 0}, {"running", 0}, {"paused", 0}};
  Counts counts{};
  for (RunId id : engine.runs()) {
    const RunRow& run = *engine.run(id);
    if (is_final(run.state)) continue;
    runs[std::string(to_string(run.state))] =
        runs[std::string(to_string(run.state))].get<std::int64_t>() + 1;
    for (std::size_t s = 0; s < kTaskStateCount; ++s) counts[s] += run.counts[s];
  }
  return {{"up", true},
          {"version", options_.version},
          {"pid", own_identity().pid},
          {"since", format_utc(since_)},
          {"serves", options_.serves},
          {"epoch", counters_.epoch.value},
          {"home", home_.path()},
          {"job_folders", options_.job_folders},
          {"runs", runs},
          {"counts", counts_json(counts)},
          {"live_attempts", engine.live_attempts()},
          {"queued_changes", writer_->queued()},
          {"storage_full", storage_full_.load(std::memory_order_acquire)},
          {"draining", is_draining_},
          {"workers", std::move(workers)},
          {"pools", pools_json(engine)}};
}

}  // namespace pawl
