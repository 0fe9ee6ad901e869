#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "plugins/worker/log_file.h"
#include "plugins/worker/log_lines.h"
#include "plugins/worker/mask.h"
#include "scheduler/spec/cel_text.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::read_whole;
using test::TempFolder;

constexpr std::int64_t kTime = 1'795'215'481'123'456'789;
constexpr std::string_view kTimeText = "2026-11-20T22:58:01.123456789Z";

/// Records without their times.
std::vector<std::string> bare(const std::string& records) {
  std::vector<std::string> lines;
  std::istringstream in(records);
  for (std::string line; std::getline(in, line);) {
    REQUIRE(line.size() > kTimeText.size());
    lines.push_back(line.substr(kTimeText.size() + 1));
  }
  return lines;
}

std::string masked(const Mask& mask, const std::string& text, std::size_t chunk) {
  MaskStream stream(mask);
  std::string shown;
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    shown += stream.feed(std::string_view(text).substr(at, chunk));
  }
  shown += stream.finish();
  return shown;
}

}  // namespace

TEST_CASE("a line becomes one record in the form of container runtimes") {
  LogLines lines;
  std::string out;
  lines.feed(LogStream::out, "hello\n", kTime, out);
  lines.feed(LogStream::err, "oh\n\n", kTime, out);
  CHECK(out == std::string(kTimeText) + " stdout F hello\n" + std::string(kTimeText) +
                   " stderr F oh\n" + std::string(kTimeText) + " stderr F \n");
}

