#pragma once

// Distinct integer types for everything that has a number, so that no two can be mixed up.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace pawl {

/// An integer with a name of its own. `Tag` only tells one from another.
template <typename Tag, typename Rep>
struct Id {
  using rep = Rep;
  Rep value{};

  constexpr Id() = default;
  constexpr explicit Id(Rep number) : value(number) {}
  friend constexpr auto operator<=>(Id, Id) = default;
};

/// A run: dense, from 1, in the order of acceptance. The name that users see is `RunRow::name`.
using RunId = Id<struct RunTag, std::int64_t>;
/// A task of a job: its place in `JobSpec::tasks`; hooks follow the tasks.
using TaskIndex = Id<struct TaskTag, std::uint32_t>;
/// An item of a mapped task, from 0; `kWhole` is the task itself, mapped or not.
using ItemIndex = Id<struct ItemTag, std::int64_t>;
inline constexpr ItemIndex kWhole{-1};
/// An attempt, over all runs: dense, from 1, in the order of starting.
using AttemptId = Id<struct AttemptTag, std::int64_t>;
/// A worker process, over the life of the home: dense, from 1; 0 is none.
using WorkerId = Id<struct WorkerTag, std::int64_t>;
/// A version of a job's definition: dense, from 1, one per content hash.
using VersionId = Id<struct VersionTag, std::int64_t>;
/// The generation of the scheduler: raised at each start, never lowered.
using Epoch = Id<struct EpochTag, std::int64_t>;

}  // namespace pawl

template <typename Tag, typename Rep>
struct std::hash<pawl::Id<Tag, Rep>> {
  std::size_t operator()(pawl::Id<Tag, Rep> id) const noexcept {
    // Fibonacci hashing: ids are dense, the standard hash of an integer is the identity.
    return static_cast<std::size_t>(static_cast<std::uint64_t>(id.value) * 0x9E3779B97F4A7C15ULL);
  }
};
