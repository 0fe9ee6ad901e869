// What is loaded of a run: its open part, and what else was asked for.

#include <catch2/catch.hpp>

#include "conformance.h"
#include "support.h"

namespace pawl::test {
namespace {

/// Items 0 to 5: two succeeded, one failed, one retrying, one succeeded, one running; 6 to 9 fresh.
void start_items(Store& store) {
  commit(store, {mutation::InsertVersion{version_row()}, mutation::InsertRun{run_row(1)},
                 mutation::InsertTask{task_row(1, 0)}, mutation::InsertTask{task_row(1, 1)},
                 mutation::InsertItems{chunk_row(1, 1, 0, 6)},
                 mutation::InsertItems{chunk_row(1, 1, 6, 4)}});
  for (std::int64_t item = 0; item < 6; ++item)
    commit(store, start_of(running(1, 1, item, item + 1)));
  for (std::int64_t item : {0, 1, 4})
    commit(store, end_of(running(1, 1, item, item + 1), TaskState::succeeded));
  commit(store, end_of(running(1, 1, 2, 3), TaskState::failed, Reason::exit));
  commit(store, end_of(running(1, 1, 3, 4), TaskState::retrying, Reason::exit));
  MappedRow mapped = mapped_row(1, 1, 10, 6);
  mapped.low_water = 3;
  mapped.rest_state = TaskState::cancelled;
  mapped.rest_reason = Reason::stop_after_failures;
  commit(store, {mutation::SetMapped{mapped_row(1, 1, 0, 0)}, mutation::SetMapped{mapped},
                 mutation::InsertTask{task_row(1, 2)}});
}

std::vector<std::int64_t> items_of(const std::vector<TaskRow>& rows) {
  std::vector<std::int64_t> items;
  for (const auto& row : rows) items.push_back(row.key.item.value);
  return items;
}

}  // namespace

void store_gives_snapshots(const OpenStore& open) {
  auto store = open();
  SECTION("only open runs are loaded, in order") {
    RunRow done = run_row(2);
    done.state = RunState::succeeded;
    RunRow queued = run_row(3);
    queued.state = RunState::queued;
    RunRow paused = run_row(4);
    paused.state = RunState::paused;
    commit(*store, {mutation::InsertRun{paused}, mutation::InsertRun{run_row(1)},
                    mutation::InsertRun{done}, mutation::InsertRun{queued}});
    CHECK(open_runs(*store) == std::vector<std::int64_t>{1, 3, 4});
  }
  SECTION("a mapped task comes with its open part only") {
    start_items(*store);
    const RunSnapshot s = load(*store, 1);
    CHECK(items_of(s.tasks) == std::vector<std::int64_t>{-1, -1, -1});
    REQUIRE(s.mapped.size() == 1);
    const MappedSnapshot& mapped = s.mapped[0];
    CHECK(mapped.row.rest_state == TaskState::cancelled);
    CHECK(mapped.row.rest_reason == Reason::stop_after_failures);
    CHECK(items_of(mapped.open_items) == std::vector<std::int64_t>{3, 5});
    CHECK(mapped.final_items.empty());
    CHECK(mapped.states == std::vector<std::uint8_t>{3, 6, 2});
    REQUIRE(s.live_attempts.size() == 1);
    CHECK(s.live_attempts[0].id.value == 6);
  }
  SECTION("when asked, with all states and with what can be resumed") {
    start_items(*store);
    LoadOptions options;
    options.final_items = true;
    RunSnapshot s = load(*store, 1, options);
    CHECK(s.mapped[0].states == std::vector<std::uint8_t>{6, 6, 7, 3, 6, 2});
    CHECK(items_of(s.mapped[0].final_items) == std::vector<std::int64_t>{2});
    options.succeeded_items = true;
    s = load(*store, 1, options);
    CHECK(items_of(s.mapped[0].final_items) == std::vector<std::int64_t>{0, 1, 2, 4});
    CHECK(items_of(s.mapped[0].open_items) == std::vector<std::int64_t>{3, 5});
  }
  SECTION("items that failed are dismissed together, and counted when asked") {
    start_items(*store);
    LoadOptions options;
    CHECK(load(*store, 1, options).mapped[0].to_dismiss == 0);
    options.to_dismiss = options.final_items = true;
    CHECK(load(*store, 1, options).mapped[0].to_dismiss == 1);
    commit(*store, {mutation::DismissItems{RunId{1}, TaskIndex{1}, 0, 2}});
    CHECK(load(*store, 1, options).mapped[0].to_dismiss == 1);
    const std::string before = text(load(*store, 1).mapped[0].open_items.at(0));
    commit(*store, {mutation::DismissItems{RunId{1}, TaskIndex{1}, 0, 6}});
    const RunSnapshot s = load(*store, 1, options);
    CHECK(s.mapped[0].to_dismiss == 0);
    CHECK(s.mapped[0].final_items.at(0).dismissed == 1);
    CHECK(text(s.mapped[0].open_items.at(0)) == before);
    CHECK(s.tasks.at(1).dismissed == 0);
  }
  SECTION("a snapshot is the same after the store was closed") {
    start_items(*store);
    const std::string before = text(load(*store, 1, {true, true}));
    store.reset();
    store = open();
    CHECK(text(load(*store, 1, {true, true})) == before);
  }
  SECTION("items that are deleted make room for new ones") {
    start_items(*store);
    refuse(*store, {mutation::InsertItems{chunk_row(1, 1, 0, 6)}});
    commit(*store, {mutation::DeleteItems{RunId{1}, TaskIndex{1}},
                    mutation::InsertItems{chunk_row(1, 1, 0, 6)}});
  }
  SECTION("an item that should have a row and has none spoils its run and no other") {
    start_items(*store);
    MappedRow mapped = mapped_row(1, 1, 10, 7);
    commit(*store, {mutation::SetMapped{mapped}, mutation::InsertRun{run_row(2)}});
    std::vector<std::int64_t> good;
    std::string why;
    must(store->load_open_runs([&](RunSnapshot&& s) { good.push_back(s.run.id.value); },
                               [&](RunId run, const std::string& text) {
                                 why = std::to_string(run.value) + ": " + text;
                               }));
    CHECK(good == std::vector<std::int64_t>{2});
    CHECK(why == "1: run " + run_row(1).name + ": item 6 of task 1 has no row");
    auto one = store->load_run(RunId{1}, {});
    REQUIRE_FALSE(one);
    CHECK(one.error().kind == ErrorKind::storage);
  }
  SECTION("an item of a paired task that has no row waits") {
    start_items(*store);
    MappedRow mapped = mapped_row(1, 1, 10, 10);
    mapped.is_paired = true;
    commit(*store, {mutation::SetMapped{mapped}});
    const RunSnapshot s = load(*store, 1, {true, false});
    CHECK(s.mapped[0].row.is_paired);
    CHECK(s.mapped[0].states == std::vector<std::uint8_t>{6, 6, 7, 3, 6, 2, 0, 0, 0, 0});
  }
  SECTION("a live attempt without a row spoils its run") {
    commit(*store, {mutation::InsertRun{run_row(1)}, mutation::InsertTask{running(1, 0, -1, 5)}});
    CHECK_FALSE(store->load_run(RunId{1}, {}));
  }
}

}  // namespace pawl::test
