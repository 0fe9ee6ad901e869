#pragma once

// Keeps the output of an attempt that has ended: at once, or on another thread when that may take
// long.

#include <functional>
#include <memory>

#include "plugins/worker/output.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/work.h"

namespace pawl {

class OutputKeeping {
 public:
  /// `kept` gets the result of finish_output: before this returns, or later on the loop; never once
  /// this is gone.
  void start(Loop& loop, OutputSource source, std::function<void(OutputResult&&)> kept);

 private:
  std::unique_ptr<Work> work_;
};

}  // namespace pawl
