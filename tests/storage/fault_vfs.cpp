#include "fault_vfs.h"

#include <cstring>
#include <mutex>

#include <sqlite3.h>

namespace pawl::test {
namespace {

struct Plan {
  Fault fault = Fault::none;
  std::int64_t at = 0;
  std::int64_t count = 0;
  bool struck = false;
};
// A writer's thread runs into the fault that the test's own takes back.
std::mutex plan_mutex;
Plan plan;

Fault armed() {
  const std::lock_guard lock(plan_mutex);
  return plan.fault;
}

enum class Operation { write, sync };

/// The error code of this operation, or SQLITE_OK to let it pass.
int judge(Operation operation) {
  const std::lock_guard lock(plan_mutex);
  if (plan.fault == Fault::none) return SQLITE_OK;
  if (plan.fault == Fault::sync_error && operation != Operation::sync) return SQLITE_OK;
  if ((plan.fault == Fault::no_room || plan.fault == Fault::write_error) &&
      operation != Operation::write) {
    return SQLITE_OK;
  }
  ++plan.count;
  const bool lasts = plan.fault == Fault::no_room || plan.fault == Fault::cut;
  if (plan.count != plan.at && !(lasts && plan.count > plan.at)) return SQLITE_OK;
  plan.struck = true;
  switch (plan.fault) {
    case Fault::none: return SQLITE_OK;
    case Fault::no_room: return SQLITE_FULL;
    case Fault::write_error: return SQLITE_IOERR_WRITE;
    case Fault::sync_error: return SQLITE_IOERR_FSYNC;
    case Fault::cut: return operation == Operation::sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  }
  return SQLITE_OK;
}

struct File {
  sqlite3_file base;
  sqlite3_file* real;
};

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

int x_close(sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); }
int x_read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  return real(f)->pMethods->xRead(real(f), to, n, at);
}
int x_write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  if (int code = judge(Operation::write); code != SQLITE_OK) {
    // A write that fails may have been half done.
    if (n > 1) real(f)->pMethods->xWrite(real(f), from, n / 2, at);
    return code;
  }
  return real(f)->pMethods->xWrite(real(f), from, n, at);
}
int x_truncate(sqlite3_file* f, sqlite3_int64 size) {
  if (int code = judge(Operation::write); code != SQLITE_OK)
    return code == SQLITE_FULL ? code : SQLITE_IOERR_TRUNCATE;
  return real(f)->pMethods->xTruncate(real(f), size);
}
int x_sync(sqlite3_file* f, int flags) {
  const int code = judge(Operation::sync);
  if (code != SQLITE_OK && armed() == Fault::cut) return code;
  const int done = real(f)->pMethods->xSync(real(f), flags);
  return code != SQLITE_OK ? code : done;
}
int x_size(sqlite3_file* f, sqlite3_int64* size) {
  return real(f)->pMethods->xFileSize(real(f), size);
}
int x_lock(sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); }
int x_unlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
int x_reserved(sqlite3_file* f, int* is) {
  return real(f)->pMethods->xCheckReservedLock(real(f), is);
}
int x_control(sqlite3_file* f, int op, void* arg) {
  return real(f)->pMethods->xFileControl(real(f), op, arg);
}
int x_sector(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
int x_traits(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
int x_shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** to) {
  return real(f)->pMethods->xShmMap(real(f), page, size, extend, to);
}
int x_shm_lock(sqlite3_file* f, int at, int n, int flags) {
  return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}
void x_shm_barrier(sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); }
int x_shm_unmap(sqlite3_file* f, int remove) {
  return real(f)->pMethods->xShmUnmap(real(f), remove);
}

const sqlite3_io_methods kMethods = {
    2,          x_close,       x_read,      x_write,   x_truncate, x_sync,   x_size,
    x_lock,     x_unlock,      x_reserved,  x_control, x_sector,   x_traits, x_shm_map,
    x_shm_lock, x_shm_barrier, x_shm_unmap, nullptr,   nullptr};

sqlite3_vfs* below = nullptr;

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* own = reinterpret_cast<File*>(file);
  own->base.pMethods = nullptr;
  own->real = reinterpret_cast<sqlite3_file*>(own + 1);
  const int code = below->xOpen(below, name, own->real, flags, out);
  if (own->real->pMethods != nullptr) own->base.pMethods = &kMethods;
  return code;
}
int x_delete(sqlite3_vfs*, const char* name, int sync) { return below->xDelete(below, name, sync); }
int x_access(sqlite3_vfs*, const char* name, int flags, int* out) {
  return below->xAccess(below, name, flags, out);
}
int x_path(sqlite3_vfs*, const char* name, int n, char* out) {
  return below->xFullPathname(below, name, n, out);
}

}  // namespace

const char* fault_vfs() {
  static sqlite3_vfs vfs;
  if (below == nullptr) {
    below = sqlite3_vfs_find(nullptr);
    vfs = *below;
    vfs.zName = "fault";
    vfs.pNext = nullptr;
    vfs.szOsFile = static_cast<int>(sizeof(File)) + below->szOsFile;
    vfs.xOpen = x_open;
    vfs.xDelete = x_delete;
    vfs.xAccess = x_access;
    vfs.xFullPathname = x_path;
    sqlite3_vfs_register(&vfs, 0);
  }
  return vfs.zName;
}

void arm(Fault fault, std::int64_t at) {
  const std::lock_guard lock(plan_mutex);
  plan = {fault, at, 0, false};
}
void disarm() { arm(Fault::none, 0); }
std::int64_t operations() {
  const std::lock_guard lock(plan_mutex);
  return plan.count;
}
bool has_struck() {
  const std::lock_guard lock(plan_mutex);
  return plan.struck;
}

}  // namespace pawl::test
