#pragma once

// What every verb is handed: the streams, the clock, and which home is meant.

#include <optional>
#include <string>

#include "cli/terminal.h"
#include "cli/when.h"
#include "scheduler/base/result.h"
#include "scheduler/spec/operator_catalog.h"

namespace pawl {

struct Session {
  std::string home_flag;  ///< `--home`; empty: not given
  Terminal out;
  Terminal err;
  /// The scheduler of the home did not answer: nothing of this verb waits for it again.
  mutable std::optional<Error> silence;
  /// What plugins have said that they are: they are asked once (job_source.h).
  mutable std::optional<OperatorCatalog> operators;

  /// The calendar and the zone of the user, read now.
  Here here() const;
  /// A line for people on standard error: `pawl: TEXT`.
  void notice(std::string_view text) const;
};

}  // namespace pawl
