#include "scheduler/daemon/retainer.h"

#include <algorithm>
#include <filesystem>

#include "scheduler/daemon/control.h"
#include "scheduler/loop/clock.h"

namespace pawl {
namespace {

constexpr Duration kFirstAfter = std::chrono::minutes(1);
constexpr Duration kEvery = std::chrono::hours(1);
// Between two steps while attempts run: the writer is theirs.
constexpr Duration kStepPause = std::chrono::milliseconds(100);
// Making files is slow after many were deleted, so beside running attempts few go at a time.
constexpr Duration kDeletePause = std::chrono::seconds(1);
constexpr std::size_t kFoldersAtOnce = 8;
constexpr std::size_t kRoundsMax = 16;

}  // namespace

Retainer::Retainer(Loop& loop, Pump& pump, Writer& writer, Jobs& jobs, Options options)
    : loop_(loop),
      pump_(pump),
      writer_(writer),
      jobs_(jobs),
      options_(std::move(options)),
      often_(loop,
             [this] {
               prune(std::nullopt, [](const Result<std::int64_t>&) {});
               often_.start_after(kEvery);
             }),
      pause_(loop, [this] { step(); }),
      work_(loop, Work::Pace::slow) {}

Retainer::~Retainer() { *alive_ = false; }

void Retainer::keep_going() { often_.start_after(kFirstAfter); }

void Retainer::prune(std::optional<Asked> asked, Done done) {
  if (rounds_.size() >= kRoundsMax)
    return done(Error{ErrorKind::refused, "pruning is under way. Try again when it is done"});
  Round round;
  round.done = std::move(done);
  round.request.keep = options_.keep;
  round.request.now = wall_now();
  round.asks_jobs = !asked;
  if (asked) {
    round.request.ended_before = asked->ended_before;
    round.request.only = std::move(asked->only);
  }
  rounds_.push_back(std::move(round));
  if (rounds_.size() == 1) begin();
}

void Retainer::begin() {
  if (rounds_.front().asks_jobs)
    read_job_settings();
  else
    step();
}

/// What jobs say of their own retention: of definitions that were not asked for before, parsed
/// where nobody waits for it.
void Retainer::read_job_settings() {
  std::map<VersionId, std::optional<OwnRetention>> known;
  std::vector<VersionId> unknown;
  for (const auto& [name, row] : jobs_.all()) {
    if (row.version.value == 0) continue;
    const auto found = own_.find(row.version);
    if (found == own_.end())
      unknown.push_back(row.version);
    else
      known.insert(*found);
  }
  own_ = std::move(known);
  if (unknown.empty()) return take_job_settings();
  const bool is_queued =
      writer_.load([this, alive = alive_, unknown](Store& store) -> std::function<void()> {
        auto rows = std::make_shared<std::vector<JobVersionRow>>();
        for (VersionId version : unknown) {
          auto row = store.version(version);
          // Without a job's word of it more might go than it wants.
          if (!row)
            return [this, alive, why = row.error()] {
              if (*alive) end(why);
            };
          if (*row && may_say_retention(**row)) rows->push_back(**std::move(row));
        }
        return [this, alive, unknown, rows] {
          if (*alive) parse_job_settings(unknown, rows);
        };
      });
  if (!is_queued) end(lost_answer());
}

void Retainer::parse_job_settings(const std::vector<VersionId>& versions,
                                  std::shared_ptr<const std::vector<JobVersionRow>> rows) {
  for (VersionId version : versions) own_[version] = std::nullopt;
  if (rows->empty()) return take_job_settings();
  auto found = std::make_shared<std::map<VersionId, std::optional<OwnRetention>>>();
  work_.start(
      [rows = std::move(rows), found] {
        for (const JobVersionRow& row : *rows) (*found)[row.id] = own_retention(row);
      },
      [this, found] {
        for (const auto& [version, own] : *found) own_[version] = own;
        take_job_settings();
      });
}

void Retainer::take_job_settings() {
  std::map<std::string, Retention>& jobs = rounds_.front().request.jobs;
  for (const auto& [name, row] : jobs_.all()) {
    if (row.version.value == 0) continue;
    const auto found = own_.find(row.version);
    if (found == own_.end()) return read_job_settings();  // it came meanwhile
    if (found->second) jobs[name] = found->second->over(options_.keep);
  }
  step();
}

void Retainer::step() {
  // The change is written to rows that must still be there.
  if (options_.runs_are_read()) return pause_.start_after(kStepPause);
  PruneRequest request = rounds_.front().request;
  request.busy = pump_.engine().runs();
  // What is in memory is not asked of the store again before a run is pinned to it.
  if (!jobs_.looks_up()) request.versions_in_use = pump_.engine().versions();
  pump_.flush();
  const bool is_queued = writer_.load(
      [this, alive = alive_, request = std::move(request)](Store& store) -> std::function<void()> {
        auto done = store.prune(request);
        return [this, alive, done = std::move(done)] {
          if (!*alive) return;
          if (!done) return end(done.error());
          rounds_.front().runs += done->runs;
          rounds_.front().request.with_rows = done->with_rows;
          if (!done->more) return delete_files();
          pause_.start_after(pump_.engine().live_attempts() == 0 ? Duration{0} : kStepPause);
        };
      });
  if (!is_queued) end(lost_answer());
}

void Retainer::delete_files() {
  const bool is_queued =
      writer_.load([this, alive = alive_](Store& store) -> std::function<void()> {
        auto pruned = store.pruned(kFoldersAtOnce);
        return [this, alive, pruned = std::move(pruned)] {
          if (!*alive) return;
          if (!pruned) return end(pruned.error());
          if (pruned->empty()) return end(rounds_.front().runs);
          auto remove = [runs = *pruned, logs = options_.logs, outputs = options_.outputs] {
            std::error_code ignored;  // what cannot be deleted is in nobody's way
            for (const PrunedRun& run : runs) {
              std::filesystem::remove_all(logs + "/" + run.name, ignored);
              std::filesystem::remove_all(outputs + "/" + run.name, ignored);
            }
          };
          auto removed = [this, alive, runs = *pruned] {
            if (!*alive) return;
            writer_.load([alive, runs](Store& s) -> std::function<void()> {
              std::vector<RunId> ids;
              for (const PrunedRun& run : runs) ids.push_back(run.run);
              static_cast<void>(s.prune_done(ids));  // asked for again next time
              return nullptr;
            });
            pause_.cancel();
            if (pump_.engine().live_attempts() == 0) return delete_files();
            pause_.start_after(kDeletePause);
          };
          work_.start(std::move(remove), std::move(removed));
        };
      });
  if (!is_queued) end(lost_answer());
}

void Retainer::end(Result<std::int64_t> result) {
  Round round = std::move(rounds_.front());
  rounds_.pop_front();
  round.done(std::move(result));
  if (!rounds_.empty()) begin();
}

}  // namespace pawl
