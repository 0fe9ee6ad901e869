#pragma once

// A VFS over the system's in which the n-th operation that changes a file fails. Everything here
// may be called from any thread.

#include <cstdint>
#include <string>

namespace pawl::test {

enum class Fault {
  none,
  no_room,      ///< writes fail with ENOSPC, that one and all after it; syncs still work
  write_error,  ///< that one write fails, later ones work
  sync_error,   ///< that one sync reports failure, though it synced
  cut,          ///< that operation and all after it fail: power is gone
};

/// Registers the VFS once; its name for sqlite3_open_v2.
const char* fault_vfs();

/// Counts from now on the operations that the fault is about (writes and truncations, syncs, or
/// all of them); the one with number `at`, from 1, fails.
void arm(Fault fault, std::int64_t at);
void disarm();
/// Operations counted since `arm`.
std::int64_t operations();
/// Whether the fault happened.
bool has_struck();

}  // namespace pawl::test
