#include "storage/writer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

#include "fault_vfs.h"
#include "scheduler/base/limits.h"
#include "storage/history.h"
#include "support.h"
#include "tests/patience.h"

namespace pawl::test {
namespace {

using namespace std::chrono_literals;

/// Keeps what a writer says, and waits for it with a deadline.
class Listener {
 public:
  Writer::Callbacks callbacks() {
    Writer::Callbacks c;
    c.committed = [this](std::uint64_t through) {
      note([&] {
        committed = through;
        ++commits;
      });
    };
    c.deliver = [this](std::function<void()> done) { note([&] { done(); }); };
    c.storage_full = [this](bool is_full) { note([&] { full.push_back(is_full); }); };
    c.fatal = [this](const Error& error) { note([&] { fatal = error.message; }); };
    return c;
  }
  template <typename Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patient(20s), condition));
  }
  void wait_committed(std::uint64_t through) {
    wait([&] { return committed >= through; });
  }

  std::uint64_t committed = 0;
  int commits = 0;
  std::vector<bool> full;
  std::string fatal;

 private:
  template <typename Change>
  void note(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

Mutations one_run(std::int64_t id) { return {mutation::InsertRun{run_row(id)}}; }

int runs_in(const std::string& path) {
  auto store = open_store(path);
  int runs = 0;
  must(store->load_open_runs([&](RunSnapshot&&) { ++runs; }, [](RunId, const std::string&) {}));
  return runs;
}

/// Holds the writer's thread in a load until it is opened.
class Gate {
 public:
  Writer::Load load() {
    return [this](Store&) -> std::function<void()> {
      std::unique_lock lock(mutex_);
      open_.wait_for(lock, patient(20s), [this] { return is_open_; });
      return {};
    };
  }
  void open() {
    std::lock_guard lock(mutex_);
    is_open_ = true;
    open_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable open_;
  bool is_open_ = false;
};

}  // namespace

TEST_CASE("a batch is told only once it is durable, and stop writes all that is queued") {
  Folder folder;
  Listener listener;
  {
    Writer writer(open_store(folder.store()), listener.callbacks(), {});
    Mutations batch = one_run(1);
    REQUIRE(writer.submit(1, batch));
    CHECK(batch.empty());
    listener.wait_committed(1);
    CHECK(in_child([&] { _exit(runs_in(folder.store()) == 1 ? 0 : 1); }) == 0);
    for (std::uint64_t n = 2; n <= 100; ++n) {
      batch = one_run(static_cast<std::int64_t>(n));
      REQUIRE(writer.submit(n, batch));
    }
    writer.stop();
    batch = one_run(101);
    CHECK_FALSE(writer.submit(101, batch));
    CHECK(batch.size() == 1);
    CHECK_FALSE(writer.load([](Store&) { return std::function<void()>(); }));
  }
  CHECK(listener.committed == 100);
  CHECK(runs_in(folder.store()) == 100);
}

TEST_CASE("what waits is committed together") {
  Folder folder;
  Listener listener;
  Gate gate;
  Writer writer(open_store(folder.store()), listener.callbacks(), {});
  REQUIRE(writer.load(gate.load()));
  for (std::uint64_t n = 1; n <= 50; ++n) {
    Mutations batch = one_run(static_cast<std::int64_t>(n));
    REQUIRE(writer.submit(n, batch));
  }
  CHECK(writer.queued() == 50);
  gate.open();
  listener.wait_committed(50);
  CHECK(listener.commits == 1);
  CHECK(writer.queued() == 0);
}

TEST_CASE("a load sees all that was submitted before it and nothing after it") {
  Folder folder;
  Listener listener;
  Gate gate;
  Writer writer(open_store(folder.store()), listener.callbacks(), {});
  REQUIRE(writer.load(gate.load()));
  std::vector<bool> found;
  auto look = [&](Store& store) -> std::function<void()> {
    const bool is_there = must(store.load_run(RunId{1}, {})).has_value();
    return [&found, is_there] { found.push_back(is_there); };
  };
  REQUIRE(writer.load(look));
  Mutations batch = one_run(1);
  REQUIRE(writer.submit(1, batch));
  REQUIRE(writer.load(look));
  gate.open();
  listener.wait([&] { return found.size() == 2; });
  CHECK(found == std::vector<bool>{false, true});
}

TEST_CASE("the queue has a bound, and a batch alone is always taken") {
  Folder folder;
  Listener listener;
  Gate gate;
  WriterOptions options;
  options.queued_max = 3;
  Writer writer(open_store(folder.store()), listener.callbacks(), options);
  REQUIRE(writer.load(gate.load()));
  Mutations large;
  for (std::int64_t id = 1; id <= 5; ++id) large.emplace_back(mutation::InsertRun{run_row(id)});
  REQUIRE(writer.submit(1, large));
  Mutations more = one_run(6);
  CHECK_FALSE(writer.submit(2, more));
  CHECK(more.size() == 1);
  gate.open();
  listener.wait_committed(1);
  CHECK(writer.submit(2, more));
  listener.wait_committed(2);
}

TEST_CASE("out of room the batch is kept, the ballast given up, and it goes on by itself") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.ballast = folder.path("ballast");
  options.retry_after = 20ms;
  auto store = open_store(folder.store(), fault_vfs());
  must(store->apply(one_run(1)));
  Writer writer(std::move(store), listener.callbacks(), options);
  REQUIRE(writer.load([&](Store&) -> std::function<void()> {
    arm(Fault::no_room, 1);
    return {};
  }));
  Mutations batch = one_run(2);
  REQUIRE(writer.submit(1, batch));
  listener.wait([&] { return !listener.full.empty(); });
  CHECK(listener.full == std::vector<bool>{true});
  CHECK(writer.storage_full());
  CHECK(listener.committed == 0);
  // Nobody tells that the ballast has gone: it is looked for.
  const auto until = std::chrono::steady_clock::now() + patient(20s);
  while (std::filesystem::exists(options.ballast) && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  REQUIRE_FALSE(std::filesystem::exists(options.ballast));
  while (!writer.waits_for_room() && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  CHECK(writer.waits_for_room());
  // Room again, seen by the next try.
  disarm();
  listener.wait_committed(1);
  listener.wait([&] { return listener.full.size() == 2; });
  CHECK_FALSE(writer.storage_full());
  CHECK_FALSE(writer.waits_for_room());
  CHECK(std::filesystem::file_size(options.ballast) ==
        static_cast<std::uintmax_t>(Ballast::kBytes));
  CHECK(listener.fatal.empty());
  writer.stop();
  CHECK(runs_in(folder.store()) == 2);
}

TEST_CASE("a ballast that there was no room for at the start is made when there is") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.ballast = folder.path("later/ballast");
  options.retry_after = 20ms;
  Writer writer(open_store(folder.store()), listener.callbacks(), options);
  Mutations batch = one_run(1);
  REQUIRE(writer.submit(1, batch));
  listener.wait_committed(1);
  CHECK_FALSE(writer.storage_full());
  // Nothing more comes: it is looked for all the same.
  std::filesystem::create_directory(folder.path("later"));
  const auto until = std::chrono::steady_clock::now() + patient(20s);
  const auto is_made = [&] {
    std::error_code none;
    return std::filesystem::file_size(options.ballast, none) ==
           static_cast<std::uintmax_t>(Ballast::kBytes);
  };
  while (!is_made() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(is_made());
  CHECK(listener.full.empty());
}

TEST_CASE("a stop while the disk is full ends, and what was never acknowledged is not there") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.retry_after = 1h;
  auto store = open_store(folder.store(), fault_vfs());
  Writer writer(std::move(store), listener.callbacks(), options);
  REQUIRE(writer.load([&](Store&) -> std::function<void()> {
    arm(Fault::no_room, 1);
    return {};
  }));
  Mutations batch = one_run(1);
  REQUIRE(writer.submit(1, batch));
  listener.wait([&] { return !listener.full.empty(); });
  writer.stop();
  disarm();
  CHECK(listener.committed == 0);
  CHECK(runs_in(folder.store()) == 0);
}

TEST_CASE("after an unknown outcome nothing is written and the owner is told to end") {
  Folder folder;
  Listener listener;
  Writer writer(open_store(folder.store(), fault_vfs()), listener.callbacks(), {});
  REQUIRE(writer.load([&](Store&) -> std::function<void()> {
    arm(Fault::sync_error, 1);
    return {};
  }));
  Mutations batch = one_run(1);
  REQUIRE(writer.submit(1, batch));
  listener.wait([&] { return !listener.fatal.empty(); });
  disarm();
  CHECK(listener.fatal.find("committing") != std::string::npos);
  CHECK(listener.committed == 0);
  batch = one_run(2);
  CHECK_FALSE(writer.submit(2, batch));
  writer.stop();
  auto again = open_store(folder.store());
  CHECK_FALSE(must(again->load_run(RunId{2}, {})).has_value());
}

TEST_CASE("after an unknown outcome of a load nothing is written either") {
  Folder folder;
  Listener listener;
  Writer writer(open_store(folder.store(), fault_vfs()), listener.callbacks(), {});
  bool is_refused = false;
  REQUIRE(writer.load([&](Store& store) -> std::function<void()> {
    arm(Fault::sync_error, 1);
    is_refused = !store.next_worker(WorkerId{});
    disarm();
    return {};
  }));
  listener.wait([&] { return !listener.fatal.empty(); });
  CHECK(is_refused);
  Mutations batch = one_run(1);
  CHECK_FALSE(writer.submit(1, batch));
}

TEST_CASE("the log is copied back when there is nothing to do, and while there is") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.idle_checkpoint_pages = 5;
  options.checkpoint_pages = 50;
  Writer writer(open_store(folder.store()), listener.callbacks(), options);
  for (std::uint64_t n = 1; n <= 300; ++n) {
    Mutations batch = {mutation::InsertRun{run_row(static_cast<std::int64_t>(n))}};
    std::get<mutation::InsertRun>(batch[0]).row.params =
        "{\"x\":\"" + std::string(3'000, 'x') + "\"}";
    REQUIRE(writer.submit(n, batch));
    if (n % 10 == 0) listener.wait_committed(n);
    CHECK(writer.wal_pages() < 200);
  }
  // Whoever asks the store keeps its writer from having nothing to do: only what it says is looked
  // at.
  const auto until = std::chrono::steady_clock::now() + patient(20s);
  while (writer.wal_pages() >= 5 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  CHECK(writer.wal_pages() < 5);
}

TEST_CASE("commits overwrite the log's file, and an end leaves it empty") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.checkpoint_pages = 50;
  options.idle_after = 1h;
  const std::string log = folder.store() + "-wal";
  {
    Writer writer(open_store(folder.store()), listener.callbacks(), options);
    std::uintmax_t size = 0;
    for (std::uint64_t n = 1; n <= 100; ++n) {
      Mutations batch = one_run(static_cast<std::int64_t>(n));
      REQUIRE(writer.submit(n, batch));
      listener.wait_committed(n);
      CHECK(std::filesystem::file_size(log) >= size);
      size = std::filesystem::file_size(log);
    }
    CHECK(size > 0);
    CHECK(size < 200 * 4'120);
  }
  CHECK(std::filesystem::file_size(log) == 0);
}

TEST_CASE("a log that has grown long gives its room back with the next commit") {
  Folder folder;
  auto store = open_store(folder.store());
  RunRow row = run_row(1);
  row.params = "{\"x\":\"" + std::string(limits::kLogFileBytesKept + 1'000'000, 'x') + "\"}";
  must(store->apply(Mutations{mutation::InsertRun{row}}));
  const std::string log = folder.store() + "-wal";
  const auto kept = static_cast<std::uintmax_t>(limits::kLogFileBytesKept);
  CHECK(std::filesystem::file_size(log) > kept);
  must(store->checkpoint());
  must(store->apply(Mutations{mutation::InsertRun{run_row(2)}}));
  CHECK(std::filesystem::file_size(log) <= kept);
  CHECK(std::filesystem::file_size(log) > 0);
  must(store->empty_log());
  CHECK(std::filesystem::file_size(log) == 0);
}

TEST_CASE("the log that loads fill is copied back while there are more of them") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.checkpoint_pages = 50;
  options.idle_after = 1h;
  Writer writer(open_store(folder.store()), listener.callbacks(), options);
  std::int64_t longest = 0;
  int done = 0;
  for (std::int64_t n = 1; n <= 300; ++n) {
    REQUIRE(writer.load([&, n](Store& store) -> std::function<void()> {
      RunRow row = run_row(n);
      row.params = "{\"x\":\"" + std::string(3'000, 'x') + "\"}";
      must(store.apply(Mutations{mutation::InsertRun{row}}));
      return [&, pages = store.wal_pages()] {
        longest = std::max(longest, pages);
        ++done;
      };
    }));
  }
  listener.wait([&] { return done == 300; });
  CHECK(longest < 100);
}

TEST_CASE("a reader that stays does not hold up the writer") {
  Folder folder;
  Listener listener;
  WriterOptions options;
  options.idle_checkpoint_pages = 1;
  options.checkpoint_pages = 10;
  Writer writer(open_store(folder.store()), listener.callbacks(), options);
  Mutations batch = one_run(1);
  REQUIRE(writer.submit(1, batch));
  listener.wait_committed(1);
  HistoryOptions beside;
  beside.beside_writer = true;
  auto history = must(History::open(folder.store(), beside));
  ReadTransaction stays(history->database());
  CHECK(must(history->find_run("run1x")).id.value == 1);
  for (std::uint64_t n = 2; n <= 200; ++n) {
    batch = one_run(static_cast<std::int64_t>(n));
    REQUIRE(writer.submit(n, batch));
  }
  listener.wait_committed(200);
  CHECK_FALSE(history->find_run("run200x"));
}

}  // namespace pawl::test
