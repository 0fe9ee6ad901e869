#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include <catch2/catch.hpp>
#include <xxhash.h>

#include "plugins/worker/output.h"
#include "scheduler/base/limits.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::read_whole;
using test::TempFolder;

OutputSource source_of(const TempFolder& folder, OutputFormat format) {
  OutputSource source;
  source.format = format;
  source.spool_file = folder / "logs/3.1.out";
  source.home = folder.path();
  source.mask = std::make_shared<const Mask>(std::vector<std::string>{});
  return source;
}

OutputResult collect(OutputSource source, std::string_view text, std::size_t chunk = 1000) {
  OutputCollector collector(std::move(source));
  for (; !text.empty(); text.remove_prefix(std::min(chunk, text.size()))) {
    collector.feed(text.substr(0, chunk));
  }
  return finish_output(collector.take());
}

}  // namespace

TEST_CASE("text output is standard output without the newlines at its end") {
  TempFolder folder;
  auto result = collect(source_of(folder, OutputFormat::text), "a\nb\n\n", 2);
  CHECK(result.error.empty());
  CHECK(result.output.value == "a\nb");
  CHECK(result.output.bytes == 3);
  CHECK(result.output.file.empty());
}

TEST_CASE("text output that is not UTF-8 is no output") {
  TempFolder folder;
  auto result = collect(source_of(folder, OutputFormat::text), "\xff\xfe");
  CHECK(result.error == "standard output is not UTF-8");
}

TEST_CASE("JSON output is one value, as it was written, without blanks around it") {
  TempFolder folder;
  auto result = collect(source_of(folder, OutputFormat::json), " {\"b\": 1, \"a\": [2]}\n");
  CHECK(result.error.empty());
  CHECK(result.output.value == "{\"b\": 1, \"a\": [2]}");
  CHECK(result.output.format == OutputFormat::json);
}

TEST_CASE("what is not JSON is no JSON output, and the message says where") {
  TempFolder folder;
  for (std::string_view text : {"{\"a\":", "hello", "1 2", "{\"a\":1,}", "\"\xff\""}) {
    auto result = collect(source_of(folder, OutputFormat::json), text);
    CHECK(result.error.find("standard output: it is not") == 0);
  }
  CHECK(collect(source_of(folder, OutputFormat::json), " \n").error ==
        "standard output is empty, and JSON was declared");
}

TEST_CASE("an integer that would lose digits when it is read is no JSON output") {
  TempFolder folder;
  CHECK(collect(source_of(folder, OutputFormat::json), "[18446744073709551616]").error ==
        "standard output: the integer 18446744073709551616 needs more than 64 bits and would lose "
        "digits: write it as a text");
  CHECK(collect(source_of(folder, OutputFormat::jsonl), "1\n-9223372036854775809\n").error ==
        "line 2 of the output: the integer -9223372036854775809 needs more than 64 bits and would "
        "lose digits: write it as a text");
  for (std::string_view text : {"18446744073709551615", "-9223372036854775808", "1e25", "0.5"})
    CHECK(collect(source_of(folder, OutputFormat::json), text).error.empty());
}

TEST_CASE("JSON nested a million deep is refused, not followed") {
  TempFolder folder;
  auto result = collect(source_of(folder, OutputFormat::json), std::string(1'000'000, '['), 65536);
  CHECK(result.error == "standard output: it is nested deeper than 64");
}

TEST_CASE("a value of a mebibyte is kept in a file, one byte more fails") {
  TempFolder folder;
  std::string text(limits::kOutputValueBytesMax, 'x');
  auto result = collect(source_of(folder, OutputFormat::text), text, 65536);
  CHECK(result.error.empty());
  CHECK(result.output.value.empty());
  CHECK(result.output.file == "logs/3.1.out");
  CHECK(result.output.bytes == text.size());
  CHECK(result.output.checksum == XXH3_64bits(text.data(), text.size()));
  CHECK(read_whole(folder / "logs/3.1.out") == text);
  auto over = collect(source_of(folder, OutputFormat::text), text + "y", 65536);
  CHECK(over.error.find("larger than 1 MiB") != std::string::npos);
  auto far_over = collect(source_of(folder, OutputFormat::text), text + text + text, 65536);
  CHECK(far_over.error.find("larger than 1 MiB") != std::string::npos);
}

TEST_CASE("JSON lines are spooled to a file and each is checked") {
  TempFolder folder;
  std::string text = "{\"id\":1}\n\n{\"id\":2}\n[3]";
  auto result = collect(source_of(folder, OutputFormat::jsonl), text, 3);
  CHECK(result.error.empty());
  CHECK(result.output.file == "logs/3.1.out");
  CHECK(result.output.bytes == text.size());
  CHECK(result.output.checksum == XXH3_64bits(text.data(), text.size()));
  auto wrong = collect(source_of(folder, OutputFormat::jsonl), "{}\nhello\n", 4);
  CHECK(wrong.error.find("line 2 of the output: it is not JSON") == 0);
  const std::string long_line(limits::kItemBytesMax + 1, '7');
  auto over = collect(source_of(folder, OutputFormat::jsonl), "1\n" + long_line, 65536);
  CHECK(over.error == "line 2 of the output: it is longer than 1 MiB");
}

