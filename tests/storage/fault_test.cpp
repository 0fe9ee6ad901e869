#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "fault_vfs.h"
#include "storage/history.h"
#include "storage/migrate.h"
#include "support.h"

namespace pawl::test {
namespace {

/// A batch that touches every table and several pages.
Mutations second_batch() {
  Mutations batch = {mutation::InsertVersion{version_row(2)}, mutation::InsertRun{run_row(2)},
                     mutation::InsertItems{chunk_row(2, 1, 0, 400)},
                     mutation::SetMapped{mapped_row(2, 1, 400, 0)},
                     mutation::SetRunCounts{RunId{1}, {1, 2, 3}}};
  for (Mutation& m : end_of(running(1, 0, -1, 1), TaskState::failed, Reason::exit, at(3), "no")) {
    batch.push_back(std::move(m));
  }
  for (std::int64_t item = 0; item < 60; ++item) {
    for (Mutation& m : start_of(running(2, 1, item, 10 + item))) batch.push_back(std::move(m));
  }
  OutputRow output{{RunId{1}, TaskIndex{0}, kWhole}, 1, "json", std::string(9'000, 'x'), "", 9'000};
  batch.emplace_back(mutation::SetOutput{output});
  TimerRow timer;
  timer.key = {RunId{1}, TaskIndex{0}, kWhole};
  batch.emplace_back(mutation::SetTimer{timer});
  return batch;
}

void first_batch(SqliteStore& store) {
  Mutations batch = {mutation::InsertVersion{version_row()}, mutation::InsertRun{run_row(1)}};
  must(store.apply(batch));
  must(store.apply(start_of(running(1, 0, -1, 1))));
}

struct Outcomes {
  std::string before;
  std::string after;
};

/// What the database holds without a fault.
Outcomes without_fault() {
  Folder folder;
  Outcomes outcomes;
  auto store = open_store(folder.store(), fault_vfs());
  first_batch(*store);
  outcomes.before = dump(folder.store());
  must(store->apply(second_batch()));
  outcomes.after = dump(folder.store());
  return outcomes;
}

/// Fails each operation of the second batch, one after the other, until none is left to fail.
/// Returns how many there were.
std::int64_t fail_each(Fault fault, bool checkpoint_first,
                       const std::function<void(SqliteStore&, bool committed)>& after_fault) {
  const Outcomes outcomes = without_fault();
  for (std::int64_t at = 1;; ++at) {
    Folder folder;
    auto store = open_store(folder.store(), fault_vfs());
    first_batch(*store);
    if (checkpoint_first) must(store->checkpoint());
    arm(fault, at);
    auto done = store->apply(second_batch());
    if (done && checkpoint_first) done = store->empty_log();
    const bool struck = has_struck();
    INFO("operation " << at);
    if (struck) REQUIRE_FALSE(done);
    if (fault != Fault::cut) disarm();
    if (struck) after_fault(*store, false);
    const bool retried = struck && fault == Fault::no_room;
    store.reset();
    disarm();
    REQUIRE(integrity(folder.store()) == "ok|\n");
    const std::string found = dump(folder.store());
    if (!struck || retried) {
      REQUIRE(found == outcomes.after);
    } else {
      REQUIRE((found == outcomes.before || found == outcomes.after));
    }
    // And it is of use again.
    auto again = open_store(folder.store());
    must(again->begin_epoch("boot"));
    if (!struck) return at - 1;
  }
}

}  // namespace

TEST_CASE("a batch is wholly there or wholly absent, whichever write or sync fails") {
  const auto nothing = [](SqliteStore&, bool) {};
  CHECK(fail_each(Fault::write_error, false, nothing) > 20);
  CHECK(fail_each(Fault::sync_error, false, nothing) >= 1);
  CHECK(fail_each(Fault::cut, false, nothing) > 20);
}

TEST_CASE("a fault while the log is copied back loses nothing") {
  const auto nothing = [](SqliteStore&, bool) {};
  CHECK(fail_each(Fault::write_error, true, nothing) > 20);
  CHECK(fail_each(Fault::sync_error, true, nothing) >= 2);
  CHECK(fail_each(Fault::cut, true, nothing) > 20);
}

TEST_CASE("a full disk is said, changes nothing, and the batch can be tried again") {
  const std::string before = without_fault().before;
  fail_each(Fault::no_room, false, [&](SqliteStore& store, bool) {
    CHECK(store.is_disk_full());
    CHECK(dump(store.database().path()) == before);
    must(store.apply(second_batch()));
    CHECK_FALSE(store.is_disk_full());
  });
}

TEST_CASE("errors say what happened, where, and what helps") {
  Folder folder;
  auto store = open_store(folder.store(), fault_vfs());
  first_batch(*store);
  auto failing = [&](Fault fault) {
    arm(fault, 1);
    auto done = store->apply(second_batch());
    disarm();
    REQUIRE_FALSE(done);
    CHECK(done.error().kind == ErrorKind::storage);
    CHECK(done.error().message.find(folder.store()) != std::string::npos);
    return done.error().message;
  };
  CHECK(failing(Fault::no_room).find("is full. Free some room") != std::string::npos);
  CHECK(failing(Fault::write_error).find("failed") != std::string::npos);
  const std::string unknown = failing(Fault::sync_error);
  CHECK(unknown.find("committing") != std::string::npos);
  CHECK(unknown.find("it reads what is there") != std::string::npos);
}

TEST_CASE("a store can be made again after each fault while it was made") {
  for (Fault fault : {Fault::write_error, Fault::sync_error, Fault::cut, Fault::no_room}) {
    for (std::int64_t at = 1;; ++at) {
      Folder folder;
      arm(fault, at);
      auto store = SqliteStore::open(folder.store(), {fault_vfs()});
      const bool struck = has_struck();
      if (store) store->reset();
      disarm();
      auto again = open_store(folder.store());
      must(again->begin_epoch("boot"));
      again.reset();
      REQUIRE(integrity(folder.store()) == "ok|\n");
      if (!struck) {
        CHECK(at > 2);
        break;
      }
    }
  }
}

TEST_CASE("migrations killed at any statement leave the version before them") {
  int statements = 0;
  {
    Folder folder;
    auto database = must(Database::open(folder.store(), {}));
    must(migrate(*database, [&](int) { ++statements; }));
  }
  REQUIRE(statements > 20);
  for (int kill_at = 0; kill_at < statements; ++kill_at) {
    Folder folder;
    const int code = in_child([&] {
      auto database = must(Database::open(folder.store(), {}));
      int seen = 0;
      must(migrate(*database, [&](int) {
        if (seen++ == kill_at) _exit(17);
      }));
    });
    REQUIRE(code == 17);
    auto database = must(Database::open(folder.store(), {}));
    CHECK(must(database->integer("PRAGMA user_version")) == 0);
    CHECK(must(database->integer("SELECT count(*) FROM sqlite_schema")) == 0);
    must(migrate(*database));
    CHECK(must(database->integer("PRAGMA user_version")) == schema_version());
  }
}

TEST_CASE("a store of a newer pawl is refused and left alone") {
  Folder folder;
  open_store(folder.store()).reset();
  {
    auto database = must(Database::open(folder.store(), {}));
    must(database->exec("PRAGMA user_version=99"));
  }
  auto store = SqliteStore::open(folder.store());
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == ErrorKind::version);
  CHECK(store.error().message.find("99") != std::string::npos);
  auto history = History::open(folder.store());
  REQUIRE_FALSE(history);
  CHECK(history.error().kind == ErrorKind::version);
}

TEST_CASE("a database of another program is refused and left alone") {
  Folder folder;
  {
    auto database = must(Database::open(folder.store(), {}));
    must(database->exec("CREATE TABLE theirs (x); PRAGMA user_version=3"));
  }
  auto store = SqliteStore::open(folder.store());
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == ErrorKind::home_unusable);
  auto database = must(Database::open(folder.store(), {}));
  CHECK(must(database->integer("SELECT count(*) FROM theirs")) == 0);
  CHECK(must(database->integer("PRAGMA user_version")) == 3);
}

