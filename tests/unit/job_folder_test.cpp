#include "scheduler/daemon/job_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/base/limits.h"
#include "tests/cpu_time.h"
#include "tests/patience.h"
#include "tests/unit/loop_support.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::cpu_time;
using test::patient;
using test::run_until;
using test::ScratchFolder;
using test::write_file;

std::string job(const std::string& name, const std::string& command = "true") {
  return R"({"name": ")" + name + R"(", "tasks": [{"id": "t", "command": [")" + command +
         R"("]}]})";
}

/// Folders under watch, and what was told of them: `+name` loaded, `!file` quarantined, `-name`
/// removed, files without their folder.
struct Watched {
  explicit Watched(Duration debounce = 20ms)
      : folders(std::make_unique<JobFolders>(
            loop,
            JobFolders::Options{
                .operators = nullptr, .settings = {}, .debounce = debounce, .settle = debounce},
            [this](JobFolderEvent event) { take(std::move(event)); })) {}

  void take(JobFolderEvent event) {
    if (auto* loaded = std::get_if<JobLoaded>(&event)) {
      told.push_back("+" + loaded->name);
      last = std::move(*loaded);
    } else if (auto* quarantined = std::get_if<JobQuarantined>(&event)) {
      told.push_back("!" + fs::path(quarantined->file).filename().string());
      why = quarantined->why;
      quarantined_name = quarantined->name;
    } else if (auto* removed = std::get_if<JobRemoved>(&event)) {
      told.push_back("-" + removed->name);
    } else {
      ++scans;
    }
  }

  void add(const ScratchFolder& scratch) {
    const int before = scans;
    const auto added = folders->add(scratch.path());
    REQUIRE(added);
    REQUIRE(run_until(loop, [&] { return scans > before; }));
  }
  void rescan() {
    const int before = scans;
    folders->rescan();
    REQUIRE(run_until(loop, [&] { return scans > before; }));
  }
  /// Waits for as many events as are expected and returns all since the last call.
  std::vector<std::string> next(std::size_t count) {
    run_until(loop, [&] { return told.size() >= count; });
    return std::exchange(told, {});
  }

  Loop loop;
  std::vector<std::string> told;
  JobLoaded last;
  std::string why;
  std::string quarantined_name;
  int scans = 0;
  std::unique_ptr<JobFolders> folders;
};

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("the jobs of a folder are loaded, other files are not looked at") {
  const ScratchFolder scratch;
  write_file(scratch / "b.json", job("b"));
  write_file(scratch / "a.json", job("a"));
  write_file(scratch / "settings.json", R"({"pools": {}})");
  write_file(scratch / ".hidden.json", job("hidden"));
  write_file(scratch / "notes.txt", "no job");
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.told == Told{"+a", "+b"});
  REQUIRE(watched.last.file == fs::canonical(scratch / "b.json").string());
  REQUIRE(watched.last.folder == fs::canonical(scratch.path()).string());
  REQUIRE(watched.last.text == job("b"));
  REQUIRE(watched.last.spec.tasks.size() == 1);
}

TEST_CASE("a new, a changed and a removed file are told of, once each") {
  const ScratchFolder scratch;
  Watched watched;
  watched.add(scratch);
  write_file(scratch / "a.json", job("a"));
  REQUIRE(watched.next(1) == Told{"+a"});
  write_file(scratch / "a.json", job("a", "false"));
  REQUIRE(watched.next(1) == Told{"+a"});
  REQUIRE(watched.last.text == job("a", "false"));
  fs::remove(scratch / "a.json");
  REQUIRE(watched.next(1) == Told{"-a"});
}

