#include "scheduler/daemon/reader.h"

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/spec/expression.h"
#include "storage/sqlite_store.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

using nlohmann::json;

constexpr TaskIndex kMapped{0};
constexpr TaskIndex kSingle{1};

/// Results of a mapped task and of one that is not, as the store and its files have them.
class Results {
 public:
  Results() {
    std::filesystem::create_directories(home_ / "logs");
    auto store = SqliteStore::open(home_ / "pawl.db");
    PAWL_CHECK(store.ok());
    store_ = std::move(*store);
    RunRow run;
    run.id = RunId{1};
    run.name = "20261120-225801-7k3f9q";
    run.job = "sales";
    run.version = VersionId{1};
    PAWL_CHECK(store_->apply(Mutations{mutation::InsertRun{run}}).ok());
    auto data = RunData::open(home_ / "pawl.db");
    PAWL_CHECK(data.ok());
    reader_ = std::make_unique<Reader>(std::move(*data), home_.path(), home_ / "outputs", [this] {
      const std::lock_guard lock(mutex_);
      is_awake_ = true;
      changed_.notify_one();
    });
  }

  void keep(TaskIndex task, std::int64_t item, const std::string& format, std::string value) {
    OutputRow row{{RunId{1}, task, ItemIndex{item}}, 1, format, std::move(value), "", 0};
    row.bytes = static_cast<std::int64_t>(row.value.size());
    // As workers do.
    if (format == "jsonl" || row.value.size() > limits::kJournalInlineBytesMax) {
      row.file = "logs/" + std::to_string(task.value) + "_" + std::to_string(item);
      write_file(home_ / row.file, row.value);
      row.value.clear();
    }
    TaskRow succeeded;
    succeeded.key = row.key;
    succeeded.state = TaskState::succeeded;
    PAWL_CHECK(
        store_->apply(Mutations{mutation::InsertTask{succeeded}, mutation::SetOutput{row}}).ok());
  }

  /// The names of the upstream, as a template of a task sees them.
  read::ContextAnswer ask(bool is_mapped, std::int64_t items = 0, bool wants_file = false) {
    read::ContextRequest request = request_of(TaskIndex{2});
    request.wants_output_files = wants_file;
    read::Upstream upstream;
    upstream.task = is_mapped ? kMapped : kSingle;
    upstream.id = "before";
    upstream.state = TaskState::succeeded;
    upstream.is_mapped = is_mapped;
    upstream.items = items;
    request.upstreams.push_back(upstream);
    reader_->ask(std::move(request));
    std::optional<read::ContextAnswer> told;
    while (!told) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return is_awake_; });
      is_awake_ = false;
      for (auto& answer : reader_->take_answers()) {
        chunks_told_ += std::holds_alternative<input::ItemsRead>(answer) ? 1 : 0;
        if (auto* context = std::get_if<read::ContextAnswer>(&answer)) told = std::move(*context);
      }
    }
    return *std::move(told);
  }
  /// Wants the items of a file.
  void begin(const std::string& file) {
    read::PrepareRequest prepare;
    prepare.context = request_of(kMapped);
    prepare.map.emplace();
    prepare.map->kind = MapSpec::Kind::file;
    prepare.map->items = file;
    reader_->ask(std::move(prepare));
  }
  void stop() { reader_->ask(read::StopRequest{RunId{1}, kMapped}); }
  void store_chunks(int count) {
    for (int chunk = 0; chunk < count; ++chunk) reader_->stored(RunId{1}, kMapped);
  }
  /// Chunks that were told by now, when the reader has nothing left to do.
  int chunks_told() {
    // Between two questions it reads one chunk, when it may.
    for (int told = -1; told != chunks_told_;) {
      told = chunks_told_;
      for (int question = 0; question < 2; ++question) ask(false);
    }
    return chunks_told_;
  }
  json names(bool is_mapped, std::int64_t items = 0, bool wants_file = false) {
    const read::ContextAnswer answer = ask(is_mapped, items, wants_file);
    INFO(answer.error);
    REQUIRE(answer.error.empty());
    return json::parse(answer.context)["tasks"]["before"];
  }

  const ScratchFolder& home() const { return home_; }

  bool wants_outputs = true;

 private:
  read::ContextRequest request_of(TaskIndex task) const {
    read::ContextRequest request;
    request.run = RunId{1};
    request.task = task;
    request.names = "{}";
    request.run_name = "20261120-225801-7k3f9q";
    request.wants_outputs = wants_outputs;
    return request;
  }

  ScratchFolder home_;
  std::unique_ptr<SqliteStore> store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_awake_ = false;
  int chunks_told_ = 0;
  std::unique_ptr<Reader> reader_;
};

/// So many items, one in each line.
std::string file_of_items(const Results& results, int count) {
  std::string items;
  for (int item = 0; item < count; ++item) items += std::to_string(item) + "\n";
  std::string path = results.home() / "items.jsonl";
  write_file(path, items);
  return path;
}

std::string text_of_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

const std::string kLong(100'000, 'x');

}  // namespace

