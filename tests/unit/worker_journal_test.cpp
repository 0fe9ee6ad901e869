#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/journal.h"
#include "plugins/worker/journal_writer.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::full_end;
using test::read_whole;
using test::TempFolder;
using test::write_whole;

/// A journal with a worker that keeps what the journal has of its attempts.
class Journal {
 public:
  explicit Journal(JournalWriter writer) : writer_(std::move(writer)) {}

  Result<void> begin(AttemptId attempt, WallTime now, bool has_output, bool is_suspect = false) {
    return writer_.begin(attempt, entries_[attempt], now, has_output, is_suspect);
  }
  void spawned(AttemptId attempt, const Spawned& process) {
    writer_.spawned(attempt, entries_.at(attempt), process);
  }
  Result<void> handle(AttemptId attempt, const std::string& handle) {
    return writer_.handle(attempt, entries_.at(attempt), handle);
  }
  void end(AttemptEnd& end) { writer_.end(entries_.at(end.attempt), end); }
  void forget(AttemptId attempt) { writer_.forget(entries_.at(attempt)); }
  Result<void> flush() { return writer_.flush(); }
  bool is_flushed() const { return writer_.is_flushed(); }

 private:
  JournalWriter writer_;
  std::unordered_map<AttemptId, JournalEntry> entries_;
};

Journal open_journal(const TempFolder& folder) {
  auto journal = JournalWriter::open(folder.path());
  REQUIRE(journal.ok());
  return Journal(std::move(*journal));
}

JournalContents contents_of(const std::string& folder) {
  auto contents = read_journal(folder);
  REQUIRE(contents.ok());
  return std::move(*contents);
}

std::vector<std::string> segments_of(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void run_one(Journal& journal, std::int64_t id) {
  REQUIRE(journal.begin(AttemptId(id), {1000 + id}, false).ok());
  journal.spawned(AttemptId(id), {static_cast<pid_t>(100 + id), 5, 6});
  AttemptEnd end = full_end(id);
  journal.end(end);
  REQUIRE(journal.flush().ok());
}

/// Bytes of the first segment up to the last record.
std::string used_bytes(const TempFolder& folder) {
  std::string bytes = read_whole(folder / "journal.00000001");
  return bytes.substr(0, bytes.find_last_not_of('\0') + 1);
}

}  // namespace

TEST_CASE("the journal of a dead worker tells who began, as which process, and how it ended") {
  TempFolder folder;
  auto journal = open_journal(folder);
  run_one(journal, 1);
  REQUIRE(journal.begin(AttemptId(2), {2000}, true).ok());
  journal.spawned(AttemptId(2), {202, 7, 8});
  REQUIRE(journal.begin(AttemptId(3), {3000}, false, true).ok());
  REQUIRE(journal.flush().ok());

  auto contents = contents_of(folder.path());
  CHECK_FALSE(contents.damaged);
  REQUIRE(contents.attempts.size() == 3);
  const JournalAttempt* first = contents.find(AttemptId(1));
  REQUIRE(first != nullptr);
  CHECK(first->begun_at.ms == 1001);
  CHECK(first->spawned == Spawned{101, 5, 6});
  REQUIRE(first->end);
  CHECK(*first->end == full_end(1));
  const JournalAttempt* second = contents.find(AttemptId(2));
  REQUIRE(second != nullptr);
  CHECK(second->spawned == Spawned{202, 7, 8});
  CHECK_FALSE(second->end);
  CHECK_FALSE(second->is_suspect);
  const JournalAttempt* third = contents.find(AttemptId(3));
  REQUIRE(third != nullptr);
  CHECK_FALSE(third->spawned);
  CHECK(third->is_suspect);
  CHECK(contents.find(AttemptId(4)) == nullptr);
}

TEST_CASE("the journal has the last name that an attempt gave to something outside") {
  TempFolder folder;
  auto journal = open_journal(folder);
  for (std::int64_t id : {1, 2}) REQUIRE(journal.begin(AttemptId(id), {1000}, false).ok());
  const auto name = [&](std::int64_t id, const std::string& handle) {
    REQUIRE(journal.handle(AttemptId(id), handle).ok());
    REQUIRE(journal.flush().ok());
  };
  const auto named = [&](std::int64_t id) {
    const auto contents = contents_of(folder.path());
    CHECK_FALSE(contents.damaged);
    const JournalAttempt* attempt = contents.find(AttemptId(id));
    REQUIRE(attempt != nullptr);
    return attempt->handle;
  };
  name(1, "job-1");
  CHECK(named(1) == "job-1");
  CHECK(named(2).empty());
  name(2, std::string(limits::kHandleBytesMax, 'h'));
  name(1, "job-7");
  CHECK(named(1) == "job-7");
  name(1, "");
  CHECK(named(1).empty());
  CHECK(named(2) == std::string(limits::kHandleBytesMax, 'h'));
}

