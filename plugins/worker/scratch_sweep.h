#pragma once

// Removes the scratch folders of a host's attempts. Most attempts never make theirs, so of many
// that ended those that were made are found by one look at the folder that holds them; what is not
// empty goes off the loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

class ScratchSweep {
 public:
  /// `folder` holds one folder for each attempt. `on_done`: a removal off the loop has ended, and
  /// `sweep` may have more to do.
  ScratchSweep(Loop& loop, std::string folder, std::function<void()> on_done);

  /// An attempt has ended that might have made its folder `path`.
  void add(std::string path) { old_.push_back(std::move(path)); }
  void sweep();

 private:
  Loop& loop_;
  std::string folder_;
  std::function<void()> on_done_;
  std::vector<std::string> old_;   ///< most were never made
  std::vector<std::string> left_;  ///< not empty
  std::unique_ptr<Work> work_;
};

}  // namespace pawl