TEST_CASE("a long text, and long JSON, are values as short ones are, and lie in a file too") {
  Results results;
  SECTION("text") {
    results.keep(kSingle, -1, "text", kLong);
    const json names = results.names(false);
    CHECK(names["output"] == kLong);
    CHECK(names["output_file"] == results.home() / "logs/1_-1");
  }
  SECTION("JSON") {
    results.keep(kSingle, -1, "json", "[\"" + kLong + "\"]");
    CHECK(results.names(false)["output"] == json::array({kLong}));
  }
  SECTION("short") {
    results.keep(kSingle, -1, "json", "[1]");
    const json names = results.names(false);
    CHECK(names["output"] == json::array({1}));
    CHECK_FALSE(names.contains("output_file"));
  }
  SECTION("long, and nobody asks") {
    results.wants_outputs = false;
    results.keep(kSingle, -1, "text", kLong);
    const json names = results.names(false);
    CHECK_FALSE(names.contains("output"));
    CHECK(names["output_file"] == results.home() / "logs/1_-1");
  }
  SECTION("lines lie in a file only") {
    results.keep(kSingle, -1, "jsonl", "1\n2\n");
    const json names = results.names(false);
    CHECK_FALSE(names.contains("output"));
    CHECK(names["output_file"] == results.home() / "logs/1_-1");
  }
}

TEST_CASE("the results of a mapped task are an array as long as all of them are short enough") {
  Results results;
  results.keep(kMapped, 0, "text", kLong);
  results.keep(kMapped, 2, "text", "short");
  CHECK(results.names(true, 4)["output"] == json::array({kLong, nullptr, "short", nullptr}));
  for (int item = 4; item < 20; ++item) results.keep(kMapped, item, "text", kLong);
  CHECK_FALSE(results.names(true, 20).contains("output"));
}

TEST_CASE("results of a mapped task that do not fit are told to be left out, and what to do") {
  Results results;
  const auto why = [&] {
    const json context = json::parse(results.ask(true, 20).context);
    CHECK_FALSE(context["tasks"]["before"].contains("output"));
    return context.value(kOutputsLeftOut, json::object()).value("before", "");
  };
  SECTION("too much") {
    for (int item = 0; item < 20; ++item) results.keep(kMapped, item, "text", kLong);
    CHECK(why() ==
          "the results of the 20 items of before have more than 1.0 MiB together, the most that "
          "its `output` holds: read the file that its `output_file` names, with a line of JSON "
          "for each item");
  }
  SECTION("lines") {
    results.keep(kMapped, 0, "jsonl", "1\n2\n");
    CHECK(why() ==
          "the results of the 20 items of before are no values but lines (jsonl), so they are not "
          "in its `output`: read the file that its `output_file` names, with a line of JSON for "
          "each item");
  }
  SECTION("nobody asks") {
    results.wants_outputs = false;
    results.keep(kMapped, 0, "text", kLong);
    CHECK(why().empty());
  }
}

TEST_CASE("the file of a mapped task has every result in its line, long ones and lines too") {
  Results results;
  results.keep(kMapped, 0, "text", kLong);
  results.keep(kMapped, 1, "json", "{\"a\":\n\"" + kLong + "\"}");
  results.keep(kMapped, 3, "jsonl", "1\n2\n");
  results.keep(kMapped, 4, "json", "{\n\"short\": true}");
  const json names = results.names(true, 6, true);
  std::istringstream file(text_of_file(names["output_file"]));
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  CHECK(lines ==
        std::vector<json>{
            kLong, {{"a", kLong}}, nullptr, json::array({1, 2}), {{"short", true}}, nullptr});
}

TEST_CASE("the first chunk of items comes alone, and each that is stored allows one more ahead") {
  Results results;
  results.begin(file_of_items(results, 20 * static_cast<int>(limits::kItemsPerChunk)));
  CHECK(results.chunks_told() == 1);
  results.store_chunks(1);
  CHECK(results.chunks_told() == 1 + 2);
  results.store_chunks(2);
  CHECK(results.chunks_told() == 3 + 4);
  results.store_chunks(4);
  CHECK(results.chunks_told() == 7 + 4);
}

TEST_CASE("of items that are not wanted any more before they are read no file stays open") {
  Results results;
  const std::string file = file_of_items(results, 200'000);
  results.begin(file);
  results.stop();
  results.keep(kSingle, -1, "json", "1");
  CHECK(results.names(false)["output"] == 1);
  std::error_code ended;  // of a descriptor that was closed meanwhile
  for (const auto& descriptor : std::filesystem::directory_iterator("/proc/self/fd"))
    CHECK(std::filesystem::read_symlink(descriptor.path(), ended) != file);
}

TEST_CASE("a result whose file is gone is an error, not a result that is empty") {
  Results results;
  results.keep(kMapped, 0, "text", kLong);
  results.keep(kSingle, -1, "text", kLong);
  for (const char* file : {"logs/0_0", "logs/1_-1"}) std::filesystem::remove(results.home() / file);
  CHECK_THAT(results.ask(true, 1).error, Catch::Contains("logs/0_0: cannot be read"));
  CHECK_THAT(results.ask(true, 1, true).error, Catch::Contains("logs/0_0: cannot be read"));
  CHECK_THAT(results.ask(false).error, Catch::Contains("logs/1_-1: cannot be read"));
}

}  // namespace pawl::test
