#include <cstdio>

#include <catch2/catch.hpp>

#include "cli/output.h"

namespace pawl {
namespace {

/// A stream into memory that may pretend to be a terminal.
class Page {
 public:
  explicit Page(int width = 0, bool colour = false) {
    terminal_.stream = open_memstream(&text_, &size_);
    terminal_.is_terminal = width != 0;
    terminal_.width = width;
    terminal_.colour = colour;
  }
  ~Page() {
    std::fclose(terminal_.stream);
    std::free(text_);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  const Terminal& terminal() const { return terminal_; }
  std::string text() {
    std::fflush(terminal_.stream);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  Terminal terminal_;
};

std::string listing(Page& page, OutputOptions options, const std::vector<Entry>& entries) {
  Listing list(page.terminal(), options, {"run", "note", "count"},
               {{"RUN"}, {"NOTE", false, false, 6}, {"COUNT", false, true}, {"MORE", true}});
  for (const Entry& entry : entries) list.add(entry);
  list.finish();
  return page.text();
}

Entry entry(std::string run, std::string note, int count) {
  return {{{"run", run}, {"note", note}, {"count", count}},
          {{run}, {note}, {std::to_string(count)}, {"more"}},
          run};
}

TEST_CASE("a table's columns are as wide as they must be and no line ends in blanks") {
  Page page;
  CHECK(listing(page, {}, {entry("a", "first one", 1), entry("bcd", "", 12)}) ==
        "RUN  NOTE       COUNT\n"
        "a    first one      1\n"
        "bcd                12\n");
}

TEST_CASE("a table without a header is only as wide as its content") {
  Page page;
  CHECK(listing(page, {Format::table, false}, {entry("a", "x", 1)}) == "a  x  1\n");
}

TEST_CASE("a column that wraps goes on in the next line where a terminal is too narrow") {
  const auto text_at = [](int width) {
    Page page(width);
    Listing list(page.terminal(), {}, {}, {{"CHECK"}, {"FOUND", false, false, 10, true}, {"N"}});
    list.add({{}, {{"clock"}, {"nobody keeps it in step"}, {"1"}}, ""});
    list.add({{}, {{"home"}, {"/srv/abcdefghijkl"}, {"2"}}, ""});
    list.finish();
    return page.text();
  };
  CHECK(text_at(20) ==
        "CHECK  FOUND       N\n"
        "clock  nobody      1\n"
        "       keeps it\n"
        "       in step\n"
        "home   /srv/abcde  2\n"
        "       fghijkl\n");
  CHECK(text_at(80) ==
        "CHECK  FOUND                    N\n"
        "clock  nobody keeps it in step  1\n"
        "home   /srv/abcdefghijkl        2\n");
}

TEST_CASE("text is broken between words, and within one that is longer than a line") {
  using Lines = std::vector<std::string>;
  CHECK(wrap_to_width("", 5) == Lines{""});
  CHECK(wrap_to_width("one two three", 7) == Lines{"one two", "three"});
  CHECK(wrap_to_width("one\ntwo", 7) == Lines{"one", "two"});
  CHECK(wrap_to_width("a 1234567890 b", 4) == Lines{"a", "1234", "5678", "90 b"});
  CHECK(wrap_to_width("日本語です", 5) == Lines{"日本", "語で", "す"});
  CHECK(wrap_to_width("日本", 1) == Lines{"日", "本"});
}

TEST_CASE("wide shows the columns that a table leaves out") {
  Page page;
  CHECK(listing(page, {Format::wide, true}, {entry("a", "x", 1)}) ==
        "RUN  NOTE  COUNT  MORE\n"
        "a    x         1  more\n");
}

TEST_CASE("an empty table prints nothing, empty json is an empty list, empty csv its header") {
  Page table;
  CHECK(listing(table, {}, {}).empty());
  Page json;
  CHECK(listing(json, {Format::json, true}, {}) == "[]\n");
  Page csv;
  CHECK(listing(csv, {Format::csv, true}, {}) == "run,note,count\n");
}

TEST_CASE("json is one array, jsonl one object a line, both with the keys in their order") {
  Page json;
  CHECK(listing(json, {Format::json, true}, {entry("a", "x", 1), entry("b", "y", 2)}) ==
        "[\n  {\"run\":\"a\",\"note\":\"x\",\"count\":1},\n"
        "  {\"run\":\"b\",\"note\":\"y\",\"count\":2}\n]\n");
  Page lines;
  CHECK(listing(lines, {Format::jsonl, true}, {entry("a", "x", 1)}) ==
        "{\"run\":\"a\",\"note\":\"x\",\"count\":1}\n");
}

TEST_CASE("csv quotes what needs it and leaves null empty") {
  Page page;
  CHECK(listing(page, {Format::csv, true}, {entry("a", "say \"hi\",\nall", 1)}) ==
        "run,note,count\na,\"say \"\"hi\"\",\nall\",1\n");
  CHECK(csv_field(nullptr).empty());
  CHECK(csv_field({{"k", 1}}) == "\"{\"\"k\"\":1}\"");
  CHECK(csv_field("plain") == "plain");
}

TEST_CASE("control characters reach neither a table nor a name") {
  Page table;
  CHECK(listing(table, {Format::table, false}, {entry("a", "x\x1b[31m\ny", 1)}) ==
        "a  x\\x1b[31m\\ny  1\n");
  Page name;
  CHECK(listing(name, {Format::name, true}, {entry("a\x07", "x", 1)}) == "a\\x07\n");
}

TEST_CASE("text that is no UTF-8 still gives valid json") {
  Page page;
  CHECK(listing(page, {Format::jsonl, true}, {entry("a", "\xff", 1)}) ==
        "{\"run\":\"a\",\"note\":\"\xef\xbf\xbd\",\"count\":1}\n");
}

TEST_CASE("a narrow terminal cuts the columns that may be cut, and nothing else is ever cut") {
  const Entry long_one = entry("a", "a sentence of some length", 1);
  Page narrow(20);
  CHECK(listing(narrow, {}, {long_one}) ==
        "RUN  NOTE      COUNT\n"
        "a    a sente…      1\n");
  Page pipe;
  CHECK(listing(pipe, {Format::table, false}, {long_one}) == "a  a sentence of some length  1\n");
}

TEST_CASE("wide characters count two columns and combining ones none") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("e\u0301") == 1);
  CHECK(display_width("…") == 1);
  CHECK(cut_to_width("日本語です", 5) == "日本…");
  CHECK(cut_to_width("abc", 3) == "abc");
  CHECK(cut_to_width("abcd", 3) == "ab…");
  CHECK(cut_to_width("abcd", 0).empty());
  Page page;
  CHECK(listing(page, {Format::table, false}, {entry("日本", "x", 1), entry("abcd", "y", 2)}) ==
        "日本  x  1\nabcd  y  2\n");
}

TEST_CASE("colour is only where the terminal has it, and takes no width") {
  Page plain;
  CHECK(styled(plain.terminal(), Style::red, "x") == "x");
  Page page(80, true);
  CHECK(styled(page.terminal(), Style::red, "x") == "\x1b[31mx\x1b[0m");
  Listing list(page.terminal(), {Format::table, false}, {}, {{"A"}, {"B"}});
  list.add({{}, {{"ab", Style::red}, {"c"}}, ""});
  list.add({{}, {{"a", Style::green}, {"c"}}, ""});
  list.finish();
  CHECK(page.text() == "\x1b[31mab\x1b[0m  c\n\x1b[32ma\x1b[0m   c\n");
}

TEST_CASE("a list longer than a page keeps the widths of its first page") {
  Page page;
  Listing list(page.terminal(), {Format::table, false}, {}, {{"A"}, {"B"}});
  for (int i = 0; i < 1001; ++i) list.add({{}, {{i < 1000 ? "ab" : "abcdef"}, {"c"}}, ""});
  list.finish();
  const std::string text = page.text();
  CHECK(list.count() == 1001);
  CHECK(text.ends_with("ab  c\nabcdef  c\n"));
}

TEST_CASE("formats are known by their words") {
  for (const char* word : {"table", "wide", "json", "jsonl", "csv", "name"}) {
    REQUIRE(format_from(word).has_value());
    CHECK(to_string(*format_from(word)) == word);
  }
  CHECK_FALSE(format_from("yaml").has_value());
}

}  // namespace
}  // namespace pawl
