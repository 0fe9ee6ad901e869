#pragma once

// The real store on a disk whose power can be cut, held against the model of what it must hold.
// What no store may do throws BrokenInvariant.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/sqlite_store.h"
#include "tests/sim/model_store.h"
#include "tests/sim/power_disk.h"

namespace pawl::sim {

class DiskStore {
 public:
  /// `syncs_commits` false: a commit does not wait for the disk (a planted bug).
  explicit DiskStore(bool syncs_commits = true) : syncs_commits_(syncs_commits) {}

  /// Opens it as a scheduler does at its start, under a boot of the machine.
  void open(std::int64_t boot);
  /// Applies batches in one transaction; false when the power went meanwhile.
  bool apply(std::span<const Mutations> group);
  /// The row of a job that is served, with nothing decided yet.
  void insert_job(const std::string& name);
  /// Copies the log back into the database; false when the power went meanwhile.
  bool checkpoint(bool empties_log);
  /// The process is gone, and with it the power unless everything remains. Then it may be opened.
  void crash(Remains remains, std::uint64_t seed);

  std::vector<RunSnapshot> open_runs();
  std::vector<RateRow> rates();
  /// The first thing in which it differs from the model; empty: in nothing.
  std::string difference(const ModelStore& model);

  PowerDisk& disk() { return disk_; }

 private:
  bool has_power_after(const Result<void>& done);

  PowerDisk disk_;  // first: the store closes its files on it
  bool syncs_commits_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace pawl::sim
