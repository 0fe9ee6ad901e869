#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/file_lock.h"
#include "scheduler/loop/fs_watch.h"
#include "scheduler/loop/unix_socket.h"
#include "tests/unit/loop_support.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;
using test::run_until;
using test::ScratchFolder;
using test::write_file;

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

/// A folder whose path alone is longer than a socket's address.
std::string deep_folder(const ScratchFolder& scratch) {
  std::string path = scratch / (std::string(80, 'a') + "/" + std::string(80, 'b'));
  fs::create_directories(path);
  REQUIRE(path.size() > 107);
  return path;
}

}  // namespace

TEST_CASE("a socket works at a path of any length, mode 0600, and tells who connects") {
  Loop loop;
  const ScratchFolder scratch;
  const std::string path = deep_folder(scratch) + "/sock";
  auto listening = listen_unix(path);
  REQUIRE(listening);
  REQUIRE(mode_of(path) == 0600);
  std::vector<Fd> accepted;
  Peer seen;
  UnixListener listener(loop, std::move(*listening), [&](Fd socket, Peer peer) {
    accepted.push_back(std::move(socket));
    seen = peer;
  });
  const auto connected = connect_unix(path);
  REQUIRE(connected);
  REQUIRE(run_until(loop, [&] { return accepted.size() == 1; }));
  REQUIRE(seen.uid == ::geteuid());
  REQUIRE(seen.pid == ::getpid());
  REQUIRE(is_trusted(seen));
  REQUIRE_FALSE(is_trusted(Peer{.uid = ::geteuid() + 1, .gid = 0, .pid = 1}));
}

TEST_CASE("connecting tells a missing socket from one that nobody listens on") {
  const ScratchFolder scratch;
  REQUIRE(connect_unix(scratch / "none").error().kind == ErrorKind::not_found);
  REQUIRE(connect_unix(scratch / "no/folder/sock").error().kind == ErrorKind::not_found);
  { const auto gone = listen_unix(scratch / "sock"); }
  REQUIRE(connect_unix(scratch / "sock").error().kind == ErrorKind::refused);
}

TEST_CASE("a socket that a dead process left is replaced, another file is not") {
  const ScratchFolder scratch;
  { const auto old = listen_unix(scratch / "sock"); }
  const auto fresh = listen_unix(scratch / "sock");
  REQUIRE(fresh);
  REQUIRE(connect_unix(scratch / "sock"));
  write_file(scratch / "file", "precious");
  const auto refused = listen_unix(scratch / "file");
  REQUIRE(refused.error().kind == ErrorKind::home_unusable);
  REQUIRE(fs::file_size(scratch / "file") == 8);
}

TEST_CASE("a name that is too long for any socket is an error") {
  const ScratchFolder scratch;
  REQUIRE_FALSE(listen_unix(scratch / std::string(200, 'n')));
}

TEST_CASE("a lock excludes a second holder and names the first") {
  const ScratchFolder scratch;
  const std::string path = scratch / "lock";
  REQUIRE_FALSE(*FileLock::is_held(path));
  REQUIRE_FALSE(*FileLock::last_holder(path));
  {
    const auto lock = FileLock::try_take(path);
    REQUIRE(lock);
    REQUIRE(mode_of(path) == 0600);
    REQUIRE(*FileLock::is_held(path));
    const auto second = FileLock::try_take(path);
    REQUIRE(second.error().kind == ErrorKind::locked);
    REQUIRE(second.error().message.find(std::to_string(::getpid())) != std::string::npos);
    REQUIRE(*FileLock::last_holder(path) == own_identity());
  }
  REQUIRE_FALSE(*FileLock::is_held(path));
  REQUIRE(FileLock::try_take(path));
}

