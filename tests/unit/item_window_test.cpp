#include "scheduler/daemon/item_window.h"

#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"

namespace pawl::test {
namespace {

using Kind = ItemWindow::Taken::Kind;

constexpr auto kWholeChunk = static_cast<std::int64_t>(limits::kItemsPerChunk);

PendingStart start(std::int64_t item) {
  PendingStart pending;
  pending.start.key = {RunId{1}, TaskIndex{0}, ItemIndex{item}};
  return pending;
}

/// Items first..first+count, each the text of its number.
std::shared_ptr<const ItemChunkRow> chunk(std::int64_t first, std::int64_t count) {
  ItemChunkWriter writer;
  for (std::int64_t i = first; i < first + count; ++i)
    writer.add("k" + std::to_string(i), std::to_string(i));
  return std::make_shared<const ItemChunkRow>(
      ItemChunkRow{RunId{1}, TaskIndex{0}, first, count, writer.take()});
}

ItemWindow::Taken taken(ItemWindow& window, std::int64_t item) {
  PendingStart pending = start(item);
  return window.take(pending);
}

Kind kind_of(ItemWindow& window, std::int64_t item) { return taken(window, item).kind; }

std::string questions(ItemWindow& window) {
  std::string text;
  for (std::int64_t item : window.take_questions()) text += std::to_string(item) + " ";
  return text;
}

std::string items_of(const std::vector<PendingStart>& starts) {
  std::string text;
  for (const PendingStart& s : starts) text += std::to_string(s.start.key.item.value) + " ";
  return text;
}

}  // namespace

TEST_CASE("a start waits for the chunk of its item and then has key and payload") {
  ItemWindow window;
  CHECK(kind_of(window, 3) == Kind::awaited);
  CHECK(questions(window) == "3 ");
  const auto arrived = window.arrived(3, chunk(0, 10));
  CHECK(items_of(arrived.ready) == "3 ");
  CHECK(arrived.lost.empty());
  const auto item = taken(window, 3);
  REQUIRE(item.kind == Kind::here);
  CHECK(item.item.key == "k3");
  CHECK(item.item.payload == "3");
}

TEST_CASE("a start that waited has what its attempt is to be told") {
  ItemWindow window;
  PendingStart pending = start(0);
  pending.past.handle = "query 17";
  pending.tasks = R"({"fetch":{}})";
  CHECK(window.take(pending).kind == Kind::awaited);
  const auto arrived = window.arrived(0, chunk(0, 10));
  REQUIRE(arrived.ready.size() == 1);
  CHECK(arrived.ready[0].past.handle == "query 17");
  CHECK(arrived.ready[0].tasks == R"({"fetch":{}})");
}

TEST_CASE("a start whose item is here is left with who asked") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  static_cast<void>(window.arrived(0, chunk(0, 10)));
  PendingStart pending = start(1);
  pending.past.state_text = "page 2";
  CHECK(window.take(pending).kind == Kind::here);
  CHECK(pending.past.state_text == "page 2");
}

TEST_CASE("a question is told once") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  CHECK(questions(window) == "0 ");
  CHECK(questions(window).empty());
}

TEST_CASE("starts of one chunk ask for it once, and attempts of one item all get it") {
  ItemWindow window;
  for (std::int64_t item : {0, 1, 2, 2}) CHECK(kind_of(window, item) == Kind::awaited);
  CHECK(questions(window) == "0 ");
  CHECK(items_of(window.arrived(0, chunk(0, 10)).ready) == "0 1 2 2 ");
}

TEST_CASE("an item before the one that was asked for is asked for too") {
  ItemWindow window;
  CHECK(kind_of(window, 5) == Kind::awaited);
  CHECK(kind_of(window, 4) == Kind::awaited);
  CHECK(questions(window) == "5 4 ");
}

TEST_CASE("an item farther away than a chunk is long is asked for at once") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  CHECK(kind_of(window, kWholeChunk - 1) == Kind::awaited);
  CHECK(kind_of(window, kWholeChunk) == Kind::awaited);
  CHECK(questions(window) == "0 " + std::to_string(kWholeChunk) + " ");
}

