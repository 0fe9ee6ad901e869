#include "plugins/worker/scheduler_desk.h"

#include <unistd.h>

#include <utility>

#include "plugins/worker/streams.h"
#include "scheduler/base/cut.h"
#include "scheduler/base/text.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(1);
/// People read no faster, and a loop that reports each of its million turns costs one value.
constexpr Duration kProgressEvery = std::chrono::seconds(1);
/// A look at the size of the log costs more than a note.
constexpr std::size_t kNoteBytesPerLook = 64u << 10;

}  // namespace

SchedulerDesk::SchedulerDesk(Loop& loop, const WorkerOptions& options, JournalWriter journal,
                             Fd listening, std::vector<std::string> operators, Events events)
    : loop_(loop),
      options_(options),
      events_(std::move(events)),
      journal_(std::move(journal)),
      log_(worker_log_path(worker_folder(options.home, options.id))),
      idle_timer_(loop, [this] { loop_.stop(); }),
      retry_timer_(loop, [this] { events_.wake(); }),
      progress_timer_(loop, [this] { tell_progress(); }) {
  frame::Welcome welcome;
  welcome.worker = options.id;
  welcome.pid = getpid();
  welcome.boot_id = boot_id();
  welcome.version = options.version;
  welcome.operators = std::move(operators);
  SchedulerLink::Events link;
  link.on_frame = [this](Frame&& frame) { on_frame(std::move(frame)); };
  link.on_connected = [this](bool is_new_epoch) { on_connected(is_new_epoch); };
  link.on_disconnected = [this] { events_.wake(); };
  link.on_room = [this] { events_.wake(); };
  link.execute_all = [this] { events_.execute_all(); };
  link.note = [this](const std::string& text) { note(text); };
  link_.emplace(loop, std::move(listening), std::move(welcome), std::move(link));
}

SchedulerDesk::~SchedulerDesk() { tell_repeats(); }

void SchedulerDesk::on_frame(Frame&& frame) {
  struct Visitor {
    SchedulerDesk& self;
    void operator()(frame::Define&& f) const { self.events_.define(std::move(f)); }
    void operator()(frame::Start&& f) const {
      for (frame::AttemptStart& start : f.attempts) self.events_.start(std::move(start));
    }
    void operator()(frame::Stop&& f) const {
      if (f.reason == Reason::none) f.reason = Reason::cancelled;
      self.events_.stop(f);
    }
    void operator()(frame::Forget&& f) const {
      for (const frame::DurableEnd& end : f.ends) self.forget(end.attempt, end.stay);
    }
    void operator()(frame::Undefine&& f) const { self.events_.undefine(f.definition); }
    void operator()(frame::Shutdown&&) const { self.is_shut_down_ = true; }
    // Without room the scheduler does not read: it will hear what waits there.
    void operator()(frame::Ping&&) const { (void)self.link_->send(frame::Pong{}); }
    // A scheduler says none of these; they change nothing.
    void operator()(frame::Hello&&) const {}
    void operator()(frame::Welcome&&) const {}
    void operator()(frame::Status&&) const {}
    void operator()(frame::Began&&) const {}
    void operator()(frame::Handle&&) const {}
    void operator()(frame::Progress&&) const {}
    void operator()(frame::Drains&&) const {}
    void operator()(frame::Pong&&) const {}
    void operator()(frame::Ended&&) const {}
  };
  std::visit(Visitor{*this}, std::move(frame));
  events_.wake();
}

void SchedulerDesk::forget(AttemptId attempt, std::int32_t stay) {
  auto ended = ended_.find(attempt);
  if (ended == ended_.end() || ended->second.end.stay != stay || !events_.forget(attempt)) return;
  journal_.forget(ended->second.entry);
  ended_.erase(ended);
  handles_.erase(attempt);
}

void SchedulerDesk::comes_back(AttemptId attempt, std::int32_t stay) {
  auto ended = ended_.find(attempt);
  if (ended == ended_.end()) return;
  if (const std::int32_t before = ended->second.end.stay; before < stay) forget(attempt, before);
}

void SchedulerDesk::on_connected(bool is_new_epoch) {
  if (is_new_epoch) events_.new_epoch();
  reports_.clear();
  frame::Status status;
  status.attempts = events_.open_attempts();
  for (auto& [id, handle] : handles_) {
    handle.is_told = ended_.contains(id);
    if (!handle.is_told) reports_.emplace_back(HandleOf{id});
  }
  for (const auto& [id, ended] : ended_) {
    status.attempts.push_back({id, true, ended.end.stay, 0, ended.end.started_at});
    reports_.emplace_back(EndOf{id});
  }
  if (!link_->send(status)) note("cannot send STATUS");
  if (drains_) reports_.emplace_back(frame::Drains{});
  events_.wake();
}

