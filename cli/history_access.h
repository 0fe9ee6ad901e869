#pragma once

// The home's history for verbs that look: a read-only connection of their own; nothing is locked or
// made.

#include <memory>
#include <string>
#include <string_view>

#include "cli/session.h"
#include "scheduler/base/result.h"
#include "storage/history.h"

namespace pawl {

class HistoryAccess {
 public:
  /// A home or store that is not there is named on standard error and gives an empty history.
  /// `beside_scheduler`: this process is the scheduler. Errors: invalid, home_unusable, storage,
  /// version.
  static Result<HistoryAccess> open(const Session& session, bool beside_scheduler = false);

  /// Nothing has ever run here.
  bool is_empty() const { return history_ == nullptr; }
  /// Only when it is not empty.
  History& history() { return *history_; }
  const std::string& home() const { return home_; }

  /// What a name stands for. Errors: invalid, not_found (of an empty history, everything).
  Result<Named> resolve(std::string_view name);
  /// The same where a job could be meant too, and none is called so.
  Result<Named> resolve_beside_jobs(std::string_view name);
  /// A run by its name or a part of it. Errors: as above.
  Result<RunRow> find_run(std::string_view name);

 private:
  HistoryAccess(std::string home, std::unique_ptr<History> history)
      : home_(std::move(home)), history_(std::move(history)) {}
  std::string home_;
  std::unique_ptr<History> history_;
};

}  // namespace pawl
