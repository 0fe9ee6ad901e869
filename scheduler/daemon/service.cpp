#include "scheduler/daemon/service.h"

#include <algorithm>
#include <filesystem>

#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

/// How long a scheduler that ends works on what it was asked: that is a few commits away from its
/// answer.
constexpr Duration kLastAnswersPatience = std::chrono::seconds(1);

/// A call that was taken and has no answer yet.
class OpenCall {
 public:
  explicit OpenCall(std::shared_ptr<std::int64_t> count) : count_(std::move(count)) { ++*count_; }
  ~OpenCall() { end(); }
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  void end() {
    if (count_) --*std::exchange(count_, nullptr);
  }

 private:
  std::shared_ptr<std::int64_t> count_;
};

/// The same answer; until it is given, or nobody has it any more, the call counts.
ControlAnswer counted_in(const std::shared_ptr<std::int64_t>& count, const ControlAnswer& answer) {
  auto open = std::make_shared<OpenCall>(count);
  return ControlAnswer(
      [open, answer](int status, std::string body) {
        answer(status, std::move(body));
        open->end();
      },
      [answer](std::function<void()> fn) { answer.on_gone(std::move(fn)); });
}

void refuse_at_the_end(const ControlAnswer& answer) {
  answer(kStatusNotTaken, error_body({ErrorKind::no_scheduler,
                                      "the scheduler ends: nothing was done. Ask the next one"}));
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

Service::~Service() {
  *alive_ = false;
  settings_work_.reset();
  calendar_timer_.reset();
  stall_watch_.reset();
  folders_.reset();
  folder_jobs_.reset();
  answer_the_last();
  if (pump_) pump_->flush();
  if (writer_) {
    writer_->stop();
    // What became durable with it is still told: answers to clients, stops and starts to workers.
    if (pump_ && !failure_) {
      tell_durable();
      pump_->tell_changes();
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
  pump_->tell_changes();
  return !is_leaving_ && !failure_;
}

void Service::call(ControlRequest request, ControlAnswer answer) {
  if (!takes_calls_) return refuse_at_the_end(answer);
  const bool awaits_folders = folders_timer_ && folders_timer_->armed() && request.method != "GET";
  if (!is_ready_ || awaits_folders) {
    early_calls_.emplace_back(std::move(request), std::move(answer));
    return;
  }
  // Who only looks asks the next one, as often as needed.
  if (request.method != "GET") answer = counted_in(open_calls_, answer);
  commands_->handle(std::move(request), std::move(answer));
}

/// Whoever was taken on must know what came of it, and has nobody else to ask.
void Service::answer_the_last() {
  takes_calls_ = false;
  for (const auto& [request, answer] : std::exchange(early_calls_, {})) refuse_at_the_end(answer);
  if (!is_ready_) return;
  if (http_) http_->stop_listening();
  bool is_over = false;
  Timer patience(loop_, [&is_over] { is_over = true; });
  patience.start_after(kLastAnswersPatience);
  while (!is_over && !failure_ && (*open_calls_ > 0 || (http_ && http_->awaits_request()))) {
    loop_.run_once(true);
    pump_->tell_changes();
  }
}

void Service::take_early_calls() {
  for (auto& [request, answer] : std::exchange(early_calls_, {}))
    call(std::move(request), std::move(answer));
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

void Service::tell_workers(const std::vector<Effect>& effects) {
  std::map<WorkerId, std::vector<frame::DurableEnd>> forgotten;
  for (const Effect& effect : effects) {
    if (const auto* start = std::get_if<effect::StartAttempt>(&effect)) {
      if (start->worker.value == 0) {
        job_calls_->start(*start);
      } else {
        dispatcher_->start(*start);
      }
    } else if (const auto* stop = std::get_if<effect::StopAttempt>(&effect)) {
      dispatcher_->flush();  // a start that is still here goes first
      workers_->stop(stop->worker, stop->attempt, stop->reason, stop->force);
    } else if (const auto* forget = std::get_if<effect::ForgetAttempt>(&effect)) {
      forgotten[forget->worker].push_back({forget->attempt, forget->stay});
    } else if (const auto* ended = std::get_if<effect::RunEnded>(&effect)) {
      dispatcher_->run_ended(ended->run);
    }
  }
  for (auto& [worker, attempts] : forgotten) workers_->forget(worker, attempts);
  dispatcher_->flush();
}

/// What begins or stops goes out before anybody is answered. A worker that is only to forget can
/// wait: whoever follows a run hears of its end sooner.
void Service::perform(std::vector<Effect>&& effects) {
  const bool is_urgent = std::any_of(effects.begin(), effects.end(), [](const Effect& effect) {
    return std::holds_alternative<effect::StartAttempt>(effect) ||
           std::holds_alternative<effect::StopAttempt>(effect);
  });
  if (is_urgent) {
    tell_workers(effects);
    workers_->flush();
  }
  for (Effect& effect : effects) {
    if (auto* wanted = std::get_if<effect::WantWorker>(&effect)) {
      want_worker(wanted->operator_name);
    } else if (auto* paused = std::get_if<effect::JobPaused>(&effect)) {
      jobs_->note_paused(paused->job, true);
      tell(Weight::warning, "job " + paused->job + " is paused: " + paused->note);
    } else if (auto* prepare = std::get_if<effect::Prepare>(&effect)) {
      perform(std::move(*prepare));
    } else if (auto* stored = std::get_if<effect::ItemsStored>(&effect)) {
      reader_->stored(stored->run, stored->task);
    } else if (auto* reading = std::get_if<effect::StopReading>(&effect)) {
      reader_->ask(read::StopRequest{reading->run, reading->task});
    } else if (auto* ended = std::get_if<effect::RunEnded>(&effect)) {
      commands_->run_ended(ended->run);
      pump_->feed(input::RunDurable{ended->run});
    } else if (auto* reply = std::get_if<effect::Reply>(&effect)) {
      commands_->on(std::move(*reply));
    }
  }
  if (!is_urgent) tell_workers(effects);
}

void Service::want_worker(const std::string& operator_name) {
  // Supervisors are always there, or on their way.
  if (operator_name == "process" || workers_->want(operator_name)) return;
  tell(Weight::warning, "no plugin has the operator " + operator_name +
                            ": its tasks wait. Put the plugin back into " + home_.path() +
                            "/plugins and send SIGHUP (systemctl reload pawl)");
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
