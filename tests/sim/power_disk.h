#pragma once

// A disk in memory, for SQLite, whose power can be cut at any operation. What was synced is there
// afterwards; of what was written since, a cut leaves nothing, all, or whatever sectors it likes,
// in any order.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct sqlite3_vfs;

namespace pawl::sim {

/// What a cut leaves of what was written and not synced. `keep` is also the death of the process
/// alone: the machine still has its writes.
enum class Remains : std::uint8_t { nothing, everything, sectors };

class PowerDisk {
 public:
  PowerDisk();
  ~PowerDisk();
  PowerDisk(const PowerDisk&) = delete;
  PowerDisk& operator=(const PowerDisk&) = delete;

  /// Name of the VFS that is this disk.
  const std::string& vfs() const { return name_; }

  /// Operations that change a file (writes, truncations, syncs, deletions) so far.
  std::int64_t operations() const { return operations_; }
  /// The power goes as the operation of this number begins, counted as `operations` counts.
  void cut_at(std::int64_t operation) { cut_at_ = operation; }
  /// The power goes now. Until `come_back` every operation fails.
  void cut();
  bool is_cut() const { return is_cut_; }
  /// The power is back. Whoever had files open must have closed them.
  void come_back(Remains remains, std::uint64_t seed);

  /// One file, as its readers see it and as the platters have it.
  struct File {
    struct Change {
      std::size_t at = 0;
      std::string bytes;  ///< of a truncation: none
      bool is_truncation = false;
    };
    std::string now;
    std::string durable;
    std::vector<Change> pending;
    bool is_durable = false;                      ///< its name survives a cut
    std::vector<std::unique_ptr<char[]>> shared;  ///< pages of memory that connections share
    int sharers = 0;
  };

  // For the VFS.
  // ------------------------------------------------------------------------------------

  /// Counts an operation; false when there is no power for it.
  bool may_change();
  File* find(const std::string& name);
  File& make(const std::string& name) { return files_[name]; }
  void remove(const std::string& name) { files_.erase(name); }
  static void apply(std::string& to, const File::Change& change);

 private:
  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  std::map<std::string, File> files_;
  std::int64_t operations_ = 0;
  std::int64_t cut_at_ = 0;
  bool is_cut_ = false;
};

}  // namespace pawl::sim