TEST_CASE("a message that is too long is cut between letters") {
  TempFolder folder;
  auto journal = open_journal(folder);
  REQUIRE(journal.begin(AttemptId(1), {1000}, false).ok());
  AttemptEnd end = full_end(1);
  end.message.assign(limits::kErrorMessageBytesMax - 1, 'x');
  end.message += "\u00fc and more";
  journal.end(end);
  CHECK(end.message == std::string(limits::kErrorMessageBytesMax - 1, 'x'));
}

TEST_CASE("of a trace that is too long its beginning and its end are kept, by whole lines") {
  TempFolder folder;
  auto journal = open_journal(folder);
  REQUIRE(journal.begin(AttemptId(1), {1000}, false).ok());
  AttemptEnd end = full_end(1);
  end.trace = "it began here\n";
  for (int i = 0; i < 1000; ++i) end.trace += "  and went on: üüü\n";
  end.trace += "it broke here\n";
  journal.end(end);
  CHECK(end.trace.size() <= 2 * limits::kErrorMessageBytesMax);
  CHECK(end.trace.starts_with("it began here\n  and went on: "));
  CHECK(end.trace.ends_with("ü\nit broke here\n"));
  CHECK(end.trace.find("ü\n…\n  and") != std::string::npos);

  REQUIRE(journal.begin(AttemptId(2), {1000}, false).ok());
  end = full_end(2);
  end.trace.clear();
  for (int i = 0; i < 10'000; ++i) end.trace += "ü";
  journal.end(end);
  CHECK(is_utf8(end.trace));
  CHECK(end.trace.size() > 2 * limits::kErrorMessageBytesMax - 8);
}

TEST_CASE("what was not flushed is not in the journal") {
  TempFolder folder;
  auto journal = open_journal(folder);
  REQUIRE(journal.begin(AttemptId(1), {1000}, false).ok());
  CHECK_FALSE(journal.is_flushed());
  CHECK(contents_of(folder.path()).attempts.empty());
}

TEST_CASE("no folder is an empty journal") {
  auto contents = contents_of("/nonexistent/pawl/workers/7");
  CHECK(contents.attempts.empty());
  CHECK_FALSE(contents.damaged);
}

TEST_CASE("a journal cut at any byte holds exactly the records before the cut") {
  TempFolder folder;
  auto journal = open_journal(folder);
  for (int id = 1; id <= 4; ++id) run_one(journal, id);
  const std::string bytes = used_bytes(folder);

  TempFolder cut;
  // Once as a shorter file, once with the zeros behind it that a real crash leaves.
  for (std::size_t zeros : {0, 4096}) {
    std::size_t ends_before = 0;
    for (std::size_t size = 0; size <= bytes.size() + 8; ++size) {
      write_whole(cut / "journal.00000001", bytes.substr(0, size) + std::string(zeros, '\0'));
      auto contents = contents_of(cut.path());
      CHECK_FALSE(contents.damaged);
      std::size_t ends = 0;
      for (const JournalAttempt& attempt : contents.attempts) {
        if (!attempt.end) continue;
        CHECK(*attempt.end == full_end(attempt.attempt.value));
        ++ends;
      }
      CHECK(ends >= ends_before);
      ends_before = ends;
    }
    CHECK(ends_before == (zeros > 0 ? 4 : 3));  // padding belongs to the last record
  }
}

TEST_CASE("a flipped byte is damage when records follow, and a torn end when none do") {
  TempFolder folder;
  auto journal = open_journal(folder);
  for (int id = 1; id <= 3; ++id) run_one(journal, id);
  const std::string bytes = used_bytes(folder);
  REQUIRE(journal.begin(AttemptId(4), {4000}, false).ok());
  REQUIRE(journal.flush().ok());
  const std::string with_last =
      read_whole(folder / "journal.00000001").substr(0, bytes.size() + 4096);

  TempFolder damaged;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string copy = with_last;
    copy[at] = static_cast<char>(copy[at] ^ 0x40);
    write_whole(damaged / "journal.00000001", copy);
    auto contents = contents_of(damaged.path());
    // Padding is no part of a record: a flip there harms nothing.
    if (!contents.damaged) CHECK(contents.attempts.size() == 4);
    CHECK(contents.find(AttemptId(4)) != nullptr);
    for (const JournalAttempt& attempt : contents.attempts) {
      if (attempt.end) CHECK(*attempt.end == full_end(attempt.attempt.value));
    }
  }
  std::string torn = with_last;
  torn[bytes.size() + 30] = static_cast<char>(torn[bytes.size() + 30] ^ 1);
  write_whole(damaged / "journal.00000001", torn);
  auto contents = contents_of(damaged.path());
  CHECK_FALSE(contents.damaged);
  CHECK(contents.find(AttemptId(4)) == nullptr);
}

TEST_CASE("a broken end of a segment is damage when a later segment goes on") {
  TempFolder folder;
  auto journal = open_journal(folder);
  run_one(journal, 1);
  std::string bytes = read_whole(folder / "journal.00000001");
  std::size_t last = bytes.find_last_not_of('\0');
  bytes[last] = static_cast<char>(bytes[last] ^ 1);
  write_whole(folder / "journal.00000001", bytes);
  CHECK_FALSE(contents_of(folder.path()).damaged);
  auto second = open_journal(folder);  // goes on in segment 2
  run_one(second, 2);
  CHECK(contents_of(folder.path()).damaged);
}

