#pragma once

// A worker's connection with the scheduler: who is let in, the greeting, and what waits to be sent.
// At most one scheduler is connected, and one more is greeting.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "plugins/worker/frames.h"
#include "scheduler/base/ids.h"
#include "scheduler/loop/channel.h"
#include "scheduler/loop/fork_guard.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "scheduler/loop/unix_socket.h"

namespace pawl {

class SchedulerLink {
 public:
  struct Events {
    /// A frame of the scheduler, HELLO aside.
    std::function<void(Frame&&)> on_frame;
    /// A scheduler was accepted: WELCOME is sent, now its state is told. `is_new_epoch`: it is not
    /// the one that was connected before.
    std::function<void(bool is_new_epoch)> on_connected;
    std::function<void()> on_disconnected;
    /// There is room again after `send` said no.
    std::function<void()> on_room;
    /// All that an earlier connection delivered must be executed when this returns.
    std::function<void()> execute_all;
    std::function<void(const std::string&)> note;
  };

  /// `welcome`: what WELCOME says of this worker.
  SchedulerLink(Loop& loop, Fd listening, frame::Welcome welcome, Events events);
  ~SchedulerLink();
  SchedulerLink(const SchedulerLink&) = delete;
  SchedulerLink& operator=(const SchedulerLink&) = delete;

  bool is_connected() const { return current_ != nullptr; }
  /// False when nobody is connected or too much waits already; `on_room` tells when to go on.
  bool send(const Frame& frame);
  /// The same for what is sent most, ENDED.
  bool send_ended(const AttemptEnd& end);
  /// Whether `send` would say yes.
  bool has_room() const;
  /// Writes what the socket takes now.
  void flush();

 private:
  /// One connection. What a library forks in a host keeps it as little as the lock: the scheduler
  /// must see its end when this process ends.
  struct Connection {
    Connection(Loop& loop, Fd socket, Channel::OnMessage on_message, Channel::OnClosed on_closed)
        : channel(loop, std::move(socket), std::move(on_message), std::move(on_closed)),
          guard(channel.fd()) {}
    Channel channel;
    ForkGuard guard;
  };

  void on_accept(Fd socket);
  void on_closed(std::uint64_t number);
  void on_greeting(std::string_view message);
  void take_over();
  void promote();
  void on_message(std::string_view message);
  void drop_current();

  Loop& loop_;
  frame::Welcome welcome_;
  Events events_;
  std::unique_ptr<Connection> current_;
  std::unique_ptr<Connection> greeting_;
  std::string body_;               ///< of an ENDED; kept for its room
  std::uint64_t last_number_ = 0;  ///< of connections; 0 is none
  std::uint64_t current_number_ = 0;
  std::uint64_t greeting_number_ = 0;
  Epoch greeting_epoch_;
  bool is_taking_over_ = false;
  Timer greeting_timer_;
  UnixListener listener_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
