#include "plugins/worker/program_pool.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "plugins/worker/streams.h"
#include "scheduler/base/check.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr Duration kEndGrace = std::chrono::seconds(5);
constexpr Duration kStartBackoffMin{100};
constexpr Duration kStartBackoffMax = std::chrono::seconds(2);
/// The host has as many processes as it may: idle ones of other programs end meanwhile.
constexpr Duration kNoRoomDelay = std::chrono::seconds(1);
/// Reading it is a system call or three, and attempts may be very short.
constexpr Duration kMemoryCheckEvery{100};
/// Of a line that does not end.
constexpr std::size_t kOpenLineBytesMax = 64u << 10;
/// An attempt that every process gives back would go round for ever.
constexpr int kReturnsMax = 100;

OperatorResult failure(Reason reason, std::string message, std::string trace = {}) {
  OperatorResult result;
  result.outcome = reason == Reason::lost ? Outcome::lost : Outcome::failed;
  result.reason = reason;
  result.message = std::move(message);
  result.trace = std::move(trace);
  return result;
}

/// `exited with code 3`, to follow "its process".
std::string how_it_ended(const ProgramProcess& process, const ProgramExit& exit) {
  if (!process.kill_reason().empty()) return "was killed: " + process.kill_reason();
  if (exit.limit == Reason::oom) return "was killed by the kernel: out of memory";
  if (exit.signal) return "was ended by " + signal_name(*exit.signal);
  return "exited with code " + std::to_string(exit.code.value_or(0));
}

std::uint64_t late_finish_count = 0;

}  // namespace

std::uint64_t ProgramPool::late_finishes() { return late_finish_count; }

ProgramPool::ProgramPool(Loop& loop, ProgramHost& host, OperatorEvents& events, ProgramSpec spec)
    : loop_(loop), host_(host), events_(events), spec_(std::move(spec)), start_timer_(loop, [this] {
        run_turn();
      }) {}

ProgramPool::~ProgramPool() {
  *alive_ = false;
  for (auto& [id, one] : processes_) {
    if (one.process->attempts().empty()) {
      one.process->end(kEndGrace);
    } else {
      one.process->kill("the host ends");
    }
    host_.abandon(id);
  }
}

// What the host asks ------------------------------------------------------------------------------

void ProgramPool::start(ProgramRequest request) {
  const AttemptId id = request.attempt->attempt;
  attempts_[id] = {std::move(request), nullptr, 0};
  waiting_.push_back(id);
  events_.waits(id);
  schedule_turn();
}

void ProgramPool::cancel(AttemptId id) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end()) return;
  ProgramProcess* process = at->second.process;
  if (process == nullptr) {
    return finish(id, failure(Reason::lost, "it was cancelled before a process was free for it"));
  }
  at->second.is_cancelled = true;
  if (!process->can_cancel()) return;
  append_cancel(process->outgoing(), id);
  process->flush();
}

void ProgramPool::kill(AttemptId id) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end()) return;
  ProgramProcess* process = at->second.process;
  if (process == nullptr) {
    return finish(id, failure(Reason::lost, "it was ended before a process was free for it"));
  }
  process->kill(process->attempts().size() == 1 ? "it did not listen when it was cancelled"
                                                : "one of its attempts did not listen when it was "
                                                  "cancelled");
}

// Attempts ----------------------------------------------------------------------------------------

ProgramPool::Attempt* ProgramPool::find(const ProgramProcess& process, AttemptId id) {
  const auto at = attempts_.find(id);
  return at != attempts_.end() && at->second.process == &process ? &at->second : nullptr;
}

void ProgramPool::finish(AttemptId id, OperatorResult&& result) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end()) return;
  if (at->second.process == nullptr) std::erase(waiting_, id);
  attempts_.erase(at);
  events_.finished(id, std::move(result));
}

/// Whatever a process says may hold a secret of any attempt that it has had.
std::string ProgramPool::hidden(const ProgramProcess& process, std::string_view text) const {
  return processes_.at(process.id()).mask->hide(text);
}

/// What it says of one attempt may hold a secret of another one that it has, or has had. Not in the
/// output: a word there is no secret because another job has it as one.
void ProgramPool::hide_in(const ProgramProcess& process, OperatorResult& result) const {
  const Mask& mask = *processes_.at(process.id()).mask;
  for (std::string* text : {&result.error_class, &result.message, &result.trace})
    *text = hide_told(mask, *text);
}

