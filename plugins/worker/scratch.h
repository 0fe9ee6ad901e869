#pragma once

// PAWL_SCRATCH: a folder of its own for every attempt. Making and removing one costs as much as
// starting a program, and most are never used; so a folder that is still as it was made is handed
// to a later attempt, and one that was used is moved away and emptied bit by bit, because a task
// may leave a million files behind. Links are removed, never followed.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/loop/fd.h"

namespace pawl {

struct Scratch {
  std::uint32_t number = 0;
  std::string path;         ///< absolute, an empty folder of mode 0700
  std::string output_path;  ///< beside it: where PAWL_OUTPUT may be; nothing is there
};

class ScratchPool {
 public:
  /// `folder` is made with the first scratch. `on_left` hears once, as a sentence, that something
  /// of a task cannot be removed; what cannot stays, and is not tried again.
  explicit ScratchPool(std::string folder, std::function<void(const std::string&)> on_left = {});
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
  struct Emptied {
    std::size_t tried = 0;    ///< entries
    std::size_t removed = 0;  ///< of these
    bool is_done = true;      ///< there are no others
    int error = 0;            ///< why the last of those stayed that did
  };

  Result<void> open();
  Scratch scratch(std::uint32_t number) const;
  bool is_untouched(const char* name) const;
  int throw_away(int parent, const char* name);
  Emptied empty_folder(const std::string& name, std::size_t entries_max);
  void leave(int error);

  std::string path_;
  std::function<void(const std::string&)> on_left_;  ///< empty once it was told
  Fd folder_;
  Fd trash_;  ///< in it: what is only moved there and emptied there, nowhere else
  dev_t device_ = 0;
  uid_t owner_ = 0;
  std::vector<std::uint32_t> free_;
  std::vector<std::string> rubbish_;  ///< names in the trash, each emptied without descending
  std::uint32_t last_number_ = 0;
  std::uint64_t last_rubbish_ = 0;
};

}  // namespace pawl
