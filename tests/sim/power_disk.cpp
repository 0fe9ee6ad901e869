#include "tests/sim/power_disk.h"

#include <algorithm>
#include <cstring>
#include <random>

#include <sqlite3.h>

#include "scheduler/base/check.h"

namespace pawl::sim {
namespace {

constexpr std::size_t kSector = 512;

struct Handle {
  sqlite3_file base;
  PowerDisk* disk;
  PowerDisk::File* file;
  const std::string* name;
  bool goes_with_handle;
  bool shares;
};

Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

int x_close(sqlite3_file* f) {
  Handle& h = handle(f);
  if (h.goes_with_handle) h.disk->remove(*h.name);
  delete h.name;
  return SQLITE_OK;
}

int x_read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  Handle& h = handle(f);
  if (h.disk->is_cut()) return SQLITE_IOERR_READ;
  const std::string& now = h.file->now;
  const auto size = static_cast<std::size_t>(n);
  const auto from = static_cast<std::size_t>(at);
  const std::size_t got = from >= now.size() ? 0 : std::min(size, now.size() - from);
  if (got > 0) std::memcpy(to, now.data() + from, got);
  if (got == size) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + got, 0, size - got);
  return SQLITE_IOERR_SHORT_READ;
}

void change(Handle& h, PowerDisk::File::Change what) {
  PowerDisk::apply(h.file->now, what);
  h.file->pending.push_back(std::move(what));
}

int x_write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  Handle& h = handle(f);
  if (h.disk->is_cut()) return SQLITE_IOERR_WRITE;
  const bool has_power = h.disk->may_change();
  // The write under way when the power goes may reach the disk, whole or in part.
  change(h, {static_cast<std::size_t>(at),
             {static_cast<const char*>(from), static_cast<std::size_t>(n)},
             false});
  return has_power ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int x_truncate(sqlite3_file* f, sqlite3_int64 size) {
  Handle& h = handle(f);
  if (!h.disk->may_change()) return SQLITE_IOERR_TRUNCATE;
  change(h, {static_cast<std::size_t>(size), {}, true});
  return SQLITE_OK;
}

int x_sync(sqlite3_file* f, int) {
  Handle& h = handle(f);
  if (!h.disk->may_change()) return SQLITE_IOERR_FSYNC;
  h.file->durable = h.file->now;
  h.file->pending.clear();
  h.file->is_durable = true;
  return SQLITE_OK;
}

int x_size(sqlite3_file* f, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(handle(f).file->now.size());
  return SQLITE_OK;
}
// One connection writes, and nobody else is there.
int x_lock(sqlite3_file*, int) { return SQLITE_OK; }
int x_reserved(sqlite3_file*, int* is) {
  *is = 0;
  return SQLITE_OK;
}
int x_control(sqlite3_file*, int op, void* arg) {
  if (op != SQLITE_FCNTL_PERSIST_WAL) return SQLITE_NOTFOUND;
  *static_cast<int*>(arg) = 1;
  return SQLITE_OK;
}
int x_sector(sqlite3_file*) { return static_cast<int>(kSector); }
int x_traits(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int x_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** to) {
  Handle& h = handle(f);
  auto& shared = h.file->shared;
  if (!h.shares) {
    h.shares = true;
    if (h.file->sharers++ == 0) shared.clear();
  }
  const auto place = static_cast<std::size_t>(page);
  *to = nullptr;
  if (place >= shared.size() && extend == 0) return SQLITE_OK;
  while (shared.size() <= place)
    shared.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *to = shared[place].get();
  return SQLITE_OK;
}
int x_shm_lock(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void x_shm_barrier(sqlite3_file*) {}
int x_shm_unmap(sqlite3_file* f, int) {
  Handle& h = handle(f);
  if (h.shares) --h.file->sharers;
  h.shares = false;
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    2,          x_close,       x_read,      x_write,   x_truncate, x_sync,   x_size,
    x_lock,     x_lock,        x_reserved,  x_control, x_sector,   x_traits, x_shm_map,
    x_shm_lock, x_shm_barrier, x_shm_unmap, nullptr,   nullptr};

PowerDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<PowerDisk*>(vfs->pAppData); }