TEST_CASE("a file that is no database names the command that brings a backup back") {
  Folder folder;
  std::ofstream(folder.store()) << std::string(10'000, 'z');
  for (const Error& error :
       {SqliteStore::open(folder.store()).error(), History::open(folder.store()).error()}) {
    CHECK(error.kind == ErrorKind::storage);
    CHECK(error.message.find("pawl restore FILE") != std::string::npos);
  }
}

TEST_CASE("flipped bytes give a clean error or right answers, never a crash") {
  Folder folder;
  {
    auto store = open_store(folder.store());
    first_batch(*store);
    must(store->apply(second_batch()));
    must(store->checkpoint());
  }
  std::string good;
  {
    std::ifstream in(folder.store(), std::ios::binary);
    good.resize(std::filesystem::file_size(folder.store()));
    in.read(good.data(), static_cast<std::streamsize>(good.size()));
  }
  REQUIRE(good.size() > 20'000);
  std::uint64_t random = 12'345;
  auto draw = [&](std::uint64_t below) {
    random = random * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    return (random >> 33) % below;
  };
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    Folder broken;
    std::string bytes = good;
    for (int flips = 0; flips < 8; ++flips)
      bytes[draw(bytes.size())] = static_cast<char>(draw(256));
    std::ofstream(broken.store(), std::ios::binary) << bytes;
    auto store = SqliteStore::open(broken.store());
    if (!store) {
      ++refused;
      CHECK_FALSE(store.error().message.empty());
      continue;
    }
    auto loaded = (*store)->load_open_runs(
        [](RunSnapshot&&) {}, [](RunId, const std::string& why) { CHECK_FALSE(why.empty()); });
    if (!loaded) {
      ++refused;
      INFO(loaded.error().message);
      CHECK(loaded.error().message.find("damaged") != std::string::npos);
    }
    (void)(*store)->apply(second_batch());
  }
  CHECK(refused > 10);
}

TEST_CASE("a log that is missing or foreign leaves a whole store") {
  Folder folder;
  std::string at_checkpoint;
  const int code = in_child([&] {
    auto store = open_store(folder.store());
    first_batch(*store);
    must(store->checkpoint());
    must(store->apply(second_batch()));
    _exit(17);
  });
  REQUIRE(code == 17);
  SECTION("missing: what was copied back is there") {
    std::filesystem::remove(folder.store() + "-wal");
    std::filesystem::remove(folder.store() + "-shm");
  }
  SECTION("foreign: it is not taken for ours") {
    Folder other;
    CHECK(in_child([&] {
            auto store = open_store(other.store());
            must(store->apply(Mutations{mutation::InsertRun{run_row(9, "other")}}));
            _exit(17);
          }) == 17);
    std::filesystem::remove(folder.store() + "-shm");
    std::ofstream(folder.store() + "-wal", std::ios::binary) << "garbage that is no log";
  }
  auto store = open_store(folder.store());
  CHECK(must(store->load_run(RunId{1}, {})).has_value());
  CHECK_FALSE(must(store->load_run(RunId{2}, {})).has_value());
  CHECK_FALSE(must(store->load_run(RunId{9}, {})).has_value());
  store.reset();
  CHECK(integrity(folder.store()) == "ok|\n");
}

}  // namespace pawl::test
