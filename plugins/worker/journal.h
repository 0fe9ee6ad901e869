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
//
// Here is what it says; journal_writer.h writes it, journal_format.h has the bytes of a record.

#include <optional>
#include <string>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "plugins/worker/process_table.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

/// What a journal says of one attempt.
struct JournalAttempt {
  AttemptId attempt;
  WallTime begun_at;
  bool is_suspect = false;         ///< it had been lost before
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
