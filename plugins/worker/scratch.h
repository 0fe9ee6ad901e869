#pragma once

// PAWL_SCRATCH: a folder of its own for every attempt. Making and removing one costs as much as
// starting a program, and most are never used; so a folder that is still as it was made is handed
// to a later attempt, and one that was used is moved away and emptied bit by bit, because a task
// may leave a million files behind.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/base/result.h"

namespace pawl {

struct Scratch {
  std::uint32_t number = 0;
  std::string path;         ///< absolute, an empty folder of mode 0700
  std::string output_path;  ///< beside it: where PAWL_OUTPUT may be; nothing is there
};

class ScratchPool {
 public:
  /// `folder` is made with the first scratch.
  explicit ScratchPool(std::string folder);
  ~ScratchPool();
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;

  /// Errors: storage (no room, no inodes, no permission).
  Result<Scratch> take();
  /// No process of the attempt is left. `output_declared`: something may lie at `output_path`.
  void give_back(const Scratch& scratch, bool output_declared);

  /// Removes up to `entries_max` files of used folders. True while there is more.
  bool clean(std::size_t entries_max);
  bool has_rubbish() const { return !rubbish_.empty(); }

  /// Removes everything that is empty, and what is left of used folders up to `entries_max` files.
  void remove_all(std::size_t entries_max);

 private:
  Result<Scratch> make();
  bool is_untouched(const std::string& path) const;
  void throw_away(const std::string& path);
  std::size_t empty_folder(const std::string& path, std::size_t entries_max, bool& is_empty);

  std::string folder_;
  std::string trash_;
  std::vector<std::uint32_t> free_;
  std::vector<std::string> rubbish_;  ///< folders in `trash_`, each emptied without descending
  std::uint32_t last_number_ = 0;
  std::uint64_t last_rubbish_ = 0;
  bool is_made_ = false;
};

}  // namespace pawl