TEST_CASE("a record of another segment is not taken for one of this") {
  TempFolder folder;
  auto journal = open_journal(folder);
  run_one(journal, 1);
  std::filesystem::rename(folder / "journal.00000001", folder / "journal.00000002");
  CHECK(contents_of(folder.path()).attempts.empty());
}

TEST_CASE("segments go when all their attempts are forgotten") {
  TempFolder folder;
  auto journal = open_journal(folder);
  std::int64_t id = 0;
  while (segments_of(folder).size() < 4) run_one(journal, ++id);
  CHECK(contents_of(folder.path()).attempts.size() == static_cast<std::size_t>(id));
  for (std::int64_t i = 2; i <= id; ++i) journal.forget(AttemptId(i));
  // The first still holds attempt 1, the third is in use, the fourth was allocated ahead.
  CHECK(segments_of(folder) ==
        std::vector<std::string>{"journal.00000001", "journal.00000003", "journal.00000004"});
  journal.forget(AttemptId(1));
  CHECK(segments_of(folder) == std::vector<std::string>{"journal.00000003", "journal.00000004"});
  run_one(journal, ++id);
  REQUIRE(contents_of(folder.path()).find(AttemptId(id)) != nullptr);
}

TEST_CASE("an end beats its beginning, also when they stand in different segments") {
  TempFolder folder;
  auto journal = open_journal(folder);
  REQUIRE(journal.begin(AttemptId(1), {1000}, false).ok());
  for (std::int64_t id = 2; segments_of(folder).size() < 2 || id < 20'000; ++id)
    run_one(journal, id);
  AttemptEnd end = full_end(1);
  journal.end(end);
  REQUIRE(journal.flush().ok());
  auto contents = contents_of(folder.path());
  const JournalAttempt* first = contents.find(AttemptId(1));
  REQUIRE(first != nullptr);
  CHECK(first->begun_at.ms == 1000);
  REQUIRE(first->end);
  CHECK(*first->end == full_end(1));
}

TEST_CASE("a full disk refuses beginnings and loses no end") {
  // A limit of file sizes stands for the full disk: no further segment can be allocated.
  TempFolder folder;
  auto journal = open_journal(folder);
  std::int64_t begun = 0;
  REQUIRE(journal.begin(AttemptId(++begun), {1000}, true).ok());
  REQUIRE(journal.flush().ok());
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = limits::kJournalSegmentBytes - 1;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  while (journal.begin(AttemptId(begun + 1), {1000}, true).ok()) {
    ++begun;
    REQUIRE(begun < 1000);
  }
  REQUIRE(begun > 10);
  for (std::int64_t id = 1; id <= begun; ++id) journal.spawned(AttemptId(id), {77, 1, 2});
  for (std::int64_t id = 1; id <= begun; ++id) {
    AttemptEnd end = full_end(id);
    end.output.value.assign(limits::kJournalInlineBytesMax, 'o');
    end.output.bytes = end.output.value.size();
    end.trace.assign(2 * limits::kErrorMessageBytesMax, 't');
    journal.end(end);
    CHECK(end.output.value.size() == limits::kJournalInlineBytesMax);
    CHECK(end.outcome == Outcome::failed);
  }
  REQUIRE(journal.flush().ok());
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, old_handler);
  auto contents = contents_of(folder.path());
  CHECK_FALSE(contents.damaged);
  for (std::int64_t id = 1; id <= begun; ++id) {
    const JournalAttempt* attempt = contents.find(AttemptId(id));
    REQUIRE(attempt != nullptr);
    REQUIRE(attempt->end);
    CHECK(attempt->end->exit_code == 3);
    CHECK(attempt->end->output.value.size() == limits::kJournalInlineBytesMax);
  }
}

TEST_CASE("a thousand open attempts with outputs all find room for their ends") {
  TempFolder folder;
  auto journal = open_journal(folder);
  for (int id = 1; id <= 1000; ++id) {
    REQUIRE(journal.begin(AttemptId(id), {1000}, true).ok());
    journal.spawned(AttemptId(id), {id, 1, 2});
  }
  for (int id = 1000; id >= 1; --id) {
    AttemptEnd end = full_end(id);
    end.output.value.assign(static_cast<std::size_t>(id) * 60, 'o');
    journal.end(end);
  }
  REQUIRE(journal.flush().ok());
  auto contents = contents_of(folder.path());
  CHECK_FALSE(contents.damaged);
  REQUIRE(contents.attempts.size() == 1000);
  for (const JournalAttempt& attempt : contents.attempts) {
    REQUIRE(attempt.end);
    CHECK(attempt.end->output.value.size() == static_cast<std::size_t>(attempt.attempt.value) * 60);
  }
}

}  // namespace pawl
