#include "plugins/worker/scheduler_link.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <utility>

namespace pawl {
namespace {

/// More than this waits in the worker, where it is small, and not in the channel, where it is
/// bytes.
constexpr std::size_t kUnsentBytesMax = 4u << 20;
/// A connection that says nothing is closed.
constexpr Duration kGreetingPatience = std::chrono::seconds(10);

/// Bytes that were delivered and not read yet.
bool has_unread(int socket) {
  int bytes = 0;
  return ioctl(socket, SIOCINQ, &bytes) == 0 && bytes > 0;
}

}  // namespace

SchedulerLink::SchedulerLink(Loop& loop, Fd listening, frame::Welcome welcome, Events events)
    : loop_(loop),
      welcome_(std::move(welcome)),
      events_(std::move(events)),
      greeting_timer_(loop, [this] { greeting_.reset(); }),
      listener_(loop, std::move(listening),
                [this](Fd socket, Peer) { on_accept(std::move(socket)); }) {}

SchedulerLink::~SchedulerLink() { *alive_ = false; }

bool SchedulerLink::has_room() const {
  return current_ && current_->channel.open() &&
         current_->channel.unsent_bytes() <= kUnsentBytesMax;
}

bool SchedulerLink::send(const Frame& frame) {
  if (!has_room()) return false;
  for (const std::string& body : encode_frame(frame)) {
    if (!current_->channel.send(body)) return false;
  }
  return true;
}

bool SchedulerLink::send_ended(const AttemptEnd& end) {
  return has_room() && (!encode_ended(end, body_) || current_->channel.send(body_));
}

void SchedulerLink::flush() {
  if (current_) current_->channel.flush();
}

void SchedulerLink::on_accept(Fd socket) {
  // A second one that greets replaces the first: the newest scheduler is the one that lives.
  is_taking_over_ = false;
  greeting_number_ = ++last_number_;
  greeting_ = std::make_unique<Connection>(
      loop_, std::move(socket),
      [this, number = last_number_](std::string_view message) {
        if (number == current_number_) {
          on_message(message);
        } else if (number == greeting_number_) {
          on_greeting(message);
        }
      },
      [this, number = last_number_](ChannelEnd) { on_closed(number); });
  greeting_timer_.start_after(kGreetingPatience);
}

void SchedulerLink::on_closed(std::uint64_t number) {
  if (number == current_number_) {
    drop_current();
  } else if (number == greeting_number_) {
    greeting_.reset();
    is_taking_over_ = false;
  }
}

void SchedulerLink::on_greeting(std::string_view message) {
  auto frame = decode_frame(message);
  const auto* hello = frame ? std::get_if<frame::Hello>(&*frame) : nullptr;
  if (hello == nullptr) {
    events_.note("a connection did not begin with HELLO and was closed");
    greeting_.reset();
    return;
  }
  greeting_timer_.cancel();
  if (hello->epoch < welcome_.epoch) {
    frame::Welcome refusal = welcome_;
    refusal.accepted = false;
    for (const std::string& body : encode_frame(refusal)) {
      if (!greeting_->channel.send(body)) break;
    }
    greeting_->channel.flush();
    greeting_.reset();
    events_.note("refused a scheduler of epoch " + std::to_string(hello->epoch.value) + ", " +
                 std::to_string(welcome_.epoch.value) + " was here");
    return;
  }
  greeting_epoch_ = hello->epoch;
  greeting_->channel.pause_reading();
  is_taking_over_ = true;
  take_over();
}

void SchedulerLink::take_over() {
  if (!is_taking_over_ || !greeting_) return;
  // What the earlier connection had delivered comes first; its channel reads it turn by turn.
  if (current_ && current_->channel.open() && has_unread(current_->channel.fd())) {
    loop_.defer([this, alive = alive_] {
      if (*alive) take_over();
    });
    return;
  }
  is_taking_over_ = false;
  promote();
}

void SchedulerLink::promote() {
  if (current_) drop_current();
  events_.execute_all();
  bool is_new_epoch = greeting_epoch_ > welcome_.epoch;
  welcome_.epoch = greeting_epoch_;
  current_ = std::move(greeting_);
  current_number_ = std::exchange(greeting_number_, 0);
  current_->channel.on_drained([this] { events_.on_room(); });
  frame::Welcome welcome = welcome_;
  welcome.accepted = true;
  if (send(welcome)) events_.on_connected(is_new_epoch);
  if (current_) current_->channel.resume_reading();
}

void SchedulerLink::on_message(std::string_view message) {
  auto frame = decode_frame(message);
  if (!frame) {
    events_.note("the scheduler sent what cannot be read, its connection was closed: " +
                 frame.error().message);
    drop_current();
    return;
  }
  events_.on_frame(std::move(*frame));
}

void SchedulerLink::drop_current() {
  current_.reset();
  current_number_ = 0;
  events_.on_disconnected();
}

}  // namespace pawl
