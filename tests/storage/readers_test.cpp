// A reader beside a scheduler, after one, and without one.

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "storage/history.h"
#include "support.h"

namespace pawl::test {
namespace {

/// The byte of the log's index that SQLite locks to tell others that somebody has it open.
constexpr off_t kCompanyByte = 128;

struct flock company_lock(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = kCompanyByte;
  lock.l_len = 1;
  return lock;
}

/// A process that looks at the log's index and goes as soon as somebody else has done so, too.
class PassingCompany {
 public:
  explicit PassingCompany(const std::string& index_path) {
    REQUIRE(::pipe(ready_) == 0);
    pid_ = fork();
    char byte = 0;
    if (pid_ != 0) {
      REQUIRE(::read(ready_[0], &byte, 1) == 1);
      return;
    }
    const int index = ::open(index_path.c_str(), O_RDWR);
    auto mine = company_lock(F_RDLCK);
    const int watch = ::inotify_init1(IN_CLOEXEC);
    const bool watches =
        ::inotify_add_watch(watch, index_path.c_str(), IN_CLOSE_WRITE | IN_CLOSE_NOWRITE) >= 0;
    if (::fcntl(index, F_SETLK, &mine) != 0 || !watches || ::write(ready_[1], &byte, 1) != 1)
      _exit(1);
    inotify_event closed{};
    _exit(::read(watch, &closed, sizeof(closed)) > 0 ? 0 : 1);
  }
  ~PassingCompany() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(ready_[0]);
    ::close(ready_[1]);
  }
  PassingCompany(const PassingCompany&) = delete;
  PassingCompany& operator=(const PassingCompany&) = delete;

