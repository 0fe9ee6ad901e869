#pragma once

// A history to ask, filled at random from a seed, and what the store was told of it.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/history.h"
#include "support.h"

namespace pawl::test {

/// What the store was told, for answering the same questions by brute force.
struct ToldHistory {
  std::vector<RunRow> runs;
  std::map<TaskKey, TaskRow> tasks;
  std::map<std::int64_t, AttemptRow> attempts;

  const RunRow& run(RunId id) const {
    return *std::find_if(runs.begin(), runs.end(), [&](const RunRow& r) { return r.id == id; });
  }
};

inline constexpr const char* kTaskIds[] = {"list", "query", "report", "hook:on_failure:0"};

/// Runs of two jobs with all kinds of ends, written to the store as the engine would.
struct FilledHistory {
  Folder folder;
  ToldHistory told;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<History> history;

  explicit FilledHistory(std::uint64_t seed, int runs = 30);
};

/// All rows of a list, read in pages of `limit`.
template <typename Pager>
auto all_pages(Pager pager, std::size_t limit) {
  auto all = must(pager.next(limit));
  while (true) {
    auto page = must(pager.next(limit));
    if (page.empty()) return all;
    CHECK(page.size() <= limit);
    for (auto& row : page) all.push_back(std::move(row));
  }
}

}  // namespace pawl::test
