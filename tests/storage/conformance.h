#pragma once

// What any Store must do, whatever it is made of: each function is the sections of a Catch2 test
// case.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "storage/store.h"

namespace pawl::test {

/// Opens the store of this test, again after it was closed.
using OpenStore = std::function<std::unique_ptr<Store>()>;

/// What goes in comes back, with every column (conformance_rows.cpp).
void store_keeps_runs(const OpenStore& open);
void store_keeps_attempts(const OpenStore& open);
void store_keeps_jobs(const OpenStore& open);
/// A change that expects what is not there is refused, and changes nothing.
void store_guards_changes(const OpenStore& open);
/// Numbers go on behind the highest that was given out.
void store_counts_on(const OpenStore& open);
/// The home is told from any other, over restarts too.
void store_names_its_home(const OpenStore& open);
/// Several batches are one transaction; the log is copied back.
void store_commits_groups(const OpenStore& open);
/// A run is loaded as it was asked for (conformance_snapshots.cpp).
void store_gives_snapshots(const OpenStore& open);

// What the sections are made of; each checks that the store does it.

void commit(Store& store, const Mutations& batch);
void refuse(Store& store, const Mutations& batch);
RunSnapshot load(Store& store, std::int64_t run, LoadOptions options = {});
/// Runs that are loaded at a start, in that order.
std::vector<std::int64_t> open_runs(Store& store);

}  // namespace pawl::test