void ProgramPool::add_secrets(Process& process, const OperatorRequest& request) {
  bool is_new = false;
  for (const auto& [name, value] : request.secrets) {
    is_new = process.secrets.insert(value).second || is_new;
  }
  if (!is_new) return;
  auto mask = std::make_unique<const Mask>(
      std::vector<std::string>(process.secrets.begin(), process.secrets.end()));
  process.errors = MaskStream(*mask);
  process.mask = std::move(mask);
}

void ProgramPool::note(const ProgramProcess& process, const std::string& text) {
  events_.note(spec_.operator_name + " (process " + std::to_string(process.pid()) +
               "): " + hidden(process, text));
}

void ProgramPool::on_message(ProgramProcess& process, ProgramMessage&& message) {
  if (const auto* ready = std::get_if<program_message::Ready>(&message)) {
    process.set_ready(ready->can_cancel);
    processes_.at(process.id()).was_ready = true;
    start_failures_ = 0;
    failing_since_.reset();
    return schedule_turn();
  }
  const AttemptId id = std::visit(
      [](const auto& one) {
        if constexpr (std::is_same_v<decltype(one), const program_message::Ready&>) {
          return AttemptId();
        } else {
          return one.attempt;
        }
      },
      message);
  if (find(process, id) == nullptr) {
    if (std::holds_alternative<program_message::Finish>(message)) ++late_finish_count;
    // It may never stop: the first tells why.
    if (++processes_.at(process.id()).strange_messages > 1) return;
    return note(process, "it speaks of attempt " + std::to_string(id.value) +
                             ", which it does not have; that is ignored");
  }
  if (auto* finish = std::get_if<program_message::Finish>(&message)) {
    finished(process, std::move(*finish));
  } else if (const auto* log = std::get_if<program_message::Log>(&message)) {
    events_.log(id, log->stream, hidden(process, log->text));
  } else if (const auto* progress = std::get_if<program_message::Progress>(&message)) {
    events_.progress(id, progress->fraction, hidden(process, progress->text));
  } else if (const auto* handle = std::get_if<program_message::Handle>(&message)) {
    process.answer_handle(id, events_.set_handle(id, handle->handle));
  } else if (std::holds_alternative<program_message::Return>(message)) {
    returned(process, id);
  } else {
    events_.heartbeat(id);
  }
}

void ProgramPool::finished(ProgramProcess& process, program_message::Finish&& message) {
  const AttemptId id = message.attempt;
  // What it wrote before it said that it is done belongs to the attempt.
  process.read_errors();
  tell_rest_of_errors(process);
  const ResourceUse told = message.result.use;
  OperatorResult result = std::move(message.result);
  hide_in(process, result);
  if (result.outcome == Outcome::succeeded) {
    auto text = output_text(std::move(result.output), attempts_.at(id).request.attempt->output);
    result = text ? OperatorResult{} : failure(Reason::output, text.error().message);
    if (text) result.output = std::move(*text);
  }
  result.use = process.use(told.memory_bound_bytes);
  if (result.use.cpu_us == 0) result.use.cpu_us = told.cpu_us;
  process.remove(id);
  end_if_used_up(process);
  schedule_turn();
  finish(id, std::move(result));
}

void ProgramPool::returned(ProgramProcess& process, AttemptId id) {
  Attempt& attempt = attempts_.at(id);
  tell_rest_of_errors(process);
  process.remove(id);
  process.drain();
  attempt.process = nullptr;
  waiting_.push_front(id);
  events_.waits(id);
  end_if_used_up(process);
  schedule_turn();
  if (attempt.is_cancelled) {
    finish(id, failure(Reason::lost, "it was cancelled before a process had begun it"));
  } else if (++attempt.returns > kReturnsMax) {
    finish(id, failure(Reason::error, "a hundred processes in a row gave it back"));
  }
}

void ProgramPool::on_undelivered(ProgramProcess& process, AttemptId id) { returned(process, id); }

void ProgramPool::on_error_text(ProgramProcess& process, std::string_view text) {
  tell_errors(process, processes_.at(process.id()).errors.feed(text));
}

/// `shown`: what it wrote, with the secrets of all attempts hidden that it has and had. All that it
/// has started may write there, also what was left by earlier attempts.
void ProgramPool::tell_errors(ProgramProcess& process, std::string_view shown) {
  if (shown.empty()) return;
  process.add_last_words(shown);
  if (process.attempts().size() == 1) {
    return events_.log(*process.attempts().begin(), LogStream::err, shown);
  }
  std::string& open = processes_.at(process.id()).open_line;
  open += shown;
  const std::size_t end = open.rfind('\n');
  if (end != std::string::npos) {
    note(process, open.substr(0, end));
    open.erase(0, end + 1);
  } else if (open.size() > kOpenLineBytesMax) {
    note(process, std::exchange(open, {}));
  }
}

