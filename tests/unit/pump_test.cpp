#include "scheduler/daemon/pump.h"

#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/daemon/definitions.h"
#include "storage/sqlite_store.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// A pump over a new store, whose engine knows one definition.
class PumpOfOneJob {
 public:
  PumpOfOneJob() {
    auto store = SqliteStore::open(home_ / "pawl.db");
    PAWL_CHECK(store.ok());
    Writer::Callbacks callbacks;
    callbacks.committed = [](std::uint64_t) {};
    writer_ = std::make_unique<Writer>(std::move(*store), std::move(callbacks), WriterOptions{});
    pump = std::make_unique<Pump>(loop, Engine({}), *writer_, [](std::vector<Effect>&&) {});
    const std::string text = R"({"name": "sales", "tasks": [{"id": "a", "command": ["true"]}]})";
    JobVersionRow version{VersionId{1}, "sales", "hash", text, "/", WallTime{1}};
    pump->feed(input::AddVersion{version, parse_job(text, parse_options("/", nullptr, nullptr)).job,
                                 true});
    pump->feed(input::Recovered{});
  }

  static input::Submit submit() {
    RunRow row;
    row.job = "sales";
    row.version = VersionId{1};
    row.params = "{}";
    return {row, false, "ana", {}};
  }

  Loop loop;

 private:
  ScratchFolder home_;
  std::unique_ptr<Writer> writer_;

 public:
  std::unique_ptr<Pump> pump;
};

}  // namespace

TEST_CASE("what is fed later is fed at the end of the turn") {
  PumpOfOneJob of;
  of.pump->feed_later(PumpOfOneJob::submit());
  CHECK(of.pump->engine().runs().empty());
  of.loop.run_once(false);
  CHECK(of.pump->engine().runs().size() == 1);
}

TEST_CASE("what was to be fed later is not fed to a pump that is gone") {
  PumpOfOneJob of;
  of.pump->feed_later(PumpOfOneJob::submit());
  of.pump.reset();
  of.loop.run_once(false);  // an engine that is gone would end the process
  SUCCEED();
}

}  // namespace pawl::test
