#include "plugins/threads/blocking_threads.h"

#include <algorithm>
#include <future>
#include <optional>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/thread_shortage.h"

using namespace pawl;
using pawl::test::ThreadShortage;

TEST_CASE("all that was handed over is done, in order where one thread does it") {
  std::vector<int> done;
  {
    BlockingThreads threads({.threads_max = 1, .waiting_max = 100});
    for (int i = 0; i < 100; ++i) {
      // The thread takes some meanwhile, so that not all of them wait.
      REQUIRE(threads.hand_over([&done, i] { done.push_back(i); }).ok());
    }
  }
  REQUIRE(done.size() == 100);
  CHECK(std::is_sorted(done.begin(), done.end()));
}

TEST_CASE("pieces of work that wait for each other have a thread each") {
  std::promise<void> first;
  std::promise<void> second;
  BlockingThreads threads({.threads_max = 2, .waiting_max = 10});
  REQUIRE(threads
              .hand_over([&] {
                first.set_value();
                second.get_future().wait();
              })
              .ok());
  REQUIRE(threads
              .hand_over([&] {
                first.get_future().wait();
                second.set_value();
              })
              .ok());
}

TEST_CASE("who comes when all threads are at work is told that it waits, and has its turn") {
  std::promise<void> gate;
  std::promise<void> had_its_turn;
  BlockingThreads threads({.threads_max = 2, .waiting_max = 10});
  const auto at_work = [opened = gate.get_future().share()] { opened.wait(); };
  CHECK(threads.hand_over(at_work).value());
  CHECK(threads.hand_over(at_work).value());
  CHECK_FALSE(threads.hand_over([&] { had_its_turn.set_value(); }).value());
  gate.set_value();
  had_its_turn.get_future().wait();
}

TEST_CASE("beyond the limit nothing more may wait") {
  std::promise<void> begun;
  std::promise<void> gate;
  int done = 0;
  {
    BlockingThreads threads({.threads_max = 1, .waiting_max = 2});
    REQUIRE(threads
                .hand_over([&] {
                  begun.set_value();
                  gate.get_future().wait();
                })
                .ok());
    begun.get_future().wait();
    CHECK(threads.hand_over([&] { ++done; }).ok());
    CHECK(threads.hand_over([&] { ++done; }).ok());
    const Result<bool> refused = threads.hand_over([&] { ++done; });
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message == "2 others wait for a thread already");
    gate.set_value();
  }
  CHECK(done == 2);
}

TEST_CASE("without a single thread work is refused, with one it waits") {
  std::promise<void> begun;
  std::promise<void> gate;
  int done = 0;
  {
    BlockingThreads threads({.threads_max = 8, .waiting_max = 10});
    std::optional<ThreadShortage> shortage(std::in_place);
    const Result<bool> refused = threads.hand_over([&] { ++done; });
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().message.starts_with("no thread can be started: "));
    shortage.reset();
    REQUIRE(threads
                .hand_over([&] {
                  begun.set_value();
                  gate.get_future().wait();
                })
                .ok());
    begun.get_future().wait();
    shortage.emplace();
    const Result<bool> waiting = threads.hand_over([&] { ++done; });
    REQUIRE(waiting.ok());
    CHECK_FALSE(*waiting);
    shortage.reset();
    gate.set_value();
  }
  CHECK(done == 1);
}
