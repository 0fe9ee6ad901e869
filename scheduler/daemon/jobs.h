#pragma once

// The jobs that the scheduler knows by name, and their versions by content. On the loop.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/core/rows.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/settings.h"
#include "storage/store.h"
#include "storage/writer.h"

namespace pawl {

/// What tells one definition from another: of the canonical text and the folder that its relative
/// paths start at. 32 hexadecimal digits (XXH3, 128 bits).
std::string definition_hash(std::string_view canonical_text, std::string_view folder);

class Jobs {
 public:
  /// `operators`: what new definitions may use; must outlive this.
  Jobs(Pump& pump, Writer& writer, VersionId last_version, std::vector<JobRow> rows,
       const OperatorCatalog& operators);

  /// Finds the version of this definition, or makes it, and sees that the engine knows it. `done`
  /// gets its number; an error when the store fails.
  void version_of(const std::string& text, JobSpec job,
                  std::function<void(Result<VersionId>)> done);
  /// Sees that the engine knows a stored version, which parses to `job`.
  void know(const JobVersionRow& row, const JobSpec& job);

  /// How new definitions are read: with the operators and settings there are. `folder`: where their
  /// relative paths start at.
  ParseOptions reading(const std::string& folder) const;
  void change_settings(Settings settings) { settings_ = std::move(settings); }
  /// They must outlive this, and whoever reads with them on another thread.
  void change_operators(const OperatorCatalog& operators) { operators_ = &operators; }
  const Settings& settings() const { return settings_; }
  /// The place of its schedule is that of the start: Engine::schedule knows where it is now.
  const JobRow* find(std::string_view name) const;
  /// That there is no such job, and the nearest that there is; or why none of it can run.
  Error unknown(std::string_view name) const;
  const std::map<std::string, JobRow, std::less<>>& all() const { return jobs_; }
  /// Changes a job's row, durably, but for its pause and the place of its schedule, which are the
  /// engine's. Nothing is written when it is the same.
  void set(JobRow row);
  /// The engine pauses the job, or lets it go on.
  void note_paused(const std::string& name, bool paused);

 private:
  void remember(const std::pair<std::string, std::string>& key, VersionId id);

  Pump& pump_;
  Writer& writer_;
  const OperatorCatalog* operators_;
  Settings settings_;
  VersionId last_version_;
  std::map<std::string, JobRow, std::less<>> jobs_;
  std::map<std::pair<std::string, std::string>, VersionId>
      versions_;  ///< by (job, hash), of this process: those that the engine knows, and few more
  static constexpr std::size_t kVersionsToSift = 1'000;
  std::size_t versions_to_sift_ = kVersionsToSift;
};

}  // namespace pawl
