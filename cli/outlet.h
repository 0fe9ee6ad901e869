#pragma once

// What this process prints while it is a scheduler: written by a thread of its own, because a
// terminal that was stopped (Ctrl-S) and a pipe that nobody reads must not hold up the loop. The
// descriptors stay as they are: whoever started this program shares them, so O_NONBLOCK would be
// theirs too.

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace pawl {

/// The standard streams of the program, one queue for both: text keeps its order. From any thread.
class Outlet {
 public:
  /// Where more than this waits, who prints leaves out what it can, or waits itself. As much again
  /// as a pipe holds.
  static constexpr std::size_t kUnreadBytesMax = std::size_t{64} << 10;

  Outlet() = default;
  ~Outlet();
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  /// Writes, and waits for the reader; once started it never waits, and keeps everything until it
  /// is taken.
  void write(std::FILE* stream, std::string_view text);
  void flush(std::FILE* stream);

  /// From now on a thread writes.
  void start();
  /// Waits until everything is taken; from now on `write` itself writes again.
  void finish();

  /// Bytes that readers have yet to take.
  std::size_t unread() const;
  /// The errno of the first text that could not be written to `stream`, 0 for none. What followed
  /// it there was dropped.
  int error_of(std::FILE* stream) const;

 private:
  struct Piece {
    std::FILE* stream;
    std::string text;
  };

  void run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  bool is_started_ = false;
  std::deque<Piece> pieces_;
  std::size_t unread_ = 0;  ///< what is just being written included
  std::map<std::FILE*, int> errors_;
};

}  // namespace pawl
