#include "scheduler/daemon/jobs.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "scheduler/base/text.h"
#include "scheduler/daemon/control.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/loop/clock.h"
#include "scheduler/spec/job_name.h"
#include "scheduler/spec/parse.h"

namespace pawl {
namespace {

bool are_same(const JobRow& a, const JobRow& b) {
  return a.version == b.version && a.file == b.file && a.quarantined == b.quarantined &&
         a.removed == b.removed && a.first_loaded_at == b.first_loaded_at;
}

}  // namespace

std::string definition_hash(std::string_view canonical_text, std::string_view folder) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, canonical_text.data(), canonical_text.size());
  XXH3_128bits_update(&state, "\0", 1);
  XXH3_128bits_update(&state, folder.data(), folder.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

Jobs::Jobs(Loop& loop, Pump& pump, Writer& writer, VersionId last_version, std::vector<JobRow> rows,
           const OperatorCatalog& operators)
    : pump_(pump),
      writer_(writer),
      operators_(&operators),
      definitions_(loop, pump, writer),
      works_(loop),
      last_version_(last_version) {
  for (JobRow& row : rows) jobs_.emplace(row.name, std::move(row));
}

void Jobs::version_of(std::string text, SharedJob job,
                      std::function<void(Result<VersionId>)> done) {
  auto row = std::make_shared<JobVersionRow>();
  row->job = job->name;
  row->folder = job->folder;
  works_.start(
      [row, text = std::move(text)] {
        row->body = canonical_job_text(text);
        row->hash = definition_hash(row->body, row->folder);
      },
      [this, row, job = std::move(job), done = std::move(done)] {
        find_or_make(std::move(*row), job, done);
      });
}

void Jobs::find_or_make(JobVersionRow row, SharedJob job,
                        std::function<void(Result<VersionId>)> done) {
  if (auto it = versions_.find({row.job, row.hash});
      it != versions_.end() && pump_.engine().knows_version(it->second)) {
    return done(it->second);
  }
  auto ask = [this, alive = alive_, row = std::move(row), job = std::move(job),
              done](Store& store) mutable -> std::function<void()> {
    auto stored = store.version_by_hash(row.job, row.hash);
    return [this, alive, row = std::move(row), job = std::move(job), done = std::move(done),
            stored = std::move(stored)]() mutable {
      if (!*alive) return;
      --lookups_;
      if (!stored) return done(stored.error());
      const auto key = std::pair(row.job, row.hash);
      bool is_stored = stored->has_value();
      if (is_stored) {
        row.id = (*stored)->id;
      } else if (auto it = versions_.find(key); it != versions_.end()) {
        row.id = it->second;  // made while this one asked
        is_stored = true;
      } else {
        row.id = VersionId{++last_version_.value};
        row.created_at = wall_now();
      }
      const VersionId id = row.id;
      if (is_stored) {
        know(id, job);
      } else {
        pump_.feed(input::AddVersion{std::move(row), std::move(job), false});
      }
      remember(key, id);
      done(id);
    };
  };
  if (!writer_.load(std::move(ask))) return done(lost_answer());
  ++lookups_;
}

/// What the engine has forgotten is asked of the store again.
void Jobs::remember(const std::pair<std::string, std::string>& key, VersionId id) {
  versions_[key] = id;
  if (versions_.size() < versions_to_sift_) return;
  std::erase_if(versions_,
                [this](const auto& known) { return !pump_.engine().knows_version(known.second); });
  versions_to_sift_ = std::max(kVersionsToSift, 2 * versions_.size());
}

void Jobs::know(VersionId version, const SharedJob& job) {
  JobVersionRow row;
  row.id = version;
  pump_.feed(input::AddVersion{std::move(row), job, true});
}

Error Jobs::unknown(std::string_view name) const {
  if (const JobRow* row = find(name); row != nullptr && !row->quarantined.empty()) {
    return {ErrorKind::refused, "job " + row->name + " has never had a valid definition: " +
                                    escape_for_terminal(row->quarantined)};
  }
  std::vector<std::string_view> names;
  for (const auto& [known, row] : jobs_) names.push_back(known);
  return unknown_job(name, names);
}

ParseOptions Jobs::reading(const std::string& folder) const {
  return parse_options(folder, operators_, &settings_);
}

const JobRow* Jobs::find(std::string_view name) const {
  auto it = jobs_.find(name);
  return it == jobs_.end() ? nullptr : &it->second;
}

void Jobs::note_paused(const std::string& name, bool paused) {
  if (auto it = jobs_.find(name); it != jobs_.end()) it->second.paused = paused;
}

void Jobs::set(JobRow row) {
  auto it = jobs_.find(row.name);
  if (it != jobs_.end() && are_same(it->second, row)) return;
  Mutations change;
  change.emplace_back(mutation::SetJob{row});
  pump_.write(std::move(change), {});
  const std::string name = row.name;
  jobs_.insert_or_assign(name, std::move(row));
}

}  // namespace pawl
