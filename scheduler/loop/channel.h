#pragma once

// Messages over a stream socket. On the wire each message is its length (u32, little-endian) and
// its bytes. What one turn of the loop sends goes out in one write. Total on garbage: a length over
// `limits::kFrameBytesMax` ends the channel, half a message waits or ends with the stream.

#include <cstddef>
#include <functional>
#include <string_view>

#include "scheduler/loop/fd.h"
#include "scheduler/loop/loop.h"

namespace pawl {

/// Bytes that may wait for the peer to read: two of the largest frames and their lengths fit.
inline constexpr std::size_t kChannelUnsentBytesMax = 64u << 20;

enum class ChannelEnd {
  peer_closed,     ///< the stream ended between messages
  peer_cut,        ///< the stream ended inside a message
  frame_too_long,  ///< the peer announced more than `limits::kFrameBytesMax`
  error,           ///< the socket failed (reset, broken pipe)
};
std::string_view to_string(ChannelEnd end);

class Channel {
 public:
  /// One whole message; the view ends with the call.
  using OnMessage = std::function<void(std::string_view message)>;
  /// The channel has ended, called once, never for the owner's own `close()`. Messages that came
  /// before the end were delivered first. Nothing is called afterwards.
  using OnClosed = std::function<void(ChannelEnd end)>;

  /// Takes the connected socket over and reads at once. Messages are never delivered inside the
  /// constructor or inside `send`.
  Channel(Loop& loop, Fd socket, OnMessage on_message, OnClosed on_closed);
  /// Closes. What was sent in this turn and not yet written is lost: `flush()` first to keep what
  /// the socket takes.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Queues a message of at most `limits::kFrameBytesMax` (more is an internal error). False, and
  /// nothing queued, when the channel has ended or `kChannelUnsentBytesMax` would be passed: then
  /// the peer does not read, and the caller keeps the message until `on_drained`.
  [[nodiscard]] bool send(std::string_view message);

  /// Writes what the socket takes now.
  void flush();

  /// Ends it: nothing is called any more, nothing can be sent.
  void close();
  bool open() const;

  /// Stops reading, so that the peer is slowed down; messages already read come in later turns.
  void pause_reading();
  void resume_reading();

  std::size_t unsent_bytes() const;
  /// Called when all that was queued has been written, once for each time it was not.
  void on_drained(std::function<void()> fn);

  int fd() const;

  struct Impl;

 private:
  Impl* impl_;
};

}  // namespace pawl
