#include "plugins/worker/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "plugins/worker/process_table.h"
#include "plugins/worker/secrets.h"
#include "scheduler/base/check.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr int kEventsPerTurnMax = 256;
/// Most programs that are short are done by then, and what they wrote is read when they end: their
/// pipes are never watched.
constexpr Duration kWatchAfter{10};
constexpr std::size_t kReapsPerTurnMax = 512;
constexpr std::size_t kScratchEntriesPerStep = 500;
constexpr Duration kScratchStepEvery{5};
constexpr Duration kOomSettleEvery = std::chrono::seconds(1);
constexpr std::uint64_t kSignalsTag = ~std::uint64_t{0};

std::uint64_t tag_of(AttemptId id, LogStream stream) {
  return static_cast<std::uint64_t>(id.value) << 1 | (stream == LogStream::err ? 1 : 0);
}

/// The worker's control groups; null where there are none to be had.
std::unique_ptr<ControlGroups> groups_of(const WorkerOptions& options) {
  const auto parent = find_control_groups(options.control_groups);
  if (!parent) return nullptr;
  const auto note = [&](const Error& error) {
    write_worker_note(options.id,
                      "limits of attempts are kept without control groups: " + error.message);
    return nullptr;
  };
  if (auto fine = check_control_groups(*parent); !fine) return note(fine.error());
  auto groups = ControlGroups::open(*parent, options.home, options.id,
                                    worker_folder(options.home, options.id));
  if (!groups) return note(groups.error());
  return std::move(*groups);
}

std::string format_limit(std::string_view text, Duration limit) {
  return std::string(text) + " " + format_duration(limit);
}

}  // namespace

