#include <catch2/catch.hpp>

#include "cli/arguments.h"

namespace pawl {
namespace {

/// A verb with one argument of every kind.
struct Sample {
  bool yes = false;
  std::string note = "none";
  std::vector<std::string> params;
  std::optional<std::int64_t> limit;
  std::optional<Duration> age;
  std::string which = "some";
  std::string file;
  std::vector<std::string> rest;
  OutputOptions output;
  Arguments arguments{"sample", "tries everything"};

  Sample() {
    arguments.word("FILE", file, true, "the file");
    arguments.words("MORE", rest, false, "more of them");
    arguments.flag("-y,--yes", yes, "do not ask");
    arguments.option("--note", "TEXT", note, "a note");
    arguments.option("-p,--param", "K=V", params, "a parameter");
    arguments.option("-n,--limit", "N", limit, 0, "how many");
    arguments.option("--age", "D", age, "how old");
    arguments.choice("--which", "WHICH", which, {"some", "all"}, "which");
    arguments.output(output, {Format::table, Format::csv, Format::json});
    arguments.example("pawl sample x.json", "the usual");
  }

  std::string parse(std::vector<std::string> words) {
    const auto done = arguments.parse(std::move(words));
    if (done) return "ok";
    CHECK(done.error().kind == ErrorKind::invalid);
    return done.error().message;
  }
};

TEST_CASE("options may stand before, between and after the words") {
  Sample s;
  REQUIRE(s.parse({"-p", "a=1", "x.json", "-y", "--param=b=2", "y", "-n5", "z", "--age",
                   "1h30m"}) == "ok");
  CHECK(s.file == "x.json");
  CHECK(s.rest == std::vector<std::string>{"y", "z"});
  CHECK(s.params == std::vector<std::string>{"a=1", "b=2"});
  CHECK(s.yes);
  CHECK(s.limit == 5);
  CHECK(s.age == std::chrono::minutes(90));
  CHECK(s.note == "none");
}

TEST_CASE("values are taken as they are, brackets, commas and quotes included") {
  Sample s;
  REQUIRE(s.parse({"[a,b]", "[c]", "-p", "x=[1,2]", "-p", "[y]=1", "--note", "[\"q\"]"}) == "ok");
  CHECK(s.file == "[a,b]");
  CHECK(s.rest == std::vector<std::string>{"[c]"});
  CHECK(s.params == std::vector<std::string>{"x=[1,2]", "[y]=1"});
  CHECK(s.note == "[\"q\"]");
}

TEST_CASE("after -- everything is a word") {
  Sample s;
  REQUIRE(s.parse({"--", "-y", "--note"}) == "ok");
  CHECK(s.file == "-y");
  CHECK(s.rest == std::vector<std::string>{"--note"});
  CHECK_FALSE(s.yes);
}

TEST_CASE("a lone dash is a word") {
  Sample s;
  REQUIRE(s.parse({"-"}) == "ok");
  CHECK(s.file == "-");
}

TEST_CASE("a wrong option is refused with the nearest one") {
  CHECK(Sample().parse({"x", "--parm", "a=1"}) ==
        "sample: there is no option '--parm'. Did you mean --param?");
  CHECK(Sample().parse({"x", "--frobnicate=3"}) == "sample: there is no option '--frobnicate'");
}

TEST_CASE("a missing word, a missing value and wrong values are refused with what is right") {
  CHECK(Sample().parse({}) == "sample: FILE is missing");
  CHECK(Sample().parse({"x", "-n", "five"}) ==
        "sample: 'five' of --limit is no whole number from 0 on");
  CHECK(Sample().parse({"x", "-n", "-1"}) ==
        "sample: '-1' of --limit is no whole number from 0 on");
  CHECK(Sample().parse({"x", "--age", "5"}).starts_with("sample: --age: "));
  CHECK(Sample().parse({"x", "--which", "most"}) ==
        "sample: 'most' of --which is none of some, all");
  CHECK(Sample().parse({"x", "-o", "wide"}) ==
        "sample: 'wide' of --output is none of table, csv, json");
  CHECK(Sample().parse({"x", "--note"}).starts_with("sample: "));
}

TEST_CASE("of an option that takes one text, none of two is dropped") {
  CHECK(Sample().parse({"x", "--note", "a", "--note=b"}) ==
        "sample: --note is given 2 times, but takes one TEXT");
  Sample same;
  REQUIRE(same.parse({"x", "--note", "a", "--note", "a", "-n", "1", "-n", "2"}) == "ok");
  CHECK(same.note == "a");
  CHECK(same.limit == 2);
}

TEST_CASE("what words mean together is looked at when all are read") {
  Sample s;
  s.arguments.check([&s]() -> Result<void> {
    if (s.limit || !s.yes) return {};
    return Error{ErrorKind::invalid, "-y wants --limit"};
  });
  CHECK(s.parse({"x", "-y"}) == "sample: -y wants --limit");
  Sample fine;
  fine.arguments.check([&fine]() -> Result<void> {
    fine.note = fine.rest.back();
    fine.rest.pop_back();
    return {};
  });
  REQUIRE(fine.parse({"x", "one", "two"}) == "ok");
  CHECK(fine.note == "two");
  CHECK(fine.rest == std::vector<std::string>{"one"});
}

TEST_CASE("the output options fill format and header") {
  Sample s;
  REQUIRE(s.parse({"x", "-o", "csv", "--no-header"}) == "ok");
  CHECK(s.output.format == Format::csv);
  CHECK_FALSE(s.output.header);
  Sample plain;
  REQUIRE(plain.parse({"x"}) == "ok");
  CHECK(plain.output.format == Format::table);
  CHECK(plain.output.header);
}

TEST_CASE("help wins over everything that is wrong") {
  Sample s;
  REQUIRE(s.parse({"--nonsense", "-h"}) == "ok");
  CHECK(s.arguments.wants_help());
  const std::string page = s.arguments.help(Terminal{});
  CHECK(page.find("usage: pawl sample FILE [MORE…] [-y] [--note TEXT] [-p K=V]…") !=
        std::string::npos);
  CHECK(page.find("pawl sample x.json") != std::string::npos);
}

}  // namespace
}  // namespace pawl
