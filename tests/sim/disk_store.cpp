#include "tests/sim/disk_store.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "storage/statement.h"
#include "tests/sim/world.h"
#include "tests/storage/support.h"

namespace pawl::sim {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) throw BrokenInvariant("the store: " + result.error().message);
  return std::move(result).value();
}

/// As text, in one order whatever order the rows came in.
std::string text_of(RunSnapshot run) {
  std::sort(run.live_attempts.begin(), run.live_attempts.end(),
            [](const AttemptRow& a, const AttemptRow& b) { return a.id < b.id; });
  std::sort(run.timers.begin(), run.timers.end(), [](const TimerRow& a, const TimerRow& b) {
    return std::tie(a.key, a.kind) < std::tie(b.key, b.kind);
  });
  return test::text(run);
}

std::string attempt_text(const AttemptRow& row) {
  return std::to_string(row.id.value) + " " + std::to_string(row.key.run.value) + "/" +
         std::to_string(row.key.task.value) + ":" + std::to_string(row.key.item.value) +
         " number " + std::to_string(row.number) + " " + std::string(to_string(row.state)) + " " +
         std::string(to_string(row.reason)) + " handle " + row.handle + " state " + row.state_text;
}

/// One attempt per line, ended ones too, which no snapshot has.
std::string attempts_of(Database& database) {
  Statement rows(database,
                 "SELECT id || ' ' || run || '/' || task || ':' || item || ' number ' || number || "
                 "' ' || state || ' ' || ifnull(reason, '') || ' handle ' || ifnull(handle, '') || "
                 "' state ' || ifnull(state_text, '') FROM attempt ORDER BY id");
  std::string all;
  while (rows.step()) all += std::string(rows.text(0)) + "\n";
  if (!rows.ok()) throw BrokenInvariant("the attempts cannot be read");
  return all;
}

/// Where a schedule stands.
std::string place_text(const JobRow& row) {
  const auto time = [](const std::optional<WallTime>& t) {
    return t ? std::to_string(t->ms) : std::string("nowhere");
  };
  return row.name + (row.paused ? " paused" : "") + " decided through " +
         time(row.decided_through) + " next " + time(row.next_fire_at) + " failures " +
         std::to_string(row.failures);
}

std::string parted(const std::string& what, const std::string& has, const std::string& must_have) {
  return what + " has\n" + has + "and must have\n" + must_have;
}

}  // namespace

void DiskStore::open(std::int64_t boot) {
  store_ = must(SqliteStore::open("/pawl.db", {disk_.vfs()}));
  if (!syncs_commits_ && !store_->database().exec("PRAGMA synchronous=NORMAL"))
    throw BrokenInvariant("no bug can be planted");
  (void)must(store_->begin_epoch("boot-" + std::to_string(boot)));
}

bool DiskStore::has_power_after(const Result<void>& done) {
  if (!done && !disk_.is_cut()) throw BrokenInvariant("the store: " + done.error().message);
  return done.ok();
}

bool DiskStore::apply(std::span<const Mutations> group) {
  return has_power_after(store_->apply_group(group));
}

void DiskStore::insert_job(const std::string& name) {
  mutation::SetJob job;
  job.row.name = name;
  const Mutations change{job};
  if (!apply({&change, 1})) throw BrokenInvariant("the power went before the story began");
}

bool DiskStore::checkpoint(bool empties_log) {
  return has_power_after(empties_log ? store_->empty_log() : store_->checkpoint());
}

void DiskStore::crash(Remains remains, std::uint64_t seed) {
  disk_.cut();
  store_.reset();
  disk_.come_back(remains, seed);
}

std::vector<RunSnapshot> DiskStore::open_runs() {
  std::vector<RunSnapshot> all;
  const auto done = store_->load_open_runs(
      [&](RunSnapshot&& run) { all.push_back(std::move(run)); },
      [](RunId run, const std::string& why) {
        throw BrokenInvariant("run " + std::to_string(run.value) + " cannot be read: " + why);
      });
  if (!done) throw BrokenInvariant("the store: " + done.error().message);
  return all;
}

std::vector<RateRow> DiskStore::rates() { return must(store_->rates()); }

std::string DiskStore::difference(const ModelStore& model) {
  std::string has;
  std::string must_have;
  const std::int64_t runs = must(store_->database().integer("SELECT count(*) FROM run"));
  if (runs != static_cast<std::int64_t>(model.runs.size()))
    return std::to_string(runs) + " runs are stored, and " + std::to_string(model.runs.size()) +
           " must be";
  for (const auto& [id, row] : model.runs) {
    auto found = must(store_->load_run(id, {true, true, true}));
    if (!found) return "run " + row.name + " is not there";
    has = text_of(*std::move(found));
    must_have = text_of(model.snapshot(id, true));
    if (has != must_have) return parted("run " + row.name, has, must_have);
  }
  has = attempts_of(store_->database());
  must_have.clear();
  for (const auto& [id, row] : model.attempts) must_have += attempt_text(row) + "\n";
  if (has != must_have) return parted("the table of attempts", has, must_have);
  has.clear();
  must_have.clear();
  for (const RateRow& row : rates()) has += test::text(row) + "\n";
  for (const RateRow& row : model.rate_rows()) must_have += test::text(row) + "\n";
  if (has != must_have) return parted("the table of rates", has, must_have);
  for (const JobRow& row : must(store_->jobs())) {
    JobRow expected = row;
    if (const auto known = model.jobs.find(row.name); known != model.jobs.end())
      expected = known->second;
    expected.name = row.name;
    has = place_text(row);
    must_have = place_text(expected);
    if (has != must_have) return parted("the schedule of a job", has + "\n", must_have + "\n");
  }
  const std::int64_t dropped =
      std::accumulate(model.dropped.begin(), model.dropped.end(), std::int64_t{0},
                      [](std::int64_t sum, const DroppedRow& row) { return sum + row.count; });
  const std::int64_t stored =
      must(store_->database().integer("SELECT ifnull(sum(count), 0) FROM dropped_fire"));
  if (stored != dropped)
    return std::to_string(stored) + " fires are dropped, and " + std::to_string(dropped) +
           " must be";
  return {};
}

}  // namespace pawl::sim
