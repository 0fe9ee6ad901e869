#pragma once

// A folder that goes with the test, and files in it.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "plugins/worker/attempt_end.h"

namespace pawl::test {

class TempFolder {
 public:
  TempFolder() {
    std::string place = (std::filesystem::temp_directory_path() / "pawl-test-XXXXXX").string();
    path_ = ::mkdtemp(place.data());
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_whole(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
}

/// An end with every field set.
inline AttemptEnd full_end(std::int64_t attempt) {
  AttemptEnd end;
  end.attempt = AttemptId(attempt);
  end.outcome = Outcome::failed;
  end.reason = Reason::exit;
  end.exit_code = 3;
  end.stop_seen = true;
  end.may_be_cause = true;
  end.started_at = {1'795'000'000'000};
  end.ended_at = {1'795'000'001'250};
  end.use.cpu_us = 1234;
  end.use.peak_memory_bytes = 5 << 20;
  end.use.memory_bound_bytes = 6 << 20;
  end.log_bytes = 77;
  end.error_class = "ValueError";
  end.message = "cannot reach warehouse 3";
  end.trace = "Traceback\n  line";
  end.output = {OutputFormat::json, "{\"a\":1}", "", 7, 0};
  end.stay = 2;
  end.defer_for = Duration(7000);
  return end;
}

}  // namespace pawl::test