/// What was held back because it may be the beginning of a secret. Before another attempt comes, or
/// this one goes.
void ProgramPool::tell_rest_of_errors(ProgramProcess& process) {
  tell_errors(process, processes_.at(process.id()).errors.finish());
}

// The end of a process ----------------------------------------------------------------------------

void ProgramPool::end_if_used_up(ProgramProcess& process) {
  const auto phase = process.phase();
  if (phase != ProgramProcess::Phase::ready && phase != ProgramProcess::Phase::draining) return;
  if (spec_.recycle_after > 0 && process.finished_count() >= spec_.recycle_after) process.drain();
  const MonoTime now = mono_now();
  if (spec_.memory_limit > 0 && now - memory_checked_at_ >= kMemoryCheckEvery) {
    memory_checked_at_ = now;
    if (process.resident_bytes() > spec_.memory_limit) {
      note(process, "it is above its memory_limit and is replaced");
      process.drain();
    }
  }
  if (process.phase() == ProgramProcess::Phase::draining && process.attempts().empty()) {
    process.end(kEndGrace);
  }
}

void ProgramPool::on_exited(ProgramProcess& process) {
  process.drain();
  host_.schedule_reaping();
}

bool ProgramPool::has_killed(AttemptId id) const {
  return !processes_.at(id).process->kill_reason().empty();
}

void ProgramPool::on_exit(const ProcessTree::Exit& exit) {
  Process& one = processes_.at(exit.attempt);
  one.has_exited = true;
  one.process->read_rest(exit.use);
  tell_rest_of_errors(*one.process);
  if (!one.open_line.empty()) note(*one.process, std::exchange(one.open_line, {}));
  if (one.strange_messages > 1) {
    note(*one.process, "it spoke " + std::to_string(one.strange_messages) +
                           " times of attempts that it did not have");
  }
  one.process->drain();
  one.end = hidden(*one.process, how_it_ended(*one.process, exit.exit));
}

void ProgramPool::on_gone(AttemptId id) {
  const Process& gone = processes_.at(id);
  ProgramProcess& process = *gone.process;
  const LastWords words = explain_failure(process.last_words(), "");
  const std::vector<AttemptId> lost(process.attempts().begin(), process.attempts().end());
  schedule_turn();
  if (!gone.was_ready) {
    failed_to_start("the program " + spec_.command.front() + " did not get ready: it " + gone.end +
                        (words.message.empty() ? "" : ": " + words.message),
                    words.trace);
  } else if (!lost.empty() || process.phase() != ProgramProcess::Phase::ending ||
             !process.kill_reason().empty()) {
    note(process, "it " + gone.end);
  }
  const bool is_one = lost.size() == 1;
  for (AttemptId attempt : lost) {
    OperatorResult result =
        failure(Reason::lost, "its process (pid " + std::to_string(process.pid()) + ") " + gone.end,
                is_one ? words.trace : "");
    result.may_be_cause = is_one;
    result.use = process.use();
    finish(attempt, std::move(result));
  }
  processes_.erase(id);
}

// Handing out -------------------------------------------------------------------------------------

void ProgramPool::schedule_turn() {
  if (is_turn_scheduled_) return;
  is_turn_scheduled_ = true;
  loop_.defer([this, alive = alive_] {
    if (*alive) run_turn();
  });
}

void ProgramPool::run_turn() {
  is_turn_scheduled_ = false;
  while (!waiting_.empty()) {
    ProgramProcess* process = free_process();
    if (process == nullptr) break;
    const AttemptId id = waiting_.front();
    waiting_.pop_front();
    give(*process, id, attempts_.at(id));
  }
  for (auto& [id, one] : processes_) {
    if (!one.process->outgoing().empty()) one.process->flush();
  }
  start_processes();
}

/// How many attempts a fresh process takes at once.
std::size_t ProgramPool::room() const {
  const std::int64_t at_once = spec_.concurrency;
  return static_cast<std::size_t>(spec_.recycle_after > 0 ? std::min(at_once, spec_.recycle_after)
                                                          : at_once);
}

