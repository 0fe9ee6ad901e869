// Who may include whom, as the design says; and one home for each library.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace {

namespace fs = std::filesystem;

struct Include {
  std::string file;  ///< from the repository root
  int line = 0;
  std::string target;
  bool quoted = false;
};

const std::vector<std::string>& code_folders() {
  static const std::vector<std::string> kFolders = {"scheduler", "storage", "plugins", "cli"};
  return kFolders;
}

bool is_code(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".hpp" || extension == ".cpp" || extension == ".c";
}

std::vector<Include> includes_of(const fs::path& root, const fs::path& file) {
  std::vector<Include> out;
  std::ifstream stream(file);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    const std::size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    std::size_t at = line.find_first_not_of(" \t", hash + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    at = line.find_first_of("<\"", at);
    if (at == std::string::npos) continue;
    const bool quoted = line[at] == '"';
    const std::size_t end = line.find(quoted ? '"' : '>', at + 1);
    if (end == std::string::npos) continue;
    out.push_back({fs::relative(file, root).generic_string(), number,
                   line.substr(at + 1, end - at - 1), quoted});
  }
  return out;
}

const std::vector<Include>& all_includes() {
  static const std::vector<Include> kIncludes = [] {
    const fs::path root = PAWL_SOURCE_DIR;
    std::vector<Include> out;
    for (const std::string& folder : code_folders()) {
      if (!fs::exists(root / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
        if (!entry.is_regular_file() || !is_code(entry.path())) continue;
        const auto found = includes_of(root, entry.path());
        out.insert(out.end(), found.begin(), found.end());
      }
    }
    return out;
  }();
  return kIncludes;
}

/// The layer of a file or include, by its folder; empty when it belongs to none.
std::string layer_of(const std::string& path) {
  static const std::vector<std::string> kLayers = {"scheduler/base",
                                                   "scheduler/spec",
                                                   "scheduler/core",
                                                   "scheduler/loop",
                                                   "scheduler/daemon",
                                                   "storage",
                                                   "plugins/include",
                                                   "plugins/threads",
                                                   "plugins/worker",
                                                   "plugins/operators",
                                                   "cli"};
  for (const std::string& layer : kLayers) {
    if (path.starts_with(layer + "/")) return layer;
  }
  return "";
}

/// Layers whose headers a layer may include, besides its own.
const std::map<std::string, std::set<std::string>>& allowed_layers() {
  static const std::map<std::string, std::set<std::string>> kAllowed = {
      {"scheduler/base", {}},
      {"scheduler/spec", {"scheduler/base"}},
      {"scheduler/core", {"scheduler/base", "scheduler/spec"}},
      {"scheduler/loop", {"scheduler/base"}},
      {"storage", {"scheduler/base", "scheduler/spec", "scheduler/core"}},
      {"scheduler/daemon",
       {"scheduler/base", "scheduler/spec", "scheduler/core", "scheduler/loop", "storage",
        "plugins/worker"}},
      {"cli",
       {"scheduler/base", "scheduler/spec", "scheduler/core", "scheduler/loop", "storage",
        "scheduler/daemon", "plugins/worker"}},
      {"plugins/include", {}},
      {"plugins/threads", {"scheduler/base"}},
      {"plugins/worker",
       {"scheduler/base", "scheduler/spec", "scheduler/loop", "plugins/include",
        "plugins/threads"}},
      {"plugins/operators", {"plugins/include", "plugins/threads", "scheduler/base"}},
  };
  return kAllowed;
}

/// Headers of the worker that the other side of the socket shares, and its entry point.
bool shared_worker_header(const std::string& layer, const std::string& target) {
  for (std::string_view shared :
       {"frames.h", "journal.h", "definition.h", "manifest.h", "python_schema.h", "remains.h",
        "control_group.h", "crash_record.h", "library_harm.h"}) {
    if (target == "plugins/worker/" + std::string(shared)) return true;
  }
  return layer == "cli" && target.starts_with("plugins/worker/");
}

struct Home {
  std::string prefix;  ///< of the header in angle brackets
  std::set<std::string> layers;
};

const std::vector<Home>& library_homes() {
  static const std::vector<Home> kHomes = {
      {"uv.h", {"scheduler/loop"}},
      {"sqlite3.h", {"storage", "plugins/operators"}},  // an operator brings its own
      {"SQLiteCpp/", {"storage"}},
      {"microhttpd.h", {"scheduler/daemon"}},
      {"curl/", {"cli", "plugins/operators"}},
      {"CLI/", {"cli"}},
      {"cctz/",
       {"scheduler/spec", "scheduler/daemon", "cli"}},  // calendar, its zones, times as read
      {"re2/", {"scheduler/spec"}},
      {"valijson/", {"scheduler/spec"}},
      {"spdlog/", {"scheduler/daemon"}},
      {"csv.h", {"scheduler/daemon"}},
  };
  return kHomes;
}

/// Headers that no test includes, because what they hold is asked for at a door of the same layer.
const std::map<std::string, std::string>& doors() {
  static const std::map<std::string, std::string> kDoors = {
      {"scheduler/spec/cel_evaluator.h", "scheduler/spec/expression.h"},
      {"scheduler/spec/cel_functions.h", "scheduler/spec/expression.h"},
      {"scheduler/spec/cel_parser.h", "scheduler/spec/expression.h"},
      {"scheduler/spec/cel_tree.h", "scheduler/spec/expression.h"},
      {"scheduler/spec/job_operator.h", "scheduler/spec/parse.h"},
      {"scheduler/spec/json_merge.h", "scheduler/spec/parse.h"},
      {"scheduler/spec/offset_span.h", "scheduler/spec/zoned_cron.h"},
      {"scheduler/spec/references.h", "scheduler/spec/parse.h"},
      {"scheduler/spec/schedule.h", "scheduler/spec/calendar.h"},
      {"scheduler/spec/shared_job.h", "scheduler/spec/job.h"},
      {"scheduler/spec/syntax_explainer.h", "scheduler/spec/document.h"},
      {"scheduler/spec/task_reader.h", "scheduler/spec/reader.h"},
      {"scheduler/spec/view.h", "scheduler/spec/reader.h"},
  };
  return kDoors;
}

/// What a header says of itself in the comment at its top.
bool is_private(const fs::path& header) {
  std::ifstream stream(header);
  std::string line;
  bool has_begun = false;
  while (std::getline(stream, line) && (!has_begun || line.starts_with("//"))) {
    has_begun = has_begun || line.starts_with("//");
    if (line.find("Private to") != std::string::npos) return true;
  }
  return false;
}

/// What the tests include, directly.
std::set<std::string> included_by_tests() {
  const fs::path root = PAWL_SOURCE_DIR;
  std::set<std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    if (!entry.is_regular_file() || !is_code(entry.path())) continue;
    for (const Include& include : includes_of(root, entry.path())) all.insert(include.target);
  }
  return all;
}

