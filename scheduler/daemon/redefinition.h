#pragma once

// A run goes on with another definition of its job. Rows of a run name its tasks by their place, so
// the text that it is pinned to from then on keeps the places: what is still there stands where it
// stood, what is new comes last, and what is gone leaves a task that does nothing. Pure.

#include <string>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/job.h"

namespace pawl {

struct Redefinition {
  struct Line {
    enum class Change { changed, added, gone } change = Change::changed;
    std::string task;  ///< empty: of the job
    std::string text;  ///< `timeout: "5m" → "10m"`
  };
  std::string text;         ///< of the new definition with the places of the old one
  std::vector<Line> lines;  ///< the difference, job first, then tasks in their order

  bool is_same() const { return lines.empty(); }
};

std::string_view to_string(Redefinition::Line::Change change);

/// What the run in `snapshot`, pinned to `before`, becomes with `after`. Both are canonical texts
/// of valid definitions, with what they parse to. Errors: refused, when what ran cannot be carried
/// over, with what would work.
struct Definition {
  std::string text;
  JobSpec job;
};
Result<Redefinition> redefine(const Definition& before, const Definition& after,
                              const RunSnapshot& snapshot);

}  // namespace pawl