/// How many this one may have at once, of all that it may ever have.
std::size_t ProgramPool::room_of(const ProgramProcess& process) const {
  const std::int64_t left = spec_.recycle_after - process.finished_count();
  if (spec_.recycle_after == 0) return room();
  return std::min(room(), static_cast<std::size_t>(std::max<std::int64_t>(left, 0)));
}

/// The ready process with the fewest attempts; of equal ones the one that was used last, so that
/// others get idle and end.
ProgramProcess* ProgramPool::free_process() const {
  ProgramProcess* best = nullptr;
  for (const auto& [id, one] : processes_) {
    ProgramProcess* process = one.process.get();
    const std::size_t count = process->attempts().size();
    if (process->phase() != ProgramProcess::Phase::ready) continue;
    if (count >= room_of(*process)) continue;
    const std::size_t best_count = best != nullptr ? best->attempts().size() : count + 1;
    if (count < best_count || (count == best_count && process->last_used() > best->last_used())) {
      best = process;
    }
  }
  return best;
}

void ProgramPool::give(ProgramProcess& process, AttemptId id, Attempt& attempt) {
  std::string& line = process.outgoing();
  const std::size_t before = line.size();
  append_start(line, *attempt.request.attempt, attempt.request.environment);
  if (line.size() - before > kProgramLineBytesMax) {
    line.resize(before);
    return finish(id, failure(Reason::permanent,
                              "its parameters, item and environment together are "
                              "over 8 MiB: hand large data over in a file"));
  }
  attempt.process = &process;
  tell_rest_of_errors(process);
  add_secrets(processes_.at(process.id()), *attempt.request.attempt);
  process.add(id);
  events_.begins(id);
}

void ProgramPool::start_processes() {
  if (start_timer_.armed()) return;
  std::size_t coming = 0;
  for (const auto& [id, one] : processes_) {
    if (one.process->phase() == ProgramProcess::Phase::starting) {
      coming += room();
    }
  }
  // Those that are going make room for others only when they are gone.
  while (waiting_.size() > coming && static_cast<int>(processes_.size()) < spec_.processes &&
         !start_timer_.armed()) {
    if (!host_.has_room()) return start_timer_.start_after(kNoRoomDelay);
    start_process();
    coming += room();
  }
}

void ProgramPool::start_process() {
  const AttemptId id = host_.next_process();
  auto process = std::make_unique<ProgramProcess>(loop_, host_.tree(), id,
                                                  static_cast<ProgramProcess::Listener&>(*this));
  auto started = process->start(host_.launcher(), spec_, host_.mark_of(id));
  if (!started) {
    if (process->pid() > 0) {
      host_.add(id, *this);
      host_.abandon(id);
    }
    return failed_to_start(started.error().message, "");
  }
  processes_[id].process = std::move(process);
  host_.add(id, *this);
}

/// Those that were begun after one had failed are tries of what fails: nobody waits for them, or a
/// program that never gets ready would be waited for for ever.
bool ProgramPool::may_serve(const ProgramProcess& process, bool was_ready) const {
  if (was_ready) return true;
  return process.phase() == ProgramProcess::Phase::starting &&
         process.started_at() <= *failing_since_;
}

void ProgramPool::failed_to_start(const std::string& message, const std::string& trace) {
  const Duration delay = kStartBackoffMin * (1 << std::min(start_failures_, 5));
  ++start_failures_;
  if (!failing_since_) failing_since_ = mono_now();
  start_timer_.start_after(std::min(delay, kStartBackoffMax));
  const bool have_others = std::any_of(processes_.begin(), processes_.end(), [&](const auto& one) {
    return !one.second.has_exited && may_serve(*one.second.process, one.second.was_ready);
  });
  if (have_others) return events_.note(spec_.operator_name + ": " + message);
  failing_since_.reset();
  for (AttemptId id : std::exchange(waiting_, {})) {
    finish(id, failure(Reason::spawn, message, trace));
  }
}

// Idle processes ----------------------------------------------------------------------------------

bool ProgramPool::is_idle(const ProgramProcess& process) {
  return process.phase() == ProgramProcess::Phase::ready && process.attempts().empty();
}

void ProgramPool::end_idle(MonoTime since) {
  for (const auto& [id, one] : processes_) {
    ProgramProcess& process = *one.process;
    if (is_idle(process) && process.last_used() <= since) process.end(kEndGrace);
  }
}

void ProgramPool::add_idle(std::vector<MonoTime>& since) const {
  for (const auto& [id, one] : processes_) {
    if (is_idle(*one.process)) since.push_back(one.process->last_used());
  }
}

}  // namespace pawl
