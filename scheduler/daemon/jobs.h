#pragma once

// The jobs that the scheduler knows by name, and their versions by content. On the loop.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/core/rows.h"
#include "scheduler/daemon/definition_reader.h"
#include "scheduler/daemon/pump.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/settings.h"
#include "scheduler/spec/shared_job.h"
#include "storage/store.h"
#include "storage/writer.h"

namespace pawl {

/// What tells one definition from another: of the canonical text and the folder that its relative
/// paths start at. 32 hexadecimal digits (XXH3, 128 bits).
std::string definition_hash(std::string_view canonical_text, std::string_view folder);

class Jobs {
 public:
  /// `operators`: what new definitions may use; must outlive this.
  Jobs(Loop& loop, Pump& pump, Writer& writer, VersionId last_version, std::vector<JobRow> rows,
       const OperatorCatalog& operators);
  ~Jobs() { *alive_ = false; }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  /// Finds the version of this definition, which `text` was read to, or makes it. `done` gets its
  /// number; an error when the store fails. See `know`.
  void version_of(std::string text, SharedJob job, std::function<void(Result<VersionId>)> done);
  /// The definition of a stored version, as DefinitionReader::read. See `know`.
  void stored(VersionId version, DefinitionReader::Done done) {
    definitions_.read(version, std::move(done));
  }
  /// Sees that the engine knows a version that was found or made here, for the input that is fed
  /// next. On the way to it a definition that no run has may have left memory.
  void know(VersionId version, const SharedJob& job);
  /// Whether a definition is being looked up in the store, so that one that the engine does not
  /// know may be known to it soon.
  bool looks_up() const { return lookups_ > 0 || definitions_.is_reading(); }

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
  void find_or_make(JobVersionRow row, SharedJob job, std::function<void(Result<VersionId>)> done);
  void remember(const std::pair<std::string, std::string>& key, VersionId id);

  Pump& pump_;
  Writer& writer_;
  const OperatorCatalog* operators_;
  DefinitionReader definitions_;
  Works works_;
  Settings settings_;
  VersionId last_version_;
  std::size_t lookups_ = 0;
  std::map<std::string, JobRow, std::less<>> jobs_;
  std::map<std::pair<std::string, std::string>, VersionId>
      versions_;  ///< by (job, hash), of this process: those that the engine knows, and few more
  static constexpr std::size_t kVersionsToSift = 1'000;
  std::size_t versions_to_sift_ = kVersionsToSift;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pawl