TEST_CASE("who is written in a lock and does not hold it is not killed") {
  const ScratchFolder scratch;
  const std::string path = scratch / "lock";
  REQUIRE_FALSE(FileLock::kill_holder(path));
  const pid_t child = ::fork();
  if (child == 0) {
    while (true) ::pause();
  }
  const ProcessIdentity stranger{boot_id(), child, *process_start_time(child)};
  const auto write = [&](const ProcessIdentity& who) {
    write_file(path, format_identity(who) + "\n");
  };
  // It held it once.
  write(stranger);
  REQUIRE(FileLock::kill_holder(path).error().kind == ErrorKind::not_found);
  // Somebody holds it, and its number is another's by now, or of another boot.
  const auto lock = FileLock::try_take(path);
  REQUIRE(lock);
  write({stranger.boot_id, child, stranger.start_time - 1});
  REQUIRE(FileLock::kill_holder(path).error().kind == ErrorKind::not_found);
  write({"another boot", child, stranger.start_time});
  REQUIRE(FileLock::kill_holder(path).error().kind == ErrorKind::not_found);
  REQUIRE(::waitpid(child, nullptr, WNOHANG) == 0);
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("what hinders a look at a lock is told apart from a lock that is not there") {
  const ScratchFolder scratch;
  write_file(scratch / "file", "");
  fs::create_symlink("elsewhere", scratch / "link");
  for (const char* name : {"missing", "no/such/folder", "file/lock", "file"}) {
    INFO(name);
    REQUIRE_FALSE(*FileLock::is_held(scratch / name));
    REQUIRE_FALSE(*FileLock::last_holder(scratch / name));
    REQUIRE(FileLock::kill_holder(scratch / name).error().kind == ErrorKind::not_found);
  }
  const auto look = [](const std::string& path) {
    INFO(path);
    REQUIRE(FileLock::is_held(path).error().kind == ErrorKind::home_unusable);
    REQUIRE(FileLock::last_holder(path).error().message.find(path) != std::string::npos);
    REQUIRE(FileLock::kill_holder(path).error().kind == ErrorKind::home_unusable);
  };
  look(scratch / "link");
  const auto lock = FileLock::try_take(scratch / "lock");
  REQUIRE(lock);
  // No descriptor is left for this process.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const Fd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit none{static_cast<rlim_t>(lowest.get()), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto held = FileLock::is_held(scratch / "lock");
  const auto holder = FileLock::last_holder(scratch / "lock");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE_FALSE(held);
  REQUIRE_FALSE(holder);
  REQUIRE(*FileLock::is_held(scratch / "lock"));
}

TEST_CASE("a lock ends with its process, whatever ended that") {
  const ScratchFolder scratch;
  const std::string path = scratch / "lock";
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = FileLock::try_take(path);
    if (::write(ready[1], lock ? "y" : "n", 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  REQUIRE(answer == 'y');
  REQUIRE(*FileLock::is_held(path));
  REQUIRE(FileLock::try_take(path).error().kind == ErrorKind::locked);
  const auto holder = *FileLock::last_holder(path);
  REQUIRE(holder);
  REQUIRE(holder->pid == child);
  REQUIRE(exists(*holder));
  REQUIRE(FileLock::kill_holder(path));
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  REQUIRE_FALSE(exists(*holder));
  REQUIRE_FALSE(*FileLock::is_held(path));
  REQUIRE(FileLock::try_take(path));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("what is not a plain file is no lock") {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "folder");
  fs::create_symlink("elsewhere", scratch / "link");
  REQUIRE(::mkfifo((scratch / "fifo").c_str(), 0600) == 0);
  for (const char* name : {"folder", "link", "fifo", "no/such/folder"}) {
    INFO(name);
    REQUIRE(FileLock::try_take(scratch / name).error().kind == ErrorKind::home_unusable);
  }
  REQUIRE_FALSE(fs::exists(scratch / "elsewhere"));
}

TEST_CASE("a local file system is not taken for one of the network") {
  REQUIRE(network_file_system("/proc")->empty());
  REQUIRE(network_file_system("/no/such/path").error().kind == ErrorKind::not_found);
}

TEST_CASE("a process is known by boot, pid and start time") {
  const ProcessIdentity self = own_identity();
  REQUIRE(self.start_time > 0);
  REQUIRE(exists(self));
  auto other = self;
  ++other.start_time;
  REQUIRE_FALSE(exists(other));
  other = self;
  other.boot_id = "another boot";
  REQUIRE_FALSE(exists(other));
  REQUIRE_FALSE(process_start_time(-1));
  REQUIRE(parse_identity(format_identity(self)) == self);
  REQUIRE(parse_identity(format_identity(self) + "\n") == self);
}

TEST_CASE("garbage is nobody's identity") {
  for (const char* text : {"", " ", "boot", "boot 1", "boot 1 x", "boot -1 5", "boot 0 5",
                           "boot 1 2 3", "boot 99999999999999999999 1", "boot 1 -2"}) {
    INFO(text);
    REQUIRE_FALSE(parse_identity(text));
  }
}

TEST_CASE("the clocks go on and random bytes differ") {
  const Now before = read_clocks();
  const Now after = read_clocks();
  REQUIRE(after.mono >= before.mono);
  REQUIRE(before.wall.ms > 1'600'000'000'000);
  REQUIRE(random_u64() != random_u64());
  REQUIRE_FALSE(boot_id().empty());
}

namespace {

/// A watch that keeps what it is told.
struct Watched {
  Watched(Loop& loop, const std::string& folder) {
    const Fd fd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    auto opened =
        FsWatch::open(loop, fd.get(), [this](FsWatch::Event event, std::string_view name) {
          switch (event) {
            case FsWatch::Event::changed: changed.emplace(name); break;
            case FsWatch::Event::removed: removed.emplace(name); break;
            case FsWatch::Event::missed: missed = true; break;
            case FsWatch::Event::gone: gone = true; break;
          }
        });
    REQUIRE(opened);
    watch = std::move(*opened);
  }

  std::set<std::string> changed;
  std::set<std::string> removed;
  bool missed = false;
  bool gone = false;
  std::unique_ptr<FsWatch> watch;
};

}  // namespace

TEST_CASE("a watch tells what is made, written, moved and removed in a folder") {
  Loop loop;
  const ScratchFolder scratch;
  const ScratchFolder elsewhere;
  write_file(scratch / "old", "1");
  Watched seen(loop, scratch.path());
  write_file(scratch / "old", "2");
  write_file(scratch / "new", "1");
  write_file(elsewhere / "moved", "1");
  fs::rename(elsewhere / "moved", scratch / "moved");
  REQUIRE(run_until(loop, [&] { return seen.changed.size() == 3; }));
  REQUIRE(seen.changed == std::set<std::string>{"old", "new", "moved"});
  fs::remove(scratch / "old");
  fs::rename(scratch / "moved", elsewhere / "moved");
  REQUIRE(run_until(loop, [&] { return seen.removed.size() == 2; }));
  REQUIRE(seen.removed == std::set<std::string>{"old", "moved"});
}

TEST_CASE("a watch tells when its folder goes") {
  Loop loop;
  const ScratchFolder scratch;
  fs::create_directory(scratch / "folder");
  Watched seen(loop, scratch / "folder");
  fs::remove(scratch / "folder");
  REQUIRE(run_until(loop, [&] { return seen.gone; }));
}

TEST_CASE("a watch tells when it missed something") {
  Loop loop;
  const ScratchFolder scratch;
  write_file(scratch / "a", "");
  write_file(scratch / "b", "");
  Watched seen(loop, scratch.path());
  // The kernel keeps 16,384 events unless told otherwise, and folds equal ones that follow each
  // other.
  std::size_t kept = 16'384;
  if (std::ifstream limit("/proc/sys/fs/inotify/max_queued_events"); limit) limit >> kept;
  for (std::size_t i = 0; i < kept / 2 + 10; ++i) {
    ::chmod((scratch / "a").c_str(), 0600);
    ::chmod((scratch / "b").c_str(), 0600);
  }
  REQUIRE(run_until(loop, [&] { return seen.missed; }));
}

TEST_CASE("a watch may be destroyed in its own callback") {
  Loop loop;
  const ScratchFolder scratch;
  const Fd fd(::open(scratch.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<FsWatch> watch;
  int calls = 0;
  watch = std::move(*FsWatch::open(loop, fd.get(), [&](FsWatch::Event, std::string_view) {
    watch.reset();
    ++calls;
  }));
  write_file(scratch / "a", "1");
  write_file(scratch / "b", "1");
  loop.run();
  REQUIRE(calls == 1);
}

}  // namespace pawl
