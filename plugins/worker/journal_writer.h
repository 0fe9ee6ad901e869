#pragma once

// The writing side of a worker's journal (journal.h).

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "plugins/worker/journal_format.h"
#include "plugins/worker/process_table.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/loop/fd.h"

namespace pawl {

/// What a journal has of one attempt. Whoever has the attempt keeps it, from the attempt's first
/// record until it is forgotten.
class JournalEntry {
 private:
  friend class JournalWriter;
  std::uint32_t first_segment_ = 0;   ///< with a record of it; 0: none
  std::vector<std::uint32_t> later_;  ///< the others, ascending; few have any
  std::size_t reserved_ = 0;          ///< for its end; 0 once it has ended
};

/// Appends records. Appended ones reach the file with `flush`, which is one write.
class JournalWriter {
 public:
  /// Continues in `folder` after the segments that are there. Nothing is written yet.
  static Result<JournalWriter> open(const std::string& folder);

  JournalWriter(JournalWriter&&) noexcept = default;
  JournalWriter& operator=(JournalWriter&&) noexcept = default;

  /// The attempt is about to start. `has_output`: room for an inline output is set aside too.
  /// `is_suspect`: it had been lost before.
  /// Errors (`storage`): no room; the attempt must not start, and its end needs no record to be
  /// safe, but may still be appended.
  Result<void> begin(AttemptId attempt, JournalEntry& entry, WallTime now, bool has_output,
                     bool is_suspect = false);
  /// Its program runs. It has begun.
  void spawned(AttemptId attempt, JournalEntry& entry, const Spawned& process);
  /// What it named lives outside (empty: no more). Errors (`storage`): no room.
  Result<void> handle(AttemptId attempt, JournalEntry& entry, const std::string& handle);
  /// It has ended. At most kJournalInlineBytesMax of output and a message and trace within their
  /// limits. When even what was set aside is not enough (an end without a beginning, on a full
  /// disk), texts are shortened and the output is given up, with reason `output`: `end` says what
  /// was written.
  void end(JournalEntry& entry, AttemptEnd& end);
  /// Its outcome is durable elsewhere. Removes segments that nobody needs any more.
  void forget(const JournalEntry& entry);

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
  void append(JournalEntry& entry, journal::Kind kind, std::string_view payload);
  std::size_t free_bytes() const;
  void remove_unneeded();
  std::string path(std::uint32_t number) const;

  std::string folder_;
  std::uint32_t last_number_ = 0;
  std::deque<Segment> segments_;  ///< ascending; the current one is `segments_[current_]`
  std::size_t current_ = 0;       ///< those after it are empty, allocated ahead
  std::size_t reserved_ = 0;
  std::vector<Pending> pending_;
  std::string payload_;  ///< of the record that is being made; kept for its room
};

}  // namespace pawl
