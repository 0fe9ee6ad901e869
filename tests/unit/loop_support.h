#pragma once

// What tests around the event loop share: a scratch folder and waiting with a deadline.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "scheduler/base/check.h"
#include "scheduler/loop/loop.h"
#include "scheduler/loop/timer.h"
#include "tests/patience.h"

namespace pawl::test {

/// An empty folder that goes with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pawl-test-XXXXXX").string();
    PAWL_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  PAWL_CHECK(file.good());
}

/// Turns the loop until `done()`, which is not asked again then; false when the deadline came
/// first.
template <typename Done>
bool run_until(Loop& loop, Done done, Duration deadline = std::chrono::seconds(20)) {
  bool late = false;
  Timer timer(loop, [&late] { late = true; });
  timer.start_after(patient(deadline));
  while (!late) {
    if (done()) return true;
    loop.run_once(true);
  }
  return done();
}

}  // namespace pawl::test
