#pragma once

// What the commands share. Private to scheduler/core.

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/core/engine_state.h"

namespace pawl {

/// What a resume runs again.
inline bool has_failed(TaskState s) {
  return s == TaskState::failed || s == TaskState::held || s == TaskState::cancelled;
}

/// Decided by what came before it, so decided anew when that changes.
inline bool follows_upstream(const Piece& work) {
  return work.state == TaskState::upstream_failed ||
         (work.state == TaskState::skipped && work.reason == Reason::rule);
}

/// The same of the row of an item that is paired with others.
inline bool follows_upstream(const TaskRow& row) {
  return row.state == TaskState::upstream_failed ||
         (row.state == TaskState::skipped && row.reason == Reason::rule);
}

/// Whether a resume of this kind takes back the item.
inline bool repeats(Repeat repeat, const TaskRow& item) {
  switch (repeat) {
    case Repeat::none:
    case Repeat::cancel: return false;
    case Repeat::all: return true;
    case Repeat::failed: return has_failed(item.state) || follows_upstream(item);
    case Repeat::following: return follows_upstream(item);
  }
  return false;
}

/// The mapped task in the snapshot; nothing when it is not there.
inline const MappedSnapshot* mapped_part(const RunSnapshot* snapshot, TaskIndex task) {
  if (snapshot == nullptr) return nullptr;
  for (const MappedSnapshot& m : snapshot->mapped) {
    if (m.row.task == task) return &m;
  }
  return nullptr;
}

/// The row of a final item; nothing when the snapshot has none.
inline const TaskRow* final_item(const RunSnapshot* snapshot, TaskIndex task, std::int64_t item) {
  const MappedSnapshot* part = mapped_part(snapshot, task);
  if (part == nullptr) return nullptr;
  auto it =
      std::lower_bound(part->final_items.begin(), part->final_items.end(), item,
                       [](const TaskRow& row, std::int64_t i) { return row.key.item.value < i; });
  return it != part->final_items.end() && it->key.item.value == item ? &*it : nullptr;
}

/// Whether the row of a final item says what it is now: a snapshot is as old as its way was long.
inline bool is_current(const Mapped& mapped, const TaskRow& row) {
  const auto item = static_cast<std::size_t>(row.key.item.value);
  if (item >= mapped.states.size() || mapped.works.contains(row.key.item.value)) return false;
  const bool has_state = mapped.states[item] == kFinalUnknown
                             ? is_final(row.state)
                             : mapped.states[item] == static_cast<std::uint8_t>(row.state);
  return has_state &&
         (mapped.tries[item] == 0 || mapped.tries[item] == static_cast<std::uint8_t>(row.attempts));
}

inline constexpr const char* kNoDefinition = "the job's definition is not in memory; ask again";
inline constexpr const char* kGone = "is not in memory and was not loaded; ask again";
inline constexpr const char* kStopping =
    "is being stopped: what runs ends, and nothing more of it starts";
inline constexpr const char* kChanged = "changed while the command was on its way; ask again";

inline bool names_an_item(const Target& target) { return target.item && *target.item != kWhole; }

/// False when the target names a task that the run does not have.
inline bool is_sound(const Run& run, const Target& target) {
  return !target.task || target.task->value < run.nodes.size();
}

/// The targets by the run that they name, runs in the order in which they are named first.
inline std::vector<std::pair<RunId, std::vector<Target>>> by_run(
    const std::vector<Target>& targets) {
  std::vector<std::pair<RunId, std::vector<Target>>> groups;
  std::unordered_map<RunId, std::size_t> places;
  for (const Target& t : targets) {
    const auto [place, is_new] = places.emplace(t.run, groups.size());
    if (is_new) groups.emplace_back(t.run, std::vector<Target>());
    groups[place->second].second.push_back(t);
  }
  return groups;
}

}  // namespace pawl
