#pragma once

// What the service around an engine tells it, computed from the store and the definitions alone.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/core/engine.h"
#include "tests/sim/model_store.h"

namespace pawl::sim {

/// The definition; `is_stored`: the store has it.
input::AddVersion definition_of(VersionId version, const JobSpec& job, bool is_stored);

/// A job that is served by its schedule.
struct Served {
  VersionId version;
  std::shared_ptr<const Calendar> calendar;
  std::string key;
};

/// With a calendar of its own, and a text that tells the calendar from others.
Served served_of(VersionId version, const JobSpec& job);

/// What the service tells the engine of it after a start.
input::SetSchedule schedule_of(const std::string& job, const Served& served,
                               const ModelStore& store);

/// What the service would do about an attempt of operator `job`: by the store as it is, and the
/// newest definition of the job.
struct CallAnswer {
  std::vector<VersionId> versions;  ///< that the engine must know
  Input input;
};
CallAnswer answer_of(const effect::StartAttempt& call, const ModelStore& store,
                     const std::map<VersionId, JobSpec>& jobs);

}  // namespace pawl::sim
