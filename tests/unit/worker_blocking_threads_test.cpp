#include <future>

#include <catch2/catch.hpp>

#include "plugins/worker/blocking_threads.h"

namespace pawl::test {

TEST_CASE("who comes when all threads are at work is told that it waits, and has its turn") {
  std::promise<void> gate;
  std::promise<void> had_its_turn;
  BlockingThreads threads(2);
  const auto at_work = [opened = gate.get_future().share()] { opened.wait(); };
  CHECK(threads.run(at_work));
  CHECK(threads.run(at_work));
  CHECK_FALSE(threads.run([&] { had_its_turn.set_value(); }));
  gate.set_value();
  had_its_turn.get_future().wait();
}

}  // namespace pawl::test
