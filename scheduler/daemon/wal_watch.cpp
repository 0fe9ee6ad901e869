#include "scheduler/daemon/wal_watch.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "scheduler/base/text.h"
#include "scheduler/base/words.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;

// Of a page of the store with its header in the log.
constexpr std::int64_t kPageBytes = 4096 + 24;
// Bytes of the shared memory that SQLite locks to hold one of its five read marks.
constexpr std::uint64_t kFirstReadMark = 123;
constexpr std::uint64_t kLastReadMark = 127;
constexpr std::size_t kCommandMax = 80;

/// One line of /proc/locks: `7: POSIX  ADVISORY  READ 4711 fe:00:9978051 124 124`.
struct LockLine {
  pid_t pid = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

std::optional<LockLine> read_lock(const std::string& line) {
  std::istringstream words(line);
  std::string number, kind, mode, type, pid, file, first, last;
  // A line of a lock that waits has an arrow in it, and so too many words to fit.
  if (!(words >> number >> kind >> mode >> type >> pid >> file >> first >> last)) return {};
  const std::size_t minor = file.find(':');
  const std::size_t inode = file.rfind(':');
  if (type != "READ" || minor == inode) return {};
  const auto major_number = whole_number<unsigned>(file.substr(0, minor), 16);
  const auto minor_number = whole_number<unsigned>(file.substr(minor + 1, inode - minor - 1), 16);
  const auto inode_number = whole_number<std::uint64_t>(file.substr(inode + 1));
  const auto pid_number = whole_number<pid_t>(pid);
  const auto first_byte = whole_number<std::uint64_t>(first);
  const auto last_byte = whole_number<std::uint64_t>(last);
  if (!major_number || !minor_number || !inode_number || !pid_number || !first_byte || !last_byte)
    return {};
  return LockLine{*pid_number, makedev(*major_number, *minor_number), *inode_number, *first_byte,
                  *last_byte};
}

/// Locks of that file; some file systems tell another device here than they do of the file.
std::set<pid_t> lock_holders(const struct stat& file) {
  std::set<pid_t> exact;
  std::set<pid_t> by_number;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    const auto lock = read_lock(line);
    if (!lock || lock->inode != file.st_ino || lock->pid <= 0) continue;
    if (lock->last < kFirstReadMark || lock->first > kLastReadMark) continue;
    (lock->device == file.st_dev ? exact : by_number).insert(lock->pid);
  }
  return exact.empty() ? by_number : exact;
}

/// Processes of which a descriptor is that file.
std::set<pid_t> file_holders(const std::string& path) {
  std::set<pid_t> pids;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const auto pid = whole_number<pid_t>(process.path().filename().string());
    if (!pid || *pid == getpid()) continue;
    std::error_code hidden;
    for (auto fd = fs::directory_iterator(process.path() / "fd", hidden);
         !hidden && fd != fs::directory_iterator(); fd.increment(hidden)) {
      std::error_code gone;
      if (fs::read_symlink(fd->path(), gone) == path) pids.insert(*pid);
    }
  }
  return pids;
}

/// The words that a process was started with.
std::string command_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::stringstream words;
  words << file.rdbuf();
  std::string text = words.str();
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (text.size() > kCommandMax) text = text.substr(0, kCommandMax) + "…";
  return escape_for_terminal(text);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::int64_t kMebibyte = 1 << 20;
  return std::to_string((bytes + kMebibyte - 1) / kMebibyte) + " MiB";
}

}  // namespace

std::vector<StoreReader> readers_of(const std::string& database) {
  const std::string memory = database + "-shm";
  struct stat file {};
  if (stat(memory.c_str(), &file) != 0) return {};
  std::set<pid_t> pids = lock_holders(file);
  if (pids.empty()) pids = file_holders(memory);
  // This process reads at each commit; it matters only when nobody else does.
  if (pids.size() > 1) pids.erase(getpid());
  std::vector<StoreReader> readers;
  for (const pid_t pid : pids) readers.push_back({pid, command_of(pid)});
  return readers;
}

WalWatch::WalWatch(Loop& loop, Writer& writer, Options options, std::function<void()> changed)
    : loop_(loop),
      writer_(writer),
      options_(std::move(options)),
      changed_(std::move(changed)),
      timer_(loop, [this] { look_again(); }),
      finding_(loop) {}

WalWatch::~WalWatch() { *alive_ = false; }

std::int64_t WalWatch::bytes() const { return writer_.wal_pages() * kPageBytes; }

void WalWatch::change_bytes_max(std::int64_t bytes_max) {
  options_.bytes_max = bytes_max;
  look();
}

void WalWatch::look() {
  if (is_over_ || bytes() <= options_.bytes_max) return;
  is_over_ = true;
  has_looked_ = false;
  look_again();
  changed_();
}

void WalWatch::look_again() {
  // Half of the bound, so that a log on the edge does not start and stop things all the time.
  if (bytes() <= options_.bytes_max / 2) {
    is_over_ = false;
    readers_.clear();
    return changed_();
  }
  // With nothing to write the writer sleeps, and the log would stay as it is. A failure shows at
  // the next commit.
  writer_.load([](Store& store) -> std::function<void()> {
    static_cast<void>(store.checkpoint());
    return nullptr;
  });
  timer_.start_after(options_.look_every);
  auto readers = std::make_shared<std::vector<StoreReader>>();
  finding_.start([readers, database = options_.database] { *readers = readers_of(database); },
                 [this, alive = alive_, readers] {
                   if (*alive) found(std::move(*readers));
                 });
}

void WalWatch::found(std::vector<StoreReader> readers) {
  if (!is_over_) return;
  // Short readers come and go; who is there each time is the one.
  std::vector<StoreReader> stayed;
  for (StoreReader& reader : readers) {
    const bool was_there = std::find(readers_.begin(), readers_.end(), reader) != readers_.end();
    if (!has_looked_ || was_there) stayed.push_back(std::move(reader));
  }
  has_looked_ = !stayed.empty();
  if (stayed == readers_) return;
  readers_ = std::move(stayed);
  changed_();
}

std::string WalWatch::sentence() const {
  std::string text = "the write-ahead log has grown to " + size_text(bytes());
  if (readers_.empty()) return text + ", because somebody reads the store without an end";
  text += ", because it is being read by ";
  for (const StoreReader& reader : readers_) {
    if (&reader != &readers_.front()) text += ", ";
    text += "process " + std::to_string(reader.pid);
    if (!reader.command.empty()) text += " (" + reader.command + ")";
  }
  return text + ". It goes on by itself when that ends";
}

}  // namespace pawl