TEST_CASE("the same content is nothing new, however it was written") {
  const ScratchFolder scratch;
  write_file(scratch / "a.json", job("a"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  write_file(scratch / "a.json", job("a"));
  write_file(scratch / "new", job("a"));
  fs::rename(scratch / "new", scratch / "a.json");
  write_file(scratch / "b.json", job("b"));
  REQUIRE(watched.next(1) == Told{"+b"});
  watched.rescan();
  REQUIRE(watched.told.empty());
}

TEST_CASE("a broken file is quarantined once with its errors, and comes back when it is mended") {
  const ScratchFolder scratch;
  write_file(scratch / "a.json", job("a"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  write_file(scratch / "a.json", R"({"name": "a", "tasks": 7})");
  REQUIRE(watched.next(1) == Told{"!a.json"});
  REQUIRE(watched.quarantined_name == "a");
  REQUIRE(watched.why.find("a.json:1:") != std::string::npos);
  watched.rescan();
  REQUIRE(watched.told.empty());
  write_file(scratch / "a.json", job("a"));
  REQUIRE(watched.next(1) == Told{"+a"});
}

TEST_CASE("a half-written file is waited for, not quarantined") {
  const ScratchFolder scratch;
  Watched watched(100ms);
  watched.add(scratch);
  const std::string text = job("a");
  write_file(scratch / "a.json", text.substr(0, 20));
  std::size_t written = 20;
  Timer more(watched.loop, [&] {
    std::ofstream(scratch / "a.json", std::ios::app) << text[written++];
    if (written < text.size()) more.start_after(2ms);
  });
  more.start_after(0ms);
  REQUIRE(watched.next(1) == Told{"+a"});
  REQUIRE(written == text.size());
}

TEST_CASE("a second file with a known name is quarantined, and loaded when the first goes") {
  const ScratchFolder scratch;
  write_file(scratch / "1.json", job("same"));
  write_file(scratch / "2.json", job("same", "false"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(2) == Told{"+same", "!2.json"});
  REQUIRE(watched.why.find("1.json") != std::string::npos);
  fs::remove(scratch / "1.json");
  REQUIRE(watched.next(1) == Told{"+same"});
  REQUIRE(watched.last.text == job("same", "false"));
}

TEST_CASE("names are unique over all folders") {
  const ScratchFolder first;
  const ScratchFolder second;
  write_file(first / "z.json", job("same"));
  write_file(second / "a.json", job("same"));
  Watched watched;
  watched.add(first);
  watched.add(second);
  REQUIRE(watched.next(2) == Told{"+same", "!a.json"});
}

TEST_CASE("a renamed file keeps its job, a renamed job is a new one") {
  const ScratchFolder scratch;
  write_file(scratch / "m.json", job("a"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  fs::rename(scratch / "m.json", scratch / "z.json");
  REQUIRE(watched.next(1) == Told{"+a"});
  REQUIRE(fs::path(watched.last.file).filename() == "z.json");
  write_file(scratch / "z.json", job("b"));
  REQUIRE(watched.next(2) == Told{"+b", "-a"});
}

TEST_CASE("a job file that becomes foreign is a removed job") {
  const ScratchFolder scratch;
  write_file(scratch / "a.json", job("a"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  write_file(scratch / "a.json", R"({"no": "tasks"})");
  REQUIRE(watched.next(1) == Told{"-a"});
}

TEST_CASE("what is no plain file is refused without blocking, links to plain files are read") {
  const ScratchFolder scratch;
  const ScratchFolder elsewhere;
  write_file(elsewhere / "real", job("linked"));
  REQUIRE(::mkfifo((scratch / "fifo.json").c_str(), 0600) == 0);
  fs::create_symlink("/dev/zero", scratch / "zero.json");
  fs::create_symlink("/dev/tty", scratch / "tty.json");
  fs::create_symlink(scratch / "fifo.json", scratch / "link-to-fifo.json");
  fs::create_symlink("nowhere", scratch / "dangling.json");
  fs::create_symlink("loop.json", scratch / "loop.json");
  fs::create_symlink(elsewhere / "real", scratch / "link.json");
  fs::create_directory(scratch / "folder.json");
  write_file(scratch / "open.json", job("open"));
  fs::permissions(scratch / "open.json", fs::perms::others_write, fs::perm_options::add);
  write_file(scratch / "huge.json", "");
  fs::resize_file(scratch / "huge.json", limits::kJobFileBytesMax + 1);
  Watched watched;
  watched.add(scratch);
  Told told = watched.next(1);
  std::sort(told.begin(), told.end());
  REQUIRE(told == Told{"!dangling.json", "!fifo.json", "!folder.json", "!huge.json",
                       "!link-to-fifo.json", "!loop.json", "!open.json", "!tty.json", "!zero.json",
                       "+linked"});
}

TEST_CASE("bytes of every kind only ever quarantine their file") {
  const ScratchFolder scratch;
  write_file(scratch / "deep.json", "{\"tasks\":" + std::string(1'000'000, '['));
  write_file(scratch / "empty.json", "");
  write_file(scratch / "latin.json", "{\"tasks\": \"\xe9\"}");
  write_file(scratch / "nul.json", std::string(1000, '\0'));
  Watched watched;
  watched.add(scratch);
  Told told = watched.next(4);
  std::sort(told.begin(), told.end());
  REQUIRE(told == Told{"!deep.json", "!empty.json", "!latin.json", "!nul.json"});
}

TEST_CASE("a quarantined file that goes is told of without a name") {
  const ScratchFolder scratch;
  write_file(scratch / "bad.json", "{");
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"!bad.json"});
  fs::remove(scratch / "bad.json");
  REQUIRE(watched.next(1) == Told{"-"});
}

TEST_CASE("a link that leads elsewhere is followed when the way to it changes") {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "v1");
  fs::create_directory(scratch / "v2");
  write_file(scratch / "v1/a.json", job("a", "one"));
  write_file(scratch / "v2/a.json", job("a", "two"));
  fs::create_directory_symlink("v1", scratch / "current");
  fs::create_symlink("current/a.json", scratch / "a.json");
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  fs::create_directory_symlink("v2", scratch / "next");
  fs::rename(scratch / "next", scratch / "current");
  REQUIRE(watched.next(1) == Told{"+a"});
  REQUIRE(watched.last.text == job("a", "two"));
}

TEST_CASE("a folder that others may write, is missing, or is none is refused") {
  const ScratchFolder scratch;
  Watched watched;
  REQUIRE(watched.folders->add(scratch / "none").error().kind == ErrorKind::not_found);
  write_file(scratch / "file", "");
  REQUIRE(watched.folders->add(scratch / "file").error().kind == ErrorKind::invalid);
  for (const auto perms : {fs::perms::others_write, fs::perms::group_write}) {
    fs::create_directory(scratch / "open");
    fs::permissions(scratch / "open", perms, fs::perm_options::add);
    const auto added = watched.folders->add(scratch / "open");
    REQUIRE(added.error().kind == ErrorKind::invalid);
    REQUIRE(added.error().message.find("others may write") != std::string::npos);
    fs::remove(scratch / "open");
  }
}

TEST_CASE("a folder that others may write from now on is not read any more") {
  const ScratchFolder scratch;
  write_file(scratch / "a.json", job("a"));
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  fs::permissions(scratch.path(), fs::perms::others_write, fs::perm_options::add);
  watched.rescan();
  REQUIRE(watched.next(1).size() == 1);
  REQUIRE(watched.why.find("others may write") != std::string::npos);
  write_file(scratch / "b.json", job("b"));
  fs::permissions(scratch.path(), fs::perms::others_write, fs::perm_options::remove);
  REQUIRE(watched.next(1) == Told{"+b"});
}

TEST_CASE("a folder is served by one home at a time") {
  const ScratchFolder scratch;
  Watched first;
  first.add(scratch);
  Watched second;
  REQUIRE(second.folders->add(scratch.path()).error().kind == ErrorKind::locked);
  REQUIRE(first.folders->add(scratch.path()).error().kind == ErrorKind::locked);
  first.folders.reset();
  first.loop.run_once(false);
  second.add(scratch);
}

TEST_CASE("a read-only folder is served") {
  const ScratchFolder scratch;
  write_file(scratch / "a.json", job("a"));
  fs::permissions(scratch.path(), fs::perms::owner_read | fs::perms::owner_exec);
  Watched watched;
  watched.add(scratch);
  REQUIRE(watched.next(1) == Told{"+a"});
  fs::permissions(scratch.path(), fs::perms::owner_all);
}

TEST_CASE("a folder that is replaced by another of its name is followed there") {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "jobs");
  fs::create_directory(scratch / "new");
  write_file(scratch / "jobs/a.json", job("a"));
  write_file(scratch / "jobs/b.json", job("b"));
  write_file(scratch / "new/a.json", job("a"));
  write_file(scratch / "new/c.json", job("c"));
  Watched watched;
  const auto added = watched.folders->add(scratch / "jobs");
  REQUIRE(added);
  REQUIRE(watched.next(2) == Told{"+a", "+b"});
  fs::rename(scratch / "jobs", scratch / "old");
  fs::rename(scratch / "new", scratch / "jobs");
  REQUIRE(watched.next(2) == Told{"+c", "-b"});
  write_file(scratch / "jobs/d.json", job("d"));
  REQUIRE(watched.next(1) == Told{"+d"});
}

TEST_CASE("a folder that goes keeps its jobs, and says so") {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "jobs");
  write_file(scratch / "jobs/a.json", job("a"));
  Watched watched;
  const auto added = watched.folders->add(scratch / "jobs");
  REQUIRE(added);
  REQUIRE(watched.next(1) == Told{"+a"});
  fs::rename(scratch / "jobs", scratch / "away");
  REQUIRE(watched.next(1) == Told{"!jobs"});
  fs::rename(scratch / "away", scratch / "jobs");
  watched.rescan();
  REQUIRE(watched.told.empty());
}

TEST_CASE("everything may be destroyed inside an event") {
  const ScratchFolder scratch;
  for (int i = 0; i < 5; ++i) {
    write_file(scratch / ("j" + std::to_string(i) + ".json"), job("j" + std::to_string(i)));
  }
  Loop loop;
  int events = 0;
  std::unique_ptr<JobFolders> folders;
  folders = std::make_unique<JobFolders>(loop, JobFolders::Options{}, [&](JobFolderEvent) {
    ++events;
    folders.reset();
  });
  const auto added = folders->add(scratch.path());
  REQUIRE(added);
  loop.run();
  REQUIRE(events == 1);
}

TEST_CASE("ten thousand files are read with a few events a turn, the loop doing little for each") {
  const ScratchFolder scratch;
  constexpr int kFiles = 10'000;
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = "job-" + std::to_string(i);
    write_file(scratch / (name + ".json"), job(name));
  }
  Watched watched;
  const Duration begin = cpu_time();
  const auto added = watched.folders->add(scratch.path());
  REQUIRE(added);
  std::size_t most_in_a_turn = 0;
  while (watched.scans == 0) {
    const std::size_t before = watched.told.size();
    watched.loop.run_once(true);
    most_in_a_turn = std::max(most_in_a_turn, watched.told.size() - before);
  }
  const Duration computed = cpu_time() - begin;
  REQUIRE(watched.told.size() == kFiles);
  REQUIRE(most_in_a_turn <= 64);
  CHECK(computed < patient(250ms));  // about 25 ms
  watched.told.clear();
  watched.rescan();
  REQUIRE(watched.told.empty());
}

TEST_CASE("a job brings its calendar, and one that cannot be made quarantines the file") {
  const ScratchFolder scratch;
  Watched watched;
  const auto scheduled = [](const std::string& schedule) {
    return R"({"name": "nightly", "timeout": "1h", "tasks": [{"id": "t", "command": ["true"]}],
               "schedule": )" +
           schedule + "}";
  };
  write_file(scratch / "a.json",
             scheduled(R"({"cron": "0 2 * * *", "except": {"file": "days.txt"}})"));
  watched.add(scratch);
  CHECK(watched.next(1) == Told{"!a.json"});
  CHECK(watched.why.find("days.txt") != std::string::npos);
  write_file(scratch / "days.txt", "2026-12-25\n");
  write_file(scratch / "a.json",
             scheduled(R"({"cron": "0 2 * * *", "except": {"file": "./days.txt"}})"));
  CHECK(watched.next(1) == Told{"+nightly"});
  const JobCalendar made = watched.last.calendar;
  REQUIRE(made.calendar);
  CHECK(made.calendar->next(WallTime{1'798'070'400'000}) ==  // 24 December 2026
        WallTime{1'798'077'600'000});
  CHECK(made.calendar->next(WallTime{1'798'077'600'000}) == WallTime{1'798'250'400'000});
  CHECK(calendar_of(watched.last.spec)->key == made.key);
  write_file(scratch / "days.txt", "2026-12-26\n");
  CHECK(calendar_of(watched.last.spec)->key != made.key);
}

TEST_CASE("settings that change are those under which all files are read from then on") {
  const ScratchFolder scratch;
  Watched watched;
  write_file(scratch / "a.json", R"({"name": "a", "tasks": [{"id": "t", "command": ["true"],
             "pool": "gpu"}]})");
  write_file(scratch / "b.json", job("b"));
  watched.add(scratch);
  // In which order, the age of the wrong one decides: it may be half written.
  Told told = watched.next(2);
  std::sort(told.begin(), told.end());
  CHECK(told == Told{"!a.json", "+b"});
  CHECK(watched.why.find("there is no pool \"gpu\"") != std::string::npos);
  Settings settings;
  settings.pools["gpu"].slots = 2;
  settings.job_defaults = R"({"defaults": {"timeout": "1h"}})";
  watched.folders->change_settings(settings);
  CHECK(watched.next(2) == Told{"+a", "+b"});
  CHECK(watched.last.spec.tasks[0].timeout == 1h);
  CHECK(watched.last.text.find("\"timeout\":\"1h\"") != std::string::npos);
}

}  // namespace pawl
