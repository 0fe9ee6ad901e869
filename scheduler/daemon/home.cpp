#include "scheduler/daemon/home.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "scheduler/loop/clock.h"
#include "scheduler/loop/fd.h"
#include "storage/ballast.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;

/// Less room than this for a start, and the first commits would fail.
constexpr off_t kRoomBytes = 4 << 20;
constexpr Duration kLockPause = std::chrono::milliseconds(20);

Error unusable(const std::string& home, const std::string& why) {
  return Error{ErrorKind::home_unusable, "cannot use home " + home + ": " + why};
}

Error unusable(const std::string& home, int code) {
  const std::string why = std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) {
    return Error{ErrorKind::storage,
                 "cannot use home " + home + ": disk full (" + why + "). Make room, or move it"};
  }
  if (code == EROFS || code == EACCES || code == EPERM) {
    return unusable(home, "not writable (" + why + "). Choose another with --home or PAWL_HOME");
  }
  return unusable(home, why);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before threads start
  return value == nullptr ? "" : value;
}

std::string folder_of_user() {
  std::string home = variable("HOME");
  if (!home.empty()) return home;
  std::array<char, 16u << 10> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0) return {};
  return found == nullptr ? "" : found->pw_dir;
}

Result<std::string> absolute_path(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return Error{ErrorKind::invalid, "cannot use that home: its path holds a NUL"};
  }
  std::error_code failure;
  fs::path absolute = fs::absolute(path, failure).lexically_normal();
  if (failure)
    return Error{ErrorKind::invalid, "cannot use home " + path + ": " + failure.message()};
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // a slash at the end
  return absolute.string();
}

/// A folder, ours; with `closed`, one that nobody else may enter.
Result<void> check_owner(const std::string& path, bool closed) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Error{ErrorKind::not_found, "no home at " + path};
    return unusable(path, errno);
  }
  if (!S_ISDIR(info.st_mode)) return unusable(path, "not a folder. Choose another with --home");
  const bool ours = info.st_uid == ::geteuid();
  if (!ours && (closed || ::geteuid() != 0)) {
    return unusable(path, "it belongs to another user (" + std::to_string(info.st_uid) +
                              "). Use pawl as that user, or another home");
  }
  if (closed && (info.st_mode & 077) != 0) {
    return unusable(path, "other users may enter it. Try chmod 700 " + path);
  }
  return {};
}

Result<void> check_file_system(const std::string& path) {
  fs::path existing = path;
  std::error_code ignored;
  while (!fs::exists(existing, ignored) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  const auto network = network_file_system(existing.string());
  if (!network) return unusable(path, network.error().message);
  if (network->empty()) return {};
  return unusable(path, "it is on " + std::string(*network) +
                            ", where locks cannot be trusted. Choose a local disk with --home");
}

Result<void> make_folder(const std::string& home, const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return unusable(home, errno);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return unusable(home, errno);
  if (!S_ISDIR(info.st_mode)) return unusable(home, path + " is not a folder");
  return {};
}

Result<void> make_folders(const std::string& home) {
  fs::path built;
  for (const fs::path& part : fs::path(home)) {
    built /= part;
    struct stat info {};
    if (::stat(built.c_str(), &info) == 0) continue;
    if (auto made = make_folder(home, built.string()); !made) return made;
  }
  return {};
}

/// Writes what a start needs at least, and takes it back. The code of what went wrong, or 0.
int probe_room(const std::string& home) {
  const std::string path = home + "/probe." + std::to_string(::getpid());
  ::unlink(path.c_str());
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return errno;
  int code = ::fallocate(fd.get(), 0, 0, kRoomBytes) == 0 ? 0 : errno;
  if (code == EOPNOTSUPP) code = ::write(fd.get(), "x", 1) == 1 ? 0 : errno;
  ::unlink(path.c_str());
  return code;
}

/// On a full disk a start needs the ballast, unless a scheduler is up, which then needs it.
Result<void> check_room(const Home& home) {
  int code = probe_room(home.path());
  const bool is_full = code == ENOSPC || code == EDQUOT;
  if (is_full && !home.locked() && Ballast(home.ballast()).release())
    code = probe_room(home.path());
  if (code != 0) return unusable(home.path(), code);
  return {};
}

std::string read_word(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  std::array<char, 256> buffer;
  const ssize_t n = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : 0;
  const std::string_view text(buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(text.substr(0, text.find_first_of(" \n")));
}

/// A home that was copied or mounted elsewhere has attempts that this machine knows nothing of.
Result<void> check_machine(const std::string& home) {
  const std::string own = machine_id();
  if (own.empty()) return {};
  const std::string path = home + "/machine";
  if (read_word(path) == own) return {};
  if (const std::string other = other_machine_of(home); !other.empty()) {
    return unusable(home, "it belongs to another machine (" + other +
                              "). If it was moved here for good"
                              " and is used nowhere else, remove " +
                              path);
  }
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const std::string text = own + "\n";
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return unusable(home, errno);
  }
  return {};
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

void pause_for(Duration duration) {
  timespec wait{.tv_sec = duration.count() / 1000,
                .tv_nsec = static_cast<long>(duration.count() % 1000 * 1'000'000)};
  ::nanosleep(&wait, nullptr);
}

}  // namespace

Result<std::string> resolve_home(std::string_view flag) {
  if (!flag.empty()) return absolute_path(std::string(flag));
  if (const std::string named = variable("PAWL_HOME"); !named.empty()) return absolute_path(named);
  // The base directory specification wants relative values ignored.
  if (const std::string state = variable("XDG_STATE_HOME"); state.starts_with('/')) {
    return absolute_path(state + "/pawl");
  }
  const std::string user = folder_of_user();
  if (!user.starts_with('/')) {
    return Error{ErrorKind::invalid,
                 "no home: this user has no folder of its own. Name one with --home or PAWL_HOME"};
  }
  return absolute_path(user + "/.local/state/pawl");
}

std::string other_machine_of(const std::string& home) {
  const std::string own = machine_id();
  const std::string known = read_word(home + "/machine");
  return own.empty() || known == own ? std::string() : known;
}

Result<Home> Home::open(const std::string& path) {
  if (const auto checked = check_owner(path, false); !checked) return checked.error();
  Home home(path, false);
  home.is_new_ = !exists(home.database());
  return home;
}

Result<Home> Home::open_or_create(const std::string& path) {
  if (const auto checked = check_file_system(path); !checked) return checked.error();
  if (const auto made = make_folders(path); !made) return made.error();
  if (const auto checked = check_owner(path, true); !checked) return checked.error();
  Home home(path, false);
  if (const auto checked = check_room(home); !checked) return checked.error();
  if (const auto checked = check_machine(path); !checked) return checked.error();
  for (const std::string& part : {home.workers(), home.logs(), home.outputs(), home.scratch()}) {
    if (const auto made = make_folder(path, part); !made) return made.error();
  }
  home.is_new_ = !exists(home.database());
  return home;
}

Result<FileLock> Home::lock(Duration wait) const {
  const MonoTime deadline = mono_now() + wait;
  while (true) {
    auto lock = FileLock::try_take(lock_file());
    if (lock || lock.error().kind != ErrorKind::locked) return lock;
    const Duration left = deadline - mono_now();
    if (left.count() <= 0) {
      return Error{ErrorKind::locked, "home " + path_ + " is locked: " + lock.error().message +
                                          ". End that process, or use another home"};
    }
    pause_for(std::min(left, kLockPause));
  }
}

bool Home::locked() const {
  const auto held = FileLock::is_held(lock_file());
  return !held || *held;
}

}  // namespace pawl