TEST_CASE("times have nine digits and end in Z") {
  CHECK(format_log_time(0) == "1970-01-01T00:00:00.000000000Z");
  CHECK(format_log_time(kTime) == kTimeText);
  CHECK(format_log_time(1'000'000'007) == "1970-01-01T00:00:01.000000007Z");
}

TEST_CASE("a line that comes in pieces is one record, whatever the other stream says meanwhile") {
  LogLines lines;
  std::string out;
  lines.feed(LogStream::out, "hel", kTime, out);
  CHECK(out.empty());
  lines.feed(LogStream::err, "err\n", kTime, out);
  lines.feed(LogStream::out, "lo\nnext", kTime, out);
  lines.finish(kTime, out);
  CHECK(bare(out) == std::vector<std::string>{"stderr F err", "stdout F hello", "stdout P next"});
}

TEST_CASE("a long line comes in parts that put together give it again") {
  LogLines lines;
  std::string text(3 * kLogLineBytesMax + 5, 'x');
  for (std::size_t i = 0; i < text.size(); i += 100) text[i] = static_cast<char>('a' + i % 26);
  std::string out;
  lines.feed(LogStream::out, text + "\nshort\n", kTime, out);
  auto records = bare(out);
  REQUIRE(records.size() == 5);
  std::string together;
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(records[i].substr(0, 9) == (i < 3 ? "stdout P " : "stdout F "));
    together += records[i].substr(9);
  }
  CHECK(together == text);
  CHECK(records[4] == "stdout F short");
}

TEST_CASE("a line of exactly the largest size is one full record or part and end") {
  LogLines lines;
  std::string out;
  lines.feed(LogStream::out, std::string(kLogLineBytesMax, 'x') + "\n", kTime, out);
  auto records = bare(out);
  REQUIRE_FALSE(records.empty());
  CHECK(records.front().substr(0, 9) == "stdout F ");
}

TEST_CASE("secrets are hidden wherever chunks are cut") {
  Mask mask({"hunter2-hunter2", "tr0ub4dor&3", "short"});
  std::string text = "a hunter2-hunter2 b tr0ub4dor&3tr0ub4dor&3 c hunter2-hunter short\n";
  for (std::size_t chunk = 1; chunk <= text.size(); ++chunk) {
    CHECK(masked(mask, text, chunk) == "a *** b ****** c hunter2-hunter short\n");
  }
  CHECK(mask.hide(text) == "a *** b ****** c hunter2-hunter short\n");
}

TEST_CASE("a secret is hidden as a JSON string has it, too") {
  const std::string secret = "a \"key\" \\ of \xc3\xbc\n";
  Mask mask({secret});
  for (const bool only_ascii : {false, true}) {
    const nlohmann::json output = {{"token", secret}, {"other", 1}};
    const std::string text = output.dump(-1, ' ', only_ascii);
    CHECK(mask.hide(text) == R"({"other":1,"token":"***"})");
    CHECK(masked(mask, text, 3) == R"({"other":1,"token":"***"})");
  }
  CHECK(mask.hide(secret + "x") == "***x");
}

TEST_CASE("a secret is hidden as Python shows it, too") {
  // As python3 prints repr(s), ascii(s), repr(s.encode()), and repr("'" + s).
  const std::string secret =
      "-----BEGIN \"key\"\n\t\\ it's\x01 \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80\r\n";
  Mask mask({secret});
  for (const char* text : {
           R"(repr '-----BEGIN "key"\n\t\\ it\'s\x01 ü € 😀\r\n')",
           R"(repr '-----BEGIN "key"\n\t\\ it\'s\x01 \xfc \u20ac \U0001f600\r\n')",
           R"(repr '-----BEGIN "key"\n\t\\ it\'s\x01 \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80\r\n')",
       }) {
    CHECK(mask.hide(text) == "repr '***'");
    CHECK(masked(mask, text, 3) == "repr '***'");
  }
  CHECK(Mask({"it's a secret\n"}).hide(R"("it's a secret\n")") == R"("***")");
  // No text: only as bytes.
  CHECK(Mask({"\xff\xfe-of-a-secret"}).hide(R"(b'\xff\xfe-of-a-secret')") == "b'***'");
}

TEST_CASE("a secret is hidden in JSON within JSON, too") {
  const std::string secret = "a \"key\" \\ of \xc3\xbc \xf0\x9f\x98\x80/\n-\\";
  Mask mask({secret});
  for (const int ascii_from : {0, 1, 2, 3}) {
    nlohmann::json text = secret;
    for (int level = 0; level < 3; ++level) {
      text = nlohmann::json{{"t", text}}.dump(-1, ' ', level >= ascii_from);
      const std::string shown = mask.hide(text.get<std::string>());
      INFO(text.get<std::string>());
      CHECK(shown.find("key") == std::string::npos);
      // Still JSON, with the same around it.
      nlohmann::json inner = nlohmann::json::parse(shown);
      for (int down = 0; down < level; ++down)
        inner = nlohmann::json::parse(inner["t"].get<std::string>());
      CHECK(inner == nlohmann::json{{"t", "***"}});
      CHECK(masked(mask, text.get<std::string>(), 1) == shown);
    }
  }
  // As PHP escapes a slash, and what follows a secret that ends with a backslash.
  CHECK(Mask({"ab/cd/ef/"}).hide(R"("ab\/cd\/ef\/")") == R"("***")");
  CHECK(Mask({"abcdefgh\\"}).hide(R"("abcdefgh\\\"d\"")") == R"("***\"d\"")");
}

TEST_CASE("a secret is hidden percent-encoded, too, in whatever part and case") {
  const std::string secret = "p@ss w+rd/50%25 \xc3\xbc~";
  Mask mask({secret});
  for (const char* text : {"p%40ss+w%2Brd%2F50%2525+%C3%BC~", "p%40ss%20w%2brd/50%2525%20%c3%bc%7E",
                           "p@ss%20w+rd/50%25%20%C3%BC~", R"(p@ss w+rd\/50%25 \u00fc~)"}) {
    INFO(text);
    CHECK(mask.hide(text) == "***");
    for (const std::size_t chunk : {1, 2, 3})
      CHECK(masked(mask, "k=" + std::string(text) + "&", chunk) == "k=***&");
  }
  CHECK(mask.hide("p%40ss+w%2Brd%2F50%2525+%C3%BD~") == "p%40ss+w%2Brd%2F50%2525+%C3%BD~");
}

TEST_CASE("a secret is hidden in base64, wherever it stands in it, in both alphabets") {
  const std::string secret = "hunter2?>hunter2\xff\xfe";
  Mask mask({secret});
  for (const std::string before : {"", "u:", "me:", "you:"}) {
    for (const std::string behind : {"", "x", "yz"}) {
      const std::string text = "Basic " + cel::base64_encode(before + secret + behind) + " end";
      INFO(text);
      const std::string shown = mask.hide(text);
      CHECK(shown.find("***") != std::string::npos);
      // At the edges stand digits that the neighbours decide, too.
      const std::size_t edges = cel::base64_encode(before).size() + 3 + 7;
      CHECK(shown.size() <= std::string_view("Basic  end").size() + edges);
    }
  }
  CHECK(mask.hide("?t=aHVudGVyMj8-aHVudGVyMv_-") == "?t=***");
}

TEST_CASE("of a secret that is an address what goes over the line is hidden, too") {
  Mask mask({"https://me:p%40ssword@hooks.example.org/services/T0/B%200?wait=true&k=v"});
  CHECK(mask.hide("GET /services/T0/B%200?wait=true&k=v HTTP/1.1") == "GET *** HTTP/1.1");
  CHECK(mask.hide("/services/T0/B 0 was not found") == "*** was not found");
  CHECK(mask.hide("p@ssword and p%40ssword") == "*** and ***");
  CHECK(mask.hide("hooks.example.org and /other") == "hooks.example.org and /other");
  CHECK(Mask({"http://h/a/./b/x/../c-d/e/.."}).hide("GET /a/b/c-d/ HTTP/1.1") ==
        "GET *** HTTP/1.1");
  CHECK(Mask({"http://h/../../only-this"}).hide("GET /only-this") == "GET ***");
  CHECK(Mask({"postgresql://token-of-me@db/a-database"}).hide("token-of-me in /a-database") ==
        "*** in /a-database");
}

TEST_CASE("of a text that was cut no beginning of a secret is left") {
  const std::string secret = "a \"key\" of \xc3\xbc hunter2";
  Mask mask({secret});
  const std::string around = "said ";
  for (const std::string& form :
       {secret, nlohmann::json(secret).dump(-1, ' ', true), cel::base64_encode(secret)}) {
    for (std::size_t size = 0; size < form.size(); ++size) {
      const std::string shown = mask.hide_beginning(around + form.substr(0, size));
      INFO(form.substr(0, size));
      const std::string left = shown.substr(std::min(shown.size(), around.size()));
      CHECK((left.empty() || left == "\"" || left == "***" || left == "\"***"));
    }
  }
  CHECK(mask.hide_beginning(secret + " and more") == "*** and more");
}

TEST_CASE("of secrets that begin alike the longest is hidden") {
  Mask mask({"abcdefgh", "abcdefghijkl"});
  CHECK(mask.hide("abcdefghijkl") == "***");
  CHECK(mask.hide("abcdefghi") == "***i");
  for (const std::size_t chunk : {1, 5, 9}) {
    CHECK(masked(mask, "abcdefghijkl", chunk) == "***");
    CHECK(masked(mask, "abcdefghi", chunk) == "***i");
  }
}

TEST_CASE("a beginning of a secret at the end of the output is shown") {
  Mask mask({"hunter2-hunter2"});
  CHECK(masked(mask, "hunter2-hunt", 3) == "hunter2-hunt");
}

TEST_CASE("what looks like a secret and is not loses no byte") {
  Mask mask({"aaaaaaab"});
  for (std::size_t chunk = 1; chunk < 20; ++chunk) {
    CHECK(masked(mask, "aaaaaaaaaaaaaaaaaaab", chunk) == "aaaaaaaaaaaa***");
  }
}

TEST_CASE("a silent program has no log file") {
  TempFolder folder;
  LogFile log(folder / "logs/1.log");
  log.append("", kTime);
  log.close(kTime);
  CHECK(log.bytes() == 0);
  CHECK_FALSE(std::filesystem::exists(folder / "logs"));
}

TEST_CASE("the log is made with its folders by the first record") {
  TempFolder folder;
  LogFile log(folder / "logs/run/task/1.log");
  log.append("record\n", kTime);
  log.close(kTime);
  CHECK(read_whole(folder / "logs/run/task/1.log") == "record\n");
  CHECK(log.bytes() == 7);
}

TEST_CASE("beyond the cap head and tail stay, whole records only, and a note between them") {
  TempFolder folder;
  LogFile log(folder / "1.log", 4000);
  std::vector<std::string> written;
  for (int i = 0; i < 1000; ++i) {
    written.push_back(std::string(kTimeText) + " stdout F line " + std::to_string(i));
    log.append(written.back() + "\n", kTime);
  }
  log.close(kTime);
  std::string text = read_whole(folder / "1.log");
  CHECK(static_cast<std::int64_t>(text.size()) == log.bytes());
  CHECK(text.size() < 4500);
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::size_t note = 0;
  while (note < lines.size() && lines[note].find("are left out here]") == std::string::npos) ++note;
  REQUIRE(note < lines.size());
  CHECK(note > 30);
  for (std::size_t i = 0; i < note; ++i) CHECK(lines[i] == written[i]);
  std::size_t tail = lines.size() - note - 1;
  CHECK(tail > 15);
  for (std::size_t i = 0; i < tail; ++i) {
    CHECK(lines[note + 1 + i] == written[written.size() - tail + i]);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "1.log.tail0"));
  CHECK_FALSE(std::filesystem::exists(folder / "1.log.tail1"));
}

TEST_CASE("a piece larger than the cap fills the head and the tail record by record") {
  TempFolder folder;
  LogFile log(folder / "1.log", 4000);
  std::string piece;
  for (int i = 0; i < 1000; ++i)
    piece += std::string(kTimeText) + " stdout F line " + std::to_string(i) + "\n";
  log.append(piece, kTime);
  log.close(kTime);
  const std::string text = read_whole(folder / "1.log");
  CHECK(text.size() < 4500);
  const std::size_t note = text.find("[pawl: ");
  REQUIRE(note != std::string::npos);
  CHECK(note > 1'800);
  CHECK(text.substr(0, 1'800) == piece.substr(0, 1'800));
  CHECK(text.substr(text.size() - 1'000) == piece.substr(piece.size() - 1'000));
}

TEST_CASE("a log just over its head is kept whole, without a note") {
  TempFolder folder;
  LogFile log(folder / "1.log", 4000);
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    std::string record = std::string(kTimeText) + " stdout F line " + std::to_string(i) + "\n";
    expected += record;
    log.append(record, kTime);
  }
  log.close(kTime);
  CHECK(read_whole(folder / "1.log") == expected);
}

TEST_CASE("a log that is removed while the program runs is made anew") {
  TempFolder folder;
  LogFile log(folder / "1.log");
  log.append("one\n", kTime);
  std::filesystem::remove(folder / "1.log");
  log.append("two\n", kTime);
  log.close(kTime);
  CHECK(read_whole(folder / "1.log") == "two\n");
}

TEST_CASE("a log that cannot be written is told once it can, and nothing is torn") {
  TempFolder folder;
  LogFile log(folder / "1.log");
  log.append("one\n", kTime);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 10;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  log.append("a record that does not fit\n", kTime);  // the kernel takes six bytes of it
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old_handler);
  CHECK(log.lost_bytes() == 27);
  log.append("two\n", kTime);
  log.close(kTime);
  std::string text = read_whole(folder / "1.log");
  CHECK(text.substr(0, 4) == "one\n");
  CHECK(text.find("27 bytes could not be written: File too large") != std::string::npos);
  CHECK(text.find("a record") == std::string::npos);
  CHECK(text.substr(text.size() - 5) == "\ntwo\n");
}

TEST_CASE("a link in place of a log is not followed") {
  TempFolder folder;
  test::write_whole(folder / "victim", "mine");
  std::filesystem::create_symlink(folder / "victim", folder / "1.log");
  LogFile log(folder / "1.log");
  log.append("record\n", kTime);
  log.close(kTime);
  CHECK(read_whole(folder / "victim") == "mine");
  CHECK(log.lost_bytes() == 7);
}

}  // namespace pawl
