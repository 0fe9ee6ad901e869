#include "scheduler/loop/channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/loop/loop_impl.h"
#include "scheduler/loop/poll.h"

namespace pawl {
namespace {

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kReadBytes = 256u << 10;
/// A peer that never stops sending must not keep the loop to itself.
constexpr int kReadsPerTurnMax = 4;
/// Below this, what is already written is not worth moving out of the buffer.
constexpr std::size_t kCompactBytes = 1u << 20;

std::uint32_t read_length(std::string_view header) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kHeaderBytes; ++i) {
    length |= std::uint32_t{static_cast<unsigned char>(header[i])} << (8 * i);
  }
  return length;
}

void append_length(std::string& out, std::size_t length) {
  for (std::size_t i = 0; i < kHeaderBytes; ++i) {
    out.push_back(static_cast<char>((length >> (8 * i)) & 0xff));
  }
}

}  // namespace

std::string_view to_string(ChannelEnd end) {
  switch (end) {
    case ChannelEnd::peer_closed: return "the other side closed";
    case ChannelEnd::peer_cut: return "the other side ended inside a message";
    case ChannelEnd::frame_too_long: return "the other side announced a message that is too long";
    case ChannelEnd::error: return "the socket failed";
  }
  return "";
}

struct Channel::Impl : Loop::Retired {
  Impl(Loop& loop_of, Fd socket_of, OnMessage message, OnClosed closed)
      : loop(loop_of),
        socket(std::move(socket_of)),
        on_message(std::move(message)),
        on_closed(std::move(closed)),
        scratch(std::make_unique_for_overwrite<char[]>(kReadBytes)),
        poll(loop_of, socket.get(), [this](PollEvents events) { on_ready(events); }) {
    watch();
  }

  void watch() { poll.watch({.readable = !paused, .writable = waiting_to_write, .closed = false}); }

  void on_ready(PollEvents events) {
    if (events.writable) write();
    if (is_open && events.readable && !paused) read();
  }

  void read() {
    for (int reads = 0; reads < kReadsPerTurnMax && is_open && !paused; ++reads) {
      const ssize_t n = ::recv(socket.get(), scratch.get(), kReadBytes, MSG_DONTWAIT);
      if (n > 0) {
        take(std::string_view(scratch.get(), static_cast<std::size_t>(n)));
        if (static_cast<std::size_t>(n) < kReadBytes && !write_failed) return;
      } else if (n == 0) {
        end(unread.empty() ? ChannelEnd::peer_closed : ChannelEnd::peer_cut);
      } else if (errno == EAGAIN || errno == EINTR) {
        if (write_failed && errno == EAGAIN) end(ChannelEnd::error);
        return;
      } else {
        end(ChannelEnd::error);
      }
    }
    // Nobody watches for writing any more, so what is left to read after a failed write is fetched
    // turn by turn.
    if (is_open && !paused && write_failed) read_later();
  }

  /// Delivers the whole messages of what is kept and `bytes`, keeps the rest.
  void take(std::string_view bytes) {
    if (unread.empty()) {
      const std::size_t used = deliver(bytes);
      if (is_open) unread.assign(bytes.substr(used));
    } else {
      unread.append(bytes);
      take_unread();
    }
  }

  void take_unread() {
    const std::size_t used = deliver(unread);
    if (!is_open) return;  // the view that a callback was given may still be in use
    unread.erase(0, used);
    if (unread.empty() && unread.capacity() > kCompactBytes) std::string().swap(unread);
  }

  /// Returns how many bytes were delivered. Stops early when a callback closes or pauses.
  std::size_t deliver(std::string_view bytes) {
    std::size_t used = 0;
    while (is_open && !paused && bytes.size() - used >= kHeaderBytes) {
      const std::string_view rest = bytes.substr(used);
      const std::size_t length = read_length(rest);
      if (length > limits::kFrameBytesMax) {
        end(ChannelEnd::frame_too_long);
        return used;
      }
      if (rest.size() - kHeaderBytes < length) break;
      used += kHeaderBytes + length;
      on_message(rest.substr(kHeaderBytes, length));
    }
    return used;
  }

