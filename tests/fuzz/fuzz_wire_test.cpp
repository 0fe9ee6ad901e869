// What comes from other processes and from disk: frames, definitions, journals, /proc.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "plugins/worker/definition.h"
#include "plugins/worker/frames.h"
#include "plugins/worker/journal.h"
#include "plugins/worker/journal_writer.h"
#include "plugins/worker/process_table.h"
#include "tests/fuzz/fuzz.h"

using namespace pawl;
using namespace pawl::test;

namespace {

class Folder {
 public:
  Folder() {
    std::string place = (std::filesystem::temp_directory_path() / "pawl-fuzz-XXXXXX").string();
    path_ = ::mkdtemp(place.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string a_definition() {
  TaskDefinition definition;
  definition.home = "/h";
  definition.task = "t";
  definition.env = {{"A", "b"}};
  definition.pass_env = {"X"};
  definition.secrets = {{"S", {true, "/run/s"}}};
  definition.output = OutputFormat::json;
  return encode_definition(definition);
}

AttemptEnd an_end() {
  AttemptEnd end;
  end.attempt = AttemptId(7);
  end.outcome = Outcome::failed;
  end.reason = Reason::exit;
  end.exit_code = 3;
  end.message = "no";
  end.output = {OutputFormat::json, "{}", "", 2, 0};
  return end;
}

std::vector<std::string> some_frames() {
  frame::AttemptStart start;
  start.attempt = AttemptId(7);
  start.definition = DefinitionId(1);
  start.number = 2;
  start.payload = R"({"id":1})";
  std::vector<std::string> bodies;
  for (const Frame& frame : std::vector<Frame>{
           frame::Hello{kProtocolVersion, Epoch(4), "0.1"}, frame::Define{DefinitionId(1), "{}"},
           frame::Start{{start, start}}, frame::Stop{AttemptId(7), Reason::cancelled, true},
           frame::Forget{{{AttemptId(7), 0}, {AttemptId(9), 1}}}, frame::Undefine{DefinitionId(1)},
           frame::Shutdown{}, frame::Ping{}, frame::Pong{},
           frame::Began{AttemptId(7), 123, WallTime{1}}, frame::Ended{an_end()}}) {
    for (std::string& body : encode_frame(frame)) bodies.push_back(std::move(body));
  }
  return bodies;
}

/// The used bytes of a journal with a few attempts.
std::string a_journal() {
  const Folder folder;
  auto journal = JournalWriter::open(folder.path());
  REQUIRE(journal);
  AttemptEnd end = an_end();
  for (std::int64_t id : {1, 8, 7}) {
    JournalEntry entry;
    REQUIRE(journal->begin(AttemptId(id), entry, WallTime{id}, true));
    journal->spawned(AttemptId(id), entry, {100, 5, 6});
    if (AttemptId(id) == end.attempt) journal->end(entry, end);
  }
  REQUIRE(journal->flush());
  std::ifstream file(folder.path() + "/journal.00000001", std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  std::string text = bytes.str();
  text.resize(text.find_last_not_of('\0') + 1 + 64);
  return text;
}

}  // namespace

TEST_CASE("any bytes as a frame are a frame that can be sent again, or an error") {
  fuzz("frame", some_frames(), {std::string(4, '\xff'), std::string(8, '\0')}, 20'000,
       [](std::string_view body) {
         const auto frame = decode_frame(body);
         (void)decode_attempt_end(body);
         if (!frame) {
           REQUIRE_FALSE(frame.error().message.empty());
           return;
         }
         for (const std::string& again : encode_frame(*frame)) REQUIRE(decode_frame(again));
       });
}

TEST_CASE("any bytes as a journal are read to their end, and what is torn is no record") {
  const Folder folder;
  const std::string whole = a_journal();
  fuzz("journal", {whole, whole + whole}, {std::string(8, '\0'), std::string(4, '\xff')}, 1000,
       [&](std::string_view bytes) {
         const std::string path = folder.path() + "/journal.00000001";
         std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
         const auto journal = read_journal(folder.path());
         REQUIRE(journal);
         for (const JournalAttempt& attempt : journal->attempts) {
           // A record is whole or absent: nothing else was ever written.
           REQUIRE((attempt.attempt.value == 1 || attempt.attempt.value == 7 ||
                    attempt.attempt.value == 8));
           if (attempt.end) REQUIRE(attempt.end->message == "no");
         }
       });
}

TEST_CASE("any bytes as a definition or as a file of /proc are read or refused") {
  fuzz("frame",
       {a_definition(), "PAWL_HOME=/h\nPAWL_ATTEMPT_ID=7\n",
        "7 (a b) c) S 1 7 7 0 -1 0 0 0 0 0 0 0"},
       {std::string(4, '\0'), std::string(8, '\xff'), "PAWL_HOME=/h", ") ", "-1"}, 5000,
       [](std::string_view text) {
         if (const auto definition = decode_definition(text)) {
           REQUIRE(encode_definition(*definition).size() <= text.size());
           REQUIRE(decode_definition(encode_definition(*definition)));
         }
         (void)parse_process_stat(text);
         (void)attempt_in_environment(text, "/h");
         (void)attempt_in_limits(text, "/h");
         (void)program_in_limits(text, "/h");
       });
}