Supervisor::Supervisor(Loop& loop, const WorkerOptions& options, JournalWriter journal,
                       Fd listening, const rlimit& descriptors)
    : loop_(loop),
      options_(options),
      supervision_(options.supervision),
      tree_([home = options.home](pid_t pid) { return attempt_of_process(pid, home); }),
      resources_(tree_, groups_of(options)),
      scratch_(worker_folder(options.home, options.id) + "/scratch",
               [this](const std::string& text) { desk_.note(text); }),
      launcher_(descriptors),
      null_input_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      events_(epoll_create1(EPOLL_CLOEXEC)),
      definitions_(worker_folder(options.home, options.id) + "/scripts"),
      poll_(loop, events_.get(), [this](PollEvents) { on_events(); }),
      timer_(loop,
             [this] {
               supervision_.advance(mono_now(), actions_);
               schedule_turn();
             }),
      watch_timer_(loop, [this] { watch_pipes(); }),
      limits_timer_(loop, [this] { watch_limits(); }),
      scratch_timer_(loop, [this] { clean_scratch(); }),
      desk_(loop, options, std::move(journal), std::move(listening), {"process"}, desk_events()) {
  PAWL_CHECK(null_input_ && events_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kSignalsTag;
  PAWL_CHECK(epoll_ctl(events_.get(), EPOLL_CTL_ADD, signals_.descriptor(), &event) == 0);
  poll_.watch({.readable = true});
  schedule_turn();
}

Supervisor::~Supervisor() {
  *alive_ = false;
  scratch_.remove_all(kScratchEntriesPerStep * 100);
}

// From the scheduler -----------------------------------------------------------------------------

SchedulerDesk::Events Supervisor::desk_events() {
  SchedulerDesk::Events events;
  events.define = [this](frame::Define&& f) { definitions_.add(f); };
  events.start = [this](frame::AttemptStart&& f) { accept(std::move(f)); };
  events.stop = [this](const frame::Stop& f) {
    supervision_.stop(f.attempt, f.reason, f.force, mono_now(), actions_);
  };
  events.undefine = [this](DefinitionId id) { definitions_.remove(id); };
  events.forget = [this](AttemptId id) { return supervision_.forget(id); };
  events.new_epoch = [this] { definitions_.clear(); };
  events.open_attempts = [this] {
    std::vector<frame::KnownAttempt> open;
    for (const auto& [id, attempt] : attempts_) {
      open.push_back({id, false, attempt.start.stay, attempt.pid, attempt.started_at});
    }
    return open;
  };
  events.wake = [this] { schedule_turn(); };
  events.execute_all = [this] { run_turn(); };
  return events;
}

void Supervisor::accept(frame::AttemptStart&& start) {
  AttemptId id = start.attempt;
  auto known = definitions_.find(start.definition);
  AttemptLimits bounds;
  if (known && known->compiled) {
    const TaskDefinition& definition = known->compiled->definition();
    bounds = {definition.timeout, start.total_remaining, definition.stall_timeout,
              definition.kill_grace};
  }
  desk_.comes_back(id, start.stay);
  if (!supervision_.start(id, bounds)) return;  // said twice
  Attempt& attempt = attempts_[id];
  attempt.start = std::move(start);
  attempt.started_at = wall_now();
  if (!known) {
    return refuse(id, attempt, Reason::spawn, "", "the worker was not told what this task is");
  }
  attempt.definition = std::move(known);
  if (!attempt.definition->error.empty()) {
    return refuse(id, attempt, attempt.definition->reason, "", attempt.definition->error);
  }
  if (auto prepared = prepare(attempt); !prepared) {
    Reason reason = prepared.error().kind == ErrorKind::invalid ? Reason::template_ : Reason::spawn;
    return refuse(id, attempt, reason, "", prepared.error().message);
  }
  bool has_output = attempt.definition->compiled->definition().output != OutputFormat::none;
  if (auto begun = desk_.journal().begin(id, attempt.journal, attempt.started_at, has_output);
      !begun) {
    return refuse(id, attempt, Reason::spawn, "", begun.error().message);
  }
  queued_.push_back(id);
}

// Starting ---------------------------------------------------------------------------------------

Result<void> Supervisor::prepare(Attempt& attempt) {
  const CompiledDefinition& compiled = *attempt.definition->compiled;
  const TaskDefinition& definition = compiled.definition();
  auto scratch = scratch_.take();
  if (!scratch) return scratch.error();
  attempt.scratch = *scratch;
  auto secrets = read_secrets(definition);
  if (!secrets) return secrets.error();
  std::vector<std::string> hidden;
  for (const auto& [name, value] : *secrets) hidden.push_back(value);
  attempt.mask = std::make_shared<const Mask>(std::move(hidden));

  AttemptSurroundings around;
  around.now = {mono_now(), attempt.started_at};
  around.scratch = scratch->path;
  if (definition.output_from_file) around.output_file = scratch->output_path;
  around.secrets = std::move(*secrets);
  auto launch = compiled.render(attempt.start, around, attempt.definition->script_file);
  if (!launch) return launch.error();
  attempt.launch = std::move(*launch);

  const ItemIndex item = attempt.start.item;
  OutputSource output;
  output.format = definition.output;
  output.written_file = around.output_file;
  if (definition.output != OutputFormat::none) {
    output.spool_file = output_path(definition.log_dir, item, attempt.start.number);
    output.home = options_.home;
    output.mask = attempt.mask;
  }
  attempt.streams =
      std::make_unique<AttemptStreams>(log_path(definition.log_dir, item, attempt.start.number),
                                       attempt.mask, std::move(output), definition.log_bytes_max);
  // Nobody needs it any more, and an item may be a megabyte.
  std::string().swap(attempt.start.payload);
  std::string().swap(attempt.start.tasks);
  return {};
}

void Supervisor::refuse(AttemptId id, Attempt& attempt, Reason reason, std::string error_class,
                        std::string message) {
  attempt.refusal_class = std::move(error_class);
  attempt.refusal = std::move(message);
  supervision_.refused(id, reason, actions_);
}

void Supervisor::watch_pipes() {
  const MonoTime now = mono_now();
  for (; !unwatched_.empty(); unwatched_.pop_front()) {
    const auto& [id, since] = unwatched_.front();
    auto at = attempts_.find(id);
    if (at == attempts_.end()) continue;
    if (now < since + kWatchAfter) return watch_timer_.start_at(since + kWatchAfter);
    for (LogStream stream : {LogStream::out, LogStream::err}) {
      at->second.streams->watch(events_.get(), stream, tag_of(id, stream));
    }
  }
}

void Supervisor::start_program(AttemptId id, Attempt& attempt) {
  AttemptStreams& streams = *attempt.streams;
  if (!streams.open()) {
    int error = errno;
    return refuse(id, attempt, Reason::spawn, errno_name(error),
                  std::string("cannot make pipes: ") + std::strerror(error));
  }
  Fd input;
  if (attempt.launch.input) {
    input = stdin_of(*attempt.launch.input);
    if (!input) {
      int error = errno;
      return refuse(id, attempt, Reason::spawn, errno_name(error),
                    std::string("cannot hand over stdin: ") + std::strerror(error));
    }
  }
  LaunchStreams ends{input ? input.get() : null_input_.get(), streams.program_end(LogStream::out),
                     streams.program_end(LogStream::err)};
  const Resources& limits = attempt.definition->compiled->definition().resources;
  if (auto added = resources_.add(id, limits); !added) {
    return refuse(id, attempt, Reason::spawn, "", added.error().message);
  }
  LaunchFailure failure;
  Spawned process;
  // Clock ticks of /proc: a hundred a second.
  process.ticks_min = static_cast<std::uint64_t>(mono_now().ms / 10);
  attempt.started_at = wall_now();
  process.pid = launcher_.start(attempt.launch, ends, {limits.nice, resources_.entrance(id)},
                                attempt_mark(id.value, options_.home), failure);
  const MonoTime now = mono_now();
  process.ticks_max = static_cast<std::uint64_t>(now.ms / 10);
  streams.close_program_ends();
  attempt.launch = {};
  if (process.pid < 0) {
    return refuse(id, attempt, Reason::spawn, errno_name(failure.error), failure.message);
  }
  attempt.pid = process.pid;
  tree_.add(id, process);
  desk_.journal().spawned(id, attempt.journal, process);
  supervision_.spawned(id, now, actions_);
  unwatched_.emplace_back(id, now);
  if (!watch_timer_.armed()) watch_timer_.start_after(kWatchAfter);
  if (auto pause = resources_.look_after(); pause && !limits_timer_.armed()) {
    limits_timer_.start_after(*pause);
  }
}

void Supervisor::start_queued() {
  if (queued_.empty()) return;
  // The begin records are in the file, or nothing is started.
  bool is_safe = desk_.journal().is_flushed();
  while (!queued_.empty()) {
    AttemptId id = queued_.front();
    queued_.pop_front();
    Attempt& attempt = attempts_.at(id);
    if (supervision_.is_stopped(id)) {
      refuse(id, attempt, Reason::cancelled, "", "stopped before it was started");
    } else if (is_safe) {
      start_program(id, attempt);
    } else {
      refuse(id, attempt, Reason::spawn, "", "cannot write the worker's journal");
    }
  }
}

// From programs ----------------------------------------------------------------------------------

void Supervisor::on_events() {
  std::array<epoll_event, kEventsPerTurnMax> events;
  int count = epoll_wait(events_.get(), events.data(), kEventsPerTurnMax, 0);
  bool has_signals = false;
  for (int i = 0; i < count; ++i) {
    std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
    if (tag == kSignalsTag) {
      has_signals = true;
    } else {
      on_pipe(tag);
    }
  }
  if (has_signals) on_signals();
}

void Supervisor::on_pipe(std::uint64_t tag) {
  AttemptId id(static_cast<std::int64_t>(tag >> 1));
  auto at = attempts_.find(id);
  if (at == attempts_.end()) return;
  LogStream stream = (tag & 1) != 0 ? LogStream::err : LogStream::out;
  if (at->second.streams->read(stream) > 0) {
    supervision_.active(id, mono_now());
  }
}

void Supervisor::on_signals() {
  while (auto number = signals_.next()) {
    if (*number == SIGCHLD) {
      may_be_more_dead_ = true;
    } else {
      desk_.terminate(signal_name(*number));
    }
  }
  schedule_turn();
}

void Supervisor::reap() {
  if (!may_be_more_dead_) return;
  std::vector<ProcessTree::Exit> exits;
  may_be_more_dead_ = tree_.reap(kReapsPerTurnMax, exits);
  for (const ProcessTree::Exit& exit : exits) on_exit(exit);
  clear_trees();
}

void Supervisor::on_exit(const ProcessTree::Exit& exit) {
  auto at = attempts_.find(exit.attempt);
  if (at == attempts_.end()) {
    tree_.remove(exit.attempt, true);  // it was unkillable, and is dead after all
    return;
  }
  Attempt& attempt = at->second;
  attempt.use = exit.use;
  ProgramExit how = exit.exit;
  // A SIGKILL that we sent needs no other cause.
  bool is_ours = supervision_.phase(exit.attempt) == AttemptPhase::killing;
  if (auto hit = is_ours ? std::nullopt : resources_.explain(exit.attempt)) {
    how.limit = hit->reason;
    attempt.limit_message = std::move(hit->message);
  } else if (how.signal == SIGKILL && !is_ours && oom_.claim()) {
    how.limit = Reason::oom;
  }
  const auto& skips = attempt.definition->compiled->skip_exit_codes();
  bool skip = how.code && std::binary_search(skips.begin(), skips.end(), *how.code);
  supervision_.exited(exit.attempt, how, skip, mono_now());
  resources_.kill(exit.attempt);
  over_.push_back(exit.attempt);
}

void Supervisor::clear_trees() {
  if (over_.empty()) return;
  for (AttemptId id : tree_.clear(over_)) {
    // Who is left in its group becomes our child when it dies, and is looked at again then.
    if (!resources_.is_clear(id)) continue;
    std::erase(over_, id);
    auto at = attempts_.find(id);
    if (at == attempts_.end()) continue;
    supervision_.cleared(id);
    keep_output(id);
  }
}

void Supervisor::watch_limits() {
  for (LimitHit& hit : resources_.look()) {
    Attempt& attempt = attempts_.at(hit.attempt);
    if (attempt.limit_message.empty()) attempt.limit_message = std::move(hit.message);
    supervision_.limit_reached(hit.attempt, hit.reason, mono_now(), actions_);
  }
  if (auto pause = resources_.look_after()) limits_timer_.start_after(*pause);
  schedule_turn();
}

void Supervisor::keep_output(AttemptId id) {
  Attempt& attempt = attempts_.at(id);
  attempt.streams->finish();
  if (!attempt.streams->wants_output()) return supervision_.finished(id, actions_);
  OutputSource source = attempt.streams->take_output();
  if (!supervision_.may_succeed(id)) {
    // Half an output is none.
    if (source.format == OutputFormat::jsonl) ::unlink(source.spool_file.c_str());
    return supervision_.finished(id, actions_);
  }
  attempt.keeping.start(loop_, std::move(source), [this, id](OutputResult&& kept) {
    attempts_.at(id).output = std::move(kept);
    supervision_.finished(id, actions_);
    schedule_turn();
  });
}

// Deciding and reporting -------------------------------------------------------------------------

void Supervisor::perform() {
  carry_out(actions_, [this](const SupervisionAction& action) {
    switch (action.kind) {
      case SupervisionAction::Kind::terminate:
        tree_.signal(action.attempt, SIGTERM);
        tree_.signal(action.attempt, SIGCONT);  // what is stopped cannot end
        break;
      case SupervisionAction::Kind::kill:
        tree_.kill(action.attempt);
        resources_.kill(action.attempt);
        break;
      case SupervisionAction::Kind::report_began:
        desk_.began(action.attempt, attempts_.at(action.attempt).pid,
                    attempts_.at(action.attempt).started_at);
        break;
      case SupervisionAction::Kind::finish: record_end(action.attempt, action.verdict); break;
    }
  });
}

/// The sentences that explain an end.
void Supervisor::describe(const Attempt& attempt, AttemptEnd& end) const {
  if (!attempt.refusal.empty()) {
    end.error_class = attempt.refusal_class;
    // A value that was rendered may stand in it.
    end.message = to_utf8(attempt.mask ? attempt.mask->hide(attempt.refusal) : attempt.refusal);
    return;
  }
  if (end.outcome == Outcome::succeeded || end.outcome == Outcome::cancelled) return;
  const TaskDefinition& definition = attempt.definition->compiled->definition();
  LastWords words = explain_failure(attempt.streams->last_words(LogStream::err),
                                    attempt.streams->last_words(LogStream::out));
  if (end.outcome == Outcome::skipped) {
    end.message = words.message;
    return;
  }
  end.trace = words.trace;
  if (end.reason == Reason::exit) {
    end.error_class = words.error_class;
    end.message = words.message.empty() ? "exit code " + std::to_string(end.exit_code.value_or(0))
                                        : words.message;
  } else if (end.reason == Reason::signal && end.signal) {
    end.message = "ended by " + signal_name(*end.signal);
  } else if (end.reason == Reason::oom && attempt.limit_message.empty()) {
    end.message = "killed by the kernel: out of memory";
  } else if (end.reason == Reason::oom || end.reason == Reason::cpu_time ||
             end.reason == Reason::pids) {
    end.message = attempt.limit_message;
  } else if (end.reason == Reason::timeout) {
    end.message = format_limit("no end within", definition.timeout);
  } else if (end.reason == Reason::stalled) {
    end.message = format_limit("no output within", definition.stall_timeout);
  } else if (end.reason == Reason::total_timeout) {
    end.message = "no end within total_timeout";
  } else if (end.reason == Reason::unkillable) {
    end.message = "its processes are still there " +
                  format_duration(options_.supervision.unkillable_after) + " after SIGKILL";
  } else if (end.reason == Reason::output) {
    end.message = attempt.mask->hide(attempt.output.error);
  }
}

void Supervisor::record_end(AttemptId id, const SupervisionAction::Verdict& verdict) {
  Attempt& attempt = attempts_.at(id);
  bool is_gone = verdict.reason != Reason::unkillable;
  if (!is_gone && attempt.streams) attempt.streams->finish();
  AttemptEnd end;
  end.attempt = id;
  end.stay = attempt.start.stay;
  end.outcome = verdict.outcome;
  end.reason = verdict.reason;
  end.exit_code = verdict.exit.code;
  end.signal = verdict.exit.signal;
  end.stop_seen = verdict.stop_seen;
  end.started_at = attempt.started_at;
  end.ended_at = wall_now();
  const ResourceUse counted = resources_.remove(id);
  end.use.cpu_us = std::max(counted.cpu_us, attempt.use.cpu_us + tree_.remove(id, is_gone));
  end.use.peak_memory_bytes = std::max(counted.peak_memory_bytes, attempt.use.peak_memory_bytes);
  if (end.use.peak_memory_bytes == 0) end.use.memory_bound_bytes = attempt.use.memory_bound_bytes;
  if (attempt.streams) end.log_bytes = attempt.streams->log_bytes();
  if (end.outcome == Outcome::succeeded && !attempt.output.error.empty()) {
    end.outcome = Outcome::failed;
    end.reason = Reason::output;
  } else if (end.outcome == Outcome::succeeded) {
    end.output = std::move(attempt.output.output);
  }
  describe(attempt, end);
  // What may still be written to is not handed to anybody else.
  if (attempt.scratch && is_gone) {
    bool declared = attempt.definition->compiled->definition().output_from_file;
    scratch_.give_back(*attempt.scratch, declared);
    if (scratch_.has_rubbish() && !scratch_timer_.armed()) {
      scratch_timer_.start_after(kScratchStepEvery);
    }
  }
  std::erase(over_, id);
  JournalEntry journal = std::move(attempt.journal);
  attempts_.erase(id);
  desk_.ended(std::move(end), std::move(journal));
}

void Supervisor::schedule_turn() {
  if (std::exchange(is_turn_scheduled_, true)) return;
  loop_.defer([this, alive = alive_] {
    if (*alive) run_turn();
  });
}

void Supervisor::run_turn() {
  is_turn_scheduled_ = false;
  reap();
  perform();
  const bool is_flushed = desk_.flush();
  start_queued();  // refuses them when the journal cannot be written
  perform();
  if (is_flushed) desk_.flush();
  desk_.send();
  arm_timer();
  if (may_be_more_dead_) schedule_turn();
  desk_.check_idle(supervision_.open_count());
}

void Supervisor::arm_timer() {
  const MonoTime now = mono_now();
  if (now - oom_settled_at_ >= kOomSettleEvery) {
    oom_settled_at_ = now;
    oom_.settle();
  }
  auto next = supervision_.next_deadline();
  // A timer that fires early finds nothing due and is armed anew: cheaper than at every start.
  if (!next) return;
  if (!timer_.armed() || *next < timer_at_) {
    timer_at_ = *next;
    timer_.start_at(*next);
  }
}

void Supervisor::clean_scratch() {
  if (scratch_.clean(kScratchEntriesPerStep)) scratch_timer_.start_after(kScratchStepEvery);
}

}  // namespace pawl
