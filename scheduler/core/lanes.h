#pragma once

// Where tasks wait for slots and for tokens of rates, and who is first. Private to scheduler/core.

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/core/rate.h"
#include "scheduler/core/slots.h"

namespace pawl {

struct Lane;
struct Run;

/// A rate, and the lanes of those who need its tokens.
struct RateLimit {
  RateKey key;
  TokenBucket bucket;
  std::uint32_t number = 0;  ///< its alarms name it so
  VersionId said_by;         ///< of a task: the newest definition that waited for it
  bool is_open = true;       ///< it has a token, so who needs one is in line
  bool is_changed = false;   ///< its row is written at the end of the step
  bool has_row = false;
  MonoTime opens_at;  ///< while it is not open: of its alarm
  std::vector<Lane*> lanes;
  bool is_of_task() const { return !key.task.empty(); }
};

/// A pool: the settings' (`job` empty) or a job's own.
struct PoolKey {
  std::string job;
  std::string name;
  friend auto operator<=>(const PoolKey&, const PoolKey&) = default;
};

/// The pool of every task that names none.
inline const PoolKey kDefaultPool{"", "default"};

struct Pool : Slots {
  std::vector<Lane*> lanes;   ///< of the tasks that want some
  RateLimit* rate = nullptr;  ///< a start takes a token of it, however many slots it takes
};

/// A task that waits. Lower turns go first among equals.
struct Source {
  RunId run;
  TaskIndex task;
  std::uint64_t turn = 0;
};
using Rank = std::pair<std::int64_t, std::int64_t>;  ///< (-priority, priority_class)

/// Tasks of one lane that need a token of the same rate of a task, or of none. Higher priority
/// first, then the lower class of runs; equals take turns, one start each, so that a wide task does
/// not shut out a narrow one.
struct Line {
  Lane* lane = nullptr;
  RateLimit* rate = nullptr;
  std::map<Rank, std::deque<Source>> ring;
  std::optional<std::pair<Rank, std::uint64_t>> listed;  ///< under which its lane lists it

  /// True when others want slots or tokens that its tasks want.
  bool is_shared() const;
};

/// The first of a line, or of a lane, and who would take it.
struct Head {
  Line* line = nullptr;
  Rank rank;
  Source source;
  Run* run = nullptr;
  WorkerId worker;
  std::pair<Rank, std::uint64_t> place() const { return {rank, source.turn}; }
  bool is_before(const Head& other) const {
    return rank != other.rank ? rank < other.rank : source.turn < other.source.turn;
  }
};

/// On the head of a lane: it may start, or others before it go first, or it lacks something.
enum class Verdict : std::uint8_t { now, later, lacks };

/// Tasks that wait for slots of the same pools. The first of its lines that has its tokens is its
/// head. Among lanes that share a pool the same order holds between their heads: what a head lacks
/// is kept for it, so that those behind cannot starve it. Who waits for a token is in nobody's way:
/// its line is not listed, and a lane whose pool has no token is shut.
struct Lane {
  std::vector<Pool*> pools;          ///< as its tasks name them
  bool is_active = false;            ///< it may be able to start something
  int shut = 0;                      ///< its pools of which no token is there
  Verdict verdict = Verdict::lacks;  ///< on its head, as of `judged_at`
  std::uint64_t judged_at = 0;
  Line plain;  ///< of tasks without a rate
  std::map<RateKey, std::unique_ptr<Line>> rated;
  struct Listed {
    std::pair<Rank, std::uint64_t> place;  ///< of its first
    Line* line = nullptr;
    bool operator<(const Listed& other) const { return place < other.place; }
  };
  std::set<Listed> listed;  ///< rated lines that have a token, by their first

  Lane() { plain.lane = this; }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  bool is_empty() const { return plain.ring.empty() && listed.empty(); }
  /// True when another lane wants slots or tokens of its pools.
  bool is_shared() const {
    for (const Pool* pool : pools) {
      if (pool->lanes.size() > 1) return true;
      if (pool->rate != nullptr && pool->rate->lanes.size() > 1) return true;
    }
    return false;
  }
};

inline bool Line::is_shared() const {
  return lane->is_shared() || (rate != nullptr && rate->lanes.size() > 1);
}

}  // namespace pawl
