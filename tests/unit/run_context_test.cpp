#include "scheduler/daemon/run_context.h"

#include <catch2/catch.hpp>

namespace pawl {
namespace {

RunRow run(std::int64_t id) {
  RunRow row;
  row.id = RunId{id};
  row.name = "20261120-225801-7k3f9q";
  return row;
}

TEST_CASE("a piece of work has a key of its own, in its run and among all homes") {
  const HomeId home{"0123456789abcdef", RunId{}};
  CHECK(idempotency_key(home, run(1), "query", ItemIndex{17}, 0) ==
        "0123456789abcdef/20261120-225801-7k3f9q/query:17");
  CHECK(idempotency_key(home, run(1), "query", kWhole, 2) ==
        "0123456789abcdef/20261120-225801-7k3f9q/query~2");
  CHECK(idempotency_key({"fedcba9876543210", {}}, run(1), "query", kWhole, 0) !=
        idempotency_key(home, run(1), "query", kWhole, 0));
}

TEST_CASE("work that began before its home had an id goes on under the key that it had") {
  const HomeId home{"0123456789abcdef", RunId{7}};
  CHECK(idempotency_key(home, run(7), "query", ItemIndex{17}, 1) ==
        "20261120-225801-7k3f9q/query:17~1");
  CHECK(idempotency_key(home, run(8), "query", kWhole, 0) ==
        "0123456789abcdef/20261120-225801-7k3f9q/query");
}

}  // namespace
}  // namespace pawl
