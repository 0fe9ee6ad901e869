#pragma once

// What a worker did, so that its death loses no outcome: a record before an attempt is started, one
// with its program's pid after, one for each handle that an operator sets, one when it has ended.
// An attempt that deferred itself may begin again after its end. Written by the worker, read by the
// scheduler once the worker is dead.
//
//   <folder>/journal.00000001 …        segments of kJournalSegmentBytes, allocated when made
//   record = size:u32 kind:u8 0:u8[3] checksum:u64 payload, padded with zeros to 8 bytes
//
// The checksum is XXH3 over size, kind and payload with the segment's number as seed, so neither
// the zeros behind the end nor a record of another segment is ever taken for one.
//
// A record that does not verify with a good one after it, in this segment or a later one, is
// damage: it may have held anything. One with nothing good after it is the torn end of the last
// write: that record does not exist.
//
// Not synced: a crash of the process keeps the page cache, and after a power cut silence proves
// nothing. Room for the end of every open attempt is allocated with its beginning, so a full disk
// refuses beginnings and never loses an end. A segment goes when all its attempts are forgotten.

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// Which process ran an attempt. Its start time lies in [`ticks_min`, `ticks_max`], in clock ticks
/// since boot as in /proc/PID/stat: read around the start, because asking /proc costs as much as
/// the start itself.
struct Spawned {
  pid_t pid = 0;  ///< leader of the attempt's session and group
  std::uint64_t ticks_min = 0;
  std::uint64_t ticks_max = 0;
  friend bool operator==(const Spawned&, const Spawned&) = default;
};

/// Appends records. Appended ones reach the file with `flush`, which is one write.
class JournalWriter {
 public:
  /// Continues in `folder` after the segments that are there. Nothing is written yet.
  static Result<JournalWriter> open(const std::string& folder);

  JournalWriter(JournalWriter&&) noexcept = default;
  JournalWriter& operator=(JournalWriter&&) noexcept = default;

  /// The attempt is about to start. `has_output`: room for an inline output is set aside too.
  /// Errors (`storage`): no room; the attempt must not start, and its end needs no record to be
  /// safe, but may still be appended.
  Result<void> begin(AttemptId attempt, WallTime now, bool has_output);
  /// Its program runs.
  void spawned(AttemptId attempt, const Spawned& process);
  /// What it named lives outside (empty: no more). Errors (`storage`): no room.
  Result<void> handle(AttemptId attempt, const std::string& handle);
  /// It has ended. At most kJournalInlineBytesMax of output and a message and trace within their
  /// limits. When even what was set aside is not enough (an end without a beginning, on a full
  /// disk), texts are shortened and the output is given up, with reason `output`: `end` says what
  /// was written.
  void end(AttemptEnd& end);
  /// Its outcome is durable elsewhere. Removes segments that nobody needs any more.
  void forget(AttemptId attempt);

  /// Writes what was appended. On an error (`storage`) nothing is lost: a later flush tries again,
  /// and no ENDED may be sent and nothing be spawned before it succeeds.
  Result<void> flush();
  bool is_flushed() const { return pending_.empty(); }

 private:
  struct Segment {
    std::uint32_t number = 0;
    Fd file;
    std::size_t used = 0;       ///< bytes of records, those that are not flushed included
    std::int64_t attempts = 0;  ///< unforgotten ones with a record in it
  };
  struct Open {
    std::uint32_t first_segment = 0;   ///< with a record of it; 0: none
    std::vector<std::uint32_t> later;  ///< the others, ascending; few have any
    std::size_t reserved = 0;          ///< for its end; 0 once it has ended
  };
  struct Pending {
    std::uint32_t segment = 0;
    std::size_t offset = 0;
    std::string bytes;
  };

  explicit JournalWriter(std::string folder) : folder_(std::move(folder)) {}
  bool make_room(std::size_t bytes);
  bool add_segment();
  Segment& segment_for(std::size_t bytes);
  bool fits(std::size_t bytes);
  Open& append(AttemptId attempt, std::uint8_t kind, std::string_view payload);
  std::size_t free_bytes() const;
  void remove_unneeded();
  std::string path(std::uint32_t number) const;

  std::string folder_;
  std::uint32_t last_number_ = 0;
  std::deque<Segment> segments_;  ///< ascending; the current one is `segments_[current_]`
  std::size_t current_ = 0;       ///< those after it are empty, allocated ahead
  std::size_t reserved_ = 0;
  std::unordered_map<AttemptId, Open> open_;
  std::vector<Pending> pending_;
  std::string payload_;  ///< of the record that is being made; kept for its room
};

/// What a journal says of one attempt.
struct JournalAttempt {
  AttemptId attempt;
  WallTime begun_at;
  std::optional<Spawned> spawned;  ///< nothing: the worker died before it noted the pid
  std::string handle;              ///< the last one set; empty: none
  std::optional<AttemptEnd> end;   ///< of its last stay; beats that stay's beginning
};

struct JournalContents {
  std::vector<JournalAttempt> attempts;  ///< ascending by attempt
  /// Bytes that are neither a good record nor a torn end lie between good ones: whatever was not
  /// found may have been there, begun or ended.
  bool damaged = false;
  std::vector<std::string> damage;  ///< for people: file, from, to

  /// Nothing when the journal does not name it.
  const JournalAttempt* find(AttemptId attempt) const;
};

/// Reads all segments of a worker's folder. The worker must be dead (its lock free). A missing
/// folder is an empty journal. Errors: storage (a segment cannot be read).
Result<JournalContents> read_journal(const std::string& folder);

}  // namespace pawl
