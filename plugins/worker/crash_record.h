#pragma once

// What ended a host, and which attempt did it: by a crash, or because the host could only end it
// with itself. Last words, in a file of its folder. What ends a process without a word (SIGKILL,
// `_exit`, no memory) leaves none.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/base/ids.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/wakeup.h"

namespace pawl {

struct Crash {
  enum class How : std::uint8_t {
    signal,   ///< ended the process
    exit,     ///< was called
    deaf,     ///< it did not end when it was told to, so the host ended itself
    blocked,  ///< it held up the host's loop, so the host ended itself
  };
  /// Whose work it was. Nothing: nobody's, as of a thread that a library has for itself.
  std::optional<AttemptId> attempt;
  How how = How::exit;
  int signal = 0;   ///< of `signal`
  std::string who;  ///< of `deaf`, for people: RUN/TASK
};

/// Of a worker that is dead. Nothing: it left no word, or none that can be read.
std::optional<Crash> read_crash(const std::string& worker_folder);

/// From now on this process leaves one, when a thread crashes, aborts or calls `exit`: of the
/// attempt that it works for (below). Once in a process, on its main thread. Without the file there
/// is no record, and nothing else changes.
void record_crashes(const std::string& worker_folder);
/// From now on it leaves none: it has nothing left to do, and ends.
void stop_recording_crashes();

/// This process is about to end itself because of that attempt: `deaf` or `blocked`. From any
/// thread, not from a signal handler. Only the first word of a process counts.
void record_own_end(std::optional<AttemptId> attempt, Crash::How how, std::string_view who);

/// The attempt that the loop's thread works for in this moment. From any thread, once there is a
/// CrashPause.
std::optional<AttemptId> loop_works_for();

/// While it lives, a thread that crashes, aborts or calls `exit` first lets the loop write down
/// what threads have said, for a second at the most: the loop may not get to it any more. One in a
/// process, on the loop's thread.
class CrashPause {
 public:
  explicit CrashPause(Loop& loop);
  ~CrashPause();
  CrashPause(const CrashPause&) = delete;
  CrashPause& operator=(const CrashPause&) = delete;

 private:
  Loop& loop_;
  Wakeup wakeup_;
};

/// From now on a thread that crashes, aborts or calls `exit` does this last of all, whatever it
/// works for; null: nothing. It must be safe in a signal handler.
void set_last_act(void (*act)());

/// While it lives, this thread works for the attempt. Cheap; not nested.
class WorksFor {
 public:
  explicit WorksFor(AttemptId attempt);
  ~WorksFor();
  WorksFor(const WorksFor&) = delete;
  WorksFor& operator=(const WorksFor&) = delete;
};

}  // namespace pawl