TEST_CASE("a byte order mark is no JSON, where lenient readers would pass over it") {
  TempFolder folder;
  const std::string mark = "\xEF\xBB\xBF";
  auto value = collect(source_of(folder, OutputFormat::json), mark + "[1]");
  CHECK(value.error.find("standard output: it begins with a byte order mark") == 0);
  auto lines = collect(source_of(folder, OutputFormat::jsonl), "1\n" + mark + "2\n");
  CHECK(lines.error.find("line 2 of the output: it begins with a byte order mark") == 0);
}

TEST_CASE("line ends and blanks around a value do not count") {
  TempFolder folder;
  const std::string text(limits::kOutputValueBytesMax, 'x');
  const std::string json = '"' + text.substr(2) + '"';
  auto source = source_of(folder, OutputFormat::text);
  CHECK(collect(source, text + "\n").output.bytes == text.size());
  source.format = OutputFormat::json;
  CHECK(collect(source, " " + json + " \r\n").output.bytes == json.size());
  test::write_whole(folder / "out", text + "\n\n");
  source.format = OutputFormat::text;
  source.written_file = folder / "out";
  CHECK(finish_output(source).output.bytes == text.size());
}

TEST_CASE("JSON lines that an operator gave back in one piece too large are no empty success") {
  TempFolder folder;
  auto source = source_of(folder, OutputFormat::jsonl);
  source.too_large = true;
  CHECK(finish_output(source).error.find("larger than the 1 MiB") != std::string::npos);
}

TEST_CASE("no JSON lines are an empty file") {
  TempFolder folder;
  auto result = collect(source_of(folder, OutputFormat::jsonl), "");
  CHECK(result.error.empty());
  CHECK(result.output.bytes == 0);
  CHECK(std::filesystem::file_size(folder / "logs/3.1.out") == 0);
}

TEST_CASE("an output from a file leaves standard output alone") {
  TempFolder folder;
  test::write_whole(folder / "out", "{\"n\":1}\n");
  auto source = source_of(folder, OutputFormat::json);
  source.written_file = folder / "out";
  auto result = collect(source, "this is the log\n");
  CHECK(result.error.empty());
  CHECK(result.output.value == "{\"n\":1}");
}

TEST_CASE("a value in a file over a mebibyte is told what to do, and is never kept in part") {
  TempFolder folder;
  for (const std::size_t bytes :
       {limits::kOutputValueBytesMax + 1, 3 * limits::kOutputValueBytesMax}) {
    CAPTURE(bytes);
    auto source = source_of(folder, OutputFormat::text);
    source.written_file = folder / "out";
    // With its secret hidden the beginning would fit.
    source.mask = std::make_shared<const Mask>(std::vector<std::string>{"hunter2-hunter2"});
    test::write_whole(folder / "out", "hunter2-hunter2" + std::string(bytes - 15, 'x'));
    CHECK(finish_output(source).error.find("larger than 1 MiB: declare \"output\": \"jsonl\"") !=
          std::string::npos);
  }
}

TEST_CASE("an output file that is missing, a FIFO, a link or a folder is no output") {
  TempFolder folder;
  auto source = source_of(folder, OutputFormat::text);
  source.written_file = folder / "out";
  CHECK(finish_output(source).error == "the program wrote no file $PAWL_OUTPUT");
  REQUIRE(::mkfifo((folder / "out").c_str(), 0600) == 0);
  CHECK(finish_output(source).error == "$PAWL_OUTPUT is not a regular file");
  std::filesystem::remove(folder / "out");
  test::write_whole(folder / "elsewhere", "mine");
  std::filesystem::create_symlink(folder / "elsewhere", folder / "out");
  CHECK(finish_output(source).error.find("$PAWL_OUTPUT is a symbolic link") == 0);
  std::filesystem::remove(folder / "out");
  std::filesystem::create_directory(folder / "out");
  CHECK(finish_output(source).error == "$PAWL_OUTPUT is not a regular file");
}

TEST_CASE("secrets are hidden in outputs that come from files") {
  TempFolder folder;
  auto source = source_of(folder, OutputFormat::jsonl);
  source.mask = std::make_shared<const Mask>(std::vector<std::string>{"canary-secret"});
  source.written_file = folder / "out";
  test::write_whole(folder / "out", "{\"t\":\"canary-secret\"}\n");
  CHECK(finish_output(source).error.empty());
  CHECK(read_whole(folder / "logs/3.1.out") == "{\"t\":\"***\"}\n");
  source.format = OutputFormat::json;
  CHECK(finish_output(source).output.value == "{\"t\":\"***\"}");
}

TEST_CASE("what an operator gives back is called its output, what a program writes is not") {
  TempFolder folder;
  auto source = source_of(folder, OutputFormat::json);
  CHECK(finish_output(source).error == "standard output is empty, and JSON was declared");
  source.place = "the output";
  CHECK(finish_output(source).error == "the output is empty, and JSON was declared");
}

TEST_CASE("an output that cannot be kept fails with the reason of the system") {
  TempFolder folder;
  auto source = source_of(folder, OutputFormat::jsonl);
  source.spool_file = "/proc/nowhere/3.1.out";
  auto result = collect(source, "{}\n");
  CHECK(result.error.find("cannot keep the output in /proc/nowhere/3.1.out: ") == 0);
}

}  // namespace pawl
