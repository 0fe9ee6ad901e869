#pragma once

// How far a run is, as whoever follows it is told: bounded, however many tasks it has. Pure.

#include <cstddef>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/core/engine.h"

namespace pawl {

/// As many tasks are told of each time. A larger run's are chosen by `foremost_tasks`.
inline constexpr std::size_t kProgressTasksMax = 200;

/// At most `max` tasks, ascending: all of a run that has no more; else those that run or wait for
/// their next attempt, then those that failed or are held, those that wait for a slot, those that
/// ended without having run, those that wait for others, and those that are done.
std::vector<TaskIndex> foremost_tasks(const std::vector<TaskState>& states, std::size_t max);

/// The answer of GET /v1/runs/NAME/follow, without `version`, `dormant`, `ended` and
/// `scheduler_pid`. `task` is asked of the tasks that are told of.
nlohmann::json progress_json(const RunRow& run, const JobSpec& job, const RunStates& states,
                             const std::function<TaskView(TaskIndex)>& task, WallTime now);

/// The same of a run that is not in memory.
nlohmann::json progress_json(const RunSnapshot& snapshot, const JobSpec& job, WallTime now);

}  // namespace pawl
