#include "scheduler/daemon/item_source.h"

#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// All items of a file of that text, a line each; last the error, if there was one.
std::string items_of(std::string_view text, ItemFormat format) {
  const ScratchFolder folder;
  const std::string path = folder / "items";
  write_file(path, text);
  std::string out;
  const auto told = [&](const std::string& message) {
    const std::size_t at = message.find(path);
    return out + (at == 0 ? message.substr(path.size()) : message);
  };
  auto stream = stream_file(path, format, "");
  if (!stream) return told(stream.error().message);
  while (true) {
    auto item = (*stream)->next();
    if (!item) return told(item.error().message);
    if (!*item) return out;
    out += **item + "\n";
  }
}

std::string csv(std::string_view text) { return items_of(text, ItemFormat::csv); }

}  // namespace

TEST_CASE("a record of a CSV file may have many lines") {
  CHECK(csv("id,text\n\n1,\"a\nb\"\n2,c\n") ==
        "{\"id\":\"1\",\"text\":\"a\\nb\"}\n{\"id\":\"2\",\"text\":\"c\"}\n");
}

TEST_CASE("a quoted field that does not end is told with the line at which its record begins") {
  CHECK(csv("id,text\n1,a\n\n2,\"b\n3,c\n4,d\n") ==
        "{\"id\":\"1\",\"text\":\"a\"}\n"
        ": the record that begins at line 4 has a quoted field that does not end");
}

TEST_CASE("of a quoted field that does not end no more is read than an item may have") {
  std::string text = "id,text\n1,a\n2,\"b\n";
  for (int line = 0; line < 40'000; ++line) text += "3,a line of a hundred bytes or a few less,\n";
  CHECK(csv(text) ==
        "{\"id\":\"1\",\"text\":\"a\"}\n"
        ": the record that begins at line 3 is longer than 1 MiB: does a quoted field not end?");
}

TEST_CASE("blanks are part of a field, quoted or not") {
  CHECK(csv("id, name\n1,  a\t\n\"2\",\" b \"\n , \n") ==
        "{\" name\":\"  a\\t\",\"id\":\"1\"}\n"
        "{\" name\":\" b \",\"id\":\"2\"}\n"
        "{\" name\":\" \",\"id\":\" \"}\n");
  const std::string stray =
      ":2: has a quote within a field: such a field is quoted as a whole, without blanks around "
      "it, "
      "and its own quotes are doubled";
  CHECK(csv("id,name\n1, \"a\"\n") == stray);
  CHECK(csv("id,name\n1,\"a\" \n") == stray);
  CHECK(csv("id,name\n1,a \"b\"\n") == stray);
}

TEST_CASE("no record is lost behind a carriage return that ends no line") {
  const auto told = [](int line) {
    return ":" + std::to_string(line) +
           ": has a carriage return without a line feed behind it: a record ends with LF or CR LF, "
           "and within a field a line break is quoted";
  };
  CHECK(csv("id,name\r1,a\r2,b\r") == told(1));
  CHECK(csv("id,name\r1,a") == told(1));
  CHECK(csv("id\r1") == told(1));
  CHECK(csv("id,name\n1,a\r2,b\n") == told(2));
  CHECK(csv("id,name\r\n1,\"a\rb\r\n\"\r\r\n2,c\r\n") ==
        "{\"id\":\"1\",\"name\":\"a\\rb\\r\\n\"}\n{\"id\":\"2\",\"name\":\"c\"}\n");
}

TEST_CASE("a column that is there twice is named, however many there are") {
  CHECK(csv("a,b,a\n1,2,3\n") == ":1: the column 'a' is there twice");
  std::string header;
  for (int column = 0; column < 100'000; ++column) header += "c" + std::to_string(column) + ",";
  CHECK(csv(header + "c0\n") == ":1: the column 'c0' is there twice");
}

}  // namespace pawl::test