void SchedulerDesk::began(AttemptId attempt, std::int32_t pid, WallTime started_at) {
  if (link_->is_connected()) reports_.emplace_back(frame::Began{attempt, pid, started_at});
}

void SchedulerDesk::progress(AttemptId attempt, double fraction, std::string_view text) {
  if (!link_->is_connected()) return;
  const std::string readable = to_utf8(text);
  progress_[attempt] = {attempt, fraction,
                        std::string(cut_utf8(readable, frame::kProgressTextBytesMax))};
  if (!progress_timer_.armed()) progress_timer_.start_after(kProgressEvery);
}

void SchedulerDesk::tell_progress() {
  for (auto& [id, progress] : std::exchange(progress_, {}))
    reports_.emplace_back(std::move(progress));
  events_.wake();
}

bool SchedulerDesk::set_handle(AttemptId attempt, JournalEntry& entry, std::string_view handle) {
  const auto known = handles_.find(attempt);
  if (known != handles_.end() && known->second.text == handle) return true;
  std::string text(handle);
  if (!journal_.handle(attempt, entry, text) || !journal_.flush()) return false;
  KeptHandle& kept = known != handles_.end() ? known->second : handles_[attempt];
  const bool is_waiting = known != handles_.end() && !kept.is_told;
  kept = {std::move(text), !link_->is_connected()};
  if (!kept.is_told && !is_waiting) reports_.emplace_back(HandleOf{attempt});
  events_.wake();
  return true;
}

void SchedulerDesk::ended(AttemptEnd&& end, JournalEntry&& entry) {
  progress_.erase(end.attempt);
  journal_.end(entry, end);
  reports_.emplace_back(EndOf{end.attempt});
  const AttemptId attempt = end.attempt;
  ended_.insert_or_assign(attempt, Ended{std::move(end), std::move(entry)});
}

void SchedulerDesk::drain() {
  if (std::exchange(drains_, true)) return;
  reports_.emplace_back(frame::Drains{});
  events_.wake();
}

bool SchedulerDesk::flush() {
  auto flushed = journal_.flush();
  if (flushed) return true;
  note("the journal cannot be written, trying again: " + flushed.error().message);
  retry_timer_.start_after(kRetryAfter);
  return false;
}

/// False: there is no room now.
bool SchedulerDesk::send_report(const Report& report) {
  if (const auto* frame = std::get_if<Frame>(&report)) return link_->send(*frame);
  if (const auto* end_of = std::get_if<EndOf>(&report)) {
    const auto ended = ended_.find(end_of->attempt);
    return ended == ended_.end() || link_->send_ended(ended->second.end);
  }
  const auto handle = handles_.find(std::get<HandleOf>(report).attempt);
  if (handle == handles_.end()) return true;
  if (!link_->send(frame::Handle{handle->first, last_serial_ + 1, handle->second.text}))
    return false;
  ++last_serial_;
  handle->second.is_told = true;
  return true;
}

void SchedulerDesk::send() {
  if (!journal_.is_flushed()) return;
  while (!reports_.empty() && link_->is_connected()) {
    if (!send_report(reports_.front())) break;
    reports_.pop_front();
  }
  // Who connects next is told everything anew.
  if (!link_->is_connected()) reports_.clear();
  link_->flush();
  // The socket may have taken all of it at once: then nobody calls when there is room again.
  if (!reports_.empty() && link_->has_room()) events_.wake();
}

void SchedulerDesk::check_idle(std::size_t open) {
  const bool is_idle = open == 0 && !link_->is_connected();
  const bool is_finished = is_draining() && open == 0 && ended_.empty();
  if (is_finished || (is_idle && (is_draining() || is_terminated_))) {
    loop_.stop();
  } else if (!is_idle) {
    idle_timer_.cancel();
  } else if (!idle_timer_.armed()) {
    idle_timer_.start_after(options_.idle_exit);
  }
}

void SchedulerDesk::terminate(const std::string& why) {
  is_terminated_ = true;
  note("got " + why + ": will exit when nothing runs and no scheduler is connected");
  events_.wake();
}

void SchedulerDesk::note(const std::string& text) {
  if (text == last_note_) {
    ++repeats_;
    return;
  }
  tell_repeats();
  last_note_ = text;
  write_note(text);
}

void SchedulerDesk::tell_repeats() {
  const std::uint64_t repeats = std::exchange(repeats_, 0);
  if (repeats > 0) write_note("the same " + std::to_string(repeats) + " more times");
}

void SchedulerDesk::write_note(const std::string& text) {
  write_worker_note(options_.id, text);
  note_bytes_ += text.size();
  if (note_bytes_ < kNoteBytesPerLook) return;
  note_bytes_ = 0;
  log_.cut();
}

}  // namespace pawl
