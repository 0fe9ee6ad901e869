// No test lies in the tree that nobody runs, and the tables of faults name tests that there are.

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <re2/re2.h>

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
  static const std::set<std::string> kNames = {"sanitizers_test.py"};
  return kNames;
}

/// The sources of tests by their names.
std::map<std::string, std::string> sources() {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(PAWL_SOURCE_DIR) / "tests")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".py") || name.ends_with(".cpp")) all[name] = content(entry.path());
  }
  return all;
}

/// The rows of the tables of faults, without their heads.
std::vector<std::string> fault_rows() {
  std::istringstream page(content(fs::path(PAWL_SOURCE_DIR) / "docs/testing.md"));
  std::vector<std::string> rows;
  bool is_within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) is_within = line == "## Which test shows which fault";
    const bool is_head = line.starts_with("| fault |") || line.starts_with("| --- |");
    if (is_within && line.starts_with("| ") && !is_head) rows.push_back(line);
  }
  return rows;
}

/// Long names go over lines.
std::string with_joined_literals(std::string source) {
  for (std::size_t at = source.find("\"\n"); at != std::string::npos;
       at = source.find("\"\n", at + 1)) {
    const std::size_t next = source.find_first_not_of(" \n", at + 1);
    if (next != std::string::npos && source[next] == '"') source.erase(at, next + 1 - at);
  }
  return source;
}

struct Shown {
  std::string file;
  std::vector<std::string> tests;  ///< names in quotes, or functions
};

/// What the last cell of a row names.
std::vector<Shown> shown_by(const std::string& row) {
  static const RE2 kWords(R"((`[a-z_]+\.(?:py|cpp)`|test_[a-z0-9_]+|"[^"]+"))");
  const std::string cell = row.substr(row.rfind(" | ", row.size() - 3));
  std::vector<Shown> all;
  re2::StringPiece left(cell);
  for (std::string word; RE2::FindAndConsume(&left, kWords, &word);) {
    if (word.front() == '`') {
      all.push_back({word.substr(1, word.size() - 2), {}});
    } else if (!all.empty()) {
      all.back().tests.push_back(word);
    }
  }
  return all;
}

/// A script without functions of tests is one test.
bool is_one_test(const Shown& shown, const std::string& source) {
  return shown.file.ends_with(".py") && source.find("def test_") == std::string::npos;
}

}  // namespace

TEST_CASE("each fault of the tables is shown by tests that are in the files that are named") {
  const auto files = sources();
  const std::vector<std::string> rows = fault_rows();
  CHECK(rows.size() > 90);
  for (const std::string& row : rows) {
    INFO(row);
    const std::vector<Shown> all = shown_by(row);
    const bool is_shown_elsewhere = row.find("](#") != std::string::npos;
    CHECK(all.empty() == is_shown_elsewhere);
    for (const Shown& shown : all) {
      REQUIRE(files.contains(shown.file));
      const std::string source = with_joined_literals(files.at(shown.file));
      CHECK(shown.tests.empty() == is_one_test(shown, source));
      for (const std::string& test : shown.tests) {
        INFO(test);
        const std::string text = test.front() == '"' ? test : "def " + test + "(self)";
        CHECK(source.find(text) != std::string::npos);
      }
    }
  }
}

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
