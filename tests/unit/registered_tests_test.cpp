// No test lies in the tree that nobody runs.

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// What CTest starts and what is compiled, as CMake wrote it down.
std::string commands() {
  const fs::path build = PAWL_BINARY_DIR;
  std::string out = content(build / "compile_commands.json");
  for (const auto& entry : fs::directory_iterator(build / "tests")) {
    out += content(entry.path() / "CTestTestfile.cmake");
  }
  return out;
}

/// Those that only sanitizers' presets have.
const std::set<std::string>& of_sanitizers() {
  static const std::set<std::string> names = {"sanitizers_test.py"};
  return names;
}

}  // namespace

TEST_CASE("every test that lies in the tree is run") {
  const std::string all = commands();
  REQUIRE_FALSE(all.empty());
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(PAWL_SOURCE_DIR) / "tests")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("_test.py") && !name.ends_with("_test.cpp")) continue;
    if (of_sanitizers().contains(name)) continue;
    INFO(entry.path().string());
    CHECK(all.find(entry.path().string()) != std::string::npos);
  }
}
