// When the next host of a plugin is started.

#include "scheduler/daemon/host_demand.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"

namespace pawl::test {
namespace {

using Started = std::vector<std::string>;

struct Demand {
  Loop loop;
  Started started;
  HostDemand demand{loop, [this](const std::string& plugin) { started.push_back(plugin); }};
};

}  // namespace

TEST_CASE("a host is started at once, and one at a time for each plugin") {
  Demand d;
  d.demand.want("sql.so", "sql");
  d.demand.want("sql.so", "sql");
  d.demand.want("http.so", "http");
  CHECK(d.started == Started{"sql.so", "http.so"});
  d.demand.came_up("sql.so");
  d.demand.want("sql.so", "sql");
  CHECK(d.started == Started{"sql.so", "http.so", "sql.so"});
}

TEST_CASE("it is known of a dead host whether somebody waited for it") {
  Demand d;
  CHECK_FALSE(d.demand.died("sql.so", true));
  d.demand.want("sql.so", "sql");
  CHECK(d.demand.died("sql.so", false)->operator_name == "sql");
  d.demand.want("sql.so", "sql");
  d.demand.came_up("sql.so");
  CHECK_FALSE(d.demand.died("sql.so", false));
}

TEST_CASE("hosts that do not come up are counted until one does") {
  Demand d;
  const auto misses = [&d] {
    d.demand.want("sql.so", "sql");
    const auto missed = d.demand.died("sql.so", true);
    return missed ? missed->in_a_row : 0;
  };
  CHECK(misses() == 1);
  CHECK(misses() == 2);
  d.demand.want("sql.so", "sql");
  d.demand.came_up("sql.so");
  d.demand.died("sql.so", true);
  CHECK(misses() == 1);
}

TEST_CASE("after a host that died young the next one waits, after another it does not") {
  Demand d;
  d.demand.want("sql.so", "sql");
  d.demand.died("sql.so", true);
  const MonoTime before = mono_now();
  d.demand.want("sql.so", "sql");
  CHECK(d.started.size() == 1);
  d.demand.want("http.so", "http");
  CHECK(d.started.back() == "http.so");
  while (d.started.size() < 3) d.loop.run_once(true);
  CHECK(d.started.back() == "sql.so");
  CHECK(mono_now() - before >= Duration(500));
  d.demand.came_up("sql.so");
  d.demand.died("sql.so", false);
  d.demand.want("sql.so", "sql");
  CHECK(d.started.size() == 4);
}

}  // namespace pawl::test
