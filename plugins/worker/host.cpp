#include "plugins/worker/host.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "plugins/worker/login.h"
#include "plugins/worker/loop_watchdog.h"
#include "plugins/worker/secrets.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"
#include "scheduler/spec/value_schema.h"

namespace pawl {
namespace {

/// What was started is at work from the end of the turn on, so the next ones wait for that.
constexpr std::size_t kStartsPerTurnMax = 64;
constexpr std::size_t kFittingBytesMax = 4096;
/// Looking at one's own memory costs a system call or two: not at each end.
constexpr Duration kMemoryLookEvery{100};
constexpr Duration kIdleAfter = std::chrono::seconds(1);
/// Ends of the process that are no crash of an operator.
constexpr int kExitDeaf = 70;

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// As commands name it.
std::string name_of(const TaskDefinition& task) { return task.run + '/' + task.task; }

/// `last`, where it is of the same secrets.
std::shared_ptr<const Mask> mask_of(const std::map<std::string, std::string>& secrets,
                                    std::weak_ptr<const Mask>& last) {
  std::vector<std::string> values;
  for (const auto& [name, value] : secrets) values.push_back(value);
  if (auto mask = last.lock(); mask && mask->values() == values) return mask;
  auto mask = std::make_shared<const Mask>(std::move(values));
  last = mask;
  return mask;
}

}  // namespace

OperatorHost::OperatorHost(Loop& loop, const WorkerOptions& options, JournalWriter journal,
                           Fd listening, const rlimit& descriptors)
    : log_keeper_(worker_log_path(worker_folder(options.home, options.id))),
      loop_(loop),
      options_(options),
      folder_(worker_folder(options.home, options.id)),
      login_defaults_(login_defaults()),
      supervision_(options.supervision),
      operators_(loop, folder_, descriptors, *this),
      scratches_(loop, folder_ + "/scratch", [this] { schedule_turn(); }),
      signal_poll_(loop, signals_.descriptor(), [this](PollEvents) { on_signals(); }),
      crash_pause_(loop),
      timer_(loop,
             [this] {
               supervision_.advance(mono_now(), actions_);
               schedule_turn();
             }),
      suspects_timer_(loop, [this] { schedule_turn(); }),
      retire_timer_(loop, [this] { end_process(); }),
      watchdog_(std::make_unique<LoopWatchdog>(loop, options.loop_patience, [] {
        // Nothing of this process can be trusted any more; the journal has what ended.
        static constexpr char kText[] = "the loop is blocked by an operator: this host ends\n";
        [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
        record_own_end(loop_works_for(), Crash::How::blocked, "");
        OwnOutput::settle();
        ::kill(::getpid(), SIGKILL);
      })) {
  signal_poll_.watch({.readable = true});
  record_crashes(folder_);
  std::error_code ignored;
  std::filesystem::create_directories(folder_ + "/scratch", ignored);
  for (const std::string& plugin : options.plugins) {
    if (auto loaded = operators_.load(plugin); !loaded) note(loaded.error().message);
  }
  std::vector<std::string> operators = operators_.names();
  // Who asked for a plugin that cannot be loaded is told so by its attempts.
  operators.insert(operators.end(), options.operators.begin(), options.operators.end());
  desk_.emplace(loop, options, std::move(journal), std::move(listening), std::move(operators),
                desk_events());
  schedule_turn();
}

OperatorHost::~OperatorHost() {
  *alive_ = false;
  operators_.unload();
  std::error_code ignored;
  std::filesystem::remove_all(folder_ + "/scratch", ignored);
}

// From the scheduler -----------------------------------------------------------------------------

SchedulerDesk::Events OperatorHost::desk_events() {
  SchedulerDesk::Events events;
  events.define = [this](frame::Define&& f) { define(std::move(f)); };
  events.start = [this](frame::AttemptStart&& f) { accept(std::move(f)); };
  events.stop = [this](const frame::Stop& f) { stop(f); };
  events.undefine = [this](DefinitionId id) { definitions_.erase(id); };
  events.forget = [this](AttemptId id) { return supervision_.forget(id); };
  events.new_epoch = [this] { definitions_.clear(); };
  events.open_attempts = [this] {
    std::vector<frame::KnownAttempt> open;
    for (const auto& [id, attempt] : attempts_) {
      open.push_back(
          {id, false, attempt.start.stay, static_cast<std::int32_t>(getpid()), attempt.started_at});
    }
    return open;
  };
  events.wake = [this] { schedule_turn(); };
  events.execute_all = [this] { run_turn(); };
  return events;
}

void OperatorHost::define(frame::Define&& define) {
  auto made = std::make_shared<Definition>();
  if (auto done = compile(define.bytes, *made); !done) {
    made->error = done.error().message;
    made->reason = done.error().kind == ErrorKind::invalid ? Reason::template_ : Reason::spawn;
  }
  definitions_[define.definition] = std::move(made);
}

Result<void> OperatorHost::compile(const std::string& bytes, Definition& made) {
  auto decoded = decode_definition(bytes);
  if (!decoded) return Error{ErrorKind::refused, decoded.error().message};
  const std::string name = decoded->operator_name;
  auto loaded = operators_.find(name);
  if (!loaded) return loaded.error();
  made.backend = loaded->backend;
  made.schema = loaded->schema;
  auto compiled = CompiledDefinition::compile(std::move(*decoded), login_defaults_);
  if (!compiled) return compiled.error();
  made.compiled = std::move(*compiled);
  if (!made.compiled->has_literal_parameters()) {
    made.renderings.emplace(*made.schema, made.compiled->templated_parameters());
    return {};
  }
  // Most runs of a job say what the run before said.
  const std::string& with = made.compiled->definition().with;
  std::string& fitting = fitting_[made.schema];
  if (fitting == with) return {};
  if (auto wrong = made.schema->violation(Json::parse(with, nullptr, false))) {
    return Error{ErrorKind::invalid, "with: " + *wrong};
  }
  if (with.size() <= kFittingBytesMax) fitting = with;
  return {};
}

void OperatorHost::accept(frame::AttemptStart&& start) {
  const AttemptId id = start.attempt;
  auto known = definitions_.find(start.definition);
  AttemptLimits bounds;
  if (known != definitions_.end() && known->second->compiled) {
    const TaskDefinition& definition = known->second->compiled->definition();
    bounds = {definition.timeout, start.total_remaining, definition.stall_timeout,
              definition.kill_grace};
  }
  desk_->comes_back(id, start.stay);
  if (!supervision_.start(id, bounds)) return;  // said twice
  Attempt& attempt = attempts_[id];
  attempt.start = std::move(start);
  attempt.started_at = wall_now();
  if (known == definitions_.end()) {
    return refuse(id, attempt, Reason::spawn, "the worker was not told what this task is");
  }
  attempt.definition = known->second;
  if (!attempt.definition->error.empty()) {
    return refuse(id, attempt, attempt.definition->reason, attempt.definition->error);
  }
  touch(id, attempt);
  queued_.push_back(id);
}

/// Nothing ends what runs in this process but the process's own end, which all others would pay
/// for. So a stop with force, too, leaves it its grace, unless it was told to end before.
void OperatorHost::stop(const frame::Stop& stop) {
  const auto at = attempts_.find(stop.attempt);
  const bool can_kill = at != attempts_.end() && at->second.is_at(OperatorBackend::Place::program);
  const bool was_told = supervision_.phase(stop.attempt) == AttemptPhase::stopping;
  supervision_.stop(stop.attempt, stop.reason, stop.force && (can_kill || was_told), mono_now(),
                    actions_);
}

// Starting ---------------------------------------------------------------------------------------

Result<void> OperatorHost::prepare(AttemptId id, Attempt& attempt) {
  const CompiledDefinition& compiled = *attempt.definition->compiled;
  const TaskDefinition& definition = compiled.definition();
  AttemptSurroundings around;
  attempt.started_at = wall_now();
  around.now = {mono_now(), attempt.started_at};
  around.scratch = folder_ + "/scratch/" + std::to_string(id.value);
  attempt.mask = no_mask_;
  if (!definition.secrets.empty()) {
    auto secrets = read_secrets(definition);
    if (!secrets) return secrets.error();
    attempt.mask = mask_of(*secrets, attempt.definition->mask);
    around.secrets = std::move(*secrets);
  }
  auto request = compiled.render_request(attempt.start, around);
  if (!request) return request.error();
  if (auto& renderings = attempt.definition->renderings) {
    const Json with = Json::parse(request->parameters, nullptr, false);
    if (auto wrong = renderings->violation(with)) {
      return Error{ErrorKind::invalid, "with: " + *wrong};
    }
  }
  if (auto hidden = own_output_.hide(request->secrets); !hidden) return hidden;
  request->definition = attempt.definition->compiled;
  request->mask = attempt.mask;
  attempt.request = std::make_shared<const OperatorRequest>(std::move(*request));
  std::string().swap(attempt.start.payload);
  std::string().swap(attempt.start.tasks);
  std::string().swap(attempt.start.state);
  return {};
}

void OperatorHost::refuse(AttemptId id, Attempt& attempt, Reason reason, std::string message) {
  attempt.refusal = std::move(message);
  supervision_.refused(id, reason, actions_);
}

/// Begin records of all that may start, one write for them, then the starts.
void OperatorHost::start_queued() {
  std::vector<AttemptId> begun;
  const MonoTime now = mono_now();
  while (!queued_.empty() && begun.size() < kStartsPerTurnMax) {
    const AttemptId id = queued_.front();
    Attempt& attempt = attempts_.at(id);
    if (supervision_.is_stopped(id)) {
      queued_.pop_front();
      refuse(id, attempt, Reason::cancelled, "stopped before it was started");
      continue;
    }
    const std::int32_t losses = attempt.start.losses;
    if (!suspects_.may_start(losses, now)) {
      if (auto next = suspects_.next_change(now)) suspects_timer_.start_at(*next);
      break;
    }
    queued_.pop_front();
    if (auto prepared = prepare(id, attempt); !prepared) {
      const bool is_template = prepared.error().kind == ErrorKind::invalid;
      refuse(id, attempt, is_template ? Reason::template_ : Reason::spawn,
             prepared.error().message);
      continue;
    }
    const bool has_output = attempt.definition->compiled->definition().output != OutputFormat::none;
    if (auto done =
            desk_->journal().begin(id, attempt.journal, attempt.started_at, has_output, losses > 0);
        !done) {
      refuse(id, attempt, Reason::spawn, done.error().message);
      continue;
    }
    if (!attempt.is_at(OperatorBackend::Place::program)) lone_.begins(id, running_);
    ++running_;
    attempt.is_running = true;
    begun.push_back(id);
    suspects_.started(id, losses, now);
  }
  if (begun.empty()) return;
  const bool is_safe = desk_->flush();
  for (AttemptId id : begun) {
    Attempt& attempt = attempts_.at(id);
    if (is_safe) {
      start(id, attempt);
    } else {
      stopped_running(id, attempt);
      refuse(id, attempt, Reason::spawn, "cannot write the worker's journal");
    }
  }
  if (!queued_.empty()) schedule_turn();
}

void OperatorHost::stopped_running(AttemptId id, Attempt& attempt) {
  attempt.is_running = false;
  --running_;
  suspects_.ended(id);
}

void OperatorHost::start(AttemptId id, Attempt& attempt) {
  ++begun_;
  supervision_.spawned(id, mono_now(), actions_);
  // It may be finished when this returns.
  attempt.definition->backend->start(attempt.request);
}

// From operators ---------------------------------------------------------------------------------

void OperatorHost::log(AttemptId id, LogStream stream, std::string_view text) {
  auto at = attempts_.find(id);
  if (at == attempts_.end() || !at->second.is_running) return;
  Attempt& attempt = at->second;
  touch(id, attempt);
  if (!attempt.streams) {
    const TaskDefinition& definition = attempt.definition->compiled->definition();
    attempt.streams = std::make_unique<AttemptStreams>(
        log_path(definition.log_dir, attempt.start.item, attempt.start.number), attempt.mask,
        OutputSource{}, definition.log_bytes_max);
  }
  attempt.streams->append(stream, text);
  supervision_.active(id, mono_now());
}

void OperatorHost::heartbeat(AttemptId id) { supervision_.active(id, mono_now()); }

void OperatorHost::waits(AttemptId id) { supervision_.waits(id); }

void OperatorHost::begins(AttemptId id) {
  supervision_.active(id, mono_now());
  schedule_turn();
}

void OperatorHost::note(const std::string& text) {
  if (desk_) return desk_->note(text);
  write_worker_note(options_.id, text);
}

void OperatorHost::progress(AttemptId id, double fraction, std::string_view text) {
  heartbeat(id);
  const auto at = attempts_.find(id);
  if (at == attempts_.end() || !at->second.is_running) return;
  touch(id, at->second);
  desk_->progress(id, fraction, hide_told(*at->second.mask, text));
}

bool OperatorHost::set_handle(AttemptId id, std::string_view handle) {
  auto at = attempts_.find(id);
  if (at == attempts_.end() || !at->second.is_running) return false;
  supervision_.active(id, mono_now());
  touch(id, at->second);
  const bool is_text = is_utf8(handle);
  if (is_text && handle.size() <= limits::kHandleBytesMax)
    return desk_->set_handle(id, at->second.journal, handle);
  log(id, LogStream::err,
      is_text ? "the handle is refused: it has " + std::to_string(handle.size()) +
                    " bytes, and at most " + std::to_string(limits::kHandleBytesMax) + " are kept\n"
              : "the handle is refused: it is not UTF-8\n");
  return false;
}

void OperatorHost::finished(AttemptId id, OperatorResult&& result) {
  auto at = attempts_.find(id);
  if (at == attempts_.end() || !at->second.is_running) return;
  Attempt& attempt = at->second;
  touch(id, attempt);
  if (deaf_.erase(id) > 0 && deaf_.empty()) retire_timer_.cancel();
  if (result.outcome == Outcome::lost)
    result.may_be_cause |= suspects_.is_watched_alone(id, mono_now());
  stopped_running(id, attempt);
  attempt.result = std::move(result);
  if (!attempt.is_at(OperatorBackend::Place::program))
    attempt.result.use.peak_memory_bytes = lone_.ends(id);
  supervision_.exited(id, ProgramExit{0, std::nullopt}, false, mono_now());
  supervision_.cleared(id);
  keep_output(id, attempt);
  schedule_turn();
}

/// Something is done for it now.
void OperatorHost::touch(AttemptId id, Attempt& attempt) {
  // What the thread did while nobody was here was done for nobody; what it did right after those
  // that have just ended is as good as theirs.
  const bool was_idle = !shares_.is_open() && running_ == 0;
  if (was_idle && mono_now() - divided_at_ > kIdleAfter) shares_.begin(thread_cpu_us());
  shares_.touch(id, attempt.share);
}

void OperatorHost::divide_loop() {
  if (!shares_.is_open()) return;
  divided_at_ = mono_now();
  shares_.end(thread_cpu_us(), [this](AttemptId id) {
    const auto at = attempts_.find(id);
    return at == attempts_.end() ? nullptr : &at->second.share;
  });
}

void OperatorHost::keep_output(AttemptId id, Attempt& attempt) {
  if (attempt.streams) attempt.streams->finish();
  const TaskDefinition& definition = attempt.definition->compiled->definition();
  if (definition.output == OutputFormat::none || !supervision_.may_succeed(id) ||
      attempt.result.outcome != Outcome::succeeded) {
    return supervision_.finished(id, actions_);
  }
  OutputSource source;
  source.format = definition.output;
  source.place = "the output";
  source.home = options_.home;
  source.mask = attempt.mask;
  source.spool_file = output_path(definition.log_dir, attempt.start.item, attempt.start.number);
  source.too_large = attempt.result.output.size() > limits::kOutputValueBytesMax;
  if (!source.too_large) source.value = attempt.mask->hide(attempt.result.output);
  if (source.format == OutputFormat::jsonl && !source.too_large) {
    // They are kept in a file like those of programs.
    const std::string lines = std::exchange(source.value, {});
    OutputCollector collector(std::move(source));
    collector.feed(lines);
    source = collector.take();
  }
  attempt.keeping.start(loop_, std::move(source), [this, id](OutputResult&& kept) {
    attempts_.at(id).output = std::move(kept);
    supervision_.finished(id, actions_);
    schedule_turn();
  });
}

// Deciding and reporting -------------------------------------------------------------------------

void OperatorHost::perform() {
  if (actions_.empty()) return;
  divide_loop();
  memory_bound_.reset();
  carry_out(actions_, [this](const SupervisionAction& action) {
    auto at = attempts_.find(action.attempt);
    if (at == attempts_.end()) return;
    switch (action.kind) {
      case SupervisionAction::Kind::terminate:
        if (at->second.is_running) at->second.definition->backend->cancel(action.attempt);
        break;
      case SupervisionAction::Kind::kill: kill(action.attempt); break;
      case SupervisionAction::Kind::report_began:
        desk_->began(action.attempt, static_cast<std::int32_t>(getpid()), at->second.started_at);
        break;
      case SupervisionAction::Kind::finish: record_end(action.attempt, action.verdict); break;
    }
  });
}

void OperatorHost::kill(AttemptId id) {
  Attempt& attempt = attempts_.at(id);
  if (!attempt.is_running) return;
  OperatorBackend& backend = *attempt.definition->backend;
  // Of a stop with force it is the first word, and it may end in it.
  backend.cancel(id);
  if (!attempt.is_running || backend.kill(id)) return;
  deaf_.insert(id);
  const TaskDefinition& definition = attempt.definition->compiled->definition();
  note(name_of(definition) + ", attempt " + std::to_string(attempt.start.number) + " of operator " +
       definition.operator_name + ", does not end: this host takes no more and ends with it");
  desk_->drain();
  if (!retire_timer_.armed()) retire_timer_.start_after(options_.retire_within);
}

/// Writes down how those ended that did not listen, and ends. Nobody is told before the lock is
/// free: then they are gone, and the journal is read.
void OperatorHost::end_process() {
  // Those that had to go with it are told because of whom.
  if (!deaf_.empty()) {
    const AttemptId first = *deaf_.begin();
    record_own_end(first, Crash::How::deaf,
                   name_of(attempts_.at(first).definition->compiled->definition()));
  }
  for (AttemptId id : std::set<AttemptId>(deaf_)) {
    auto at = attempts_.find(id);
    if (at == attempts_.end()) continue;
    supervision_.exited(id, ProgramExit{std::nullopt, SIGKILL}, false, mono_now());
    supervision_.cleared(id);
    supervision_.finished(id, actions_);
  }
  perform();
  (void)desk_->flush();
  OwnOutput::settle();
  ::_exit(kExitDeaf);
}

void OperatorHost::describe(const Attempt& attempt, AttemptEnd& end) const {
  if (!attempt.refusal.empty()) {
    // A value that was rendered may stand in it.
    end.message = to_utf8(attempt.mask ? attempt.mask->hide(attempt.refusal) : attempt.refusal);
    return;
  }
  const TaskDefinition& definition = attempt.definition->compiled->definition();
  if (end.outcome == Outcome::cancelled) return;
  if (end.reason == Reason::timeout) {
    end.message = "no end within " + format_duration(definition.timeout);
  } else if (end.reason == Reason::stalled) {
    end.message = "no output and no heartbeat within " + format_duration(definition.stall_timeout);
  } else if (end.reason == Reason::total_timeout) {
    end.message = "no end within total_timeout";
  } else if (end.reason == Reason::output && !attempt.output.error.empty()) {
    end.message =
        attempt.mask->hide(attempt.output.error);  // ours; else the operator has said it itself
  } else {
    end.error_class = hide_told(*attempt.mask, attempt.result.error_class);
    end.message = hide_told(*attempt.mask, attempt.result.message);
    end.trace = hide_told(*attempt.mask, attempt.result.trace);
  }
}

void OperatorHost::record_end(AttemptId id, const SupervisionAction::Verdict& verdict) {
  Attempt& attempt = attempts_.at(id);
  AttemptEnd end;
  end.attempt = id;
  end.stay = attempt.start.stay;
  end.outcome = verdict.outcome;
  end.reason = verdict.reason;
  end.stop_seen = verdict.stop_seen;
  end.started_at = attempt.started_at;
  end.ended_at = wall_now();
  end.use = attempt.result.use;
  if (attempt.is_at(OperatorBackend::Place::loop))
    end.use.cpu_us = static_cast<std::int64_t>(std::ceil(attempt.share.cpu_us));
  const bool was_here = attempt.request && !attempt.is_at(OperatorBackend::Place::program);
  if (was_here && end.use.peak_memory_bytes == 0) {
    if (!memory_bound_) memory_bound_ = lone_.bound();
    end.use.memory_bound_bytes = *memory_bound_;
  }
  if (end.outcome == Outcome::succeeded) {
    end.outcome = attempt.result.outcome;
    end.reason = attempt.result.reason;
    end.may_be_cause = attempt.result.may_be_cause;
    end.defer_for = attempt.result.after;
    end.state = std::move(attempt.result.state);
    if (end.outcome == Outcome::succeeded && !attempt.output.error.empty()) {
      end.outcome = Outcome::failed;
      end.reason = Reason::output;
    } else if (end.outcome == Outcome::succeeded) {
      end.output = std::move(attempt.output.output);
    }
  }
  if (attempt.streams) end.log_bytes = attempt.streams->log_bytes();
  describe(attempt, end);
  if (attempt.request) {
    own_output_.release(attempt.request->secrets);
    scratches_.add(attempt.request->scratch);
  }
  JournalEntry journal = std::move(attempt.journal);
  attempts_.erase(id);
  desk_->ended(std::move(end), std::move(journal));
  check_recycling();
}

void OperatorHost::schedule_turn() {
  if (std::exchange(is_turn_scheduled_, true)) return;
  loop_.defer([this, alive = alive_] {
    if (*alive) run_turn();
  });
}

void OperatorHost::run_turn() {
  is_turn_scheduled_ = false;
  perform();
  start_queued();
  perform();
  desk_->flush();
  desk_->send();
  scratches_.sweep();
  arm_timer();
  // All others have ended: who does not listen need not be waited for.
  if (!deaf_.empty() && deaf_.size() == attempts_.size()) end_process();
  desk_->check_idle(supervision_.open_count());
}

void OperatorHost::arm_timer() {
  auto next = supervision_.next_deadline();
  if (!next) return;
  // A timer that fires early finds nothing due and is armed anew: cheaper than at every start.
  if (!timer_.armed() || *next < timer_at_) {
    timer_at_ = *next;
    timer_.start_at(*next);
  }
}

void OperatorHost::on_signals() {
  while (auto number = signals_.next()) {
    if (*number == SIGCHLD) {
      operators_.schedule_reaping();
    } else {
      desk_->terminate(signal_name(*number));
    }
  }
  schedule_turn();
}

bool OperatorHost::has_grown() {
  if (options_.memory_bytes_max == 0) return false;
  const MonoTime now = mono_now();
  if (now - memory_looked_at_ < kMemoryLookEvery) return false;
  memory_looked_at_ = now;
  return resident_bytes() > options_.memory_bytes_max;
}

/// A host that has done much, or has grown, makes room for a fresh one.
void OperatorHost::check_recycling() {
  if (desk_->is_draining()) return;
  const bool has_done_enough = options_.recycle_after > 0 && begun_ >= options_.recycle_after;
  if (!has_done_enough && !has_grown()) return;
  note(has_done_enough ? "has done its attempts: a fresh host follows"
                       : "has grown over its memory limit: a fresh host follows");
  desk_->drain();
}

}  // namespace pawl
