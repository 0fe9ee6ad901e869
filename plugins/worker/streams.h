#pragma once

// What a program writes: two pipes, from them a log, the declared output, and the last words that
// explain a failure.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/worker/log_file.h"
#include "plugins/worker/log_lines.h"
#include "plugins/worker/mask.h"
#include "plugins/worker/output.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// Wall clock in nanoseconds since 1970, as the records of a log have it.
std::int64_t wall_ns();

class AttemptStreams {
 public:
  AttemptStreams(std::string log_path, std::shared_ptr<const Mask> mask, OutputSource output,
                 std::uint64_t log_bytes_max = 0);  ///< 0: limits::kLogBytesMax
  ~AttemptStreams();
  AttemptStreams(const AttemptStreams&) = delete;
  AttemptStreams& operator=(const AttemptStreams&) = delete;

  /// Makes the pipes; the writing ends are the program's. False with errno.
  bool open();
  /// The program's end; closed by `close_program_ends` once it has been started.
  int program_end(LogStream stream) const;
  void close_program_ends();
  /// Has `epoll` tell, with `tag`, when a stream that has not ended may be read. It is taken out of
  /// there before its pipe is closed: a program that is just being started may hold a copy of our
  /// end until its exec is through, and for so long epoll would tell of a pipe that nobody reads.
  void watch(int epoll, LogStream stream, std::uint64_t tag);

  /// Reads once what is there: at most 64 KiB. Returns how many bytes came. At the end of the
  /// stream its pipe is closed.
  std::size_t read(LogStream stream);
  /// Text that comes by no pipe.
  void append(LogStream stream, std::string_view bytes);
  /// The program has ended: reads what is still in the pipes, closes them and the log. What a
  /// straggler writes later is nobody's.
  void finish();

  /// After `finish`: size of the log, 0 when there is none.
  std::int64_t log_bytes() const { return log_.bytes(); }
  OutputSource take_output() { return output_.take(); }
  bool wants_output() const { return output_.is_wanted(); }
  /// The last bytes of a stream, secrets hidden.
  const std::string& last_words(LogStream stream) const;

 private:
  struct Pipe {
    Fd program;
    Fd ours;
    MaskStream masked;
    std::string last;
    int epoll = -1;  ///< which watches `ours`
    void close_ours();
  };
  Pipe& pipe(LogStream stream) { return pipes_[static_cast<std::size_t>(stream)]; }
  const Pipe& pipe(LogStream stream) const { return pipes_[static_cast<std::size_t>(stream)]; }
  int reading_end(LogStream stream) const { return pipe(stream).ours.get(); }
  void take(LogStream stream, std::string_view bytes, std::int64_t now);
  void drain();

  std::shared_ptr<const Mask> mask_;
  std::array<Pipe, 2> pipes_;
  LogLines lines_;
  LogFile log_;
  OutputCollector output_;
};

/// Appends to the last words of somebody and keeps their end. `bytes`: with secrets hidden, as what
/// is left of one that was cut is not found any more.
void keep_last(std::string& last, std::string_view bytes);

/// Message and trace of a failed program, from its last words.
struct LastWords {
  std::string error_class;  ///< of a Python or Java exception
  std::string message;      ///< the last line that says something
  std::string trace;        ///< what stood before it too; empty when there is no more
};
/// Standard error speaks first, standard output when it is silent. Both with secrets hidden, as
/// they are cut. Always UTF-8.
LastWords explain_failure(std::string_view standard_error, std::string_view standard_output);

}  // namespace pawl