TEST_CASE("what a short chunk does not hold is asked for when it has come") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  CHECK(kind_of(window, 7) == Kind::awaited);
  CHECK(questions(window) == "0 ");
  const auto arrived = window.arrived(0, chunk(0, 5));
  CHECK(items_of(arrived.ready) == "0 ");
  CHECK(arrived.lost.empty());
  CHECK(questions(window) == "7 ");
}

TEST_CASE("half way through a chunk the next one is asked for, once") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  static_cast<void>(window.arrived(0, chunk(0, 10)));
  static_cast<void>(questions(window));
  CHECK(kind_of(window, 4) == Kind::here);
  CHECK(questions(window).empty());
  CHECK(kind_of(window, 5) == Kind::here);
  CHECK(questions(window) == "10 ");
  CHECK(kind_of(window, 6) == Kind::here);
  CHECK(questions(window).empty());
}

TEST_CASE("an item that was asked for and is in no chunk is lost, others go on waiting") {
  ItemWindow window;
  CHECK(kind_of(window, 5) == Kind::awaited);
  CHECK(kind_of(window, 6) == Kind::awaited);
  static_cast<void>(questions(window));
  const auto arrived = window.arrived(5, nullptr);
  CHECK(arrived.ready.empty());
  CHECK(items_of(arrived.lost) == "5 ");
  CHECK(questions(window) == "6 ");
}

TEST_CASE("that a chunk was not there before its items started says nothing") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  static_cast<void>(window.arrived(0, chunk(0, 10)));
  CHECK(kind_of(window, 5) == Kind::here);  // asks for the chunk after it
  static_cast<void>(questions(window));
  // The chunk became durable and its first item started while the reader looked.
  CHECK(kind_of(window, 10) == Kind::awaited);
  CHECK(questions(window).empty());
  const auto early = window.arrived(10, nullptr);
  CHECK(early.lost.empty());
  CHECK(questions(window) == "10 ");
  SECTION("it is there at the second look") {
    CHECK(items_of(window.arrived(10, chunk(10, 10)).ready) == "10 ");
  }
  SECTION("what is not there then is lost") {
    CHECK(items_of(window.arrived(10, nullptr).lost) == "10 ");
  }
}

TEST_CASE("an early look that found nothing and for which nobody waits asks nothing") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  static_cast<void>(window.arrived(0, chunk(0, 10)));
  CHECK(kind_of(window, 9) == Kind::here);
  static_cast<void>(questions(window));
  CHECK(window.arrived(10, nullptr).lost.empty());
  CHECK(questions(window).empty());
}

TEST_CASE("of many chunks those stay that were used last") {
  ItemWindow window;
  const auto chunks = static_cast<std::int64_t>(ItemWindow::kChunksMax);
  for (std::int64_t i = 0; i < chunks; ++i)
    static_cast<void>(window.arrived(i * 10, chunk(i * 10, 10)));
  CHECK(kind_of(window, 0) == Kind::here);
  static_cast<void>(window.arrived(chunks * 10, chunk(chunks * 10, 10)));
  CHECK(kind_of(window, 0) == Kind::here);
  CHECK(kind_of(window, chunks * 10) == Kind::here);
  CHECK(kind_of(window, 10) == Kind::awaited);
  CHECK(questions(window) == "10 ");
}

TEST_CASE("items of a chunk whose bytes are broken are missing") {
  ItemWindow window;
  CHECK(kind_of(window, 1) == Kind::awaited);
  const auto broken = std::make_shared<const ItemChunkRow>(
      ItemChunkRow{RunId{1}, TaskIndex{0}, 0, 10, std::string(10, '\xff')});
  CHECK(items_of(window.arrived(1, broken).ready) == "1 ");
  CHECK(kind_of(window, 1) == Kind::missing);
}

TEST_CASE("chunks that are forgotten are read again, and starts go on waiting") {
  ItemWindow window;
  CHECK(kind_of(window, 0) == Kind::awaited);
  static_cast<void>(window.arrived(0, chunk(0, 10)));
  CHECK(kind_of(window, 9) == Kind::here);
  CHECK(kind_of(window, 12) == Kind::awaited);
  CHECK(questions(window) == "0 10 ");
  window.forget_chunks();
  CHECK(kind_of(window, 9) == Kind::awaited);
  CHECK(questions(window) == "9 ");
  CHECK(items_of(window.arrived(10, chunk(10, 10)).ready) == "12 ");
}

}  // namespace pawl::test