std::string where(const Include& include) {
  return include.file + ":" + std::to_string(include.line) + " includes " + include.target;
}

}  // namespace

TEST_CASE("the tree has includes to check") { REQUIRE(all_includes().size() > 50); }

TEST_CASE("each layer includes only what lies below it") {
  for (const Include& include : all_includes()) {
    const std::string from = layer_of(include.file);
    const std::string to = layer_of(include.target);
    if (to.empty() || from == to) continue;
    INFO(where(include));
    REQUIRE_FALSE(from.empty());
    CHECK(allowed_layers().at(from).contains(to));
    if (to == "plugins/worker") CHECK(shared_worker_header(from, include.target));
  }
}

TEST_CASE("own headers are included from the repository root") {
  const fs::path root = PAWL_SOURCE_DIR;
  for (const Include& include : all_includes()) {
    if (!include.quoted) continue;
    // An installed header names its neighbours as plugin authors do.
    if (layer_of(include.file) == "plugins/include") continue;
    INFO(where(include));
    CHECK((fs::exists(root / include.target) || include.target.starts_with("pawl/")));
  }
}

TEST_CASE("every header of the pure layers is included by a test, or its door is") {
  const fs::path root = PAWL_SOURCE_DIR;
  const std::set<std::string> included = included_by_tests();
  for (const char* layer : {"scheduler/base", "scheduler/spec", "scheduler/core"}) {
    for (const auto& entry : fs::directory_iterator(root / layer)) {
      if (entry.path().extension() != ".h") continue;
      const std::string header = fs::relative(entry.path(), root).generic_string();
      INFO(header);
      const auto door = doors().find(header);
      if (door == doors().end()) {
        CHECK((included.contains(header) || is_private(entry.path())));
      } else {
        CHECK(included.contains(door->second));
        CHECK_FALSE(included.contains(header));  // then it needs no door any more
      }
    }
  }
  for (const auto& [header, door] : doors()) CHECK(fs::exists(root / header));
}

TEST_CASE("each library has one home") {
  for (const Include& include : all_includes()) {
    for (const Home& home : library_homes()) {
      if (!include.target.starts_with(home.prefix)) continue;
      INFO(where(include));
      CHECK(home.layers.contains(layer_of(include.file)));
    }
  }
}

TEST_CASE("the pure layers read no clock, no files and no environment") {
  static const std::set<std::string> kImpure = {
      "filesystem", "fstream",  "thread",      "random",       "mutex",
      "unistd.h",   "fcntl.h",  "sys/stat.h",  "time.h",       "sys/time.h",
      "future",     "iostream", "sys/types.h", "sys/socket.h", "signal.h"};
  for (const Include& include : all_includes()) {
    const std::string layer = layer_of(include.file);
    if (layer != "scheduler/base" && layer != "scheduler/spec" && layer != "scheduler/core")
      continue;
    INFO(where(include));
    CHECK_FALSE(kImpure.contains(include.target));
  }
}