  bool send(std::string_view message) {
    PAWL_CHECK(message.size() <= limits::kFrameBytesMax);
    if (!is_open || write_failed) return false;
    if (unsent_bytes() + kHeaderBytes + message.size() > kChannelUnsentBytesMax) {
      tell_when_drained = true;
      return false;
    }
    append_length(unsent, message.size());
    unsent.append(message);
    if (!waiting_to_write) write_later();
    return true;
  }

  void write_later() {
    if (std::exchange(write_deferred, true)) return;
    loop.defer([this] {
      write_deferred = false;
      if (is_open && !waiting_to_write) write();
    });
  }

  void read_later() {
    loop.defer([this] {
      if (is_open && !paused) read();
    });
  }

  void write() {
    while (unsent_bytes() > 0) {
      const ssize_t n = ::send(socket.get(), unsent.data() + written, unsent_bytes(),
                               MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        written += static_cast<std::size_t>(n);
      } else if (errno == EAGAIN) {
        wait_to_write();
        return;
      } else if (errno != EINTR) {
        fail_write();
        return;
      }
    }
    all_written();
  }

  void wait_to_write() {
    tell_when_drained = true;
    if (written >= kCompactBytes && written >= unsent.size() / 2) {
      unsent.erase(0, written);
      written = 0;
    }
    if (!std::exchange(waiting_to_write, true)) watch();
  }

  void all_written() {
    written = 0;
    unsent.clear();
    if (unsent.capacity() > kCompactBytes) std::string().swap(unsent);
    if (std::exchange(waiting_to_write, false)) watch();
    if (!std::exchange(tell_when_drained, false)) return;
    loop.defer([this] {
      if (is_open && drained) drained();
    });
  }

  /// The peer takes nothing more, but what it sent before it went must still be read: results of a
  /// worker that has died, for one.
  void fail_write() {
    write_failed = true;
    written = 0;
    std::string().swap(unsent);
    waiting_to_write = false;
    watch();
    read_later();
  }

  void end(ChannelEnd why) {
    close();
    on_closed(why);
  }

  void close() {
    if (!std::exchange(is_open, false)) return;
    poll.stop();
    ::shutdown(socket.get(), SHUT_RDWR);
  }

  std::size_t unsent_bytes() const { return unsent.size() - written; }

  Loop& loop;
  Fd socket;
  OnMessage on_message;
  OnClosed on_closed;
  std::function<void()> drained;
  std::unique_ptr<char[]> scratch;
  std::string unread;  ///< the beginning of a message, or messages that came before a pause
  std::string unsent;  ///< `written` bytes of it are already with the kernel
  std::size_t written = 0;
  bool is_open = true;
  bool paused = false;
  bool waiting_to_write = false;
  bool write_deferred = false;
  bool write_failed = false;
  bool tell_when_drained = false;
  Poll poll;
};

Channel::Channel(Loop& loop, Fd socket, OnMessage on_message, OnClosed on_closed)
    : impl_(new Impl(loop, std::move(socket), std::move(on_message), std::move(on_closed))) {}

Channel::~Channel() {
  impl_->close();
  impl_->loop.retire(std::unique_ptr<Loop::Retired>(impl_));
}

bool Channel::send(std::string_view message) { return impl_->send(message); }

void Channel::flush() {
  if (impl_->is_open && !impl_->waiting_to_write) impl_->write();
}

void Channel::close() { impl_->close(); }
bool Channel::open() const { return impl_->is_open; }

void Channel::pause_reading() {
  if (!impl_->is_open || std::exchange(impl_->paused, true)) return;
  impl_->watch();
}

void Channel::resume_reading() {
  if (!impl_->is_open || !std::exchange(impl_->paused, false)) return;
  impl_->watch();
  impl_->loop.defer([impl = impl_] {
    if (!impl->is_open || impl->paused) return;
    impl->take_unread();
    if (impl->is_open && impl->write_failed) impl->read();
  });
}

std::size_t Channel::unsent_bytes() const { return impl_->unsent_bytes(); }
void Channel::on_drained(std::function<void()> fn) { impl_->drained = std::move(fn); }
int Channel::fd() const { return impl_->socket.get(); }

}  // namespace pawl