 private:
  int ready_[2];
  pid_t pid_ = -1;
};

/// A store with one run in its log, whose scheduler was killed.
void leave_a_store(const Folder& folder) {
  REQUIRE(in_child([&] {
            auto store = open_store(folder.store());
            must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
            _exit(17);
          }) == 17);
}

/// Overwrites bytes of the log's index. Only while nobody of this process has it open.
void put_into_index(const Folder& folder, off_t place, const std::string& bytes) {
  const int index = ::open((folder.store() + "-shm").c_str(), O_RDWR);
  const auto written = ::pwrite(index, bytes.data(), bytes.size(), place);
  ::close(index);
  REQUIRE(written == static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_CASE("history reads a store that is being written by another process") {
  Folder folder;
  auto store = open_store(folder.store());
  must(store->apply(
      Mutations{mutation::InsertVersion{version_row()}, mutation::InsertRun{run_row(1)}}));
  for (std::int64_t n = 2; n <= 12; ++n) {
    must(store->apply(Mutations{mutation::InsertRun{run_row(n)}}));
    const int seen = in_child([&] {
      auto history = must(History::open(folder.store()));
      _exit(static_cast<int>(must(history->runs({}).next(100)).size()));
    });
    CHECK(seen == n);
    if (n % 4 == 0) must(store->checkpoint());
  }
}

namespace {

/// A process that waits for a word of the test between its steps.
class Stepping {
 public:
  /// The steps of the other process; each waits for `go`, and the process ends after the last.
  explicit Stepping(const std::vector<std::function<bool()>>& steps) {
    REQUIRE((::pipe(go_) == 0 && ::pipe(done_) == 0));
    pid_ = fork();
    if (pid_ != 0) return;
    char byte = 0;
    for (const auto& step : steps) {
      if (::read(go_[0], &byte, 1) != 1 || !step() || ::write(done_[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  ~Stepping() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    for (int end : {go_[0], go_[1], done_[0], done_[1]}) ::close(end);
  }
  Stepping(const Stepping&) = delete;
  Stepping& operator=(const Stepping&) = delete;

  /// Lets it take a step and waits for its end.
  bool step() {
    char byte = 0;
    return ::write(go_[1], &byte, 1) == 1 && ::read(done_[0], &byte, 1) == 1;
  }

 private:
  int go_[2];
  int done_[2];
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("a reader waits for a scheduler that has opened the store and not made the log's index") {
  Folder folder;
  leave_a_store(folder);
  // As far as SQLite gets when a scheduler opens the store: the index is emptied, and a lock says
  // that somebody is there.
  Stepping beginner({[&] {
                       const int index = ::open((folder.store() + "-shm").c_str(), O_RDWR);
                       auto lock = company_lock(F_RDLCK);
                       return ::ftruncate(index, 0) == 0 && ::ftruncate(index, 32'768) == 0 &&
                              ::fcntl(index, F_SETLK, &lock) == 0;
                     },
                     [] { return true; }});
  Stepping scheduler({[&] {
                        static const auto kStore = open_store(folder.store());
                        return kStore->apply(Mutations{mutation::InsertRun{run_row(2)}}).ok();
                      },
                      [] { return true; }});
  // Reads without anybody's index, as nobody is up.
  auto early = must(History::open(folder.store()));
  CHECK(must(early->runs({}).next(10)).size() == 1);
  REQUIRE(beginner.step());
  const auto seen = [](History& history) { return must(history.runs({}).next(10)).size(); };
  auto reading = std::async(std::launch::async, [&] { return seen(*early); });
  auto opening =
      std::async(std::launch::async, [&] { return seen(*must(History::open(folder.store()))); });
  // Neither has an answer while the other process stands still.
  CHECK(reading.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  CHECK(opening.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  REQUIRE(scheduler.step());
  CHECK(reading.get() >= 1);
  CHECK(opening.get() >= 1);
}

TEST_CASE("a log's index that a killed scheduler left half made waits for no other reader to go") {
  Folder folder;
  leave_a_store(folder);
  put_into_index(folder, 0, std::string(136, '\0'));
  PassingCompany other(folder.store() + "-shm");
  auto history = must(History::open(folder.store()));
  CHECK(must(history->runs({}).next(10)).size() == 1);
}

TEST_CASE("a reader that finds no read mark it may use asks again") {
  Folder folder;
  leave_a_store(folder);
  constexpr off_t kReadMarks = 100;  // of the five the first is for readers without the log
  put_into_index(folder, kReadMarks + 4, std::string(16, '\xFF'));
  PassingCompany other(folder.store() + "-shm");
  auto history = must(History::open(folder.store()));
  CHECK(must(history->runs({}).next(10)).size() == 1);
}

TEST_CASE("a reader of a store whose change was cut off says who undoes it, and undoes nothing") {
  Folder folder;
  leave_a_store(folder);
  const std::string path = folder.store();
  // The way of another program, not of pawl: no write-ahead log, and killed while it spills.
  REQUIRE(in_child([&] {
            sqlite3* database = nullptr;
            sqlite3_open(path.c_str(), &database);
            const char* const kChange =
                "PRAGMA journal_mode=DELETE; PRAGMA cache_size=1; BEGIN IMMEDIATE;"
                "CREATE TABLE other(x); INSERT INTO other WITH RECURSIVE n(x) AS "
                "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000) "
                "SELECT randomblob(500) FROM n";
            if (sqlite3_exec(database, kChange, nullptr, nullptr, nullptr) != SQLITE_OK) _exit(1);
            _exit(17);
          }) == 17);
  const auto journal = std::filesystem::file_size(path + "-journal");
  const auto error = History::open(path).error();
  CHECK(error.kind == ErrorKind::storage);
  CHECK_THAT(error.message, Catch::Contains("was cut off") && Catch::Contains("pawl serve"));
  CHECK(std::filesystem::file_size(path + "-journal") == journal);
  CHECK(must(open_store(path)->load_run(RunId{1}, {})).has_value());
  CHECK(must(must(History::open(path))->runs({}).next(10)).size() == 1);
}

TEST_CASE("history reads what a killed scheduler left, and changes nothing") {
  Folder folder;
  REQUIRE(in_child([&] {
            auto store = open_store(folder.store());
            must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
            must(store->checkpoint());
            must(store->apply(Mutations{mutation::InsertRun{run_row(2)}}));
            _exit(17);
          }) == 17);
  const auto before = std::filesystem::last_write_time(folder.store());
  const auto size = std::filesystem::file_size(folder.store() + "-wal");
  {
    auto history = must(History::open(folder.store()));
    CHECK(must(history->runs({}).next(10)).size() == 2);
  }
  CHECK(std::filesystem::last_write_time(folder.store()) == before);
  CHECK(std::filesystem::file_size(folder.store() + "-wal") == size);
  CHECK(folder.names() == std::vector<std::string>{"pawl.db", "pawl.db-shm", "pawl.db-wal"});
  auto store = open_store(folder.store());
  CHECK(must(store->load_run(RunId{2}, {})).has_value());
}

TEST_CASE("history reads what a scheduler left that ended in order, and creates nothing") {
  Folder folder;
  {
    auto store = open_store(folder.store());
    must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
    must(store->checkpoint());
  }
  const auto names = folder.names();
  CHECK(std::filesystem::file_size(folder.store() + "-wal") == 0);
  auto history = must(History::open(folder.store()));
  CHECK(must(history->runs({}).next(10)).size() == 1);
  CHECK(folder.names() == names);
}

TEST_CASE("a reader that was there first sees what a scheduler that starts later writes") {
  Folder folder;
  CHECK(in_child([&] { open_store(folder.store()).reset(); }) == 0);
  // Two processes that share nothing of SQLite: the reader opens, the writer writes, the reader
  // reads.
  int to_writer[2];
  int to_reader[2];
  REQUIRE(pipe(to_writer) == 0);
  REQUIRE(pipe(to_reader) == 0);
  char token = 'x';
  const pid_t reader = fork();
  if (reader == 0) {
    auto history = History::open(folder.store());
    bool good = history && must((*history)->runs({}).next(10)).empty();
    good = write(to_writer[1], &token, 1) == 1 && read(to_reader[0], &token, 1) == 1 && good;
    for (int pages = 0; good && pages < 3; ++pages)
      good = must((*history)->runs({}).next(10)).size() == 2;
    _exit(good ? 0 : 1);
  }
  CHECK(in_child([&] {
          if (read(to_writer[0], &token, 1) != 1) _exit(1);
          auto store = open_store(folder.store());
          must(store->begin_epoch("boot"));
          must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
          must(store->checkpoint());
          must(store->apply(Mutations{mutation::InsertRun{run_row(2)}}));
          if (!must(store->load_run(RunId{2}, {}))) _exit(2);
          if (write(to_reader[1], &token, 1) != 1) _exit(3);
          _exit(0);
        }) == 0);
  int status = 0;
  waitpid(reader, &status, 0);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  for (int fd : {to_writer[0], to_writer[1], to_reader[0], to_reader[1]}) close(fd);
}

TEST_CASE("history reads a store whose log a foreign program removed, or that lies read-only") {
  Folder folder;
  {
    auto store = open_store(folder.store());
    must(store->apply(Mutations{mutation::InsertRun{run_row(1)}}));
    must(store->checkpoint());
  }
  std::filesystem::remove(folder.store() + "-wal");
  std::filesystem::remove(folder.store() + "-shm");
  auto history = must(History::open(folder.store()));
  CHECK(must(history->runs({}).next(10)).size() == 1);
}

TEST_CASE("where nothing is stored nothing is made") {
  Folder folder;
  CHECK(History::open(folder.store()).error().kind == ErrorKind::not_found);
  CHECK(History::open(folder.path("no/such/home/pawl.db")).error().kind == ErrorKind::not_found);
  CHECK(folder.names().empty());
}

}  // namespace pawl::test
