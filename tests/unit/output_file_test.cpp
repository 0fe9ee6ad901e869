#include "scheduler/daemon/output_file.h"

#include <sys/stat.h>

#include <string>

#include <catch2/catch.hpp>

#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

OutputRow in_file(const std::string& format, std::size_t bytes = 0) {
  OutputRow row;
  row.format = format;
  row.file = "result";
  row.bytes = static_cast<std::int64_t>(bytes);
  return row;
}

std::string json_of(const std::string& home, const OutputRow& row) {
  std::string json;
  const auto done = output_file_as_json(home, row, [&](std::string_view piece) { json += piece; });
  return done ? json : "! " + done.error().message;
}

}  // namespace

TEST_CASE("a result in a file is JSON in one line, whatever its format") {
  struct Case {
    const char* format;
    std::string_view bytes;
    const char* json;
  };
  for (const Case& c : {
           Case{"text", "two\nlines", R"("two\nlines")"},
           Case{"json", "{\n \"id\": 12345678901234567890.0,\r\n \"a\": \"x\\ny\"}",
                R"({  "id": 12345678901234567890.0,   "a": "x\ny"})"},
           Case{"jsonl", "1\n\n {\"a\": 2}\r\n3", R"([1,{"a": 2} ,3])"},
           Case{"jsonl", "", "[]"},
       }) {
    const ScratchFolder home;
    write_file(home / "result", c.bytes);
    CHECK(json_of(home.path(), in_file(c.format, c.bytes.size())) == c.json);
  }
}

TEST_CASE("lines are one array also where the pieces in which they are read end anywhere") {
  const ScratchFolder home;
  std::string text;
  std::string expected;
  for (int line = 0; line < 30'000; ++line) {
    text += std::to_string(line) + (line % 3 == 0 ? "\n\n" : "\n");
    expected += (line == 0 ? "[" : ",") + std::to_string(line);
  }
  write_file(home / "result", text);
  CHECK(json_of(home.path(), in_file("jsonl")) == expected + "]");
}

TEST_CASE("a result whose file is gone, or is none, is an error that names it and never hangs") {
  const ScratchFolder home;
  const std::string path = home / "result";
  for (const char* format : {"text", "json", "jsonl"}) {
    CHECK(json_of(home.path(), in_file(format)) ==
          "! " + path + ": cannot be read: No such file or directory");
  }
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  for (const char* format : {"text", "json", "jsonl"})
    CHECK(json_of(home.path(), in_file(format)) == "! " + path + ": is not a regular file");
}

TEST_CASE("lines are no value, and what lies in the store is one") {
  CHECK_FALSE(is_value(in_file("jsonl")));
  CHECK(is_value(in_file("json", 7)));
  CHECK(bytes_of(in_file("json", 7)) == 7);
  OutputRow row;
  row.format = "text";
  row.value = "abc";
  CHECK(is_value(row));
  CHECK(bytes_of(row) == 3);
}

}  // namespace pawl::test