int x_open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  static int unnamed = 0;
  PowerDisk& disk = disk_of(vfs);
  Handle& h = handle(file);
  h.base.pMethods = nullptr;
  if (disk.is_cut()) return SQLITE_CANTOPEN;
  const std::string path = name != nullptr ? name : "unnamed" + std::to_string(++unnamed);
  PowerDisk::File* found = disk.find(path);
  if (found == nullptr) {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    found = &disk.make(path);
  }
  h.disk = &disk;
  h.file = found;
  h.name = new std::string(path);
  h.goes_with_handle = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  h.shares = false;
  h.base.pMethods = &kMethods;
  if (out != nullptr) *out = flags;
  return SQLITE_OK;
}

int x_delete(sqlite3_vfs* vfs, const char* name, int) {
  PowerDisk& disk = disk_of(vfs);
  if (disk.find(name) == nullptr) return SQLITE_IOERR_DELETE_NOENT;
  if (!disk.may_change()) return SQLITE_IOERR_DELETE;
  disk.remove(name);
  return SQLITE_OK;
}
int x_access(sqlite3_vfs* vfs, const char* name, int, int* out) {
  *out = disk_of(vfs).find(name) != nullptr ? 1 : 0;
  return SQLITE_OK;
}
int x_path(sqlite3_vfs*, const char* name, int n, char* out) {
  sqlite3_snprintf(n, out, "%s", name);
  return SQLITE_OK;
}

}  // namespace

PowerDisk::PowerDisk() : vfs_(std::make_unique<sqlite3_vfs>()) {
  static int count = 0;
  name_ = "power-disk-" + std::to_string(++count);
  *vfs_ = *sqlite3_vfs_find(nullptr);
  vfs_->zName = name_.c_str();
  vfs_->pNext = nullptr;
  vfs_->pAppData = this;
  vfs_->szOsFile = static_cast<int>(sizeof(Handle));
  vfs_->xOpen = x_open;
  vfs_->xDelete = x_delete;
  vfs_->xAccess = x_access;
  vfs_->xFullPathname = x_path;
  PAWL_CHECK(sqlite3_vfs_register(vfs_.get(), 0) == SQLITE_OK);
}

PowerDisk::~PowerDisk() { sqlite3_vfs_unregister(vfs_.get()); }

bool PowerDisk::may_change() {
  if (is_cut_) return false;
  ++operations_;
  if (operations_ == cut_at_) cut();
  return !is_cut_;
}

void PowerDisk::cut() { is_cut_ = true; }

PowerDisk::File* PowerDisk::find(const std::string& name) {
  const auto it = files_.find(name);
  return it == files_.end() ? nullptr : &it->second;
}

void PowerDisk::apply(std::string& to, const File::Change& change) {
  if (change.is_truncation) {
    to.resize(change.at);
    return;
  }
  to.resize(std::max(to.size(), change.at + change.bytes.size()));
  to.replace(change.at, change.bytes.size(), change.bytes);
}

void PowerDisk::come_back(Remains remains, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto is_kept = [&random] { return (random() >> 40 & 1U) != 0; };
  for (auto it = files_.begin(); it != files_.end();) {
    File& file = it->second;
    PAWL_CHECK(file.sharers == 0);
    if (remains == Remains::everything) {
      file.durable = file.now;
      file.is_durable = true;
    }
    if (remains == Remains::sectors) {
      file.is_durable = file.is_durable || is_kept();
      for (const File::Change& change : file.pending) {
        if (change.is_truncation) {
          if (is_kept()) apply(file.durable, change);
          continue;
        }
        for (std::size_t from = 0; from < change.bytes.size();) {
          const std::size_t to_end = kSector - (change.at + from) % kSector;
          const std::string part = change.bytes.substr(from, to_end);
          if (is_kept()) apply(file.durable, {change.at + from, part, false});
          from += part.size();
        }
      }
    }
    file.now = file.durable;
    file.pending.clear();
    it = file.is_durable ? std::next(it) : files_.erase(it);
  }
  is_cut_ = false;
  cut_at_ = 0;
}

}  // namespace pawl::sim
